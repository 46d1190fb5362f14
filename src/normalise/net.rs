//! Socket addresses: bytes of the program's or the kernel's `struct sockaddr` → [`Endpoint`].

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::event::{Carrier, Endpoint, Protocol};
use crate::record::KernelSocket;

// include/linux/socket.h, include/uapi/linux/in.h: numbers that are part of the kernel's ABI.
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_NETLINK: u16 = 16;
const AF_PACKET: u16 = 17;
const AF_VSOCK: u16 = 40;
const SOCK_STREAM: u16 = 1;
const SOCK_DGRAM: u16 = 2;
const SOCK_RAW: u16 = 3;
const IPPROTO_ICMP: u16 = 1;
const IPPROTO_ICMPV6: u16 = 58;

/// The protocol that a socket speaks.
pub(super) fn protocol(socket: &KernelSocket) -> Protocol {
    match (socket.family, socket.kind, socket.protocol) {
        (AF_INET | AF_INET6, SOCK_RAW, _) => Protocol::Raw,
        (AF_INET | AF_INET6, _, IPPROTO_ICMP | IPPROTO_ICMPV6) => Protocol::Icmp,
        (AF_INET | AF_INET6, SOCK_STREAM, _) => Protocol::Tcp,
        (AF_INET | AF_INET6, SOCK_DGRAM, _) => Protocol::Udp,
        (AF_UNIX, ..) => Protocol::Unix,
        (AF_NETLINK, ..) => Protocol::Netlink,
        (AF_PACKET, ..) => Protocol::Packet,
        (AF_VSOCK, ..) => Protocol::Vsock,
        (family, ..) => Protocol::Other(family),
    }
}

/// What a question came in that was sent to port 53 through this socket.
pub(super) fn carrier(socket: &KernelSocket) -> Carrier {
    if protocol(socket) == Protocol::Tcp { Carrier::Tcp } else { Carrier::Udp }
}

/// The address in a `struct sockaddr`: family in host order, port in network order. `None` where the
/// bytes are too short to hold even a family, or the family is unspecified.
pub(super) fn endpoint(sockaddr: &[u8]) -> Option<Endpoint> {
    let (family, rest) = sockaddr.split_first_chunk::<2>()?;
    match u16::from_ne_bytes(*family) {
        0 => None,
        AF_INET => Some(inet(rest).map_or(Endpoint::Other, Endpoint::Inet)),
        AF_INET6 => Some(inet6(rest).map_or(Endpoint::Other, Endpoint::Inet)),
        AF_UNIX => Some(Endpoint::Unix(unix(rest))),
        _ => Some(Endpoint::Other),
    }
}

fn inet(bytes: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = bytes.split_first_chunk::<2>()?;
    let address = rest.first_chunk::<4>()?;
    Some(SocketAddr::from((Ipv4Addr::from(*address), u16::from_be_bytes(*port))))
}

/// An IPv4-mapped address is shown as the IPv4 address that the packet will carry.
fn inet6(bytes: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = bytes.split_first_chunk::<2>()?;
    let address = rest.get(4..)?.first_chunk::<16>()?;
    Some(SocketAddr::from((Ipv6Addr::from(*address).to_canonical(), u16::from_be_bytes(*port))))
}

/// A path ends at its first NUL byte; an abstract name starts with one and may hold more.
fn unix(bytes: &[u8]) -> Arc<[u8]> {
    let name = match bytes.first() {
        Some(0) => bytes,
        _ => bytes.split(|&b| b == 0).next().unwrap_or_default(),
    };
    Arc::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<Endpoint>) {
        assert_eq!(endpoint(bytes), expected, "{bytes:?}");
    }

    fn inet_endpoint(text: &str) -> Option<Endpoint> {
        Some(Endpoint::Inet(text.parse().expect("a socket address")))
    }

    #[test]
    fn endpoint_reads_every_family_and_survives_short_ones() {
        check(&[], None);
        check(&[2], None);
        check(&[0, 0, 1, 2], None);
        check(&[2, 0, 0x1f, 0x90, 192, 0, 2, 7, 0, 0], inet_endpoint("192.0.2.7:8080"));
        check(&[2, 0, 0x1f], Some(Endpoint::Other));
        let mut six = vec![10, 0, 0, 53, 0, 0, 0, 0];
        six.extend_from_slice(&Ipv6Addr::LOCALHOST.octets());
        check(&six, inet_endpoint("[::1]:53"));
        let mut mapped = vec![10, 0, 0, 53, 0, 0, 0, 0];
        mapped.extend_from_slice(&Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets());
        check(&mapped, inet_endpoint("192.0.2.1:53"));
        check(b"\x01\0/run/x\0junk", Some(Endpoint::Unix(Arc::from(&b"/run/x"[..]))));
        check(b"\x01\0\0abstract", Some(Endpoint::Unix(Arc::from(&b"\0abstract"[..]))));
        check(&[40, 0, 1, 1], Some(Endpoint::Other));
    }

    #[test]
    fn protocol_is_the_sockets_own() {
        let check = |family, kind, proto, expected| {
            assert_eq!(protocol(&KernelSocket { family, kind, protocol: proto }), expected);
        };
        check(AF_INET, SOCK_STREAM, 6, Protocol::Tcp);
        check(AF_INET6, SOCK_DGRAM, 17, Protocol::Udp);
        check(AF_INET, SOCK_DGRAM, IPPROTO_ICMP, Protocol::Icmp);
        check(AF_INET, SOCK_RAW, IPPROTO_ICMP, Protocol::Raw);
        check(AF_UNIX, SOCK_STREAM, 0, Protocol::Unix);
        check(38, 5, 0, Protocol::Other(38));
    }
}
