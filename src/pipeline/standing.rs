//! Calls that have not returned when the run ends, read before the kill.
//!
//! The kernel shows of each waiting thread which call it is in, with its arguments (/proc/PID/syscall). What
//! the kill interrupts returns, and has a record of its own ([`crate::normalise`]); here is the rest: calls
//! that have none when they fail (accept, locks, syncing), and any call of a thread that no signal reaches.
//! Waiting for time, data or children is what every server does, and is not told.
//!
//! By which entry a thread came, the instruction tells that it stands behind: `int 0x80`, in its own code or in
//! the kernel's page for it (arch/x86/entry/vdso/vdso32/system_call.S), means the numbers of i386.
//!
//! Bounded, in threads and in time: the kill must not wait for whoever has many.

use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::normalise::Standing;

const THREADS_MAX: usize = 4096;
const TIME: Duration = Duration::from_millis(100);

/// What was read, and how many threads were left out.
#[derive(Default)]
pub struct Stood {
    pub calls: Vec<Standing>,
    pub omitted: u64,
}

/// What a call holds on to, by its first argument.
enum Holds {
    Descriptor,
    Nothing,
}

/// Reads the calls of all threads in a v2 group.
pub fn look(cgroup: &Path) -> Stood {
    let (until, mut stood) = (Instant::now() + TIME, Stood::default());
    let pids = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut seen = 0;
    for pid in pids.lines().filter_map(|line| line.parse().ok()) {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.filter_map(Result::ok) {
            let Some(tid) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            seen += 1;
            if seen > THREADS_MAX || Instant::now() > until {
                stood.omitted += 1;
            } else if let Some(call) = call_of(pid, tid) {
                stood.calls.push(call);
            }
        }
    }
    stood
}

/// The call of a thread, if it is one to tell of.
fn call_of(pid: u32, tid: u32) -> Option<Standing> {
    let directory = format!("/proc/{pid}/task/{tid}");
    let (number, args, at) = call_of_line(&std::fs::read_to_string(format!("{directory}/syscall")).ok()?)?;
    let compat = is_compat(&directory, at);
    let status = std::fs::read_to_string(format!("{directory}/status")).ok()?;
    let out_of_reach = value(&status, "State:").is_some_and(|state| state.starts_with('D'));
    let holds =
        match (if compat { of_note_compat(number, args[1]) } else { of_note(number, args[1]) }, out_of_reach)
        {
            (Some(holds), _) => holds,
            (None, true) => Holds::Nothing,
            (None, false) => return None,
        };
    let file = match holds {
        Holds::Descriptor => std::fs::read_link(format!("/proc/{pid}/fd/{}", args[0] as u32)).ok(),
        Holds::Nothing => None,
    };
    let [uid, euid] = ids(&status, "Uid:");
    let [gid, egid] = ids(&status, "Gid:");
    let file = file.map(|path| path.into_os_string().into_vec());
    Some(Standing { pid, tid, uid, gid, euid, egid, number, compat, args, file })
}

/// By the table of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
fn of_note(number: u32, second: u64) -> Option<Holds> {
    // include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h
    const F_SETLKW: u64 = 7;
    const F_OFD_SETLKW: u64 = 38;
    match number {
        // accept, accept4, flock, fsync, fdatasync, syncfs, sendfile, splice
        43 | 288 | 73 | 74 | 75 | 306 | 40 | 275 => Some(Holds::Descriptor),
        72 if second == F_SETLKW || second == F_OFD_SETLKW => Some(Holds::Descriptor),
        // mount, umount2, sync, reboot, keyctl, request_key, finit_module, init_module
        165 | 166 | 162 | 169 | 250 | 249 | 313 | 175 => Some(Holds::Nothing),
        _ => None,
    }
}

/// By the table of i386 (arch/x86/entry/syscalls/syscall_32.tbl).
fn of_note_compat(number: u32, second: u64) -> Option<Holds> {
    // include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h: also the two of fcntl64
    const WAITING: [u64; 3] = [7, 14, 38];
    match number {
        // accept4, flock, fsync, fdatasync, syncfs, sendfile, sendfile64, splice
        364 | 143 | 118 | 148 | 344 | 187 | 239 | 313 => Some(Holds::Descriptor),
        55 | 221 if WAITING.contains(&second) => Some(Holds::Descriptor),
        // mount, umount, umount2, sync, reboot, keyctl, request_key, finit_module, init_module
        21 | 22 | 52 | 36 | 88 | 288 | 287 | 350 | 128 => Some(Holds::Nothing),
        _ => None,
    }
}

/// Whether the thread stands behind an `int 0x80`.
pub(super) fn is_compat(directory: &str, at: u64) -> bool {
    let mut instruction = [0; 2];
    let memory = std::fs::File::open(format!("{directory}/mem"));
    let read = memory.and_then(|memory| memory.read_exact_at(&mut instruction, at.wrapping_sub(2)));
    read.is_ok() && instruction == [0xcd, 0x80]
}

/// Number, six arguments, stack and instruction pointer; `running`, or -1 outside of any call
/// (fs/proc/base.c, `proc_pid_syscall`).
pub(super) fn call_of_line(line: &str) -> Option<(u32, [u64; 6], u64)> {
    let mut words = line.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut next = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let mut args = [0; 6];
    for arg in &mut args {
        *arg = next()?;
    }
    let (_stack, at) = (next()?, next()?);
    Some((number, args, at))
}

pub(super) fn value<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Real and effective.
pub(super) fn ids(status: &str, name: &str) -> [u32; 2] {
    let mut words = value(status, name).unwrap_or_default().split_ascii_whitespace();
    [(); 2].map(|()| words.next().and_then(|word| word.parse().ok()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_a_call_or_none() {
        let check = |line: &str, expected| assert_eq!(call_of_line(line), expected, "{line}");
        check("running\n", None);
        check("-1 0x7ffd 0x7f00\n", None);
        check(
            "73 0x3 0x2 0x0 0x0 0x0 0xffffffffffffffff 0x7ffd 0x7f00\n",
            Some((73, [3, 2, 0, 0, 0, u64::MAX], 0x7f00)),
        );
        check("73 0x3 0x2", None);
        check("", None);
    }

    #[test]
    fn what_every_server_waits_for_is_not_told() {
        // read, poll, nanosleep, wait4, epoll_wait, futex; fcntl that does not wait
        assert!([0, 7, 35, 61, 232, 202].iter().all(|number| of_note(*number, 0).is_none()));
        assert!(of_note(72, 6).is_none() && of_note(72, 7).is_some());
        assert!(of_note(43, 0).is_some());
        // flock and fcntl of i386; read, nanosleep
        assert!(of_note_compat(143, 0).is_some() && of_note_compat(221, 14).is_some());
        assert!([3, 162].iter().all(|number| of_note_compat(*number, 0).is_none()));
    }
}
