//! signal. Written by ebpf/signal.h.

use super::decode::{Cursor, Reason};
use super::{Body, SignalTarget, wire};

pub fn signal(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Signal = cursor.fixed()?;
    let target = match body.target_pid {
        0 => SignalTarget::Asked(body.asked),
        pid => SignalTarget::Process { pid, start: body.target_start },
    };
    Ok(Body::Signal { signal: body.signal, target, code: body.code, result: body.result })
}
