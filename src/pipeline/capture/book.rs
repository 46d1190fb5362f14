//! What was captured, until the exec that it belongs to is decoded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::{Bytes, Inode, Kept, Why};

use super::Found;

/// Executions that wait to be decoded. Texts that their callers then read, and programs that the kernel
/// refuses, leave an entry that nobody asks for.
const WAITING_MAX: usize = 1 << 16;
/// No exec takes longer from the opening of its file to its record; nanoseconds.
const EXEC_MAX: u64 = 60_000_000_000;
/// Different contents that nobody asked for.
const TRIED_MAX: usize = 1024;

/// The opening of a file for execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// `CLOCK_BOOTTIME` nanoseconds, before the task was allowed to go on.
    pub time: u64,
    pub key: Key,
    /// `None` where the file could not be read, or was too large.
    pub sha256: Option<[u8; 32]>,
    pub path: Bytes,
    /// Bytes.
    pub size: u64,
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
    /// With whether an exec was told that this is what it ran.
    waiting: VecDeque<(Captured, bool)>,
    /// What no exec ran, by content.
    tried: HashMap<[u8; 32], Captured>,
    tally: Tally,
    missed: u64,
    failed: bool,
}

impl Book {
    pub(super) fn enter(&self, captured: Captured, tally: Tally) {
        let mut pages = self.pages();
        if pages.waiting.len() >= WAITING_MAX {
            pages.turn();
        }
        pages.waiting.push_back((captured, false));
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
        while pages.waiting.front().is_some_and(|(first, _)| first.time.saturating_add(EXEC_MAX) < time) {
            pages.turn();
        }
        let (found, ran) = pages.waiting.iter_mut().rev().find(|(it, _)| it.time <= time && it.key == key)?;
        *ran = true;
        found.sha256
    }

    /// What was opened to be executed, and no program came of it: when all execs are decoded.
    pub fn tried(&self) -> Vec<Found> {
        let mut pages = self.pages();
        while !pages.waiting.is_empty() {
            pages.turn();
        }
        let mut tried: Vec<_> = std::mem::take(&mut pages.tried).into_iter().collect();
        tried.sort_by_key(|(_, captured)| captured.time);
        let found = |(sha256, Captured { key, path, size, .. })| Found {
            pid: key.pid,
            kept: Kept { path, sha256, size, why: Why::Tried },
        };
        tried.into_iter().map(found).collect()
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

impl Pages {
    /// Lets go of the oldest that waits.
    fn turn(&mut self) {
        if let Some((captured, false)) = self.waiting.pop_front()
            && let Some(sha256) = captured.sha256
            && self.tried.len() < TRIED_MAX
        {
            self.tried.entry(sha256).or_insert(captured);
        }
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
            book.enter(captured(time, key, byte), Tally::default());
        }
        book
    }

    fn captured(time: u64, key: Key, byte: u8) -> Captured {
        Captured { time, key, sha256: Some([byte; 32]), path: b"/tmp/x"[..].into(), size: 1 }
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
    fn what_no_exec_ran_is_told_once_for_each_content() {
        let book = book(&[(10, key(1, 5), 1), (20, key(1, 6), 2), (30, key(2, 6), 2), (40, key(2, 7), 3)]);
        assert!(book.find(key(1, 5), 15).is_some());
        // The first of them goes meanwhile.
        assert_eq!(book.find(key(9, 9), 21 + EXEC_MAX), None);
        let tried = book.tried();
        let told: Vec<_> = tried.iter().map(|found| (found.pid, found.kept.sha256[0])).collect();
        assert_eq!(told, [(1, 2), (2, 3)]);
        assert!(book.tried().is_empty());
    }

    #[test]
    fn what_nobody_asks_for_goes_with_time_and_number() {
        let old = book(&[(10, key(1, 5), 1)]);
        assert_eq!(old.find(key(1, 5), 11 + EXEC_MAX), None);
        let full = Book::default();
        for time in 0..=WAITING_MAX as u64 {
            full.enter(captured(time, key(1, time), 1), Tally::default());
        }
        assert_eq!(full.find(key(1, 0), u64::MAX >> 1), None);
        assert_eq!(full.pages().waiting.len(), 0);
    }
}
