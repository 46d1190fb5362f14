//! Skips the image's long sleeps, so that what waits for an hour acts within the run.
//!
//! The filter ([`super::seccomp`]) leaves every call that only sleeps to this side, because the time lies in
//! the task's memory, which a filter cannot read. A thread of the runner reads it and answers at once for a
//! short sleep (the kernel then sleeps as asked); both sides take turns on one processor, so that a short
//! sleep becomes later by some 40 µs (measured on two busy cores), less than the kernel's own slack for
//! timers (50 µs). A long one is answered "slept" after a part of its time. Poll and select sleep where they
//! have no descriptors, and change no mask: who waits for a signal must get it. Nothing else that waits is
//! touched: poll, epoll and select with descriptors are how servers work, and runtimes that keep timers over
//! them compare a clock afterwards, which no skipping moves.
//!
//! Invariants: a skip counts only where its answer was accepted: a freeze of the group cancels a waiting
//! call, and the thaw brings it again. What cannot be read, or is no sleep by the kernel's own rules, is the
//! kernel's to answer. The thread ends when nobody is left whose calls it could hear; nobody waits for it.
//!
//! Not here: what a skip is in the recording. See `pipeline`.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::calls::{I386, X86_64};
use super::seccomp::{IS_I386, IS_X86_64};
use crate::sys::notify::{self, Answer, Call};
use crate::sys::process;

/// Sleeps beyond this are skipped.
pub(super) const LONG: Duration = Duration::from_secs(2);
/// What sleeps longer than this waits for ever: `sleep infinity` is 24 days again and again (coreutils), or
/// 68 years (busybox), and keeps a container alive.
const FOR_EVER: Duration = Duration::from_secs(20 * 24 * 3600);
/// So long a skipped sleep really takes: a tenth of it, within these. A loop of sleeps does not spin, and
/// what others do in the meantime mostly comes before.
const SHARE: u32 = 10;
const LEAST: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_secs(1);
/// All skips of a run together, added up over its tasks.
const TOTAL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// So many sleepers wait here at a time; others sleep as they asked.
const SLEEPERS_MAX: usize = 4096;
/// So many skips may wait to be taken in; more are counted in the next that fits.
const SKIPS_MAX: usize = 1024;

/// A sleep that was cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skip {
    /// The process that slept, as this process's pid namespace counts; 0: several, or gone before it was
    /// looked at.
    pub pid: u32,
    /// Its ids on the host: real, effective user, real, effective group.
    pub ids: [u32; 4],
    /// What was left out of its sleep.
    pub time: Duration,
    /// How many sleeps this is.
    pub sleeps: u64,
    /// When it ended, on `CLOCK_BOOTTIME`.
    pub at: Duration,
}

impl Skip {
    /// Both, as one.
    pub fn and(&self, other: &Skip) -> Skip {
        let (pid, ids) = if self.pid == other.pid { (self.pid, self.ids) } else { Default::default() };
        let time = self.time.saturating_add(other.time);
        Skip { pid, ids, time, sleeps: self.sleeps + other.sleeps, at: other.at }
    }
}

/// Hears the sleeps of one sandbox.
#[derive(Debug)]
pub struct Skipper {
    skips: Receiver<Skip>,
}

impl Skipper {
    /// Begins to answer what comes over `listener`. `offset`: how far the sandbox's monotonic clocks are
    /// before the host's.
    pub(super) fn start(listener: OwnedFd, offset: Duration) -> io::Result<Skipper> {
        let (sender, skips) = sync_channel(SKIPS_MAX);
        // Older kernels do without.
        let _ = notify::take_turns(listener.as_fd());
        let desk =
            Desk { listener, offset, sleepers: Vec::new(), total: Duration::ZERO, sender, unsent: None };
        std::thread::Builder::new().name("skip".to_owned()).spawn(move || desk.serve())?;
        Ok(Skipper { skips })
    }

