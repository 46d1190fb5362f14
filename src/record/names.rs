//! rename, link, symlink, unlink, mkdir, chmod by name; file_chmod by descriptor; rewritten. Written by
//! ebpf/names.h and ebpf/entered.h.

use super::decode::{Cursor, Reason};
use super::{Body, wire};
use wire::kind;

/// include/uapi/linux/fcntl.h
const AT_REMOVEDIR: u32 = 0x200;

pub fn names(kind: u16, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Names = cursor.fixed()?;
    let result = body.result;
    let mut first = cursor.argument(&body.first)?;
    let mut second = cursor.argument(&body.second)?;
    second.root = cursor.text(body.root)?;
    second.cwd = cursor.text(body.cwd)?;
    (first.root, first.cwd) = (second.root.clone(), second.cwd.clone());
    Ok(match kind {
        kind::RENAME => Body::Rename { from: first, to: second, flags: body.mode, result },
        kind::LINK => Body::Link { from: first, to: second, flags: body.mode, result },
        kind::SYMLINK => Body::Symlink { target: first.text, path: second, result },
        kind::UNLINK => Body::Unlink { path: first, directory: body.mode & AT_REMOVEDIR != 0, result },
        kind::MKDIR => Body::Mkdir { path: first, result },
        kind::CHMOD => Body::Chmod { path: first, mode: body.mode, result },
        _ => return Err("unknown kind"),
    })
}

pub fn rewritten(flags: u16, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Rewritten = cursor.fixed()?;
    Ok(Body::Rewritten {
        number: body.number,
        compat: flags & wire::COMPAT != 0,
        before: cursor.text(body.before)?,
        after: cursor.text(body.after)?,
        result: body.result,
    })
}

pub fn file_chmod(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::FileChmod = cursor.fixed()?;
    let file = cursor.file(&body.file)?;
    Ok(Body::FileChmod { file, mode: body.mode, result: body.result })
}
