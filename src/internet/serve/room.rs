//! How much the sandbox may have of this process: connections, and bytes that are kept.
//!
//! Memory is at most [`OPEN_MAX`] connections with their buffers and scanners (some 150 KiB each were
//! measured, with what is worst for a scanner), [`REQUESTS_MAX`] requests with theirs, and [`BYTES_MAX`] of
//! what they sent or are still to be sent. Where a new connection finds all places
//! taken, the one that has been silent for longest goes: a flood ends its own connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::pipe::Pulse;

/// Connections at one time.
pub const OPEN_MAX: usize = 1024;
/// Requests that are read and answered at one time, in all connections together: each has scanners of its
/// own.
pub const REQUESTS_MAX: usize = 512;
/// Bytes that all of them keep together: first bytes, bodies, answers on their way.
pub const BYTES_MAX: usize = 96 << 20;
/// Every lease has at least this, so that even the last of a flood has its first bytes told.
pub const LEASE_MIN: usize = 256;
/// A connection ends after such a silence, and at such an age.
const IDLE_MAX: Duration = Duration::from_secs(15 * 60);
const AGE_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// What is taken.
#[derive(Debug)]
pub struct Room {
    open_max: usize,
    open: RefCell<HashMap<u64, Rc<Pulse>>>,
    next: Cell<u64>,
    left: Notify,
    bytes: Cell<usize>,
    requests: Cell<usize>,
}

impl Room {
    /// An empty room.
    pub fn new() -> Rc<Room> {
        Room::of(OPEN_MAX)
    }

    /// For so many connections.
    pub fn of(open_max: usize) -> Rc<Room> {
        Rc::new(Room {
            open_max,
            open: RefCell::default(),
            next: Cell::default(),
            left: Notify::new(),
            bytes: Cell::default(),
            requests: Cell::default(),
        })
    }

    /// A place for a connection, made free where there is none.
    pub async fn enter(self: &Rc<Room>, pulse: Rc<Pulse>) -> Place {
        while self.open.borrow().len() >= self.open_max {
            self.end_idlest();
            // The one that was ended leaves as soon as it has told what it did.
            let _ = timeout(Duration::from_millis(100), self.left.notified()).await;
        }
        let number = self.next.get();
        self.next.set(number + 1);
        self.open.borrow_mut().insert(number, pulse);
        Place { room: Rc::clone(self), number }
    }

    /// A place for a request, in the same way.
    pub async fn request(self: &Rc<Room>) -> Served {
        while self.requests.get() >= REQUESTS_MAX {
            self.end_idlest();
            let _ = timeout(Duration::from_millis(100), self.left.notified()).await;
        }
        self.requests.set(self.requests.get() + 1);
        Served { room: Rc::clone(self) }
    }

    /// How many connections there are.
    pub fn open(&self) -> usize {
        self.open.borrow().len()
    }

    /// Ends the connection that has been silent for longest.
    pub fn end_idlest(&self) {
        let idlest =
            self.open.borrow().values().filter(|it| !it.is_ended()).min_by_key(|it| it.last()).cloned();
        if let Some(pulse) = idlest {
            pulse.end();
        }
    }

    /// Ends what has been silent or there for too long.
    pub fn end_overdue(&self) {
        let overdue = |it: &&Rc<Pulse>| it.last().elapsed() > IDLE_MAX || it.born.elapsed() > AGE_MAX;
        let overdue: Vec<Rc<Pulse>> = self.open.borrow().values().filter(overdue).cloned().collect();
        overdue.iter().for_each(|pulse| pulse.end());
    }

    /// Ends all, once they have read what has come already.
    pub fn end_all(&self) {
        let all: Vec<Rc<Pulse>> = self.open.borrow().values().cloned().collect();
        all.iter().for_each(|pulse| pulse.end_softly());
    }

    /// Waits until no connection is left.
    pub async fn empty(&self) {
        while self.open() > 0 {
            let _ = timeout(Duration::from_millis(50), self.left.notified()).await;
        }
    }

    /// Bytes to keep: as many as were asked for and are free, at least [`LEASE_MIN`].
    pub fn lease(self: &Rc<Room>, bytes: usize) -> Lease {
        let free = BYTES_MAX.saturating_sub(self.bytes.get());
        self.take(bytes.min(free.max(LEASE_MIN)))
    }

    /// As many as were asked for or none.
    pub fn lease_whole(self: &Rc<Room>, bytes: usize) -> Option<Lease> {
        (self.bytes.get() + bytes <= BYTES_MAX).then(|| self.take(bytes))
    }

    fn take(self: &Rc<Room>, bytes: usize) -> Lease {
        self.bytes.set(self.bytes.get() + bytes);
        Lease { room: Rc::clone(self), bytes }
    }
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    room: Rc<Room>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.open.borrow_mut().remove(&self.number);
        self.room.left.notify_one();
    }
}

/// A request's place; free again when it is dropped.
#[derive(Debug)]
pub struct Served {
    room: Rc<Room>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.room.requests.set(self.room.requests.get() - 1);
        self.room.left.notify_one();
    }
}

/// Bytes that may be kept until it is dropped.
#[derive(Debug)]
pub struct Lease {
    room: Rc<Room>,
    bytes: usize,
}

impl Lease {
    /// How much is taken.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives all of it back.
    pub fn give_back(&mut self) {
        self.room.bytes.set(self.room.bytes.get() - std::mem::take(&mut self.bytes));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leased_is_bounded_and_comes_back() {
        let room = Room::new();
        let all = room.lease(2 * BYTES_MAX);
        assert_eq!(all.bytes(), BYTES_MAX);
        assert_eq!(room.lease(1000).bytes(), LEASE_MIN);
        assert!(room.lease_whole(1).is_none());
        drop(all);
        assert_eq!(room.lease(1000).bytes(), 1000);
        assert!(room.lease_whole(BYTES_MAX).is_some());
        assert_eq!(room.bytes.get(), 0);
    }
}