    /// The skips since the last call.
    pub fn take(&self) -> impl Iterator<Item = Skip> + '_ {
        self.skips.try_iter()
    }
}

/// The thread's own side.
struct Desk {
    listener: OwnedFd,
    offset: Duration,
    sleepers: Vec<Sleeper>,
    total: Duration,
    sender: SyncSender<Skip>,
    /// Skips that found the channel full.
    unsent: Option<Skip>,
}

/// A call that waits here.
#[derive(Clone, Copy, Debug)]
struct Sleeper {
    call: Call,
    /// When it is answered.
    due: Instant,
    /// When it would have ended by itself.
    end: Instant,
}

impl Desk {
    fn serve(mut self) {
        // Who sleeps for a microsecond must not wait for a busy machine.
        let _ = process::raise_priority();
        while self.turn().is_ok_and(|more| more) {}
    }

    /// False when nobody is left.
    fn turn(&mut self) -> io::Result<bool> {
        let next = self.sleepers.iter().map(|sleeper| sleeper.due).min();
        let wait = next.map(|due| due.saturating_duration_since(Instant::now()));
        // Rounded up, so that what is due is due when the wait is over.
        let wait = wait.map(|wait| PollTimeout::try_from(wait + Duration::from_millis(1)));
        let wait = wait.map_or(PollTimeout::NONE, |wait| wait.unwrap_or(PollTimeout::MAX));
        let mut ear = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ear, wait) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let said = ear[0].revents().unwrap_or(PollFlags::empty());
        if said.contains(PollFlags::POLLIN) {
            if let Some(call) = notify::receive(self.listener.as_fd())? {
                self.hear(call)?;
            }
        } else if said.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            return Ok(false);
        }
        self.wake(Instant::now())?;
        Ok(true)
    }

    fn hear(&mut self, call: Call) -> io::Result<()> {
        let before = self.sleepers.iter().position(|sleeper| sleeper.call.thread == call.thread);
        let before = before.map(|index| self.sleepers.swap_remove(index));
        let time = asked(&call, self.offset).filter(|time| *time > LONG && *time < FOR_EVER);
        let (Some(time), true) = (time, self.sleepers.len() < SLEEPERS_MAX && self.total < TOTAL_MAX) else {
            return notify::answer(self.listener.as_fd(), call.id, Answer::Continue).map(drop);
        };
        let now = Instant::now();
        let sleeper = match before {
            // The same call again: the group was frozen and thawed.
            Some(before) if (before.call.number, before.call.args) == (call.number, call.args) => {
                Sleeper { call, ..before }
            }
            _ => Sleeper { call, due: now + (time / SHARE).clamp(LEAST, MOST), end: now + time },
        };
        self.sleepers.push(sleeper);
        Ok(())
    }

    /// Answers every sleeper whose time has come.
    fn wake(&mut self, now: Instant) -> io::Result<()> {
        while let Some(index) = self.sleepers.iter().position(|sleeper| sleeper.due <= now) {
            let Sleeper { call, end, .. } = self.sleepers.swap_remove(index);
            let (pid, ids) = process_of(call.thread).unwrap_or_default();
            if notify::answer(self.listener.as_fd(), call.id, Answer::Zero)? {
                let time = end.saturating_duration_since(now);
                self.skipped(Skip { pid, ids, time, sleeps: 1, ..Skip::default() });
            }
        }
        Ok(())
    }

    fn skipped(&mut self, skip: Skip) {
        self.total = self.total.saturating_add(skip.time);
        let skip = Skip { at: now(ClockId::CLOCK_BOOTTIME).unwrap_or_default(), ..skip };
        let skip = self.unsent.take().map_or(skip, |unsent| unsent.and(&skip));
        if let Err(TrySendError::Full(skip)) = self.sender.try_send(skip) {
            self.unsent = Some(skip);
        }
    }
}

