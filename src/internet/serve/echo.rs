//! Echo packets (ping): the kernel answers them, we overhear them. What they carry is told as a flow of its own
//! kind, one for each far end, since every run of `ping` has a number of its own.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use tokio::io::unix::AsyncFd;

use super::super::socket::EchoListener;
use super::super::testimony::{Flow, Said, Transport};
use super::udp::Datagrams;
use super::{Servers, breathe};
use crate::sys::ready;

/// As testimonies call it.
pub const SERVICE: &str = "icmp";
/// The longest packet (RFC 791).
const PACKET_MAX: usize = 65_535;
/// Where `ping` puts the time, and the longest pattern with which it fills the rest (ping(8), `-p`).
const TIME: usize = 16;
const PATTERN_MAX: usize = 16;

/// Overhears for ever.
pub async fn receive(servers: Rc<Servers>, datagrams: Rc<RefCell<Datagrams>>, listener: Rc<EchoListener>) {
    let ready = readiness(&listener).expect("a socket of our own");
    let mut buffer = vec![0; PACKET_MAX];
    while let Ok(mut guard) = ready.readable().await {
        match guard.try_io(|_| listener.recv(&mut buffer)) {
            Ok(Ok(Some((bytes, client, server)))) => hear(&servers, &datagrams, client, server, bytes).await,
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(_)) => breathe().await,
        }
    }
}

/// Takes those that wait, and no more.
pub async fn drain(servers: &Servers, datagrams: &RefCell<Datagrams>, listener: &EchoListener) {
    let mut buffer = vec![0; PACKET_MAX];
    while let Ok(packet) = listener.recv(&mut buffer) {
        if let Some((bytes, client, server)) = packet {
            hear(servers, datagrams, client, server, bytes).await;
        }
    }
}

/// Another descriptor of the same socket, that tells when there is something to receive.
fn readiness(listener: &EchoListener) -> io::Result<AsyncFd<OwnedFd>> {
    ready::readable(listener.as_fd())
}

/// What `ping` was told to fill a packet with, once; `None`: it is not filled with something again and again,
/// or with one byte.
pub fn filling(bytes: &[u8]) -> Option<&[u8]> {
    let filled = bytes.get(TIME..)?;
    let again =
        |length: &usize| filled.len() > *length && filled[*length..] == filled[..filled.len() - length];
    let length = (1..=PATTERN_MAX).find(again).filter(|length| *length > 1)?;
    Some(&filled[..length])
}

async fn hear(
    servers: &Servers,
    datagrams: &RefCell<Datagrams>,
    client: SocketAddr,
    server: SocketAddr,
    bytes: &[u8],
) {
    let flow = Flow { transport: Transport::Icmp, client, server };
    let told = datagrams.borrow_mut().make_room(flow);
    let sightings = datagrams.borrow_mut().overhear(servers, flow, bytes);
    for (flow, stream) in told {
        servers.say(flow, Said::Stream(stream)).await;
    }
    servers.saw(flow, sightings, SERVICE, None).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_is_what_comes_again_and_again_after_the_time() {
        let check = |filled: &[u8], expected: Option<&[u8]>| {
            let packet = [&[7; TIME], filled].concat();
            assert_eq!(filling(&packet), expected, "{filled:?}");
        };
        check(b"secretsecretsecr", Some(b"secret"));
        check(b"0123456789abcdef0123456789abcdef01234567", Some(b"0123456789abcdef"));
        // As ping does untold.
        check(&(0x10..0x38).collect::<Vec<u8>>(), None);
        check(&[0; 40], None);
        check(b"", None);
        assert_eq!(filling(b"short"), None);
    }
}
