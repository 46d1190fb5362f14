//! What the image still waited for when its time was up, read before it is asked to stop.
//!
//! Of each thread: the call it is in, by /proc/PID/syscall, and the time that the call was given, from the
//! thread's memory, or from the socket that it reads, or else whether it keeps a processor busy; of each
//! process: its timers behind descriptors.
//! That a server waits for ever, or for half a minute, is not told; that something waits for a signal is.
//!
//! Invariants: bounded in threads, descriptors and time, and what is beyond is left out, worst first: this
//! says more about an image that does nothing, and never less. Memory and numbers are the image's own words.
//!
//! Of calls through the 32-bit entry, those with a narrow time are not told.
//!
//! Not here: calls of other kinds that have not returned ([`super::standing`]), and what rules make of it.

use std::cmp::Reverse;
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::standing::{call_of_line, ids, is_compat, value};
use crate::event::ProcessCall;
use crate::normalise::{Standing, Waiting};
use crate::sys::process;

const THREADS_MAX: usize = 4096;
/// Descriptors of one process that are asked whether they are timers.
const DESCRIPTORS_MAX: usize = 256;
const TIME: Duration = Duration::from_millis(100);
/// So many are told.
const TOLD_MAX: usize = 64;
/// Shorter waits are how servers work.
const LONG: Duration = Duration::from_secs(60);
/// Longer ones are meant for ever, and must not stand before those that end.
const FOR_EVER: Duration = Duration::from_secs(20 * 24 * 3600);
/// A process that is younger says nothing yet.
const AGE: Duration = Duration::from_secs(3);
/// Who neither ran nor waited for a processor for one part in so many of its life is not busy.
const SHARE: u32 = 2;
/// `USER_HZ`, in which /proc counts on every machine (include/asm-generic/param.h).
const TICKS: u64 = 100;

/// timerfd_settime, by the table of x86-64.
const TIMERFD_SETTIME: u32 = 286;

/// Reads what all threads in a v2 group wait for.
pub fn look(cgroup: &Path) -> Vec<Waiting> {
    let (until, mut found) = (Instant::now() + TIME, Vec::new());
    let pids = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut threads = 0;
    for pid in pids.lines().filter_map(|line| line.parse().ok()) {
        found.extend(timers(pid));
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.filter_map(Result::ok) {
            let Some(tid) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            threads += 1;
            if threads > THREADS_MAX || Instant::now() > until {
                return worst(found);
            }
            found.extend(wait_of(pid, tid).or_else(|| busy(pid, tid)));
        }
    }
    worst(found)
}

fn worst(mut found: Vec<Waiting>) -> Vec<Waiting> {
    found.sort_by_key(|waiting| Reverse(waiting.time));
    found.truncate(TOLD_MAX);
    found
}

/// A thread that waits for long, or for a signal.
fn wait_of(pid: u32, tid: u32) -> Option<Waiting> {
    let directory = format!("/proc/{pid}/task/{tid}");
    let (number, args, at) = call_of_line(&fs::read_to_string(format!("{directory}/syscall")).ok()?)?;
    let compat = is_compat(&directory, at);
    let limit = if compat { limit_compat(number, &args) } else { limit(number, &args) };
    let time = match limit? {
        Limit::Signal => Duration::ZERO,
        Limit::Milliseconds(time) => Some(time).filter(|time| *time <= i32::MAX as u32).map(milliseconds)?,
        Limit::Time(at) => read_time(tid, at, 1)?,
        Limit::Value(at) => read_time(tid, at, 1000)?,
        Limit::Until(at, clock) => read_time(tid, at, 1)?.saturating_sub(now_of(pid, clock)?),
        Limit::OfSocket(descriptor) => patience_of(pid, descriptor)?,
    };
    let is_told = is_of_note(time) || time.is_zero();
    is_told.then(|| waiting(ProcessCall::Wait, time, (pid, tid), (number, compat), args)).flatten()
}

fn is_of_note(time: Duration) -> bool {
    (LONG..FOR_EVER).contains(&time)
}

fn milliseconds(time: u32) -> Duration {
    Duration::from_millis(time.into())
}