/// How long the call asks to sleep from now on; `None` where that cannot be known.
fn asked(call: &Call, offset: Duration) -> Option<Duration> {
    const TIMER_ABSTIME: u64 = 1;
    match name(call)? {
        "nanosleep" => timespec(call, call.args[0]),
        "poll" => Some(Duration::from_millis(u64::from(call.args[2] as u32))),
        // The other numbering's `select` has its arguments in memory.
        "select" | "_newselect" if call.args[0] == 0 && call.args[4] != 0 => value(call, call.args[4]),
        "pselect6" | "pselect6_time64" if call.args[4] != 0 && !has_mask(call)? => {
            timespec(call, call.args[4])
        }
        "ppoll" | "ppoll_time64" if call.args[2] != 0 && call.args[3] == 0 => timespec(call, call.args[2]),
        name if !name.contains("sleep") => None,
        _ if call.args[1] & TIMER_ABSTIME == 0 => {
            clock(call.args[0])?;
            timespec(call, call.args[2])
        }
        _ => {
            let (clock, is_shifted) = clock(call.args[0])?;
            let until = timespec(call, call.args[2])?;
            let now = now(clock)? + if is_shifted { offset } else { Duration::ZERO };
            Some(until.saturating_sub(now))
        }
    }
}

fn name(call: &Call) -> Option<&'static str> {
    let calls = match call.architecture {
        IS_X86_64 => X86_64,
        IS_I386 => I386,
        _ => return None,
    };
    calls.iter().find(|(number, _)| *number == call.number).map(|(_, name)| name)
}

/// The clock that a number means (linux/time.h), the alarm clocks by the clock they follow; true where the
/// time namespace shifts it (kernel/time/namespace.c, `do_timens_ktime_to_host`).
fn clock(number: u64) -> Option<(ClockId, bool)> {
    Some(match number as u32 {
        0 | 8 => (ClockId::CLOCK_REALTIME, false),
        1 => (ClockId::CLOCK_MONOTONIC, true),
        7 | 9 => (ClockId::CLOCK_BOOTTIME, true),
        11 => (ClockId::CLOCK_TAI, false),
        _ => return None,
    })
}

fn now(clock: ClockId) -> Option<Duration> {
    clock_gettime(clock).ok().map(Duration::from)
}

/// Whether pselect(2) waits under other signals than the thread has: one that comes then must end it.
fn has_mask(call: &Call) -> Option<bool> {
    if call.args[5] == 0 {
        return Some(false);
    }
    // A pointer and a size (fs/select.c, `struct sigset_argpack`).
    let mut pointer = [0; 8];
    let length = if call.architecture == IS_I386 { 4 } else { 8 };
    read(call, call.args[5], &mut pointer[..length])?;
    Some(pointer != [0; 8])
}

/// A `struct timeval`, whose microseconds may be more than a second (fs/select.c, `kern_select`).
fn value(call: &Call, address: u64) -> Option<Duration> {
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..if call.architecture == IS_I386 { 8 } else { 16 }];
    read(call, address, bytes)?;
    let (seconds, microseconds) = words(bytes)?;
    let part = Duration::from_micros(u64::try_from(microseconds).ok()?);
    Duration::from_secs(u64::try_from(seconds).ok()?).checked_add(part)
}

/// All of the caller's bytes there, or none.
fn read(call: &Call, address: u64, bytes: &mut [u8]) -> Option<()> {
    let length = bytes.len();
    let remote = RemoteIoVec { base: usize::try_from(address).ok()?, len: length };
    let thread = Pid::from_raw(i32::try_from(call.thread).ok()?);
    let read = process_vm_readv(thread, &mut [IoSliceMut::new(bytes)], &[remote]).ok()?;
    (read == length).then_some(())
}

/// The time at an address of the caller's, in the layout of its entry.
fn timespec(call: &Call, address: u64) -> Option<Duration> {
    let is_narrow = call.architecture == IS_I386 && !name(call).is_some_and(|name| name.ends_with("_time64"));
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..if is_narrow { 8 } else { 16 }];
    read(call, address, bytes)?;
    if call.architecture == IS_I386 && bytes.len() == 16 {
        // Of a 32-bit caller the kernel takes the lower half (kernel/time/time.c, `get_timespec64`).
        bytes[12..].fill(0);
    }
    decode(bytes)
}

