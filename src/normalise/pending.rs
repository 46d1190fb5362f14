//! Calls that were interrupted, and may go on.
//!
//! A call that waits leaves the kernel with one of the kernel's own numbers when a signal comes, and when
//! the sandbox is held (include/linux/errno.h, `ERESTARTSYS` to `ERESTART_RESTARTBLOCK`); mostly it is made
//! again at once. So what it came to is not known until the thread does something else: then a signal
//! ended it (EINTR); or does the same again: then that tells; or ends: then it never returned.
//!
//! Bounded: beyond [`PENDING_MAX`] threads an interrupted call is told as ended by a signal.

use std::collections::{HashMap, HashSet};
use std::mem::discriminant;

use crate::event::{Act, Event, Outcome};

/// Threads whose interrupted call is remembered.
const PENDING_MAX: usize = 1 << 14;
const EINTR: i32 = 4;

/// The interrupted call of each thread.
#[derive(Default)]
pub(super) struct Pending {
    calls: HashMap<u32, Event>,
    /// Threads of which it was told that they never returned.
    told: HashSet<u32>,
}

/// True of the results that no program sees.
pub(super) fn is_interrupted(result: i64) -> bool {
    matches!(result, -516..=-512)
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The thread's call was told as one that has not returned.
    pub(super) fn told(&mut self, tid: u32) {
        if self.told.len() < PENDING_MAX {
            self.told.insert(tid);
        }
    }

    /// Keeps an interrupted call of a thread; gives back what is to be told now.
    pub(super) fn keep(&mut self, tid: u32, event: Event) -> Option<Event> {
        if self.told.contains(&tid) {
            return None;
        }
        if self.calls.len() >= PENDING_MAX && !self.calls.contains_key(&tid) {
            return Some(Event { outcome: Outcome::Failed(EINTR), ..event });
        }
        let before = self.calls.insert(tid, event);
        before.filter(|before| !is_same(&before.act, &self.calls[&tid].act)).map(ended_by_signal)
    }

    /// The thread did something: the call that a signal ended before, if it was another.
    pub(super) fn went_on(&mut self, tid: u32, act: &Act) -> Option<Event> {
        self.calls.remove(&tid).filter(|before| !is_same(&before.act, act)).map(ended_by_signal)
    }

    /// The process ended: its calls that never returned.
    pub(super) fn ended(&mut self, pid: u32) -> Vec<Event> {
        let of = |event: &Event| event.process.as_ref().is_some_and(|process| process.key.pid == pid);
        let mut events: Vec<_> =
            self.calls.extract_if(|_, event| of(event)).map(|(_, event)| event).collect();
        events.sort_by_key(|event| event.id);
        events
    }

    /// All that are left.
    pub(super) fn take(&mut self) -> Vec<Event> {
        let mut events: Vec<_> = self.calls.drain().map(|(_, event)| event).collect();
        events.sort_by_key(|event| event.id);
        events
    }
}

fn ended_by_signal(event: Event) -> Event {
    Event { outcome: Outcome::Failed(EINTR), ..event }
}

/// The same call made again.
fn is_same(one: &Act, other: &Act) -> bool {
    match (one, other) {
        (Act::Net(one), Act::Net(other)) => one.action == other.action,
        (Act::File(one), Act::File(other)) => discriminant(one) == discriminant(other),
        _ => discriminant(one) == discriminant(other),
    }
}
