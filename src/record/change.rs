//! change. Written by ebpf/change.h.

use super::decode::{Cursor, Reason};
use super::{Body, Change, Target, wire};

// enum lz_what of ebpf/wire.h
const TRUNCATE: u32 = 1;
const CHOWN: u32 = 2;
const TIMES: u32 = 3;
const SET_XATTR: u32 = 4;
const REMOVE_XATTR: u32 = 5;
const MKNOD: u32 = 6;
const SET_FLAGS: u32 = 7;
const COPY: u32 = 8;
const MAP: u32 = 9;

pub fn change(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Change = cursor.fixed()?;
    let file = cursor.file(&body.file)?;
    let mut path = cursor.argument(&body.path)?;
    path.root = cursor.text(body.root)?;
    path.cwd = cursor.text(body.cwd)?;
    let (name, value) = (cursor.text(body.name)?, cursor.text(body.value)?);
    let target = match body.by_name {
        0 => Target::File(file),
        _ => Target::Name { path, keep: body.keep != 0 },
    };
    let change = what(&body, name, value).ok_or("unknown change")?;
    Ok(Body::Change { target, change, result: body.result })
}

fn what(body: &wire::Change, name: Vec<u8>, value: Vec<u8>) -> Option<Change> {
    let [first, second] = body.numbers;
    Some(match body.what {
        TRUNCATE => Change::Truncate { length: first },
        CHOWN => Change::Chown { uid: first as u32, gid: second as u32 },
        TIMES => Change::Times { modified: (first != u64::MAX).then_some(first as i64), now: second as i64 },
        SET_XATTR => Change::SetXattr { name, value },
        REMOVE_XATTR => Change::RemoveXattr { name },
        MKNOD => Change::Mknod { mode: first as u32, device: second },
        SET_FLAGS => Change::SetFlags { flags: first as u32, extended: second != 0 },
        COPY => Change::Copy,
        MAP => Change::Map,
        _ => return None,
    })
}
