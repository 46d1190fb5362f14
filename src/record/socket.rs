//! connect, bind, listen, send, socket, accept, query, flow, source, state, mismatch, option. Written by ebpf/socket.h,
//! ebpf/flow.h, ebpf/datagram.h, ebpf/mismatch.h, ebpf/bound.h and ebpf/option.h.

use super::decode::{Cursor, Reason, kernel_socket};
use super::{Addressed, Body, Sockaddr, wire};
use wire::kind;

pub fn endpoint(kind: u16, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Endpoint = cursor.fixed()?;
    let result = body.result;
    let socket = kernel_socket(&body.socket);
    let address = cursor.text(body.socket.address)?;
    let local = sockaddr(&body.local);
    Ok(match kind {
        kind::CONNECT => Body::Connect { socket, local, remote: address, result },
        kind::BIND => Body::Bind { socket, local: address, result },
        kind::LISTEN => Body::Listen { socket, local: address, result },
        kind::SEND => Body::Send { socket, local, remote: address, result },
        kind::SOCKET => Body::Socket { socket },
        kind::ACCEPT => Body::Accept { socket, local, remote: address },
        _ => return Err("unknown kind"),
    })
}

pub fn query(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Query = cursor.fixed()?;
    let (socket, result) = (kernel_socket(&body.socket), body.result);
    let (local, server) = (sockaddr(&body.local), cursor.text(body.socket.address)?);
    Ok(Body::Query { socket, local, server, payload: cursor.text(body.payload)?, result })
}

pub fn flow(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Flow = cursor.fixed()?;
    Ok(Body::Flow {
        socket: kernel_socket(&body.socket),
        local: sockaddr(&body.local),
        remote: sockaddr(&body.remote),
        sent: body.sent,
        received: body.received,
    })
}

pub fn mismatch(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Mismatch = cursor.fixed()?;
    let call = match u16::try_from(body.kind) {
        Ok(kind::CONNECT) => Addressed::Connect,
        Ok(kind::BIND) => Addressed::Bind,
        Ok(kind::SEND) => Addressed::Send,
        _ => return Err("a mismatch of an unknown call"),
    };
    Ok(Body::Mismatch {
        call,
        socket: kernel_socket(&body.socket),
        passed: body.passed.to_vec(),
        actual: body.actual.to_vec(),
        result: body.result,
    })
}

pub fn state(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    /// include/net/tcp_states.h
    const ESTABLISHED: u32 = 1;
    let body: wire::State = cursor.fixed()?;
    let error = match (body.state, body.error) {
        (ESTABLISHED, _) => None,
        (_, error) => Some(i32::try_from(error).map_err(|_| "an errno beyond its range")?),
    };
    Ok(Body::Settled {
        socket: kernel_socket(&body.socket),
        local: body.local.to_vec(),
        remote: body.remote.to_vec(),
        error,
    })
}

pub fn option(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::SocketOption = cursor.fixed()?;
    Ok(Body::SocketOption {
        socket: kernel_socket(&body.socket),
        level: body.level,
        name: body.name,
        value: body.value,
        result: body.result,
    })
}

pub fn source(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Flow = cursor.fixed()?;
    Ok(Body::Source {
        socket: kernel_socket(&body.socket),
        local: sockaddr(&body.local),
        remote: sockaddr(&body.remote),
    })
}

/// Empty where no address was filled in.
fn sockaddr(bytes: &[u8; 28]) -> Sockaddr {
    if bytes[..2] == [0, 0] { Sockaddr::new() } else { bytes.to_vec() }
}