/// Where a call holds the time that it waits for at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Milliseconds(u32),
    /// A `struct timespec` of the caller's, at this address.
    Time(u64),
    /// A `struct timeval`.
    Value(u64),
    /// A `struct timespec` that names a moment of this clock.
    Until(u64, ClockId),
    /// The socket behind this descriptor has it, if it is one (SO_RCVTIMEO, socket(7)).
    OfSocket(u32),
    /// None: it waits for a signal, and only for that.
    Signal,
}

/// By the table of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl). `None`: it waits for no time.
fn limit(number: u32, args: &[u64; 6]) -> Option<Limit> {
    let there = |at: u64| (at != 0).then_some(Limit::Time(at));
    match number {
        // poll, epoll_wait, epoll_pwait
        7 => Some(Limit::Milliseconds(args[2] as u32)),
        232 | 281 => Some(Limit::Milliseconds(args[3] as u32)),
        // select
        23 => (args[4] != 0).then_some(Limit::Value(args[4])),
        // pselect6, ppoll, epoll_pwait2, semtimedop, nanosleep
        270 => there(args[4]),
        271 => there(args[2]),
        441 | 220 => there(args[3]),
        35 => there(args[0]),
        // clock_nanosleep
        230 => slept(args),
        202 => futex(args),
        // mq_timedsend, mq_timedreceive; futex_waitv
        242 | 243 if args[4] != 0 => Some(Limit::Until(args[4], ClockId::CLOCK_REALTIME)),
        449 if args[3] != 0 => clock(args[4]).map(|clock| Limit::Until(args[3], clock)),
        // read, recvfrom, recvmsg, accept, accept4
        0 | 45 | 47 | 43 | 288 => Some(Limit::OfSocket(args[0] as u32)),
        // rt_sigtimedwait
        128 if args[2] != 0 => Some(Limit::Time(args[2])),
        // pause, rt_sigsuspend
        34 | 130 | 128 => Some(Limit::Signal),
        _ => None,
    }
}

/// By the table of i386 (arch/x86/entry/syscalls/syscall_32.tbl).
fn limit_compat(number: u32, args: &[u64; 6]) -> Option<Limit> {
    let there = |at: u64| (at != 0).then_some(Limit::Time(at));
    match number {
        // poll, epoll_wait, epoll_pwait
        168 => Some(Limit::Milliseconds(args[2] as u32)),
        256 | 319 => Some(Limit::Milliseconds(args[3] as u32)),
        // pselect6_time64, ppoll_time64, semtimedop_time64, epoll_pwait2
        413 => there(args[4]),
        414 => there(args[2]),
        420 | 441 => there(args[3]),
        // clock_nanosleep_time64, futex_time64
        407 => slept(args),
        422 => futex(args),
        // mq_timedsend_time64, mq_timedreceive_time64; futex_waitv
        418 | 419 if args[4] != 0 => Some(Limit::Until(args[4], ClockId::CLOCK_REALTIME)),
        449 if args[3] != 0 => clock(args[4]).map(|clock| Limit::Until(args[3], clock)),
        // read, recvfrom, recvmsg, accept4
        3 | 371 | 372 | 364 => Some(Limit::OfSocket(args[0] as u32)),
        // rt_sigtimedwait_time64
        421 if args[2] != 0 => Some(Limit::Time(args[2])),
        // pause, sigsuspend, rt_sigsuspend
        29 | 72 | 179 | 421 => Some(Limit::Signal),
        _ => None,
    }
}

fn slept(args: &[u64; 6]) -> Option<Limit> {
    const TIMER_ABSTIME: u64 = 1;
    if args[1] & TIMER_ABSTIME == 0 {
        return Some(Limit::Time(args[2]));
    }
    clock(args[0]).map(|clock| Limit::Until(args[2], clock))
}

/// include/uapi/linux/time.h; the alarm clocks by the clock they follow.
fn clock(number: u64) -> Option<ClockId> {
    match number as u32 {
        0 | 8 => Some(ClockId::CLOCK_REALTIME),
        1 => Some(ClockId::CLOCK_MONOTONIC),
        7 | 9 => Some(ClockId::CLOCK_BOOTTIME),
        _ => None,
    }
}

