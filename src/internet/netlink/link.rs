//! Interfaces, addresses and routes (rtnetlink(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::message::{CHANGE, Message, NEW};
use super::{Netlink, NetlinkError, has_ipv6};

const NEW_LINK: u16 = libc::RTM_NEWLINK;
const SET_LINK: u16 = libc::RTM_SETLINK;
const NEW_ADDRESS: u16 = libc::RTM_NEWADDR;
const NEW_ROUTE: u16 = libc::RTM_NEWROUTE;
const NEW_NEIGHBOUR: u16 = libc::RTM_NEWNEIGH;

const INET: u8 = libc::AF_INET as u8;
const INET6: u8 = libc::AF_INET6 as u8;

/// `VETH_INFO_PEER`, linux/veth.h.
const PEER: u16 = 1;
/// `IFLA_INET6_ADDR_GEN_MODE`, and its value none: no address but those that are given.
const GENERATION: u16 = 8;
const NO_GENERATION: u8 = 1;
/// States of a neighbour (linux/neighbour.h): for ever; known, and to be asked for now and then.
const PERMANENT: u16 = 0x80;
const STALE: u16 = 0x04;
/// The loopback interface is the first of every namespace.
const LO: u32 = 1;
/// Lengths of prefixes, of IPv4 and IPv6: the sandbox's network as engines make it; the world has nobody
/// beside it, so that every address of that network is its own as well.
const NETWORK: (u8, u8) = (16, 64);
const ALONE: (u8, u8) = (32, 128);
/// No route to the rest of an address's network comes with it. The kernel of the world answers no
/// neighbour solicitation but for its own (ndisc_recv_ns), so all of IPv6 goes by way of the gateway.
const NO_PREFIX_ROUTE: u32 = libc::IFA_F_PERMANENT | libc::IFA_F_NODAD | libc::IFA_F_NOPREFIXROUTE;
const MTU: u32 = 1500;
/// What the ends are called, each in its namespace.
const NAME: &str = "eth0";
/// And their numbers: on an engine's host, other interfaces were there before.
const SANDBOX: u32 = 36;
const WORLD: u32 = 37;

/// One end of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
    pub mac: [u8; 6],
}

/// Both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub sandbox: End,
    pub world: End,
}

impl End {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let all: [IpAddr; 3] = [self.v4.into(), self.v6.into(), self.link_local().into()];
        let spoken = has_ipv6();
        all.into_iter().filter(move |address| spoken || address.is_ipv4())
    }

    /// The link-local address that the kernel would make of the hardware address (RFC 4291, appendix A).
    pub fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.mac;
        Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }
}

/// Makes every address that is not the sandbox's the caller's own. In the table that comes first
/// (`local`): there the kernel also looks whether it may answer as that address (`__ip_dev_find`).
pub fn every_address() -> Result<(), NetlinkError> {
    let local = |family| {
        let head = route_head(family, 0, libc::RT_SCOPE_HOST, libc::RTN_LOCAL);
        Message::new(NEW_ROUTE, NEW, &head).number(libc::RTA_OIF, LO)
    };
    let mut wishes = vec![
        ("bring the loopback up", Message::new(SET_LINK, CHANGE, &link_head(LO, UP))),
        ("take every IPv4 address", local(INET)),
    ];
    if has_ipv6() {
        wishes.push(("take every IPv6 address", local(INET6)));
    }
    open()?.ask(wishes)
}

/// Makes the wire between the caller's namespace, the world's, and that of the sandbox; and the world's
/// end of it. `inside` then makes the other.
pub fn wire(ends: &Ends, sandbox: BorrowedFd<'_>) -> Result<(), NetlinkError> {
    let (near, far) = (&ends.world, &ends.sandbox);
    let netlink = open()?;
    netlink.ask(vec![("make the wire", pair(ends, sandbox))])?;
    let index = WORLD;
    let to_sandbox = |address: IpAddr| {
        let prefix = if address.is_ipv4() { ALONE.0 } else { ALONE.1 };
        let head = route_head(family(address), prefix, libc::RT_SCOPE_LINK, libc::RTN_UNICAST);
        let route = Message::new(NEW_ROUTE, NEW, &head).put(libc::RTA_DST, &octets(address));
        ("route to the sandbox", route.number(libc::RTA_OIF, index))
    };
    let mut wishes = bring_up(near, ALONE, index);
    wishes.extend(far.addresses().map(|address| known(index, address, far.mac, PERMANENT)));
    wishes.extend(far.addresses().map(to_sandbox));
    netlink.ask(wishes)
}

impl Ends {
    /// The sandbox's end, in whose namespace the caller is by now.
    pub fn inside(&self) -> Result<(), NetlinkError> {
        let index = SANDBOX;
        let mut wishes = bring_up(&self.sandbox, NETWORK, index);
        let mut head = route_head(INET6, 128, libc::RT_SCOPE_LINK, libc::RTN_UNICAST);
        head[4] = libc::RT_TABLE_MAIN;
        let gateway = Message::new(NEW_ROUTE, NEW, &head).put(libc::RTA_DST, &self.world.v6.octets());
        let mut gateways = vec![IpAddr::from(self.world.v4)];
        if has_ipv6() {
            wishes.push(("route to the gateway", gateway.number(libc::RTA_OIF, index)));
            gateways.push(self.world.v6.into());
        }
        for gateway in gateways {
            let mut head = route_head(family(gateway), 0, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST);
            // As route(8) makes them for an engine.
            (head[4], head[5]) = (libc::RT_TABLE_MAIN, libc::RTPROT_BOOT);
            let route = Message::new(NEW_ROUTE, NEW, &head).put(libc::RTA_GATEWAY, &octets(gateway));
            wishes.push(("route to the world", route.number(libc::RTA_OIF, index)));
        }
        // As after a while of silence: the first packet need not wait for an answer.
        wishes.extend(self.world.addresses().map(|address| known(index, address, self.world.mac, STALE)));
        open()?.ask(wishes)
    }
}

