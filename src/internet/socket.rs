//! The sockets that take in everything: whatever address and port was asked for, in TCP and UDP, in IPv4
//! and IPv6.
//!
//! The packet filter hands every connection and datagram to them (TPROXY, [`super::netlink`]). A taken
//! connection's own address (`getsockname`) is the one that was asked for. A datagram's comes beside it;
//! its answer must carry that address *and port* as its source, which no socket that is bound to another
//! port can send. So answers are written whole, headers included, by raw sockets that are made while the
//! process may still make them: sending then takes no privilege, and no socket for each port.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::sockopt::{
    IpTransparent, Ipv4OrigDstAddr, Ipv6OrigDstAddr, Ipv6RecvPacketInfo, Ipv6V6Only, OobInline, RcvBuf,
    ReuseAddr, RxqOvfl,
};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn,
    SockaddrIn6, SockaddrStorage, bind, listen, recvmsg, sendto, setsockopt, socket,
};

use super::netlink::has_ipv6;
use super::packet;

/// The port that the packet filter leads to. Any would do: to the sandbox, every port is open.
pub const PORT: u16 = 1;
/// What waits for a slow process before it is lost; twice that by the kernel's count, which is capped by
/// `net.core.rmem_max`.
const UDP_BUFFER: usize = 8 << 20;
/// The same for echo packets, which the kernel answers whether we hear them or not.
const ECHO_BUFFER: usize = 1 << 20;
/// Connections that wait to be taken; capped by `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Everything that the sandbox says arrives here. All do not block.
#[derive(Debug)]
pub struct Listeners {
    pub tcp: Vec<TcpListener>,
    pub udp: Vec<UdpListener>,
    pub echo: Vec<EchoListener>,
}

impl Listeners {
    /// Needs `CAP_NET_ADMIN` and `CAP_NET_RAW` over the network namespace.
    pub fn open() -> io::Result<Listeners> {
        let mut any = vec![IpAddr::from(Ipv4Addr::UNSPECIFIED)];
        if has_ipv6() {
            any.push(Ipv6Addr::UNSPECIFIED.into());
        }
        let any = || any.iter().map(|address| SocketAddr::new(*address, PORT));
        Ok(Listeners {
            tcp: any().map(listener).collect::<io::Result<_>>()?,
            udp: any().map(UdpListener::open).collect::<io::Result<_>>()?,
            echo: any().map(EchoListener::open).collect::<io::Result<_>>()?,
        })
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = transparent(address, SockType::Stream)?;
    // Urgent bytes would else be read by nobody; what is taken from this socket inherits it.
    setsockopt(&socket, OobInline, &true)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket.into())
}

/// Takes datagrams to any address and port of one family, and answers as the one that was asked.
#[derive(Debug)]
pub struct UdpListener {
    socket: OwnedFd,
    answers: OwnedFd,
    /// As the kernel counts them in 32 bits, and all together.
    last: Cell<u32>,
    dropped: Cell<u64>,
}