/// `struct timespec`, or the 32-bit entry's `struct old_timespec32`. `None` for what the kernel refuses.
fn decode(bytes: &[u8]) -> Option<Duration> {
    let (seconds, nanoseconds) = words(bytes)?;
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanoseconds))
}

/// The process of a thread, and its ids; `None` where it is gone.
fn process_of(thread: u32) -> Option<(u32, [u32; 4])> {
    // Bytes: the thread's name stands in it, in any letters the image likes.
    let status = std::fs::read(format!("/proc/{thread}/status")).ok()?;
    let numbers = |name: &[u8]| -> Option<Vec<u32>> {
        let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        str::from_utf8(line).ok()?.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
    };
    let (users, groups) = (numbers(b"Uid:")?, numbers(b"Gid:")?);
    let ids = [*users.first()?, *users.get(1)?, *groups.first()?, *groups.get(1)?];
    Some((*numbers(b"Tgid:")?.first()?, ids))
}

/// Both words of a time.
fn words(bytes: &[u8]) -> Option<(i64, i64)> {
    if bytes.len() == 8 {
        let half = |at: usize| Some(i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        return Some((i64::from(half(0)?), i64::from(half(4)?)));
    }
    let word = |at: usize| Some(i64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    Some((word(0)?, word(8)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_kernel_reads_them() {
        let wide = |seconds: i64, nanoseconds: i64| {
            decode(&[seconds.to_le_bytes(), nanoseconds.to_le_bytes()].concat())
        };
        let narrow = |seconds: i32, nanoseconds: i32| {
            decode(&[seconds.to_le_bytes(), nanoseconds.to_le_bytes()].concat())
        };
        assert_eq!(wide(3600, 7), Some(Duration::new(3600, 7)));
        assert_eq!(narrow(3600, 7), Some(Duration::new(3600, 7)));
        assert_eq!(wide(-1, 0), None);
        assert_eq!(wide(0, 1_000_000_000), None);
        assert_eq!(narrow(0, -1), None);
        assert_eq!(wide(i64::MAX, 0), Some(Duration::from_secs(i64::MAX as u64)));
    }

    #[test]
    fn only_clocks_that_can_be_slept_on_are_known() {
        for number in [0, 1, 7, 8, 9, 11] {
            assert!(clock(number).is_some(), "{number}");
        }
        // CPU times, raw and coarse clocks, a process's own.
        for number in [2, 3, 4, 5, 6, 10, 12, 0xffff_fff2] {
            assert!(clock(number).is_none(), "{number}");
        }
    }

    #[test]
    fn a_time_in_another_process_is_relative_to_its_own_clock() {
        let offset = Duration::from_secs(1000);
        let until = now(ClockId::CLOCK_MONOTONIC).unwrap() + offset + Duration::from_secs(60);
        let memory = [until.as_secs(), u64::from(until.subsec_nanos())];
        let call = |number: i64, args: [u64; 6]| Call {
            id: 0,
            thread: std::process::id(),
            number: number as u32,
            architecture: IS_X86_64,
            args,
        };
        let address = memory.as_ptr() as u64;
        let absolute = call(libc::SYS_clock_nanosleep, [1, 1, address, 0, 0, 0]);
        let left = asked(&absolute, offset).unwrap();
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60), "{left:?}");
        let relative = call(libc::SYS_nanosleep, [address, 0, 0, 0, 0, 0]);
        assert_eq!(asked(&relative, offset), Some(until));
        assert_eq!(asked(&call(libc::SYS_nanosleep, [8, 0, 0, 0, 0, 0]), offset), None);
        assert_eq!(asked(&call(libc::SYS_poll, [0, 0, 5000, 0, 0, 0]), offset), Some(Duration::from_secs(5)));
    }
}
