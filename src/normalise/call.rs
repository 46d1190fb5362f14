//! Calls of note, credentials, signals: what the kernel says of them, in words.
//!
//! A call that was refused is [`Act::Denied`], whatever it is about; what was done, or failed for
//! another reason, belongs to its family.

use super::lineage::Lineage;
use super::{syscall, uring};
use crate::event::{
    Act, Bytes, Call, Capabilities, Credentials, KernelAct, MemoryAct, Outcome, ProcessAct, ProcessCall,
    Target,
};
use crate::record::{self, About, SignalTarget, Task};

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ENOSYS: i32 = 38;

/// A call that was recorded as such.
pub(super) fn call(
    lineage: &Lineage,
    task: &Task,
    about: About,
    (seen, filtered): (record::Call, bool),
    outcome: Outcome,
) -> Act {
    let barred = seen.barred;
    let mut call = described(lineage, task, seen);
    call.filtered = filtered && is_refusal(outcome);
    call.own_filter = barred && !call.filtered;
    call.capability = call.capability.filter(|_| !call.filtered);
    match about {
        About::Compat => Act::Kernel(KernelAct::Compat(call)),
        About::Memory => Act::Memory(memory(call)),
        _ if is_refusal(outcome) => Act::Denied(call),
        About::Process => Act::Process(ProcessAct::Call { what: what(&call), call }),
        About::Kernel => Act::Kernel(KernelAct::Call(call)),
    }
}

/// Who answered a call instead of the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    /// The sandbox's own filter.
    pub filtered: bool,
    /// One of the image's.
    pub own: bool,
}

/// A refused call that has no record of its own.
pub(super) fn denied(number: u32, compat: bool, args: [u64; 6], capability: Option<u32>, by: By) -> Act {
    let (filtered, own_filter) = (by.filtered, by.own);
    // The kernel was not asked: what is remembered is of a call before.
    let capability = capability.filter(|_| !filtered).and_then(|number| u8::try_from(number).ok());
    let call = name(number, compat);
    Act::Denied(Call { call, number, compat, args, capability, filtered, own_filter, ..Call::default() })
}

/// A capability that was asked for and not there.
pub(super) fn incapable(capability: u32, number: u32, compat: bool) -> Act {
    let capability = u8::try_from(capability).ok();
    let call = Call { call: name(number, compat), number, compat, capability, ..Call::default() };
    Act::Kernel(KernelAct::Incapable(call))
}

/// A call that has not returned.
pub(super) fn standing(number: u32, compat: bool, args: [u64; 6], file: Option<Vec<u8>>) -> Call {
    let texts = file.into_iter().map(Bytes::from).collect();
    Call { call: name(number, compat), number, compat, args, texts, ..Call::default() }
}

pub(super) fn ids(
    lineage: &Lineage,
    (number, compat): (u32, bool),
    before: Option<record::Credentials>,
    after: record::Credentials,
) -> Act {
    let inside = |seen: record::Credentials| credentials(lineage, seen);
    let (before, after) = (before.map(inside), inside(after));
    Act::Process(ProcessAct::Ids { call: name(number, compat), before, after })
}

pub(super) fn signal(lineage: &Lineage, task: &Task, signal: u32, target: SignalTarget) -> Act {
    let target = match target {
        SignalTarget::Process { pid, start } => lineage.target(task, pid, Some(start)),
        SignalTarget::Asked(asked) => u32::try_from(asked).ok().and_then(|pid| lineage.asked(task, pid)),
    };
    Act::Process(ProcessAct::Signal { signal, target })
}

pub(super) fn ring(opcode: u32, paths: [Vec<u8>; 2]) -> Act {
    let operation = match uring::name(opcode) {
        Some(name) => Bytes::from(name.as_bytes()),
        None => Bytes::from(format!("operation_{opcode}").as_bytes()),
    };
    let paths = paths.into_iter().filter(|path| !path.is_empty()).map(Bytes::from).collect();
    Act::Kernel(KernelAct::Ring { operation, paths })
}

pub(super) fn capabilities(seen: record::Capabilities) -> Capabilities {
    Capabilities { effective: seen.effective, permitted: seen.permitted }
}

