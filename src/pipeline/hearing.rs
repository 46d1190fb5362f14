//! Testimony of the world, on its way between the records: each is given out where its time comes, and
//! where the record that it belongs to is late, a little after.

use std::collections::VecDeque;

use crate::internet::testimony::{Said, Testimony};
use crate::normalise::{Normaliser, Provenance, SLACK};

/// Bytes of testimony that may wait; beyond that the oldest goes before its time.
const WAITING_MAX: usize = 32 << 20;
/// What a testimony weighs beside its texts.
const WEIGHT: usize = 512;

/// Testimony that waits.
#[derive(Default)]
pub struct Hearing {
    /// For its time; by time.
    waiting: VecDeque<Testimony>,
    /// For a record of the time before it; by time.
    late: Vec<Testimony>,
    /// How much the normaliser had learnt when `late` was last looked through.
    learnt: u64,
    weight: usize,
}

impl Hearing {
    pub fn push(&mut self, testimony: Testimony) {
        self.weight += weight(&testimony);
        let place = self.waiting.partition_point(|other| other.time <= testimony.time);
        self.waiting.insert(place, testimony);
    }

    /// What is due before the records of `time`: those before it, unless what belongs to them is still to
    /// come.
    pub fn due<P: Provenance>(&mut self, time: u64, normaliser: &Normaliser<P>) -> Vec<Testimony> {
        let before = self.waiting.partition_point(|testimony| testimony.time < time);
        let given_up = self.late.first().is_some_and(|first| is_old(first, time));
        if before == 0 && !given_up && (self.late.is_empty() || self.learnt == normaliser.learnt()) {
            return Vec::new();
        }
        self.learnt = normaliser.learnt();
        self.late.extend(self.waiting.drain(..before));
        let mut due = Vec::new();
        for testimony in std::mem::take(&mut self.late) {
            if is_old(&testimony, time) || self.weight > WAITING_MAX || !normaliser.expects(&testimony) {
                self.weight -= weight(&testimony);
                due.push(testimony);
            } else {
                self.late.push(testimony);
            }
        }
        due
    }

    /// Everything that is left, for the end of a run.
    pub fn rest(&mut self) -> Vec<Testimony> {
        self.weight = 0;
        self.late.drain(..).chain(self.waiting.drain(..)).collect()
    }
}

fn is_old(testimony: &Testimony, time: u64) -> bool {
    testimony.time.saturating_add(SLACK) < time
}

fn weight(testimony: &Testimony) -> usize {
    WEIGHT
        + match &testimony.said {
            Said::Http(http) => {
                let headers = http.headers.iter().map(|(name, value)| name.len() + value.len());
                http.body.len() + http.target.len() + headers.sum::<usize>()
            }
            Said::Command(command) => command.text.len(),
            Said::Stream(stream) => stream.first.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::File;
    use crate::internet::testimony::{Flow, Loss, Stream, Transport};
    use crate::normalise::{ImageEntry, Start};
    use crate::record::{Body, KernelSocket, Record, Task};

    struct Nothing;

    impl Provenance for Nothing {
        fn layer_of(&mut self, _: &[u8]) -> Option<u16> {
            None
        }
        fn entry_at(&mut self, _: &[u8]) -> ImageEntry {
            ImageEntry::Absent
        }
        fn digest_of(&mut self, _: &File, _: Start) -> Option<[u8; 32]> {
            None
        }
    }

    fn said(time: u64, port: u16) -> Testimony {
        let client = ([10, 0, 0, 2], port).into();
        let flow = Flow { transport: Transport::Tcp, client, server: ([192, 0, 2, 1], 80).into() };
        let stream = Stream { service: "raw".into(), first: vec![], sent: 1, received: 0, datagrams: 0 };
        Testimony { time, flow: Some(flow), said: Said::Stream(stream) }
    }

    fn connect(time: u64, port: u16) -> Record {
        let address = |ip: [u8; 4], port: u16| [&[2, 0][..], &port.to_be_bytes(), &ip].concat();
        let socket = KernelSocket { family: 2, kind: 1, protocol: 6 };
        let (local, remote) = (address([10, 0, 0, 2], port), address([192, 0, 2, 1], 80));
        let body = Body::Connect { socket, local, remote, result: 0 };
        let task = Task { pid: 7, start: 7, inner_pid: 2, ..Task::default() };
        Record { time, task, body, cut: false, count: 1, again: false }
    }

    fn times(testimonies: &[Testimony]) -> Vec<u64> {
        testimonies.iter().map(|testimony| testimony.time).collect()
    }

    #[test]
    fn testimony_comes_out_by_time_and_waits_for_its_connect() {
        let mut normaliser = Normaliser::new(Nothing, 0, 1);
        let mut hearing = Hearing::default();
        for (time, port) in [(30, 1), (10, 1), (20, 2)] {
            hearing.push(said(time, port));
        }
        hearing.push(Testimony { time: 5, flow: None, said: Said::Lost { what: Loss::Packets, count: 1 } });
        assert_eq!(times(&hearing.due(25, &normaliser)), [5], "nothing is known of the flows yet");
        normaliser.observe(connect(9, 1));
        assert_eq!(times(&hearing.due(25, &normaliser)), [10]);
        normaliser.observe(connect(26, 2));
        assert_eq!(times(&hearing.due(31, &normaliser)), [20, 30]);
        assert_eq!(hearing.weight, 0);
    }

    #[test]
    fn what_belongs_to_nobody_is_given_out_late_and_at_the_end() {
        let normaliser = Normaliser::new(Nothing, 0, 1);
        let mut hearing = Hearing::default();
        hearing.push(said(10, 1));
        hearing.push(said(20, 1));
        assert!(hearing.due(10 + SLACK, &normaliser).is_empty());
        assert_eq!(times(&hearing.due(11 + SLACK, &normaliser)), [10]);
        assert_eq!(times(&hearing.rest()), [20]);
    }

    #[test]
    fn a_flood_of_bodies_does_not_wait() {
        let normaliser = Normaliser::new(Nothing, 0, 1);
        let mut hearing = Hearing::default();
        for time in 0..3 {
            let mut heavy = said(time, 1);
            if let Said::Stream(stream) = &mut heavy.said {
                stream.first = vec![0; WAITING_MAX / 2];
            }
            hearing.push(heavy);
        }
        assert_eq!(times(&hearing.due(9, &normaliser)), [0, 1]);
        assert!(hearing.weight <= WAITING_MAX);
    }
}