fn open() -> Result<Netlink, NetlinkError> {
    Netlink::route().map_err(|source| NetlinkError { what: "open netlink", source })
}

fn pair(ends: &Ends, sandbox: BorrowedFd<'_>) -> Message {
    let end = |message: Message, mac: &[u8; 6]| {
        message.text(libc::IFLA_IFNAME, NAME).put(libc::IFLA_ADDRESS, mac).number(libc::IFLA_MTU, MTU)
    };
    let peer = |data: Message| {
        data.nest_behind(PEER, &link_head(SANDBOX, 0), |peer| {
            end(peer, &ends.sandbox.mac).number(libc::IFLA_NET_NS_FD, sandbox.as_raw_fd() as u32)
        })
    };
    let info = |info: Message| info.text(libc::IFLA_INFO_KIND, "veth").nest(libc::IFLA_INFO_DATA, peer);
    end(Message::new(NEW_LINK, NEW, &link_head(WORLD, 0)), &ends.world.mac).nest(libc::IFLA_LINKINFO, info)
}

/// Addresses, with none that the kernel adds of itself and none that it first looks for doubles of, and up.
fn bring_up(end: &End, prefixes: (u8, u8), index: u32) -> Vec<(&'static str, Message)> {
    let none = Message::new(SET_LINK, CHANGE, &link_head(index, 0)).nest(libc::IFLA_AF_SPEC, |list| {
        list.nest(INET6.into(), |inet6| inet6.put(GENERATION, &[NO_GENERATION]))
    });
    let v6 = |address: Ipv6Addr, prefix, scope| {
        let head = address_head(INET6, prefix, scope, index);
        Message::new(NEW_ADDRESS, NEW, &head).put(libc::IFA_ADDRESS, &address.octets())
    };
    let broadcast = u32::from(end.v4) | u32::MAX.checked_shr(prefixes.0.into()).unwrap_or(0);
    let v4 = Message::new(NEW_ADDRESS, NEW, &address_head(INET, prefixes.0, libc::RT_SCOPE_UNIVERSE, index))
        .put(libc::IFA_LOCAL, &end.v4.octets())
        .put(libc::IFA_ADDRESS, &end.v4.octets())
        .put(libc::IFA_BROADCAST, &broadcast.to_be_bytes());
    let global = v6(end.v6, prefixes.1, libc::RT_SCOPE_UNIVERSE).number(libc::IFA_FLAGS, NO_PREFIX_ROUTE);
    let up = ("bring the wire's end up", Message::new(SET_LINK, CHANGE, &link_head(index, UP)));
    let v4 = ("give the wire's end its IPv4 address", v4);
    if !has_ipv6() {
        return vec![up, v4];
    }
    vec![
        ("let the wire's end make no address", none),
        up,
        v4,
        ("give the wire's end its IPv6 address", global),
        ("give the wire's end its link-local address", v6(end.link_local(), 64, libc::RT_SCOPE_LINK)),
    ]
}

/// A neighbour that need not be asked for: `struct ndmsg` (linux/neighbour.h), address, hardware address.
fn known(index: u32, address: IpAddr, mac: [u8; 6], state: u16) -> (&'static str, Message) {
    let mut head = [0; 12];
    head[0] = family(address);
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    head[8..10].copy_from_slice(&state.to_ne_bytes());
    let message = Message::new(NEW_NEIGHBOUR, NEW, &head);
    ("make the ends known to each other", message.put(1, &octets(address)).put(2, &mac))
}

const UP: u32 = libc::IFF_UP as u32;

/// `struct ifinfomsg`: sets `flags`.
fn link_head(index: u32, flags: u32) -> [u8; 16] {
    let mut head = [0; 16];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    head[8..12].copy_from_slice(&flags.to_ne_bytes());
    head[12..].copy_from_slice(&flags.to_ne_bytes());
    head
}

/// `struct ifaddrmsg`.
fn address_head(family: u8, prefix: u8, scope: u8, index: u32) -> [u8; 8] {
    let mut head = [family, prefix, libc::IFA_F_PERMANENT as u8 | libc::IFA_F_NODAD as u8, scope, 0, 0, 0, 0];
    head[4..].copy_from_slice(&index.to_ne_bytes());
    head
}

/// `struct rtmsg` for the table of local addresses.
fn route_head(family: u8, prefix: u8, scope: u8, kind: u8) -> [u8; 12] {
    let table = libc::RT_TABLE_LOCAL;
    [family, prefix, 0, 0, table, libc::RTPROT_STATIC, scope, kind, 0, 0, 0, 0]
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { INET } else { INET6 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
