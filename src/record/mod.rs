//! Turns ring-buffer bytes into [`Record`]s.
//!
//! The bytes were written by our own probes, but about a hostile program, so every length and every
//! kind is checked. Decoding never fails the run: what cannot be read becomes
//! [`Body::Unreadable`] and is counted, because a trace with holes must not look clean.
//!
//! [`Stream`] takes the bytes of both rings, joins what the probes had to split, and gives
//! [`Record`]s in the order of their time.
//!
//! Not here: names, parents, layers. See [`crate::normalise`].

mod body;
mod call;
mod change;
mod decode;
mod ids;
mod memory;
mod names;
mod object;
mod open;
mod process;
mod show;
mod signal;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
pub mod wire;

pub use body::{About, Addressed, Body, Change, DupSource, SignalTarget, Target};
pub use object::{
    Call, Capabilities, Credentials, KernelFile, KernelSocket, Mapping, PathArgument, Sockaddr,
};
pub use stream::{Counters, Stream};

/// One thing a probe saw, decoded and complete (pieces of a long argument vector are joined), in the
/// order of its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// `CLOCK_BOOTTIME` nanoseconds at which the probe saw it; where `count` stands for repeats, at
    /// which their number became known (at most a second or the thread's life later).
    pub time: u64,
    pub task: Task,
    pub body: Body,
    /// A string in it was longer than the probe's bound.
    pub cut: bool,
    /// How many identical acts this record stands for; at least 1. The first act of a loop is a
    /// record of its own with 1, its repeats follow as records that differ only in time and count.
    pub count: u64,
    /// These are repeats, made at some time since the first: what they were done to may be gone by now.
    pub again: bool,
}

/// The task that acted, as the kernel knows it. Ids are those of the initial namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Thread-group id.
    pub pid: u32,
    pub tid: u32,
    /// `start_boottime` of the thread-group leader, nanoseconds.
    pub start: u64,
    /// Thread-group id in the innermost pid namespace of the task.
    pub inner_pid: u32,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
}
