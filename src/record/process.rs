//! exec, exec_failed, fork, exit, dup, denied. Written by ebpf/process.h and ebpf/lazaret.bpf.c.

use super::decode::{Cursor, Reason, kernel_socket};
use super::{Body, Capabilities, DupSource, Task, wire};

/// `argv` and `env` are still to come from the pieces.
pub fn exec(layout: &wire::Exec, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let comm = layout.comm.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(Body::Exec {
        exe: cursor.file(&layout.exe)?,
        asked: cursor.text(layout.asked)?,
        interpreter: cursor.text(layout.interpreter)?,
        argv: Vec::new(),
        env: Vec::new(),
        cwd: cursor.text(layout.cwd)?,
        comm: comm.to_vec(),
        tty: layout.tty != 0,
        capabilities: Capabilities { effective: layout.effective, permitted: layout.permitted },
    })
}

pub fn exec_failed(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::ExecFailed = cursor.fixed()?;
    let asked = cursor.argument(&body.asked)?.text;
    Ok(Body::ExecFailed { asked, result: body.result })
}

pub fn fork(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Fork = cursor.fixed()?;
    let child = Task {
        pid: body.pid,
        tid: body.tid,
        start: body.start,
        inner_pid: body.inner_pid,
        uid: body.uid,
        gid: body.gid,
        euid: body.euid,
        egid: body.egid,
    };
    Ok(Body::Fork { child })
}

pub fn exit(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Exit = cursor.fixed()?;
    Ok(Body::Exit { status: body.status })
}

pub fn dup(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Dup = cursor.fixed()?;
    let source = if body.is_socket != 0 {
        let remote = cursor.text(body.socket.address)?;
        DupSource::Socket { socket: kernel_socket(&body.socket), remote, copied: body.is_socket != 2 }
    } else {
        DupSource::File(cursor.file(&body.file)?)
    };
    Ok(Body::Dup { onto: body.onto, source })
}

pub fn denied(flags: u16, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Denied = cursor.fixed()?;
    Ok(Body::Denied {
        number: body.number,
        compat: flags & wire::COMPAT != 0,
        args: body.args,
        result: body.result,
        capability: body.capability.checked_sub(1),
        barred: flags & wire::BARRED != 0,
    })
}
