//! Readers of sockets: the far end, its name and whether that is public, protocols, options.

use std::net::{IpAddr, SocketAddr};

use crate::event::{Act, Carrier, DupSource, Endpoint, NetAct, NetAction, ProcessAct, Protocol};
use crate::rule::subject::Subject;

pub fn net_act(s: Subject<'_>) -> Option<&NetAct> {
    match &s.event.act {
        Act::Net(act) => Some(act),
        _ => None,
    }
}

/// Sent, received.
pub fn flow(s: Subject<'_>) -> Option<(u64, u64)> {
    match net_act(s)?.action {
        NetAction::Close { sent, received } => Some((sent, received)),
        _ => None,
    }
}

pub fn returns(s: Subject<'_>) -> Option<u64> {
    match net_act(s)?.action {
        NetAction::Return { times } => Some(times.into()),
        _ => None,
    }
}

/// The name that a name server gave the far end's address.
pub fn flow_name(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Net(act) => act.name.as_deref(),
        act => act.flow()?.name.as_deref(),
    }
}

pub fn protocol(s: Subject<'_>) -> Option<Protocol> {
    match &s.event.act {
        Act::Net(act) => Some(act.protocol),
        Act::Dns(act) => Some(if act.carrier == Carrier::Udp { Protocol::Udp } else { Protocol::Tcp }),
        Act::Process(ProcessAct::Dup { source: DupSource::Socket { protocol, .. }, .. }) => Some(*protocol),
        act => Some(act.flow()?.protocol),
    }
}

pub fn protocol_name(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tcp => b"tcp",
        Protocol::Udp => b"udp",
        Protocol::Icmp => b"icmp",
        Protocol::Raw => b"raw",
        Protocol::Packet => b"packet",
        Protocol::Netlink => b"netlink",
        Protocol::Unix => b"unix",
        Protocol::Vsock => b"vsock",
        Protocol::Other(_) => b"other",
    }
}

pub fn ip(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

pub fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

pub fn public(s: Subject<'_>) -> Option<bool> {
    let ip = ip(s.far()?);
    Some(flow_name(s).map_or(is_public(ip), |name| !is_local(ip) && is_public_name(name)))
}

/// Names that only mean something inside somebody's network (RFC 6762, RFC 8375, and by custom).
fn is_public_name(name: &[u8]) -> bool {
    const INSIDE: [&[u8]; 7] =
        [b".local", b".internal", b".lan", b".home.arpa", b".localdomain", b".localhost", b".svc"];
    name.contains(&b'.') && !INSIDE.iter().any(|inside| name.ends_with(inside))
}

fn is_public(ip: IpAddr) -> bool {
    if is_local(ip) || ip.is_multicast() {
        return false;
    }
    match ip {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            let benchmark = v4.octets()[0] == 198 && v4.octets()[1] & 0xfe == 18;
            !(v4.is_private() || v4.is_link_local() || v4.is_broadcast() || shared || benchmark)
        }
        IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

pub fn unix_path(s: Subject<'_>) -> Option<&[u8]> {
    match (s.remote(), s.local()) {
        (Some(Endpoint::Unix(path)), _) | (_, Some(Endpoint::Unix(path))) => Some(path),
        _ => None,
    }
}

/// Level, name and value of a socket's option.
pub fn socket_option(s: Subject<'_>) -> Option<(u32, u32, u64)> {
    match net_act(s)?.action {
        NetAction::Option { level, number, value } => Some((level, number, value)),
        _ => None,
    }
}
