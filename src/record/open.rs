//! open, open_failed. Written by ebpf/open.h.

use super::decode::{Cursor, Reason};
use super::{Body, wire};

pub fn open(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Open = cursor.fixed()?;
    let file = cursor.file(&body.file)?;
    let mut path = cursor.argument(&body.path)?;
    path.root = cursor.text(body.root)?;
    if path.base.is_empty() && path.text.first() != Some(&b'/') {
        // openat2(RESOLVE_IN_ROOT): the directory that is its root is also where it starts.
        path.base.clone_from(&path.root);
    }
    let passed = (!path.text.is_empty()).then_some(path);
    Ok(Body::Open { file, flags: body.flags, created: body.created != 0, passed })
}

pub fn open_failed(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::OpenFailed = cursor.fixed()?;
    let mut path = cursor.argument(&body.path)?;
    path.root = cursor.text(body.root)?;
    Ok(Body::OpenFailed { path, flags: body.flags, result: body.result })
}
