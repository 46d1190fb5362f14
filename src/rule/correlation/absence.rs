//! What a correlation with `without` waits for until the run ends: groups that are complete, and what refutes them.
//!
//! Bounded: so many groups, so many that the absent was seen in. Where there is no room, a group is given up and
//! counted; where the absent itself is counted (`absent`), it is taken not to have been there.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use super::correlator::Completed;
use super::key::Key;

/// So many completed groups, and so many that the absent was seen in, are kept.
const GROUPS_MAX: usize = 8192;

#[derive(Default)]
pub(super) struct Absence<'r> {
    /// What nothing refuted yet, by its group.
    completed: HashMap<Key, Vec<Pending<'r>>>,
    /// So many were ever kept, and so many are.
    serial: u64,
    waiting: usize,
    /// When the absent was seen last.
    seen: HashMap<Key, Duration>,
    /// Digests of the different values that were seen, below the number that makes them the absent.
    counted: HashMap<Key, HashSet<u64>>,
    /// Groups in which the absent was seen, but which could not be remembered.
    forgotten: u64,
}

struct Pending<'r> {
    serial: u64,
    at: Duration,
    completed: Completed<'r>,
}

impl<'r> Absence<'r> {
    /// The absent was seen: what was completed within that time before falls, and so will what is
    /// completed within it after.
    pub(super) fn refute(&mut self, key: Key, now: Duration, within: Duration) {
        if let Some(pending) = self.completed.get_mut(&key) {
            let before = pending.len();
            pending.retain(|it| now.saturating_sub(it.at) > within);
            self.waiting -= before - pending.len();
        }
        if self.seen.len() >= GROUPS_MAX && !self.seen.contains_key(&key) {
            self.seen.retain(|_, at| now.saturating_sub(*at) <= within);
        }
        if self.seen.len() < GROUPS_MAX || self.seen.contains_key(&key) {
            self.seen.insert(key, now);
        } else {
            self.forgotten += 1;
        }
    }

    /// Something was seen of which only so many different values are the absent.
    pub(super) fn count(
        &mut self,
        key: Key,
        values: &[Box<[u8]>],
        threshold: u64,
        now: Duration,
        within: Duration,
    ) {
        if self.counted.len() >= GROUPS_MAX && !self.counted.contains_key(&key) {
            return;
        }
        let digest = BuildHasherDefault::<DefaultHasher>::default();
        let counted = self.counted.entry(key.clone()).or_default();
        if (counted.len() as u64) < threshold {
            counted.extend(values.iter().map(|value| digest.hash_one(value)));
        }
        if counted.len() as u64 >= threshold {
            self.refute(key, now, within);
        }
    }

    /// Keeps what was completed until the run ends; false where there is no room.
    pub(super) fn keep(
        &mut self,
        key: &Key,
        completed: Completed<'r>,
        now: Duration,
        within: Duration,
    ) -> bool {
        if self.seen.get(key).is_some_and(|at| now.saturating_sub(*at) <= within) {
            return true;
        }
        let room = self.waiting < GROUPS_MAX;
        if room {
            self.serial += 1;
            self.waiting += 1;
            let pending = Pending { serial: self.serial, at: now, completed };
            self.completed.entry(key.clone()).or_default().push(pending);
        }
        room
    }

    /// What nothing refuted, in the order of its completion; else how many cannot be decided.
    pub(super) fn finish(self) -> Result<Vec<Completed<'r>>, u64> {
        if self.forgotten > 0 {
            return Err(self.waiting as u64 + self.forgotten);
        }
        let mut left: Vec<Pending<'r>> = self.completed.into_values().flatten().collect();
        left.sort_by_key(|it| it.serial);
        Ok(left.into_iter().map(|it| it.completed).collect())
    }
}
