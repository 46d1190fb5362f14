//! The kernel's network configuration, spoken directly: interfaces, addresses, routes and the packet
//! filter, without a program started.
//!
//! ```text
//! the world's namespace                               the sandbox's
//!   lo     every address there is (local 0.0.0.0/0, ::/0)
//!   filter every TCP and UDP port → two sockets          eth0  172.17.0.2/16, a ULA, default routes
//!   eth0   172.17.0.1 ───────────── veth ───────────────  │
//! ```
//!
//! Every address is the world's own (`local` routes in the table that the kernel asks first), so that the
//! kernel itself answers ARP and ICMP echo for all of them, and the filter needs no marks. Both ends of
//! the wire are made in their namespaces at once: nothing of it is ever on the host.
//!
//! One encoder serves both protocols (netlink(7)); a crate for rtnetlink would not know nf_tables, and be
//! larger than both.

mod filter;
mod link;
mod message;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

pub use filter::take_everything;
pub use link::{End, Ends, every_address, wire};
use message::Message;

/// What an answer can be at most: the request comes back with an error.
const ANSWER_MAX: usize = 64 << 10;

/// A conversation with the kernel about the caller's network namespace, or the one it was opened in.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

/// What was asked for, and what the kernel said.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct NetlinkError {
    pub what: &'static str,
    pub source: io::Error,
}

/// Whether this kernel speaks IPv6; it does not where it was told `ipv6.disable=1`. Then neither the world nor
/// the image has any.
pub fn has_ipv6() -> bool {
    socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).is_ok()
}

impl Netlink {
    /// For interfaces, addresses and routes.
    pub fn route() -> io::Result<Netlink> {
        Netlink::open(SockProtocol::NetlinkRoute)
    }

    /// For the packet filter.
    pub fn filter() -> io::Result<Netlink> {
        Netlink::open(SockProtocol::NetlinkNetFilter)
    }

    fn open(protocol: SockProtocol) -> io::Result<Netlink> {
        let flags = SockFlag::SOCK_CLOEXEC;
        Ok(Netlink(socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?))
    }

    /// Has the kernel carry out all of it, in order; the first that it refuses is the error.
    pub fn ask(&self, wishes: Vec<(&'static str, Message)>) -> Result<(), NetlinkError> {
        let names: Vec<_> = wishes.iter().map(|(what, _)| *what).collect();
        let failed = |what| move |errno: nix::errno::Errno| NetlinkError { what, source: errno.into() };
        let mut bytes = Vec::new();
        let mut answers = 0;
        for (number, (_, message)) in wishes.into_iter().enumerate() {
            answers += usize::from(message.is_answered());
            bytes.extend(message.finish(number as u32));
        }
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty()).map_err(failed("speak netlink"))?;
        let mut buffer = vec![0; ANSWER_MAX];
        while answers > 0 {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty());
            for (number, error) in message::answers(&buffer[..length.map_err(failed("hear netlink"))?]) {
                let what = names.get(number as usize).copied().unwrap_or("understand netlink");
                if error != 0 {
                    return Err(NetlinkError { what, source: io::Error::from_raw_os_error(error) });
                }
                answers = answers.saturating_sub(1);
            }
        }
        Ok(())
    }
}