/// FUTEX_WAIT counts from now, FUTEX_WAIT_BITSET names a moment (futex(2)).
fn futex(args: &[u64; 6]) -> Option<Limit> {
    const FUTEX_PRIVATE: u64 = 128;
    const FUTEX_CLOCK_REALTIME: u64 = 256;
    const FUTEX_WAIT: u64 = 0;
    const FUTEX_WAIT_BITSET: u64 = 9;
    let clock = match args[1] & FUTEX_CLOCK_REALTIME {
        0 => ClockId::CLOCK_MONOTONIC,
        _ => ClockId::CLOCK_REALTIME,
    };
    match args[1] & !(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME) {
        _ if args[3] == 0 => None,
        FUTEX_WAIT => Some(Limit::Time(args[3])),
        FUTEX_WAIT_BITSET => Some(Limit::Until(args[3], clock)),
        _ => None,
    }
}

/// A second and its part, in units of so many nanoseconds.
fn read_time(tid: u32, address: u64, unit: u64) -> Option<Duration> {
    let mut bytes = [0; 16];
    let remote = RemoteIoVec { base: usize::try_from(address).ok()?, len: bytes.len() };
    let thread = Pid::from_raw(i32::try_from(tid).ok()?);
    let read = process_vm_readv(thread, &mut [IoSliceMut::new(&mut bytes)], &[remote]).ok()?;
    let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let part = Duration::from_nanos(word(8)?.checked_mul(unit)?);
    let seconds = i64::try_from(word(0)?).ok()?;
    (read == bytes.len()).then(|| Duration::from_secs(seconds as u64).saturating_add(part))
}

/// How long a read of this socket waits at most; `None` where it waits for ever, or is no socket.
fn patience_of(pid: u32, descriptor: u32) -> Option<Duration> {
    let process = process::pidfd(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    let socket = process::descriptor_of(process.as_fd(), descriptor).ok()?;
    let time = getsockopt(&socket, sockopt::ReceiveTimeout).ok()?;
    let time = Duration::new(time.tv_sec().try_into().ok()?, 0);
    (!time.is_zero()).then_some(time)
}

/// What a clock shows to a process: /proc/PID/timens_offsets moves two of them (time_namespaces(7)).
fn now_of(pid: u32, clock: ClockId) -> Option<Duration> {
    let now = Duration::from(clock_gettime(clock).ok()?);
    let name = match clock {
        ClockId::CLOCK_MONOTONIC => "monotonic",
        ClockId::CLOCK_BOOTTIME => "boottime",
        _ => return Some(now),
    };
    let offsets = fs::read_to_string(format!("/proc/{pid}/timens_offsets")).ok()?;
    let line = value(&offsets, name)?;
    let seconds: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(now + Duration::from_secs(seconds))
}

/// The longest of the timers that a process has behind descriptors (Documentation/filesystems/proc.rst).
fn timers(pid: u32) -> Option<Waiting> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).ok()?;
    let infos = descriptors.take(DESCRIPTORS_MAX).filter_map(Result::ok);
    let times = infos.filter_map(|entry| timer_of(&fs::read_to_string(entry.path()).ok()?));
    let time = times.filter(|time| is_of_note(*time)).max()?;
    waiting(ProcessCall::Wait, time, (pid, pid), (TIMERFD_SETTIME, false), [0; 6])
}

/// What is left of a timer.
fn timer_of(info: &str) -> Option<Duration> {
    let seconds = value(info, "it_value:")?.strip_prefix('(')?.split(',').next()?;
    Some(Duration::from_secs(seconds.parse().ok()?))
}

/// A thread that runs now, and did for much of its life, or would have if others had not.
fn busy(pid: u32, tid: u32) -> Option<Waiting> {
    let directory = format!("/proc/{pid}/task/{tid}");
    let stat = fs::read(format!("{directory}/stat")).ok()?;
    let (state, used, start) = times_of(&stat)?;
    let up = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let age = up.saturating_sub(start);
    let is_busy = state == b"R" && age >= AGE && used + queued(&directory) >= age / SHARE;
    is_busy.then(|| waiting(ProcessCall::Busy, used, (pid, tid), (0, false), [0; 6])).flatten()
}

/// How long a thread stood ready and others ran (Documentation/scheduler/sched-stats.rst); nothing where the
/// kernel does not count it.
fn queued(directory: &str) -> Duration {
    let text = fs::read_to_string(format!("{directory}/schedstat")).unwrap_or_default();
    let waited = text.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}

