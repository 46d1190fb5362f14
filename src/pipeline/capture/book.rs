//! What was captured, until the exec that it belongs to is decoded.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::Inode;

/// Executions that wait to be decoded. Scripts, and programs that the kernel then refuses, leave an
/// entry that nobody asks for.
const WAITING_MAX: usize = 1 << 16;
/// No exec takes longer from the opening of its file to its record; nanoseconds.
const EXEC_MAX: u64 = 60_000_000_000;

/// The opening of a file for execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// `CLOCK_BOOTTIME` nanoseconds, before the task was allowed to go on.
    pub time: u64,
    pub key: Key,
    /// `None` where the file could not be read, or was too large.
    pub sha256: Option<[u8; 32]>,
}

/// Who opened what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Thread group.
    pub pid: u32,
    pub inode: Inode,
}

/// How much was kept, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub files: u64,
    pub bytes: u64,
    /// Contents that were hashed, but found no room in the run directory.
    pub omitted: u64,
}

/// Written by the capturing thread, read by the loop of the run.
#[derive(Debug, Default)]
pub struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    waiting: VecDeque<Captured>,
    tally: Tally,
    missed: u64,
    failed: bool,
}

impl Book {
    pub(super) fn enter(&self, captured: Captured, tally: Tally) {
        let mut pages = self.pages();
        if pages.waiting.len() >= WAITING_MAX {
            pages.waiting.pop_front();
        }
        pages.waiting.push_back(captured);
        pages.tally = tally;
    }

    /// An execution that could not be looked at.
    pub(super) fn miss(&self) {
        self.pages().missed += 1;
    }

    /// The capture has ended before it was told to.
    pub(super) fn fail(&self) {
        self.pages().failed = true;
    }

    /// The hash of what began to run at `time`: the last opening of that file by that process before it.
    pub fn find(&self, key: Key, time: u64) -> Option<[u8; 32]> {
        let mut pages = self.pages();
        while pages.waiting.front().is_some_and(|first| first.time.saturating_add(EXEC_MAX) < time) {
            pages.waiting.pop_front();
        }
        pages.waiting.iter().rev().find(|it| it.time <= time && it.key == key)?.sha256
    }

    /// What is kept so far.
    pub fn tally(&self) -> Tally {
        self.pages().tally
    }

    /// Executions that went by unseen; `None`: nobody knows how many.
    pub fn missed(&self) -> Option<u64> {
        let pages = self.pages();
        (!pages.failed).then_some(pages.missed)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Every change is complete by itself, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32, number: u64) -> Key {
        Key { pid, inode: Inode { device: 1, number } }
    }

    fn book(entries: &[(u64, Key, u8)]) -> Book {
        let book = Book::default();
        for &(time, key, byte) in entries {
            book.enter(Captured { time, key, sha256: Some([byte; 32]) }, Tally::default());
        }
        book
    }

    #[test]
    fn an_exec_finds_the_last_opening_before_it() {
        let book = book(&[(10, key(1, 5), 1), (20, key(1, 5), 2), (21, key(2, 5), 3), (22, key(1, 6), 4)]);
        let check = |key, time, expected: Option<u8>| {
            assert_eq!(book.find(key, time), expected.map(|byte| [byte; 32]), "{key:?} at {time}");
        };
        check(key(1, 5), 15, Some(1));
        check(key(1, 5), 25, Some(2));
        check(key(2, 5), 25, Some(3));
        check(key(1, 6), 21, None);
        check(key(3, 5), 25, None);
    }

    #[test]
    fn what_nobody_asks_for_goes_with_time_and_number() {
        let old = book(&[(10, key(1, 5), 1)]);
        assert_eq!(old.find(key(1, 5), 11 + EXEC_MAX), None);
        let full = Book::default();
        for time in 0..=WAITING_MAX as u64 {
            full.enter(Captured { time, key: key(1, time), sha256: Some([1; 32]) }, Tally::default());
        }
        assert_eq!(full.find(key(1, 0), u64::MAX >> 1), None);
        assert_eq!(full.pages().waiting.len(), 0);
    }
}
