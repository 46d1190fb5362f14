//! Sockets, and what is done with them.

use std::net::SocketAddr;

use super::{Bytes, Carrier};

/// What was done with a socket.
#[derive(Clone, Debug, PartialEq)]
pub struct NetAct {
    pub action: NetAction,
    pub protocol: Protocol,
    pub local: Option<Endpoint>,
    pub remote: Option<Endpoint>,
    /// The name for which a name server gave the sandbox the address of `remote`, where it asked before.
    pub name: Option<Bytes>,
}

/// What was done with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetAction {
    Connect,
    Bind,
    Listen,
    /// A datagram with an address of its own: sendto(2), sendmsg(2), sendmmsg(2).
    Send,
    /// A socket was made; it has no address yet.
    Socket,
    /// A connection from outside was taken: `remote` is who came.
    Accept,
    /// A TCP connection ended, after so many bytes each way; of what has no connection (UDP, ICMP, raw):
    /// so much went between the two ends in all, told when the run is over.
    Close {
        sent: u64,
        received: u64,
    },
    /// A TCP connect that did not block came to its end.
    Settle,
    /// The far end of a connect, a datagram or a web request was reached anew after a pause: so many times
    /// by now, by whomever in the sandbox.
    Return {
        times: u32,
    },
    /// An option was set (setsockopt(2)), by its numbers; `value` are its first bytes.
    Option {
        level: u32,
        number: u32,
        value: u64,
    },
}

impl NetAction {
    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            NetAction::Connect => "connect",
            NetAction::Bind => "bind",
            NetAction::Listen => "listen",
            NetAction::Send => "send",
            NetAction::Socket => "socket",
            NetAction::Accept => "accept",
            NetAction::Close { .. } => "close",
            NetAction::Settle => "settle",
            NetAction::Return { .. } => "return",
            NetAction::Option { .. } => "option",
        }
    }
}

/// A question that was sent to a name server: in a datagram to port 53 as the kernel has it, or in a
/// stream as the name server heard it.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsAct {
    pub server: Option<Endpoint>,
    pub carrier: Carrier,
    /// `None`: its bytes are no question.
    pub question: Option<Question>,
}

/// The first question of a DNS message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// In lower case, labels separated by dots, without one at the end; a dot inside a label is `\.`. Empty:
    /// the root.
    pub name: Bytes,
    /// `1` A, `28` AAAA, `16` TXT, … (IANA, DNS parameters).
    pub kind: u16,
}

impl Question {
    /// The mnemonic of its kind, or `TYPE` and the number (RFC 3597).
    pub fn type_name(&self) -> String {
        let known = TYPES.iter().find(|(number, _)| *number == self.kind);
        known.map_or_else(|| format!("TYPE{}", self.kind), |(_, name)| (*name).to_owned())
    }
}

#[rustfmt::skip]
const TYPES: &[(u16, &str)] = &[
    (1, "A"), (2, "NS"), (5, "CNAME"), (6, "SOA"), (10, "NULL"), (12, "PTR"), (13, "HINFO"), (15, "MX"),
    (16, "TXT"), (28, "AAAA"), (33, "SRV"), (35, "NAPTR"), (43, "DS"), (48, "DNSKEY"), (64, "SVCB"),
    (65, "HTTPS"), (252, "AXFR"), (255, "ANY"), (256, "URI"), (257, "CAA"),
];

/// What a socket speaks, by its family, kind and protocol.
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