/// State, processor time and start; after the name, which is in brackets and may hold anything
/// (proc_pid_stat(5)).
fn times_of(stat: &[u8]) -> Option<(&[u8], Duration, Duration)> {
    let rest = stat.rsplitn(2, |byte| *byte == b')').next()?;
    let words: Vec<&[u8]> =
        rest.split(|byte| byte.is_ascii_whitespace()).filter(|it| !it.is_empty()).collect();
    let number = |at: usize| str::from_utf8(words.get(at)?).ok()?.parse::<u64>().ok();
    let time = |ticks: u64| Duration::from_millis(ticks.saturating_mul(1000 / TICKS));
    Some((words.first()?, time(number(11)?.saturating_add(number(12)?)), time(number(19)?)))
}

fn waiting(
    what: ProcessCall,
    time: Duration,
    (pid, tid): (u32, u32),
    (number, compat): (u32, bool),
    args: [u64; 6],
) -> Option<Waiting> {
    let status = fs::read(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let [uid, euid] = ids(&status, "Uid:");
    let [gid, egid] = ids(&status, "Gid:");
    let standing = Standing { pid, tid, uid, gid, euid, egid, number, compat, args, file: None };
    Some(Waiting { what, time: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), standing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_waits_for_a_time_says_where_the_time_is() {
        let check = |number, args: [u64; 6], expected| assert_eq!(limit(number, &args), expected, "{number}");
        check(7, [0, 0, 9, 0, 0, 0], Some(Limit::Milliseconds(9)));
        check(232, [3, 1, 1, 9, 0, 0], Some(Limit::Milliseconds(9)));
        check(23, [0, 0, 0, 0, 8, 0], Some(Limit::Value(8)));
        check(23, [0; 6], None);
        check(270, [0, 0, 0, 0, 8, 0], Some(Limit::Time(8)));
        check(271, [0, 0, 8, 0, 0, 0], Some(Limit::Time(8)));
        check(271, [0; 6], None);
        check(128, [1, 2, 8, 0, 0, 0], Some(Limit::Time(8)));
        check(128, [1, 2, 0, 0, 0, 0], Some(Limit::Signal));
        check(34, [7; 6], Some(Limit::Signal));
        check(230, [1, 1, 8, 0, 0, 0], Some(Limit::Until(8, ClockId::CLOCK_MONOTONIC)));
        check(230, [0, 0, 8, 0, 0, 0], Some(Limit::Time(8)));
        check(202, [1, 128, 0, 8, 0, 0], Some(Limit::Time(8)));
        check(202, [1, 128 | 256 | 9, 0, 8, 0, 0], Some(Limit::Until(8, ClockId::CLOCK_REALTIME)));
        check(202, [1, 128, 0, 0, 0, 0], None);
        check(202, [1, 129, 0, 8, 0, 0], None);
        check(243, [3, 1, 1, 0, 8, 0], Some(Limit::Until(8, ClockId::CLOCK_REALTIME)));
        check(243, [3, 1, 1, 0, 0, 0], None);
        check(449, [1, 1, 0, 8, 1, 0], Some(Limit::Until(8, ClockId::CLOCK_MONOTONIC)));
        check(449, [1, 1, 0, 8, 3, 0], None);
        // read, accept
        for number in [0, 43] {
            check(number, [4; 6], Some(Limit::OfSocket(4)));
        }
        // wait4, write
        for number in [61, 1] {
            check(number, [1; 6], None);
        }
    }

    #[test]
    fn a_name_with_brackets_hides_no_time() {
        let stat = b"7 (a) R 1 (b) R 1 1 1 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 900 1 1";
        let (state, used, start) = times_of(stat).unwrap();
        assert_eq!((state, used, start), (&b"R"[..], Duration::from_secs(3), Duration::from_secs(9)));
        assert_eq!(times_of(b"7 (a) R"), None);
        assert_eq!(times_of(b""), None);
    }

    #[test]
    fn what_is_left_of_a_timer_is_read_from_its_descriptor() {
        let info = "pos:\t0\nclockid: 0\nticks: 0\nsettime flags: 01\nit_value: (3599, 49406829)\n";
        assert_eq!(timer_of(info), Some(Duration::from_secs(3599)));
        assert_eq!(timer_of("pos:\t0\nflags:\t02\n"), None);
    }
}
