//! The way of testimony out of the internet process: bounded, and never ahead of who listens.
//!
//! Whoever has something to say waits until there is room, so that a flood from the sandbox slows the
//! flood down and not the runner. Nothing is dropped here but what cannot be encoded, and that is counted
//! and told at the end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::testimony::{Flow, Loss, Said, Testimony};

/// Frames that may wait: at most 16 MiB of the largest.
const WAITING_MAX: usize = 64;
/// So much is gathered for one write.
const WRITE_MAX: usize = 64 << 10;

/// Says things to the runner. Cheap to clone; the last one's end is the end of the testimony.
#[derive(Clone, Debug)]
pub struct Tell {
    frames: mpsc::Sender<Vec<u8>>,
    unsaid: Arc<AtomicU64>,
}

/// The other end, which writes.
#[derive(Debug)]
pub struct Scribe {
    frames: mpsc::Receiver<Vec<u8>>,
    unsaid: Arc<AtomicU64>,
}

/// A way for testimony.
pub fn channel() -> (Tell, Scribe) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let unsaid = Arc::<AtomicU64>::default();
    (Tell { frames: sender, unsaid: unsaid.clone() }, Scribe { frames: receiver, unsaid })
}

impl Tell {
    /// Says it, as of now; waits until there is room.
    pub async fn say(&self, flow: Option<Flow>, said: Said) {
        self.say_at(now(), flow, said).await;
    }

    /// As of another time of [`now`].
    pub async fn say_at(&self, time: u64, flow: Option<Flow>, said: Said) {
        match (Testimony { time, flow, said }).encode() {
            // Without a listener the process is about to die.
            Some(frame) => drop(self.frames.send(frame).await),
            None => drop(self.unsaid.fetch_add(1, Relaxed)),
        }
    }
}

impl Scribe {
    /// Writes until nobody is left who could say anything; then what could not be said.
    pub async fn write(mut self, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut gathered = Vec::with_capacity(WRITE_MAX);
        while let Some(frame) = self.frames.recv().await {
            gathered.extend_from_slice(&frame);
            while gathered.len() < WRITE_MAX
                && let Ok(frame) = self.frames.try_recv()
            {
                gathered.extend_from_slice(&frame);
            }
            to.write_all(&gathered).await?;
            gathered.clear();
        }
        let count = self.unsaid.load(Relaxed);
        if count > 0 {
            let said = Said::Lost { what: Loss::Testimony, count };
            let frame = Testimony { time: now(), flow: None, said }.encode();
            to.write_all(&frame.expect("a number fits in a frame")).await?;
        }
        to.flush().await
    }
}

/// `CLOCK_BOOTTIME`, nanoseconds: the clock of the probes.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every kernel since 2.6.39 has this clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internet::testimony::FRAME_MAX;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, future)
    }

    fn frames(mut bytes: &[u8]) -> Vec<Said> {
        let mut all = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let (frame, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
            all.push(Testimony::decode(frame).unwrap().said);
            bytes = rest;
        }
        all
    }

    #[test]
    fn what_is_said_is_written_in_order_to_the_last() {
        let lost = |count| Said::Lost { what: Loss::Packets, count };
        let mut written = Vec::new();
        run(async {
            let (tell, scribe) = channel();
            tokio::task::spawn_local(async move {
                for count in 0..1000 {
                    tell.say(None, lost(count)).await;
                }
            });
            scribe.write(&mut written).await.unwrap();
        });
        assert_eq!(frames(&written), (0..1000).map(lost).collect::<Vec<_>>());
    }

    #[test]
    fn saying_waits_for_who_listens_and_the_unsayable_is_counted() {
        let mut written = Vec::new();
        run(async {
            let (tell, scribe) = channel();
            let mut said = 0;
            let small = Said::Lost { what: Loss::Packets, count: 0 };
            while tokio::time::timeout(std::time::Duration::ZERO, tell.say(None, small.clone())).await.is_ok()
            {
                said += 1;
                if said > 2 * WAITING_MAX {
                    break;
                }
            }
            assert_eq!(said, WAITING_MAX);
            let huge = super::super::testimony::Stream {
                service: String::new(),
                first: vec![0; FRAME_MAX],
                sent: 0,
                received: 0,
                datagrams: 0,
            };
            tell.say(None, Said::Stream(huge)).await;
            drop(tell);
            scribe.write(&mut written).await.unwrap();
        });
        let all = frames(&written);
        assert_eq!(all.len(), WAITING_MAX + 1);
        assert_eq!(all.last(), Some(&Said::Lost { what: Loss::Testimony, count: 1 }));
    }
}
