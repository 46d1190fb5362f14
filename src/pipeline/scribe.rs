//! Writes the event log in a thread of its own: bringing an event into words and pressing it takes longer than
//! decoding, joining and judging it together, and a workload that is held waits for both.
//!
//! Events arrive in batches, in order; a bounded number of them waits. An error of the thread comes out of the
//! next call. Nothing here judges or counts: see [`super::recorder`].

use std::fs::File;
use std::io::{self, BufWriter};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::event::Event;
use crate::report::log::{Counters, LogError, Writer};

/// The event log on disk.
pub type LogFile = BufWriter<zstd::Encoder<'static, BufWriter<File>>>;

/// Events that change hands at once, and how many times as many may wait: about 4 MB.
const BATCH: usize = 512;
const WAITING: usize = 8;

/// The writer of one log.
pub struct Scribe {
    batch: Vec<Note>,
    to: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<Result<Writer<LogFile>, LogError>>>,
}

/// An event, and whether a finding rests on it.
struct Note {
    event: Event,
    is_evidence: bool,
}

enum Work {
    Write(Vec<Note>),
    /// What was written up to here?
    Count(Sender<Counters>),
}

impl Scribe {
    pub fn begin(log: Writer<LogFile>) -> io::Result<Scribe> {
        let (to, work) = sync_channel(WAITING);
        let thread = Builder::new().name("log".into()).spawn(move || write(log, work))?;
        Ok(Scribe { batch: Vec::with_capacity(BATCH), to: Some(to), thread: Some(thread) })
    }

    pub fn write(&mut self, event: Event, is_evidence: bool) -> Result<(), LogError> {
        self.batch.push(Note { event, is_evidence });
        if self.batch.len() < BATCH { Ok(()) } else { self.pass_on() }
    }

    /// Lets go of what waits for its batch to be full.
    pub fn pass_on(&mut self) -> Result<(), LogError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.send(Work::Write(batch))
    }

    /// What was written, once all is.
    pub fn counters(&mut self) -> Result<Counters, LogError> {
        self.pass_on()?;
        let (to, counters) = channel();
        self.send(Work::Count(to))?;
        counters.recv().map_err(|_| self.failure())
    }

    /// Waits until all is written, and gives the log back.
    pub fn end(mut self) -> Result<Writer<LogFile>, LogError> {
        self.pass_on()?;
        self.join()
    }

    fn send(&mut self, work: Work) -> Result<(), LogError> {
        match self.to.as_ref().map(|to| to.send(work)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.failure()),
        }
    }

    /// Why the thread takes no more.
    fn failure(&mut self) -> LogError {
        self.join().err().unwrap_or_else(gone)
    }

    fn join(&mut self) -> Result<Writer<LogFile>, LogError> {
        self.to = None;
        let thread = self.thread.take().ok_or_else(gone)?;
        thread.join().expect("writing does not panic")
    }
}

impl Drop for Scribe {
    /// A run that failed leaves nobody behind who writes.
    fn drop(&mut self) {
        self.to = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn gone() -> LogError {
    LogError::Write(io::Error::other("its thread has ended"))
}

fn write(mut log: Writer<LogFile>, work: Receiver<Work>) -> Result<Writer<LogFile>, LogError> {
    for work in work {
        match work {
            Work::Write(batch) => batch.into_iter().try_for_each(|note| put(&mut log, &note))?,
            // Whoever asked has gone.
            Work::Count(to) => drop(to.send(log.counters())),
        }
    }
    Ok(log)
}

fn put(log: &mut Writer<LogFile>, note: &Note) -> Result<(), LogError> {
    match note.is_evidence {
        true => log.write_evidence(&note.event),
        false => log.write(&note.event),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::event::{Act, EventId, Outcome, Phase, SandboxAct};
    use crate::report::log::{self, Header, Reader, Trailer};

    fn scribe(path: &Path) -> Scribe {
        let file = File::options().write(true).create(true).truncate(false).open(path).unwrap();
        let frame = log::compress(BufWriter::new(file)).unwrap();
        Scribe::begin(Writer::new(BufWriter::new(frame), &Header::default()).unwrap()).unwrap()
    }

    fn event(id: u64) -> Event {
        let act = Act::Sandbox(SandboxAct::Limit { name: id.to_string() });
        let (at, outcome) = (Duration::from_nanos(id), Outcome::Done);
        Event { id: EventId(id), at, phase: Phase::Start, process: None, act, outcome, count: 1, cut: false }
    }

    #[test]
    fn what_is_written_stands_in_the_log_in_order_however_many_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        for count in [0, 1, BATCH as u64 * 3 + 1] {
            let mut scribe = scribe(&path);
            for id in 1..=count {
                scribe.write(event(id), id % 2 == 0).unwrap();
            }
            assert_eq!(scribe.counters().unwrap().events, count);
            let (file, _) = scribe.end().unwrap().finish(Trailer::default()).unwrap();
            let frame = file.into_inner().unwrap_or_else(|_| panic!("it was flushed"));
            frame.finish().unwrap().into_inner().unwrap();
            let text = log::decompress(BufReader::new(File::open(&path).unwrap())).unwrap();
            let read = Reader::open(BufReader::new(text)).unwrap();
            let ids: Vec<u64> = read.map(|event| event.unwrap().id.0).collect();
            assert_eq!(ids, (1..=count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_full_disk_comes_out_of_the_next_call() {
        let mut scribe = scribe(Path::new("/dev/full"));
        let refused = (1..1_000_000).find_map(|id| scribe.write(event(id), false).err());
        assert!(matches!(refused, Some(LogError::Write(_))));
    }
}
