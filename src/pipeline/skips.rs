//! Skipped sleeps on their way into the recording: each becomes an event of the process that slept, once
//! all that came before it is recorded.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sandbox::Skip;

/// In one turn of the loop so many processes have an event of their own; the rest share one.
const EVENTS_MAX: usize = 16;

/// What was skipped, and what of it is not told yet.
#[derive(Debug, Default)]
pub struct Skips {
    waiting: VecDeque<Skip>,
    pub total: Duration,
}

impl Skips {
    pub fn add(&mut self, skips: Vec<Skip>) {
        let time = |total: Duration, skip: &Skip| total.saturating_add(skip.time);
        self.total = skips.iter().fold(self.total, time);
        self.waiting.extend(skips);
    }

    /// Those that ended before `time` (`CLOCK_BOOTTIME` nanoseconds), of one process joined.
    pub fn until(&mut self, time: u64) -> Vec<Skip> {
        let mut told: Vec<Skip> = Vec::new();
        while let Some(skip) = self.waiting.pop_front_if(|skip| skip.at.as_nanos() <= u128::from(time)) {
            let like = told.iter_mut().position(|other| other.pid == skip.pid);
            match like.or((told.len() >= EVENTS_MAX).then_some(EVENTS_MAX - 1)) {
                None => told.push(skip),
                Some(index) => told[index] = told[index].and(&skip),
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(pid: u32, seconds: u64, at: u64) -> Skip {
        let (time, at) = (Duration::from_secs(seconds), Duration::from_nanos(at));
        Skip { pid, time, sleeps: 1, at, ..Skip::default() }
    }

    #[test]
    fn skips_wait_for_their_time_and_are_joined_by_process() {
        let mut skips = Skips::default();
        skips.add(vec![skip(1, 10, 5), skip(2, 20, 6), skip(1, 30, 7), skip(1, 40, 9)]);
        assert_eq!(skips.total, Duration::from_secs(100));
        let joined = Skip { sleeps: 2, ..skip(1, 40, 7) };
        assert_eq!(skips.until(8), [joined, skip(2, 20, 6)]);
        assert_eq!(skips.until(8), []);
        assert_eq!(skips.until(9), [skip(1, 40, 9)]);
    }

    #[test]
    fn a_crowd_shares_one_event_of_nobody() {
        let mut skips = Skips::default();
        skips.add((1..=100).map(|pid| skip(pid, 1, 1)).collect());
        let told = skips.until(1);
        assert_eq!(told.len(), EVENTS_MAX);
        assert_eq!((told[EVENTS_MAX - 1].pid, told[EVENTS_MAX - 1].sleeps), (0, 85));
    }
}
