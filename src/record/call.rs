//! memory_call, process_call, kernel_call, compat_call, moved, ring, capability. Written by ebpf/call.h and
//! ebpf/uring.h.

use super::decode::{Cursor, Reason};
use super::{About, Body, Call, wire};
use wire::kind;

pub fn call(head: &wire::Head, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Call = cursor.fixed()?;
    let [first, second, third] = body.texts;
    let texts = [cursor.text(first)?, cursor.text(second)?, cursor.text(third)?];
    let call = Call {
        number: body.number,
        compat: head.flags & wire::COMPAT != 0,
        args: body.args,
        detail: body.detail,
        target: (body.target_pid != 0).then_some(body.target_pid),
        capability: body.capability.checked_sub(1),
        texts,
        unreadable: body.unreadable != 0,
        barred: head.flags & wire::BARRED != 0,
    };
    let about = match head.kind {
        kind::MEMORY_CALL => About::Memory,
        kind::PROCESS_CALL => About::Process,
        kind::KERNEL_CALL => About::Kernel,
        kind::COMPAT_CALL => About::Compat,
        _ => return Err("unknown kind"),
    };
    Ok(Body::Call { about, call, result: body.result })
}

pub fn moved(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Moved = cursor.fixed()?;
    let cgroup = cursor.text(body.path)?;
    Ok(Body::Moved { pid: body.pid, start: body.start, hierarchy: body.hierarchy, cgroup })
}

pub fn ring(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::UringOperation = cursor.fixed()?;
    let paths = [cursor.text(body.first)?, cursor.text(body.second)?];
    Ok(Body::Ring { opcode: body.opcode, fd: body.fd, paths })
}

pub fn capability(head: &wire::Head, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Capability = cursor.fixed()?;
    let compat = head.flags & wire::COMPAT != 0;
    Ok(Body::Incapable { capability: body.capability, number: body.number, compat })
}
