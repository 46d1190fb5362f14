//! rename, link, symlink, unlink, mkdir, chmod by name; file_chmod by descriptor. Written by
//! ebpf/names.h.

use super::decode::{Cursor, Reason};
use super::{Body, wire};
use wire::kind;

pub fn names(kind: u16, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Names = cursor.fixed()?;
    let result = body.result;
    let first = cursor.argument(&body.first)?;
    let second = cursor.argument(&body.second)?;
    Ok(match kind {
        kind::RENAME => Body::Rename { from: first, to: second, result },
        kind::LINK => Body::Link { from: first, to: second, result },
        kind::SYMLINK => Body::Symlink { target: first.text, path: second, result },
        kind::UNLINK => Body::Unlink { path: first, result },
        kind::MKDIR => Body::Mkdir { path: first, result },
        kind::CHMOD => Body::Chmod { path: first, mode: body.mode, result },
        _ => return Err("unknown kind"),
    })
}

pub fn file_chmod(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::FileChmod = cursor.fixed()?;
    let file = cursor.file(&body.file)?;
    Ok(Body::FileChmod { file, mode: body.mode, result: body.result })
}
