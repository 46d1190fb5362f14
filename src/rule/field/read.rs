//! How fields are read from a subject: here of programs, calls, memory, the kernel and the sandbox.

pub(super) mod file;
pub(super) mod net;

use super::Visit;
use crate::event::{
    Act, Bytes, Call, Credentials, DupSource, Exec, Kept, KernelAct, MemoryAct, Mismatch, Outcome,
    ProcessAct, ProcessCall, Region, SandboxAct, Target, Visit as PortVisit,
};
use crate::rule::capability;
use crate::rule::subject::Subject;

pub(super) fn outcome(s: Subject<'_>) -> Option<&[u8]> {
    Some(match s.event.outcome {
        Outcome::Done => b"done",
        Outcome::Failed(_) => b"failed",
        Outcome::Unfinished => b"unfinished",
    })
}

pub(super) fn errno(s: Subject<'_>) -> Option<u64> {
    match s.event.outcome {
        Outcome::Failed(errno) => u64::try_from(errno).ok(),
        Outcome::Done | Outcome::Unfinished => None,
    }
}

pub(super) fn asked(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Exec(exec) => Some(&exec.asked),
        _ => None,
    }
}

pub(super) fn env(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match &s.event.act {
        Act::Exec(exec) => exec.env.iter().any(|it| visit(it)),
        _ => false,
    }
}

pub(super) fn visit_all(texts: &[Bytes], visit: Visit<'_>) -> bool {
    texts.iter().any(|text| visit(text))
}

pub(super) fn process_act(s: Subject<'_>) -> Option<&ProcessAct> {
    match &s.event.act {
        Act::Process(act) => Some(act),
        _ => None,
    }
}

pub(super) fn process_action(s: Subject<'_>) -> Option<&[u8]> {
    Some(match process_act(s)? {
        ProcessAct::Fork { .. } => b"fork",
        ProcessAct::Exit { .. } => b"exit",
        ProcessAct::Dup { .. } => b"dup",
        ProcessAct::Ids { .. } => b"ids",
        ProcessAct::Signal { .. } => b"signal",
        ProcessAct::Call { what, .. } => what.name().as_bytes(),
    })
}

pub(super) fn dup(s: Subject<'_>) -> Option<(u8, &DupSource)> {
    match process_act(s)? {
        ProcessAct::Dup { onto, source } => Some((*onto, source)),
        _ => None,
    }
}

/// The call that an event tells of, whatever its category.
pub(super) fn call(s: Subject<'_>) -> Option<&Call> {
    match &s.event.act {
        Act::Denied(call)
        | Act::Process(ProcessAct::Call { call, .. })
        | Act::Memory(MemoryAct::Memfd(call) | MemoryAct::SecretMemfd(call) | MemoryAct::UserFault(call))
        | Act::Kernel(KernelAct::Call(call) | KernelAct::Compat(call) | KernelAct::Incapable(call)) => {
            Some(call)
        }
        _ => None,
    }
}

pub(super) fn arg(s: Subject<'_>, index: usize) -> Option<u64> {
    call(s)?.args.get(index).copied()
}

pub(super) fn call_texts(s: Subject<'_>, visit: Visit<'_>) -> bool {
    call(s).is_some_and(|call| call.texts.iter().any(|text| visit(text)))
}

pub(super) fn target(s: Subject<'_>) -> Option<&Target> {
    match process_act(s) {
        Some(ProcessAct::Signal { target, .. }) => target.as_ref(),
        _ => call(s)?.target.as_ref(),
    }
}

/// Credentials before and after a change.
pub(super) fn changed(s: Subject<'_>) -> Option<(Option<&Credentials>, &Credentials)> {
    match process_act(s)? {
        ProcessAct::Ids { before, after, .. } => Some((before.as_ref(), after)),
        _ => None,
    }
}

pub(super) fn gained(s: Subject<'_>, visit: Visit<'_>) -> bool {
    let Some((Some(before), after)) = changed(s) else { return false };
    let set = after.capabilities.effective & !before.capabilities.effective;
    capability::names(set).any(|name| visit(name.as_bytes()))
}

pub(super) fn capabilities(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match &s.event.act {
        Act::Exec(Exec { capabilities: Some(sets), .. }) => {
            capability::names(sets.effective).any(|name| visit(name.as_bytes()))
        }
        _ => false,
    }
}

pub(super) fn region(s: Subject<'_>) -> Option<&Region> {
    match &s.event.act {
        Act::Memory(MemoryAct::Map(region) | MemoryAct::Protect(region)) => Some(region),
        _ => None,
    }
}

