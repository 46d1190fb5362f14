//! Which system calls the image may make, compiled to a filter for the kernel.
//!
//! The list follows what an ordinary container may do: programs that run under common engines run here.
//! Calls that we know and do not name below are allowed; numbers that we do not know answer ENOSYS, as an
//! older kernel would, so that a new call is shut until somebody has looked at it. A refused call answers
//! EPERM and nothing is ever killed: the attempt must come back to be seen at its exit.
//!
//! The 32-bit entry is filtered by its own numbers, not shut: a sample's `int 0x80` must be seen. Its old
//! `socketcall` passes the address family in memory, which a filter cannot read, and AF_VSOCK would be a
//! way out to the host's hypervisor: so sockets are not made through it. Older 32-bit programs, which know
//! no other way, are seen trying, and get no further.
//!
//! Where sleeps are to be skipped, the calls that only sleep are left to the runner to answer
//! ([`super::skip`]): nanosleep(2) and clock_nanosleep(2), whose time lies in memory, always; poll(2) only
//! without descriptors and with a time beyond the limit, which the filter itself can tell; select(2),
//! pselect(2) and ppoll(2) without descriptors. What waits for descriptors is how servers wait, and is never
//! touched.
//!
//! Not here: the numbers ([`super::calls`]) and the loading ([`crate::sys::seccomp`]).

use std::collections::BTreeMap;

use crate::sys::seccomp::Instruction;

use super::Sleeps;
use super::calls::{Calls, I386, X86_64};

/// Refused in both tables, with the reason in front.
const REFUSED: &[&[&str]] = &[
    // Mounts: every wall of the sandbox is one.
    &[
        "mount",
        "umount",
        "umount2",
        "pivot_root",
        "open_tree",
        "open_tree_attr",
        "move_mount",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "mount_setattr",
    ],
    // Namespaces: the way to capabilities over kernel code that is not made for the hostile.
    &["unshare", "setns", "sethostname", "setdomainname"],
    // Kernel code and its tracing.
    &[
        "init_module",
        "finit_module",
        "delete_module",
        "create_module",
        "query_module",
        "get_kernel_syms",
        "kexec_load",
        "kexec_file_load",
        "bpf",
        "perf_event_open",
        "lookup_dcookie",
        "syslog",
    ],
    // Large or young kernel surfaces that ordinary engines shut as well.
    &["userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"],
    // Keys: not every keyring belongs to a namespace.
    &["add_key", "request_key", "keyctl"],
    // Other processes' insides beyond ptrace(2), and files by handle.
    &["kcmp", "pidfd_getfd", "process_madvise", "open_by_handle_at", "fanotify_init"],
    // The whole machine: time, power, swap, quota, accounting, ports, placement of memory.
    &[
        "settimeofday",
        "stime",
        "clock_settime",
        "clock_settime64",
        "clock_adjtime",
        "clock_adjtime64",
        "reboot",
        "swapon",
        "swapoff",
        "quotactl",
        "quotactl_fd",
        "acct",
        "iopl",
        "ioperm",
        "vhangup",
        "move_pages",
        "migrate_pages",
        "mbind",
        "get_mempolicy",
        "set_mempolicy",
        "set_mempolicy_home_node",
    ],
    // Obsolete.
    &["_sysctl", "sysfs", "uselib", "ustat", "nfsservctl", "vm86", "vm86old", "bdflush"],
];

/// Answered as if the kernel lacked them. The flags of clone3(2) lie in memory, where a filter cannot see
/// them; C libraries then fall back to clone(2). What lies in memory of memfd_secret(2), nobody else can read:
/// also not the runner, who asks how long a call sleeps.
const ABSENT: &[&str] = &["clone3", "memfd_secret"];

/// `CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET`, linux/sched.h.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// Personalities that change no protection: Linux, 32-bit Linux, both with UNAME26, and the question.
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET (which then needs a capability that nobody has).
/// AF_VSOCK reaches the host's hypervisor, AF_ALG and the rest load kernel modules.
const FAMILIES: [u32; 5] = [1, 2, 10, 16, 17];

/// IPPROTO_DCCP, L2TP, SCTP, UDPLITE (linux/in.h): kernel code that hardly anybody uses and that is loaded on
/// demand, and ways out at which the simulated internet does not listen. In no other family do these numbers
/// mean anything.
const PROTOCOLS: [u32; 4] = [33, 115, 132, 136];

/// The first argument of socketcall(2) that makes a socket (`SYS_SOCKET`, linux/net.h).
const MAKE_SOCKET: u32 = 1;

/// Our own init, of which ptrace(2) and /proc show nothing because it is not dumpable; its limits are
/// anybody's of the same user (check_prlimit_permission, kernel/sys.c of Linux 6.18).
const INIT: u32 = 1;

