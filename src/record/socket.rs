//! connect, bind, listen, send, socket, accept, query, flow. Written by ebpf/socket.h.

use super::decode::{Cursor, Reason, kernel_socket};
use super::{Body, wire};
use wire::kind;

pub fn endpoint(kind: u16, cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Endpoint = cursor.fixed()?;
    let result = body.result;
    let socket = kernel_socket(&body.socket);
    let address = cursor.text(body.socket.address)?;
    Ok(match kind {
        kind::CONNECT => Body::Connect { socket, remote: address, result },
        kind::BIND => Body::Bind { socket, local: address, result },
        kind::LISTEN => Body::Listen { socket, local: address, result },
        kind::SEND => Body::Send { socket, remote: address, result },
        kind::SOCKET => Body::Socket { socket },
        kind::ACCEPT => Body::Accept { socket, remote: address },
        _ => return Err("unknown kind"),
    })
}

pub fn query(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Query = cursor.fixed()?;
    let (socket, result) = (kernel_socket(&body.socket), body.result);
    let server = cursor.text(body.socket.address)?;
    Ok(Body::Query { socket, server, payload: cursor.text(body.payload)?, result })
}

pub fn flow(cursor: &mut Cursor<'_>) -> Result<Body, Reason> {
    let body: wire::Flow = cursor.fixed()?;
    Ok(Body::Flow {
        socket: kernel_socket(&body.socket),
        local: body.local.to_vec(),
        remote: body.remote.to_vec(),
        sent: body.sent,
        received: body.received,
    })
}