pub(super) fn memory_action(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Memory(MemoryAct::Map(_)) => Some(b"map"),
        Act::Memory(MemoryAct::Protect(_)) => Some(b"protect"),
        Act::Memory(MemoryAct::Memfd(_)) => Some(b"memfd"),
        Act::Memory(MemoryAct::SecretMemfd(_)) => Some(b"secret_memfd"),
        Act::Memory(MemoryAct::UserFault(_)) => Some(b"user_fault"),
        _ => None,
    }
}

pub(super) fn kernel_act(s: Subject<'_>) -> Option<&KernelAct> {
    match &s.event.act {
        Act::Kernel(act) => Some(act),
        _ => None,
    }
}

pub(super) fn kernel_action(s: Subject<'_>) -> Option<&[u8]> {
    Some(match kernel_act(s)? {
        KernelAct::Call(_) => b"call",
        KernelAct::Compat(_) => b"compat",
        KernelAct::Incapable(_) => b"capability",
        KernelAct::Mismatch(_) => b"argument_mismatch",
        KernelAct::Moved { .. } => b"moved",
        KernelAct::Ring { .. } => b"ring",
    })
}

pub(super) fn mismatch(s: Subject<'_>) -> Option<&Mismatch> {
    match kernel_act(s)? {
        KernelAct::Mismatch(mismatch) => Some(mismatch),
        _ => None,
    }
}

pub(super) fn ring_paths(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match kernel_act(s) {
        Some(KernelAct::Ring { paths, .. }) => paths.iter().any(|path| visit(path)),
        _ => false,
    }
}

/// Flags of include/uapi/linux/sched.h. A refused call of the 32- or 64-bit unshare has them in its first
/// register, setns in its second.
pub(super) fn namespaces(s: Subject<'_>, visit: Visit<'_>) -> bool {
    const FLAGS: [(u64, &str); 8] = [
        (0x1000_0000, "user"),
        (0x2000_0000, "pid"),
        (0x0002_0000, "mount"),
        (0x4000_0000, "net"),
        (0x0400_0000, "uts"),
        (0x0800_0000, "ipc"),
        (0x0200_0000, "cgroup"),
        (0x80, "time"),
    ];
    let Some(call) = call(s) else { return false };
    let flags = match &*call.call {
        b"clone" | b"clone3" if call.detail != 0 => call.detail,
        b"unshare" | b"clone" => call.args[0],
        b"setns" => call.args[1],
        _ => return false,
    };
    // The lowest byte of clone's flags is the signal at exit, not a namespace.
    let flags = if &*call.call == b"clone" { flags & !0xff } else { flags };
    FLAGS.iter().any(|(flag, name)| flags & flag != 0 && visit(name.as_bytes()))
}

pub(super) fn sandbox_action(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Sandbox(SandboxAct::Phase) => Some(b"phase"),
        Act::Sandbox(SandboxAct::Limit { .. }) => Some(b"limit"),
        Act::Sandbox(SandboxAct::Held { .. }) => Some(b"held"),
        Act::Sandbox(SandboxAct::Skipped { .. }) => Some(b"skipped"),
        Act::Sandbox(SandboxAct::Visited(_)) => Some(b"visited"),
        Act::Sandbox(SandboxAct::Ran(_)) => Some(b"ran"),
        Act::Sandbox(SandboxAct::Kept(_)) => Some(b"kept"),
        Act::Sandbox(SandboxAct::Lost { .. }) => Some(b"lost"),
        _ => None,
    }
}

/// How long a call asks to sleep.
pub(super) fn sleep_milliseconds(s: Subject<'_>) -> Option<u64> {
    use ProcessCall::{Busy, Sleep, Timer, Wait};
    match &s.event.act {
        Act::Process(ProcessAct::Call { what: Sleep | Timer | Wait | Busy, call }) => {
            Some(call.detail / 1_000_000)
        }
        _ => None,
    }
}

/// A content that was put away.
pub(super) fn kept(s: Subject<'_>) -> Option<&Kept> {
    match &s.event.act {
        Act::Sandbox(SandboxAct::Kept(kept)) => Some(kept),
        _ => None,
    }
}

/// A request to a port of the image's.
pub(super) fn visit<'e>(s: Subject<'e>) -> Option<&'e PortVisit> {
    match &s.event.act {
        Act::Sandbox(SandboxAct::Visited(visit)) => Some(visit),
        _ => None,
    }
}