fn described(lineage: &Lineage, task: &Task, seen: record::Call) -> Call {
    let record::Call { number, compat, args, detail, target, capability, texts, .. } = seen;
    let call = name(number, compat);
    let target = match target {
        Some(pid) => lineage.target(task, pid, None),
        None => asked_target(lineage, task, &call, &args),
    };
    let mut texts: Vec<Bytes> = texts.into_iter().map(Bytes::from).collect();
    while texts.last().is_some_and(|text| text.is_empty()) {
        texts.pop();
    }
    let capability = capability.and_then(|number| u8::try_from(number).ok());
    Call { call, number, compat, args, detail, texts, target, capability, ..Call::default() }
}

/// The process that a number among the arguments means; ptrace(PTRACE_TRACEME) means its parent.
fn asked_target(lineage: &Lineage, task: &Task, call: &[u8], args: &[u64; 6]) -> Option<Target> {
    let pid = match call {
        b"ptrace" if args[0] != 0 => args[1],
        b"process_vm_readv" | b"process_vm_writev" | b"prlimit64" => args[0],
        b"migrate_pages" | b"move_pages" => args[0],
        b"kcmp" => args[1],
        _ => return None,
    };
    lineage.asked(task, u32::try_from(pid).ok()?)
}

fn memory(call: Call) -> MemoryAct {
    match &*call.call {
        b"memfd_create" => MemoryAct::Memfd(call),
        b"memfd_secret" => MemoryAct::SecretMemfd(call),
        _ => MemoryAct::UserFault(call),
    }
}

fn what(call: &Call) -> ProcessCall {
    // include/uapi/linux/prctl.h
    const PR_SET_NAME: u64 = 15;
    const PR_SET_SECCOMP: u64 = 22;
    match &*call.call {
        b"ptrace" => ProcessCall::Trace,
        b"process_vm_readv" => ProcessCall::ReadMemory,
        b"process_vm_writev" => ProcessCall::WriteMemory,
        b"process_madvise" => ProcessCall::AdviseMemory,
        b"pidfd_getfd" => ProcessCall::TakeDescriptor,
        b"sendmsg" | b"sendmmsg" | b"socketcall" => ProcessCall::PassDescriptor,
        b"setsid" => ProcessCall::Session,
        b"seccomp" => ProcessCall::Seccomp,
        b"personality" => ProcessCall::Personality,
        b"nanosleep" | b"clock_nanosleep" | b"clock_nanosleep_time64" => ProcessCall::Sleep,
        // Without descriptors: with some they are not recorded.
        b"select" | b"_newselect" | b"pselect6" | b"pselect6_time64" => ProcessCall::Sleep,
        b"poll" | b"ppoll" | b"ppoll_time64" => ProcessCall::Sleep,
        b"alarm" | b"setitimer" | b"timer_settime" | b"timer_settime64" => ProcessCall::Timer,
        b"timerfd_settime" | b"timerfd_settime64" => ProcessCall::Timer,
        b"setgroups" | b"setgroups32" => ProcessCall::Groups,
        b"prctl" if call.args[0] == PR_SET_NAME => ProcessCall::Name,
        b"prctl" if call.args[0] == PR_SET_SECCOMP => ProcessCall::Seccomp,
        _ => ProcessCall::Control,
    }
}

fn credentials(lineage: &Lineage, seen: record::Credentials) -> Credentials {
    let task = Task { uid: seen.uid, gid: seen.gid, euid: seen.euid, egid: seen.egid, ..Task::default() };
    Credentials {
        ids: lineage.ids(&task),
        suid: lineage.id(seen.suid),
        sgid: lineage.id(seen.sgid),
        fsuid: lineage.id(seen.fsuid),
        fsgid: lineage.id(seen.fsgid),
        capabilities: capabilities(seen.capabilities),
    }
}

/// `__X32_SYSCALL_BIT` (arch/x86/include/uapi/asm/unistd.h) marks the numbers of the x32 ABI.
pub(super) fn name(number: u32, compat: bool) -> Bytes {
    const X32: u32 = 0x4000_0000;
    let plain = syscall::name(number & !X32, compat);
    let text = match plain {
        Some(name) if number & X32 != 0 => format!("x32_{name}"),
        Some(name) => name.to_owned(),
        None => format!("syscall_{number}"),
    };
    Bytes::from(text.as_bytes())
}

fn is_refusal(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed(EPERM | EACCES | ENOSYS))
}