impl UdpListener {
    fn open(address: SocketAddr) -> io::Result<UdpListener> {
        let socket = transparent(address, SockType::Datagram)?;
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, Ipv4OrigDstAddr, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, Ipv6OrigDstAddr, &true)?,
        }
        setsockopt(&socket, RxqOvfl, &1)?;
        setsockopt(&socket, RcvBuf, &UDP_BUFFER)?;
        Ok(UdpListener { socket, answers: raw(address)?, last: Cell::new(0), dropped: Cell::new(0) })
    }

    /// The next datagram: its length in `buffer`, who sent it, and the address it was sent to. One that is
    /// longer than `buffer` is cut. `WouldBlock`: there is none yet.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, SocketAddr)> {
        let mut slices = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!(libc::sockaddr_in6, u32);
        let flags = MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(self.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
        let mut server = None;
        for entry in message.cmsgs()? {
            match entry {
                ControlMessageOwned::Ipv4OrigDstAddr(it) => {
                    server = Some(SocketAddr::V4(SockaddrIn::from(it).into()))
                }
                ControlMessageOwned::Ipv6OrigDstAddr(it) => {
                    server = Some(SocketAddr::V6(SockaddrIn6::from(it).into()))
                }
                ControlMessageOwned::RxqOvfl(count) => self.count(count),
                _ => {}
            }
        }
        let client = message.address.as_ref().and_then(address);
        match (client, server) {
            (Some(client), Some(server)) => Ok((message.bytes, client, server)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "datagram without its addresses")),
        }
    }

    /// Sends a datagram to `client` that comes from `server`, whatever that is; both are of this socket's
    /// family. One that does not fit in a packet of the wire is an error.
    pub fn send_from(&self, server: SocketAddr, client: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let packet = super::packet::udp(server, client, bytes)?;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // A raw socket's address has no port (net/ipv6/raw.c, rawv6_sendmsg: it would be a protocol).
        let sent = match client {
            SocketAddr::V4(to) => sendto(
                self.answers.as_raw_fd(),
                &packet,
                &SockaddrIn::from(SocketAddrV4::new(*to.ip(), 0)),
                flags,
            ),
            SocketAddr::V6(to) => {
                let to = SocketAddrV6::new(*to.ip(), 0, 0, to.scope_id());
                sendto(self.answers.as_raw_fd(), &packet, &SockaddrIn6::from(to), flags)
            }
        };
        if sent? == packet.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Datagrams that found no room so far, as told with the last one that did.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    fn count(&self, now: u32) {
        let more = now.wrapping_sub(self.last.replace(now));
        self.dropped.set(self.dropped.get() + u64::from(more));
    }
}

impl AsFd for UdpListener {
    /// Readable when there is a datagram.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UdpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Overhears the echo requests of one family: the kernel answers them, and hands a copy to whoever holds a raw
/// socket of the protocol (net/ipv4/icmp.c, `raw_local_deliver` comes first).
#[derive(Debug)]
pub struct EchoListener {
    socket: OwnedFd,
    is_v6: bool,
}

impl EchoListener {
    fn open(address: SocketAddr) -> io::Result<EchoListener> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let is_v6 = address.is_ipv6();
        let protocol = if is_v6 { SockProtocol::IcmpV6 } else { SockProtocol::Icmp };
        let socket = socket(family(address), SockType::Raw, flags, protocol)?;
        if is_v6 {
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        }
        setsockopt(&socket, RcvBuf, &ECHO_BUFFER)?;
        Ok(EchoListener { socket, is_v6 })
    }

    /// The next packet, if it is a request: what it carries in `buffer`, who sent it, and the address it was
    /// sent to; both ports are 0. `None`: another kind of packet. `WouldBlock`: there is none yet.
    pub fn recv<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<(&'b [u8], SocketAddr, SocketAddr)>> {
        let (length, from, to) = {
            let mut slices = [IoSliceMut::new(buffer)];
            let mut control = nix::cmsg_space!(libc::in6_pktinfo);
            let flags = MsgFlags::MSG_DONTWAIT;
            let socket = self.socket.as_raw_fd();
            let message = recvmsg::<SockaddrStorage>(socket, &mut slices, Some(&mut control), flags)?;
            let to = message.cmsgs()?.find_map(|entry| match entry {
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
                _ => None,
            });
            (message.bytes, message.address.as_ref().and_then(address), to)
        };
        let bytes = &buffer[..length];
        let ended = |ip: IpAddr| SocketAddr::new(ip, 0);
        if self.is_v6 {
            let Some((from, to)) = from.zip(to) else { return Ok(None) };
            return Ok(packet::echo_v6(bytes).map(|text| (text, ended(from.ip()), ended(to.into()))));
        }
        Ok(packet::echo_v4(bytes).map(|(text, from, to)| (text, ended(from.into()), ended(to.into()))))
    }
}

impl AsFd for EchoListener {
    /// Readable when there is a packet.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket that may be given connections and datagrams for addresses that are nobody's.
fn transparent(address: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family(address), kind, flags, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, Ipv6V6Only, &true)?;
    }
    // One bit for both families (`inet_sk`), so that the IPv4 option serves both.
    setsockopt(&socket, IpTransparent, &true)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(socket)
}

/// Sends whole packets, headers included, and receives nothing (raw(7), `IPPROTO_RAW`).
fn raw(address: SocketAddr) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(family(address), SockType::Raw, flags, SockProtocol::Raw)?)
}

fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|it| SocketAddr::V4((*it).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|it| SocketAddr::V6((*it).into())))
}
