//! mapping. Written by ebpf/memory.h.

use super::decode::{Cursor, Reason};
use super::{Body, Mapping, wire};

pub fn mapping(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Mapping = cursor.fixed()?;
    let file = cursor.file(&body.file)?;
    let mapping = Mapping {
        address: body.address,
        size: body.size,
        protection: body.protection,
        flags: body.flags,
        protect: body.protect != 0,
        written: body.written != 0,
        known: body.known != 0,
        file: (body.has_file != 0).then_some(file),
    };
    Ok(Body::Mapping { mapping, result: body.result })
}
