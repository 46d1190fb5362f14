//! Who comes back to the same far end after a pause: a program that waits for orders, or a report that is
//! made from time to time. What is fetched in one go (packages, pages, pieces of a file) makes no pauses.
//!
//! A pause is a sleep of the process, of its child or of a program that led to it; or a time in which
//! nothing at all was done in the sandbox, since waiting in poll(2), epoll(7) and futex(2) is not told.
//! Long sleeps are skipped, so the clock alone does not tell.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::event::{Bytes, ProcessKey};

/// Shorter sleeps are the breaths of a loop.
const SLEEP: u64 = 300_000_000;
const IDLE: u64 = 600_000_000;
/// Far ends and sleepers that are remembered; then no new ones are.
const KNOWN_MAX: usize = 1 << 14;
/// Ports of the name service and of the time: asked by habit.
const HABITS: [u16; 2] = [53, 123];

#[derive(Default)]
pub(super) struct Pace {
    far: HashMap<(Far, u16), Visit>,
    sleepers: HashMap<ProcessKey, u64>,
    last: u64,
    /// The end of the last time in which nothing was done.
    idle: u64,
}

/// By name, where it has one: one name can have many addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Far {
    Name(Bytes),
    Address(std::net::IpAddr),
}

#[derive(Default)]
struct Visit {
    time: u64,
    returns: u32,
}

impl Pace {
    /// Something was done. Times are in nanoseconds, of any one clock.
    pub(super) fn tick(&mut self, time: u64) {
        if self.last > 0 && time.saturating_sub(self.last) >= IDLE {
            self.idle = time;
        }
        self.last = self.last.max(time);
    }

    /// A process has slept; `parent` waited for it, as a shell does.
    pub(super) fn slept(
        &mut self,
        process: ProcessKey,
        parent: Option<ProcessKey>,
        nanoseconds: u64,
        time: u64,
    ) {
        if nanoseconds < SLEEP {
            return;
        }
        for key in [Some(process), parent].into_iter().flatten() {
            if self.sleepers.len() < KNOWN_MAX || self.sleepers.contains_key(&key) {
                self.sleepers.insert(key, time);
            }
        }
    }

    /// A far end was reached by one of these, the process itself and what led to it. Gives how often that
    /// was after a pause by now, where this time was.
    pub(super) fn reached(
        &mut self,
        far: SocketAddr,
        name: Option<&Bytes>,
        kin: impl IntoIterator<Item = ProcessKey>,
        time: u64,
    ) -> Option<u32> {
        if far.port() == 0 || HABITS.contains(&far.port()) || far.ip().is_loopback() {
            return None;
        }
        let key = (name.map_or_else(|| Far::Address(far.ip()), |name| Far::Name(name.clone())), far.port());
        if self.far.len() >= KNOWN_MAX && !self.far.contains_key(&key) {
            return None;
        }
        let slept = kin.into_iter().filter_map(|key| self.sleepers.get(&key)).max().copied();
        let paused = self.idle.max(slept.unwrap_or_default());
        let visit = self.far.entry(key).or_default();
        let returned = visit.time > 0 && paused > visit.time;
        visit.time = visit.time.max(time);
        visit.returns += u32::from(returned);
        returned.then_some(visit.returns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn process(pid: u32) -> ProcessKey {
        ProcessKey { pid, start: 1 }
    }

    fn reach(pace: &mut Pace, far: &str, kin: &[u32], ms: u64) -> Option<u32> {
        pace.tick(ms * MS);
        let far = far.parse().expect("an address");
        pace.reached(far, None, kin.iter().copied().map(process), ms * MS)
    }

    #[test]
    fn only_a_pause_makes_a_return() {
        let mut pace = Pace::default();
        let mut check = |ms, expected| assert_eq!(reach(&mut pace, "192.0.2.1:443", &[7], ms), expected);
        check(10, None);
        check(300, None);
        check(1_000, Some(1));
        check(1_001, None);
        check(1_700, Some(2));
    }

    #[test]
    fn a_sleep_counts_for_the_sleeper_and_for_who_waited_for_it() {
        let mut pace = Pace::default();
        assert_eq!(reach(&mut pace, "192.0.2.1:443", &[8, 2], 10), None);
        pace.slept(process(9), Some(process(2)), 400 * MS, 100 * MS);
        assert_eq!(reach(&mut pace, "192.0.2.1:443", &[5], 200), None);
        pace.slept(process(9), Some(process(2)), 400 * MS, 250 * MS);
        assert_eq!(reach(&mut pace, "192.0.2.1:443", &[10, 2], 300), Some(1));
        pace.slept(process(9), Some(process(2)), 20 * MS, 350 * MS);
        assert_eq!(reach(&mut pace, "192.0.2.1:443", &[10, 2], 400), None);
    }

    #[test]
    fn names_stand_for_all_their_addresses_and_habits_do_not_count() {
        let mut pace = Pace::default();
        let name = Bytes::from(&b"c2.example"[..]);
        let mut check = |far: &str, ms: u64, expected| {
            pace.tick(ms * MS);
            let far = far.parse().expect("an address");
            assert_eq!(pace.reached(far, Some(&name), [process(7)], ms * MS), expected, "{far}");
        };
        check("192.0.2.1:443", 10, None);
        check("192.0.2.2:443", 2_000, Some(1));
        check("192.0.2.2:8443", 4_000, None);
        check("192.0.2.2:53", 5_000, None);
        check("192.0.2.2:53", 7_000, None);
    }
}
