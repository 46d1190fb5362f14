//! The packet filter of the world: whatever comes, to any port, goes to the two sockets that listen
//! (nf_tables, linux/netfilter/nf_tables.h).

use super::message::{APPEND, Message, NEW};
use super::{Netlink, NetlinkError};

const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// `NFNL_SUBSYS_NFTABLES`, and the messages of it.
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;

/// `NFPROTO_INET`: IPv4 and IPv6.
const INET: u8 = 1;
const PRE_ROUTING: u32 = 0;
/// Where packets are mangled (`NF_IP_PRI_MANGLE`): after defragmentation.
const MANGLE: i32 = -150;
const ACCEPT: u32 = 1;
const REGISTER: u32 = 1;

const NAME: &str = "t";

/// Leads every TCP connection and every UDP datagram that comes in to the socket on `port`, except to the
/// ports between those `refused` (first and last): nobody listens there, and the kernel says so. Other
/// protocols pass: the expression leaves them alone (net/netfilter/nft_tproxy.c).
pub fn take_everything(port: u16, refused: &[(u16, u16)]) -> Result<(), NetlinkError> {
    let open = Netlink::filter().map_err(|source| NetlinkError { what: "open netlink", source })?;
    let mut wishes = vec![
        ("begin the filter", batch(BATCH_BEGIN)),
        ("make the filter's table", Message::new(NEW_TABLE, NEW, &head(INET, 0)).text(1, NAME)),
        ("make the filter's chain", chain()),
    ];
    wishes.extend(refused.iter().map(|range| ("leave a port alone", pass(*range))));
    wishes.push(("make the filter's rule", rule(port)));
    wishes.push(("end the filter", batch(BATCH_END)));
    open.ask(wishes)
}

fn batch(kind: u16) -> Message {
    Message::unanswered(kind, &head(0, NFTABLES))
}

/// `struct nfgenmsg`: family, version, and whom it is for.
fn head(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn chain() -> Message {
    Message::new(NEW_CHAIN, NEW, &head(INET, 0))
        .text(1, NAME)
        .text(3, NAME)
        .nest(4, |hook| hook.network(1, PRE_ROUTING).network(2, MANGLE as u32))
        .network(5, ACCEPT)
        .text(7, "filter")
}

/// What goes to these ports is done with here. Both transports have the port at the same place; what has
/// none passes anyway.
fn pass((first, last): (u16, u16)) -> Message {
    const TRANSPORT: u32 = 2;
    const PORT: (u32, u32) = (2, 2);
    const GREATER_OR_EQUAL: u32 = 5;
    const LESS_OR_EQUAL: u32 = 3;
    let load =
        |data: Message| data.network(1, REGISTER).network(2, TRANSPORT).network(3, PORT.0).network(4, PORT.1);
    let compare = |how: u32, port: u16| {
        move |data: Message| {
            let data = data.network(1, REGISTER).network(2, how);
            data.nest(3, |value| value.put(1, &port.to_be_bytes()))
        }
    };
    // Register 0 is the verdict.
    let accept = |data: Message| {
        data.network(1, 0).nest(2, |value| value.nest(2, |verdict| verdict.network(1, ACCEPT)))
    };
    let expressions = |list: Message| {
        list.nest(1, |item| item.text(1, "payload").nest(2, load))
            .nest(1, |item| item.text(1, "cmp").nest(2, compare(GREATER_OR_EQUAL, first)))
            .nest(1, |item| item.text(1, "cmp").nest(2, compare(LESS_OR_EQUAL, last)))
            .nest(1, |item| item.text(1, "immediate").nest(2, accept))
    };
    Message::new(NEW_RULE, APPEND, &head(INET, 0)).text(1, NAME).text(2, NAME).nest(4, expressions)
}

fn rule(port: u16) -> Message {
    let expressions = |list: Message| {
        let port =
            |data: Message| data.network(1, REGISTER).nest(2, |value| value.put(1, &port.to_be_bytes()));
        // Family 0: whichever the packet is of.
        let proxy = |data: Message| data.network(1, 0).network(3, REGISTER);
        list.nest(1, |item| item.text(1, "immediate").nest(2, port))
            .nest(1, |item| item.text(1, "tproxy").nest(2, proxy))
    };
    Message::new(NEW_RULE, APPEND, &head(INET, 0)).text(1, NAME).text(2, NAME).nest(4, expressions)
}
