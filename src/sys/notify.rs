//! Calls that a seccomp filter leaves to another process: heard, read, answered (seccomp_unotify(2)).
//!
//! A task whose call was heard waits for the answer, and can be interrupted meanwhile, by a signal or by
//! the freezing of its group: the answer then finds nobody (ENOENT), and the call comes again.
//!
//! Not here: which calls, and what is answered. See `sandbox`.
#![allow(unsafe_code)] // ioctl(2) takes untyped arguments.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `SECCOMP_IOCTL_NOTIF_RECV`, `_SEND` and `_SET_FLAGS`, linux/seccomp.h.
const RECEIVE: libc::Ioctl = 0xc050_2100u32 as libc::Ioctl;
const SEND: libc::Ioctl = 0xc018_2101u32 as libc::Ioctl;
const SET_FLAGS: libc::Ioctl = 0x4008_2104u32 as libc::Ioctl;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`
const SYNC_WAKE_UP: u64 = 1;

/// A call that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Names the call in the answer.
    pub id: u64,
    /// The thread, as the reader's pid namespace counts.
    pub thread: u32,
    pub number: u32,
    /// `AUDIT_ARCH_*`: which table the number is of.
    pub architecture: u32,
    pub args: [u64; 6],
}

/// What the task gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call is made after all. Its memory may have changed since it was read.
    Continue,
    /// The call is not made, and returns zero.
    Zero,
}

/// The next call that waits. `None`: whoever made it is gone, or was interrupted. Waits where nothing was
/// to be read.
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Option<Call>> {
    // SAFETY: plain old data, for which all-zero bytes are a valid value (and what the kernel demands).
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and `call` is a live, zeroed `seccomp_notif`, which this ioctl fills.
    if unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut call) } < 0 {
        return gone(io::Error::last_os_error());
    }
    let libc::seccomp_data { nr, arch, args, .. } = call.data;
    Ok(Some(Call { id: call.id, thread: call.pid, number: nr as u32, architecture: arch, args }))
}

/// Answers a call; false where nobody waits for the answer any more.
pub fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> io::Result<bool> {
    let flags = match answer {
        Answer::Continue => libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        Answer::Zero => 0,
    };
    let mut answer = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
    // SAFETY: the descriptor is open, and `answer` is a live `seccomp_notif_resp`, which this ioctl reads.
    if unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut answer) } < 0 {
        return Ok(gone::<()>(io::Error::last_os_error())?.is_some());
    }
    Ok(true)
}

/// Lets who hears and who is heard take turns on one processor: a question costs a third of what it costs
/// otherwise. Kernels before 6.6 do not know it.
pub fn take_turns(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the argument is the flags themselves, not an address.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn gone<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::EINTR) => Ok(None),
        _ => Err(error),
    }
}
