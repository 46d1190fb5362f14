//! Sockets, and what is done with them.

use std::net::SocketAddr;

use super::Bytes;

/// What was done with a socket.
#[derive(Clone, Debug, PartialEq)]
pub struct NetAct {
    pub action: NetAction,
    pub protocol: Protocol,
    pub local: Option<Endpoint>,
    pub remote: Option<Endpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetAction {
    Connect,
    Bind,
    Listen,
    /// A datagram with an address of its own: sendto(2), sendmsg(2), sendmmsg(2).
    Send,
}

impl NetAction {
    pub fn name(self) -> &'static str {
        match self {
            NetAction::Connect => "connect",
            NetAction::Bind => "bind",
            NetAction::Listen => "listen",
            NetAction::Send => "send",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Raw,
    Packet,
    Netlink,
    Unix,
    Vsock,
    /// Any other, by its address family.
    Other(u16),
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    Inet(SocketAddr),
    /// A path, or an abstract name that begins with a NUL byte.
    Unix(Bytes),
    Other,
}
