//! Processes: forks, their descriptors, capabilities and last words.
//!
//! Not here: who forks when. See `sandbox`.
#![allow(unsafe_code)] // fork(2), prctl(2), capset(2), keyctl(2), pidfds: nix has no safe form of them.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

/// Forks a process that must be single-threaded, and runs `child` in the copy, which ends with the code
/// that `child` gives back.
///
/// Fails with `Unsupported` when the process has more than one thread: the copy of a lock that another
/// thread holds would never be released.
pub fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: the process has one thread, and only that thread could start more, so no lock (the
    // allocator's included) can be held by a thread that the copy lacks.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => exit_now(child()),
    }
}

/// Ends the process at once: no destructors, no exit handlers, which belong to the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Replaces the program. Returns only with an error.
pub fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    match nix::unistd::execve(path, argv, env) {
        Ok(never) => match never {},
        Err(errno) => errno.into(),
    }
}

/// A descriptor for a live or unreaped process; becomes readable when it ends.
pub fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The pid that `pidfd` stands for, in the pid namespace of the mounted /proc; `None` once it is reaped.
pub fn pid_of(pidfd: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let field = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(field.and_then(|field| field.trim().parse::<u32>().ok()).filter(|pid| *pid != 0))
}

/// A copy of a descriptor of the process behind `pidfd`: the same open file, here.
pub fn descriptor_of(pidfd: BorrowedFd<'_>, number: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Signals the process behind `pidfd`; cannot hit a successor with the same pid.
pub fn signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    // SAFETY: takes numbers and a null pointer, which the call permits for the optional siginfo.
    let result = unsafe {
        let info: *const libc::siginfo_t = std::ptr::null();
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal as i32, info, 0)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits until the process behind `pidfd` has ended, or the time is up; true if it has ended.
pub fn ended(pidfd: BorrowedFd<'_>, wait: PollTimeout) -> io::Result<bool> {
    let mut entry = [PollFd::new(pidfd, PollFlags::POLLIN)];
    match nix::poll::poll(&mut entry, wait) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Moves a standard descriptor of this process to a number above 2 that is closed on exec, and puts
/// /dev/null in its place.
pub fn take_standard(number: StandardStream) -> io::Result<OwnedFd> {
    let number = number as RawFd;
    // SAFETY: the standard numbers are open in every process that we start this way; the borrow ends with
    // this function, and the number stays open (it is overwritten below, not closed).
    let standard = unsafe { BorrowedFd::borrow_raw(number) };
    let moved = standard.try_clone_to_owned()?;
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: takes two numbers; the target is a standard stream that std never assumes to stay the same.
    if unsafe { libc::dup2(null.as_fd().as_raw_fd(), number) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(moved)
}

/// The descriptors that a program is started with.
#[derive(Clone, Copy, Debug)]
pub enum StandardStream {
    Input = 0,
    Output = 1,
    Error = 2,
}

/// Closes every descriptor above 2. Descriptors that owners of this process still hold are dead
/// afterwards: only for a process that will use none of them again.
pub fn close_all() -> io::Result<()> {
    close_range(3, u32::MAX)
}

/// As [`close_all`], except `kept`.
pub fn close_all_but(kept: BorrowedFd<'_>) -> io::Result<()> {
    let kept = kept.as_raw_fd() as u32;
    if kept > 3 {
        close_range(3, kept - 1)?;
    }
    close_range((kept + 1).max(3), u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes three numbers. Use after close is excluded by what the two callers ask for.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Reaps any child, waiting for one to end: its pid, exit code, and the signal that killed it. One of the
/// last two is zero. (nix's form loses children that a real-time signal killed.)
pub fn reap() -> io::Result<(Pid, u8, u8)> {
    let mut status = 0;
    // SAFETY: the pointer is to a live integer, which the kernel fills.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, 0) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let (code, signal) = ending(status);
    Ok((Pid::from_raw(pid), code, signal))
}

/// As [`reap`], but does not wait: `None` where nobody has ended yet.
pub fn reap_ended() -> io::Result<Option<(Pid, u8, u8)>> {
    let mut status = 0;
    // SAFETY: the pointer is to a live integer, which the kernel fills.
    match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
        0 => Ok(None),
        pid if pid < 0 => Err(io::Error::last_os_error()),
        pid => {
            let (code, signal) = ending(status);
            Ok(Some((Pid::from_raw(pid), code, signal)))
        }
    }
}

/// The exit code and the signal of a wait status. One of them is zero.
fn ending(status: libc::c_int) -> (u8, u8) {
    if libc::WIFSIGNALED(status) {
        (0, libc::WTERMSIG(status) as u8)
    } else {
        (libc::WEXITSTATUS(status) as u8, 0)
    }
}

/// Gives every signal its default action and unblocks all, as a new program expects them. With the bare
/// call, since the C library hides two signals that a parent may have left ignored.
pub fn reset_signals() -> io::Result<()> {
    /// The kernel's own `struct sigaction` of x86-64: handler, flags, restorer, mask. Zero: the default.
    const DEFAULT: [u64; 4] = [0; 4];
    for number in 1..=64 {
        // SAFETY: the kernel reads one action, which outlives the call, and installs no handler. SIGKILL
        // and SIGSTOP answer an error, and have their default anyway.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, DEFAULT.as_ptr(), 0, size_of::<u64>()) };
    }
    let none = nix::sys::signal::SigSet::empty();
    Ok(none.thread_set_mask()?)
}

/// Lets the calling thread run before ordinary ones; gives the niceness that it had. Needs CAP_SYS_NICE.
pub fn raise_priority() -> io::Result<libc::c_int> {
    const NICE: libc::c_int = -15;
    // SAFETY: takes two numbers; 0 is the calling thread. It answers 20 less the niceness, always above zero, where the
    // C library does not stand between (getpriority(2)).
    let before = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    if before < 0 {
        return Err(io::Error::last_os_error());
    }
    set_priority(NICE).map(|()| 20 - before as libc::c_int)
}

/// Gives the calling thread this niceness.
pub fn set_priority(nice: libc::c_int) -> io::Result<()> {
    // SAFETY: takes three numbers; 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Asks for SIGKILL when the parent *thread* ends.
pub fn die_with_parent() -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)
}

/// Drops from the bounding set every capability whose bit is not in `kept`.
pub fn bound_capabilities(kept: u64) -> io::Result<()> {
    for capability in 0..64 {
        if kept & (1 << capability) != 0 {
            continue;
        }
        // SAFETY: takes two numbers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            let error = io::Error::last_os_error();
            // EINVAL: the kernel's last capability lies below; all are dropped.
            return if error.raw_os_error() == Some(libc::EINVAL) { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

/// Sets effective and permitted to `capabilities`; inheritable and ambient become empty.
pub fn set_capabilities(capabilities: u64) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522; // _LINUX_CAPABILITY_VERSION_3, linux/capability.h
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |bits: u64| Data { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let data = [half(capabilities & 0xffff_ffff), half(capabilities >> 32)];
    // SAFETY: header and the two data words have the layout of version 3 and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Joins a new, empty session keyring.
pub fn join_session_keyring() -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1; // KEYCTL_JOIN_SESSION_KEYRING, linux/keyctl.h
    // SAFETY: a null name asks for an anonymous keyring.
    let result = unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>(), 0, 0, 0)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_of_names_the_own_process() {
        let own = pidfd(Pid::this()).unwrap();
        assert_eq!(pid_of(own.as_fd()).unwrap(), Some(std::process::id()));
    }

    #[test]
    fn fork_refuses_a_process_with_threads() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receiver.recv());
        assert_eq!(fork(|| 0).unwrap_err().kind(), io::ErrorKind::Unsupported);
        drop(sender);
        let _ = thread.join();
    }
}
