//! ids. Written by ebpf/ids.h.

use super::decode::{Cursor, Reason};
use super::{Body, Capabilities, Credentials, wire};

pub fn ids(head: &wire::Head, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Ids = cursor.fixed()?;
    Ok(Body::Ids {
        number: body.number,
        compat: head.flags & wire::COMPAT != 0,
        before: (body.known != 0).then(|| credentials(&body.before)),
        after: credentials(&body.after),
        result: body.result,
    })
}

fn credentials(cred: &wire::Cred) -> Credentials {
    Credentials {
        uid: cred.uid,
        gid: cred.gid,
        euid: cred.euid,
        egid: cred.egid,
        suid: cred.suid,
        sgid: cred.sgid,
        fsuid: cred.fsuid,
        fsgid: cred.fsgid,
        capabilities: Capabilities { effective: cred.effective, permitted: cred.permitted },
    }
}