/// Offsets in `struct seccomp_data`, linux/seccomp.h; the low half of the first argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENT: u32 = 16;
/// The low halves of the second, third and fourth.
const SECOND: u32 = 24;
const THIRD: u32 = 32;
const FOURTH: u32 = 40;

/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_I386`, linux/audit.h.
pub(super) const IS_X86_64: u32 = 0xc000_003e;
pub(super) const IS_I386: u32 = 0x4000_0003;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Calls that sleep, and whose time is for the runner to read.
const SLEEPS: &[&str] = &["nanosleep", "clock_nanosleep", "clock_nanosleep_time64"];

/// Beyond this many milliseconds a poll of nothing is a long sleep.
pub(super) const LONG_POLL: u32 = super::skip::LONG.as_millis() as u32;

/// The filter for both entries.
pub fn filter(sleeps: Sleeps) -> Vec<Instruction> {
    let (wide, narrow) = (block(X86_64, sleeps), block(I386, sleeps));
    let mut program = vec![load(ARCHITECTURE), jump_if(libc::BPF_JEQ, IS_X86_64, 1, 0), skip(wide.len())];
    program.extend(wide);
    program.extend([jump_if(libc::BPF_JEQ, IS_I386, 1, 0), answer(ENOSYS)]);
    program.extend(narrow);
    program
}

/// Whether the filter itself refuses this call, by its number, entry and arguments.
pub fn refuses(number: u32, compat: bool, args: &[u64; 6]) -> bool {
    let calls = if compat { I386 } else { X86_64 };
    let first = args[0] as u32;
    let Some((_, name)) = calls.iter().find(|(known, _)| *known == number) else { return true };
    match rule(name) {
        Rule::Always(answer) => answer != ALLOW,
        Rule::Bits(bits) => first & bits != 0,
        Rule::Unless(value) => first == value,
        Rule::OneOf(values) => !values.contains(&first),
        Rule::OneOfBut(values, thirds) => !values.contains(&first) || thirds.contains(&(args[2] as u32)),
        Rule::EmptyPoll | Rule::EmptyTimedPoll | Rule::EmptySelect => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Always(u32),
    /// EPERM if the first argument has one of these bits.
    Bits(u32),
    /// EPERM if the first argument is this.
    Unless(u32),
    /// EPERM unless the first argument is one of these.
    OneOf(&'static [u32]),
    /// The same, and EPERM if the third is one of those.
    OneOfBut(&'static [u32], &'static [u32]),
    /// Asked of the runner if it polls nothing, for long.
    EmptyPoll,
    /// Asked if it polls nothing, for a time that lies in memory, under the signals that it has.
    EmptyTimedPoll,
    /// Asked if it selects nothing.
    EmptySelect,
}

/// One architecture: runs of numbers with the same rule, ascending; beyond the last, ENOSYS. Every way
/// through it ends in an answer.
fn block(calls: Calls, sleeps: Sleeps) -> Vec<Instruction> {
    let mut program = vec![load(NUMBER)];
    for (last, rule) in runs(calls, sleeps) {
        let body = match rule {
            Rule::Always(value) => vec![answer(value)],
            Rule::Bits(bits) => {
                vec![load(ARGUMENT), jump_if(libc::BPF_JSET, bits, 0, 1), answer(EPERM), answer(ALLOW)]
            }
            Rule::Unless(value) => {
                vec![load(ARGUMENT), jump_if(libc::BPF_JEQ, value, 0, 1), answer(EPERM), answer(ALLOW)]
            }
            Rule::OneOf(values) => one_of(values),
            Rule::OneOfBut(values, thirds) => none_of(thirds).into_iter().chain(one_of(values)).collect(),
            Rule::EmptyPoll => empty_poll(),
            Rule::EmptyTimedPoll => none_in(&[SECOND, FOURTH]),
            Rule::EmptySelect => none_in(&[ARGUMENT]),
        };
        program.push(jump_if(libc::BPF_JGT, last, body.len() as u8, 0));
        program.extend(body);
    }
    program.push(answer(ENOSYS));
    program
}

fn one_of(values: &[u32]) -> Vec<Instruction> {
    let mut body = vec![load(ARGUMENT)];
    for value in values {
        body.extend([jump_if(libc::BPF_JEQ, *value, 0, 1), answer(ALLOW)]);
    }
    body.push(answer(EPERM));
    body
}

/// Goes on where the third argument is none of these.
fn none_of(values: &[u32]) -> Vec<Instruction> {
    let tests = |value: &u32| [jump_if(libc::BPF_JEQ, *value, 0, 1), answer(EPERM)];
    [load(THIRD)].into_iter().chain(values.iter().flat_map(tests)).collect()
}

/// A negative time is for ever, and as a number without sign above all others.
fn empty_poll() -> Vec<Instruction> {
    vec![
        load(SECOND),
        jump_if(libc::BPF_JEQ, 0, 1, 0),
        answer(ALLOW),
        load(THIRD),
        jump_if(libc::BPF_JGT, LONG_POLL, 1, 0),
        answer(ALLOW),
        jump_if(libc::BPF_JGT, i32::MAX as u32, 0, 1),
        answer(ALLOW),
        answer(ASK),
    ]
}

/// Asked where all of these are zero.
fn none_in(offsets: &[u32]) -> Vec<Instruction> {
    let tests = |offset: &u32| [load(*offset), jump_if(libc::BPF_JEQ, 0, 1, 0), answer(ALLOW)];
    offsets.iter().flat_map(tests).chain([answer(ASK)]).collect()
}

/// The last number of each run and its rule. Holes in the table answer ENOSYS.
fn runs(calls: Calls, sleeps: Sleeps) -> Vec<(u32, Rule)> {
    let rule = |name| match sleeps {
        Sleeps::Skipped => asked(name).unwrap_or_else(|| rule(name)),
        Sleeps::Slept => rule(name),
    };
    let rules: BTreeMap<u32, Rule> = calls.iter().map(|(number, name)| (number, rule(name))).collect();
    let last = rules.keys().next_back().copied().unwrap_or(0);
    let mut runs: Vec<(u32, Rule)> = Vec::new();
    for number in 0..=last {
        let rule = rules.get(&number).copied().unwrap_or(Rule::Always(ENOSYS));
        match runs.last_mut() {
            Some((end, before)) if *before == rule => *end = number,
            _ => runs.push((number, rule)),
        }
    }
    runs
}

/// What is left to the runner.
fn asked(name: &str) -> Option<Rule> {
    match name {
        "poll" => Some(Rule::EmptyPoll),
        "ppoll" | "ppoll_time64" => Some(Rule::EmptyTimedPoll),
        "select" | "_newselect" | "pselect6" | "pselect6_time64" => Some(Rule::EmptySelect),
        _ if SLEEPS.contains(&name) => Some(Rule::Always(ASK)),
        _ => None,
    }
}

fn rule(name: &str) -> Rule {
    match name {
        "clone" => Rule::Bits(NEW_NAMESPACES),
        "personality" => Rule::OneOf(&PERSONALITIES),
        "socketcall" => Rule::Unless(MAKE_SOCKET),
        "prlimit64" => Rule::Unless(INIT),
        "socket" | "socketpair" => Rule::OneOfBut(&FAMILIES, &PROTOCOLS),
        _ if ABSENT.contains(&name) => Rule::Always(ENOSYS),
        _ if REFUSED.iter().any(|group| group.contains(&name)) => Rule::Always(EPERM),
        _ => Rule::Always(ALLOW),
    }
}

fn load(offset: u32) -> Instruction {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump_if(comparison: u32, operand: u32, yes: u8, no: u8) -> Instruction {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, operand, yes, no)
}

fn skip(instructions: usize) -> Instruction {
    instruction(libc::BPF_JMP | libc::BPF_JA, instructions as u32, 0, 0)
}

fn answer(value: u32) -> Instruction {
    instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do with the filter: a classic-BPF machine for the instructions used here.
    fn run(sleeps: Sleeps, architecture: u32, number: u32, arguments: [u32; 3]) -> u32 {
        let program = filter(sleeps);
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let code = u32::from(code);
            match code & 0x07 {
                libc::BPF_RET => return k,
                libc::BPF_LD => {
                    accumulator = match k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        ARGUMENT => arguments[0],
                        SECOND => arguments[1],
                        THIRD => arguments[2],
                        FOURTH => 0,
                        other => panic!("offset {other}"),
                    }
                }
                _ => {
                    let taken = match code & 0xf0 {
                        libc::BPF_JA => {
                            at += k as usize;
                            continue;
                        }
                        libc::BPF_JEQ => accumulator == k,
                        libc::BPF_JGT => accumulator > k,
                        libc::BPF_JSET => accumulator & k != 0,
                        other => panic!("jump {other}"),
                    };
                    at += usize::from(if taken { jt } else { jf });
                }
            }
        }
    }

    fn check(name: &str, argument: u32, expected: u32) {
        for sleeps in [Sleeps::Skipped, Sleeps::Slept] {
            check_with(sleeps, name, [argument, 0, 0], expected);
        }
    }

    fn check_with(sleeps: Sleeps, name: &str, arguments: [u32; 3], expected: u32) {
        for (calls, architecture) in [(X86_64, IS_X86_64), (I386, IS_I386)] {
            if let Some(number) = calls.number(name) {
                let answer = run(sleeps, architecture, number, arguments);
                assert_eq!(answer, expected, "{name}{arguments:?} of {architecture:x}, {sleeps:?}");
                let [first, second, third] = arguments.map(u64::from);
                let refused = refuses(number, architecture == IS_I386, &[first, second, third, 0, 0, 0]);
                let is_errno = answer & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO;
                assert_eq!(refused, is_errno, "{name} of {architecture:x}");
            }
        }
    }

    #[test]
    fn only_calls_that_sleep_are_left_to_the_runner() {
        for name in SLEEPS {
            assert!(X86_64.number(name).or(I386.number(name)).is_some(), "{name}");
            check_with(Sleeps::Skipped, name, [0; 3], ASK);
            check_with(Sleeps::Slept, name, [0; 3], ALLOW);
        }
        check_with(Sleeps::Skipped, "poll", [0, 0, LONG_POLL + 1], ASK);
        check_with(Sleeps::Slept, "poll", [0, 0, LONG_POLL + 1], ALLOW);
        for (descriptors, time) in [(1, LONG_POLL + 1), (0, LONG_POLL), (0, 0), (0, u32::MAX)] {
            check_with(Sleeps::Skipped, "poll", [7, descriptors, time], ALLOW);
        }
        for name in ["select", "_newselect", "pselect6", "pselect6_time64"] {
            check_with(Sleeps::Skipped, name, [0; 3], ASK);
            check_with(Sleeps::Skipped, name, [1, 0, 0], ALLOW);
            check_with(Sleeps::Slept, name, [0; 3], ALLOW);
        }
        for name in ["ppoll", "ppoll_time64"] {
            check_with(Sleeps::Skipped, name, [7, 0, 1], ASK);
            check_with(Sleeps::Skipped, name, [7, 1, 1], ALLOW);
        }
        for name in ["epoll_wait", "epoll_pwait", "futex", "rt_sigtimedwait"] {
            check_with(Sleeps::Skipped, name, [0, 0, LONG_POLL + 1], ALLOW);
        }
    }

    #[test]
    fn every_refused_name_is_a_call() {
        for name in REFUSED.iter().copied().flatten().chain(ABSENT) {
            assert!(X86_64.number(name).or(I386.number(name)).is_some(), "{name}");
        }
    }

    #[test]
    fn calls_are_answered_by_their_rule() {
        for name in ["read", "execve", "ptrace", "chroot", "setuid", "memfd_create", "landlock_add_rule"] {
            check(name, 0, ALLOW);
        }
        for name in REFUSED.iter().copied().flatten() {
            check(name, 0, EPERM);
        }
        check("clone3", 0, ENOSYS);
    }

    #[test]
    fn arguments_decide_for_clone_personality_and_socket() {
        check("clone", libc::SIGCHLD as u32, ALLOW);
        check("clone", 0x003d_0f00, ALLOW); // a thread
        for flag in [0x2_0000, 0x0200_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
            check("clone", flag, EPERM);
        }
        check("personality", 0xffff_ffff, ALLOW);
        check("personality", 0x004_0000, EPERM); // ADDR_NO_RANDOMIZE
        check("socket", libc::AF_INET6 as u32, ALLOW);
        check("socket", libc::AF_VSOCK as u32, EPERM);
        check("socket", libc::AF_ALG as u32, EPERM);
        for protocol in [33, 115, 132, 136] {
            check_with(Sleeps::Slept, "socket", [libc::AF_INET as u32, 2, protocol], EPERM);
        }
        for protocol in [0, 6, 17, 58, 262] {
            check_with(Sleeps::Slept, "socket", [libc::AF_INET6 as u32, 1, protocol], ALLOW);
        }
        check("socketcall", 1, EPERM);
        check("socketcall", 3, ALLOW); // connect
        check("prlimit64", 0, ALLOW);
        check("prlimit64", 1, EPERM);
    }

    #[test]
    fn unknown_numbers_and_architectures_do_not_exist() {
        for (architecture, number) in [
            (IS_X86_64, 100_000),
            (IS_X86_64, 400),
            (IS_X86_64, 0x4000_0001),
            (0xc000_00b7, 0),
            (IS_I386, 500),
        ] {
            assert_eq!(
                run(Sleeps::Skipped, architecture, number, [0; 3]),
                ENOSYS,
                "{architecture:x} {number}"
            );
        }
    }

    #[test]
    fn filter_fits_the_kernel() {
        let length = filter(Sleeps::Skipped).len();
        assert!(length < 4096, "{length}");
    }
}
