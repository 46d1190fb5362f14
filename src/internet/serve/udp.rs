//! Datagrams: every one is accepted and kept; some are answered ([`super::super::service::datagram`]).
//!
//! What a flow sends is folded: its first bytes, and counts, told each second in which it sent something.
//! Well-formed DNS is told question by question instead.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use tokio::io::Interest;

use super::super::dns;
use super::super::service::{self, Datagram, Now};
use super::super::socket::UdpListener;
use super::super::testimony::{BODY_MAX, Carrier, Command, Flow, Loss, Said, Stream, TEXT_MAX, Transport};
use super::room::Lease;
use super::{Servers, breathe};
use crate::bait::{Scan, Sighting};

/// The longest datagram (RFC 768).
const DATAGRAM_MAX: usize = 65_535;
/// Flows that are remembered at one time.
pub const FLOWS_MAX: usize = 2048;
/// What may be the same at the begin of all datagrams of a flow, and how much of a flow is looked through for it.
const HEADER_MAX: usize = 64;
const VARYING_MAX: u64 = 64 << 10;
/// A flow that sends nothing for so many ticks is forgotten.
const SILENT_TICKS: u32 = 60;
/// Unicast, multicast (RFC 6762) and link-local (RFC 4795) name resolution.
const DNS_PORTS: [u16; 3] = [53, 5353, 5355];

/// The flows so far.
#[derive(Default)]
pub struct Datagrams {
    flows: HashMap<Flow, Sent>,
}

struct Sent {
    first: Vec<u8>,
    lease: Lease,
    sent: u64,
    received: u64,
    datagrams: u64,
    scan: Scan<'static>,
    /// Of what echo packets are filled with again and again, once.
    fillings: Option<Scan<'static>>,
    /// The begin of the datagram before, and what differs from it.
    last: Vec<u8>,
    varying: Option<Scan<'static>>,
    /// Secrets that were told, by bait and field.
    seen: HashSet<(String, String)>,
    service: &'static str,
    changed: bool,
    silent: u32,
}

impl Datagrams {
    pub fn new() -> Datagrams {
        Datagrams::default()
    }

    /// As [`Datagrams::hear`], of an echo packet; the kernel has answered it with the same bytes.
    pub fn overhear(&mut self, servers: &Servers, flow: Flow, bytes: &[u8]) -> Vec<Sighting> {
        let mut sightings = self.hear(servers, flow, bytes, super::echo::SERVICE);
        if let (Some(sent), Some(filling)) = (self.flows.get_mut(&flow), super::echo::filling(bytes)) {
            let fillings = sent.fillings.get_or_insert_with(|| servers.scanner.scan());
            let mut filled = fillings.feed(filling);
            filled.retain(|seen| sent.seen.insert((seen.name.clone(), seen.field.clone())));
            sightings.extend(filled);
        }
        self.answered(flow, bytes.len());
        sightings
    }

    /// Where all places are taken: what is still to be told of the flows, which are forgotten.
    pub fn make_room(&mut self, flow: Flow) -> Vec<(Flow, Stream)> {
        if self.flows.len() < FLOWS_MAX || self.flows.contains_key(&flow) {
            return Vec::new();
        }
        let told = self.changed();
        self.flows.clear();
        told
    }

    /// Takes in a datagram; gives the secrets in it.
    fn hear(&mut self, servers: &Servers, flow: Flow, bytes: &[u8], service: &'static str) -> Vec<Sighting> {
        let sent = self.flows.entry(flow).or_insert_with(|| Sent::new(servers, service));
        let room = sent.lease.bytes().saturating_sub(sent.first.len());
        sent.first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        sent.sent += bytes.len() as u64;
        sent.datagrams += 1;
        sent.changed = true;
        sent.silent = 0;
        let mut sightings = sent.scan.feed(bytes);
        sightings.extend(sent.varying(servers, bytes));
        sightings.retain(|seen| sent.seen.insert((seen.name.clone(), seen.field.clone())));
        sightings
    }

    fn answered(&mut self, flow: Flow, bytes: usize) {
        if let Some(sent) = self.flows.get_mut(&flow) {
            sent.received += bytes as u64;
        }
    }

    /// What is to be told since the last time; forgets who has gone.
    fn changed(&mut self) -> Vec<(Flow, Stream)> {
        let mut told = Vec::new();
        for (flow, sent) in &mut self.flows {
            sent.silent += 1;
            if std::mem::take(&mut sent.changed) {
                told.push((*flow, sent.told()));
            }
        }
        self.flows.retain(|_, sent| sent.silent < SILENT_TICKS);
        told
    }
}

impl Sent {
    fn new(servers: &Servers, service: &'static str) -> Sent {
        Sent {
            first: Vec::new(),
            lease: servers.room.lease(BODY_MAX / 16),
            sent: 0,
            received: 0,
            datagrams: 0,
            scan: servers.scanner.scan(),
            fillings: None,
            last: Vec::new(),
            varying: None,
            seen: HashSet::new(),
            service,
            changed: true,
            silent: 0,
        }
    }

    /// Looks through what differs from the datagram before: a header of a protocol would else stand between the
    /// pieces of a secret.
    fn varying(&mut self, servers: &Servers, bytes: &[u8]) -> Vec<Sighting> {
        if self.sent > VARYING_MAX {
            return Vec::new();
        }
        let same = self.last.iter().zip(bytes).take_while(|(before, byte)| before == byte).count();
        self.last = bytes[..bytes.len().min(HEADER_MAX)].to_vec();
        match (same, &mut self.varying) {
            (0, None) => Vec::new(),
            (_, varying) => varying.get_or_insert_with(|| servers.scanner.scan()).feed(&bytes[same..]),
        }
    }

    fn told(&self) -> Stream {
        Stream {
            service: self.service.into(),
            first: self.first.clone(),
            sent: self.sent,
            received: self.received,
            datagrams: self.datagrams,
        }
    }
}

/// Takes datagrams for ever.
pub async fn receive(servers: Rc<Servers>, datagrams: Rc<RefCell<Datagrams>>, listener: Rc<UdpListener>) {
    let ready = readiness(&listener).expect("a socket of our own");
    let mut dropped = 0;
    let mut buffer = vec![0; DATAGRAM_MAX];
    while ready.readable().await.is_ok() {
        match ready.try_io(Interest::READABLE, || listener.recv(&mut buffer)) {
            Ok((length, client, server)) => {
                answer(&servers, &datagrams, &listener, (client, server), &buffer[..length]).await;
            }
            Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::InvalidData].contains(&error.kind()) => {
            }
            Err(_) => breathe().await,
        }
        dropped = tell_dropped(&servers, &listener, dropped).await;
    }
}

/// Takes those that wait, and no more.
pub async fn drain(servers: &Servers, datagrams: &RefCell<Datagrams>, listener: &UdpListener) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    while let Ok((length, client, server)) = listener.recv(&mut buffer) {
        answer(servers, datagrams, listener, (client, server), &buffer[..length]).await;
    }
}

async fn answer(
    servers: &Servers,
    datagrams: &RefCell<Datagrams>,
    listener: &UdpListener,
    (client, server): (SocketAddr, SocketAddr),
    bytes: &[u8],
) {
    if let Some(answer) = hear(servers, datagrams, client, server, bytes).await {
        // A datagram that finds no room on its way is lost, as on any network.
        let _ = listener.send_from(server, client, &answer);
    }
}

async fn tell_dropped(servers: &Servers, listener: &UdpListener, before: u64) -> u64 {
    let now = listener.dropped();
    if now > before {
        servers.tell.say(None, Said::Lost { what: Loss::Datagrams, count: now - before }).await;
    }
    now
}

/// Another descriptor of the same socket, that tells when there is something to receive.
fn readiness(listener: &UdpListener) -> io::Result<tokio::net::UdpSocket> {
    let socket = std::net::UdpSocket::from(listener.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket)
}

/// Takes in one datagram; gives the answer.
pub async fn hear(
    servers: &Servers,
    datagrams: &RefCell<Datagrams>,
    client: SocketAddr,
    server: SocketAddr,
    bytes: &[u8],
) -> Option<Vec<u8>> {
    let flow = Flow { transport: Transport::Udp, client, server };
    let is_dns = DNS_PORTS.contains(&server.port());
    if is_dns && dns::is_question(bytes) {
        let answer = servers.resolve(flow, bytes, Carrier::Udp).await;
        return (!answer.is_empty()).then_some(answer);
    }
    let Datagram { service, answer, command } = match is_dns {
        true => {
            let answer = servers.resolve(flow, bytes, Carrier::Udp).await;
            Datagram { service: "raw", answer, command: None }
        }
        false => service::datagram(server.port(), client, bytes, now(servers)),
    };
    if let Some((verb, text)) = command {
        let (verb, size) = (verb.to_vec(), bytes.len() as u64);
        let text = text[..text.len().min(TEXT_MAX)].to_vec();
        servers.say(flow, Said::Command(Command { service: service.into(), verb, text, size })).await;
    }
    let told = datagrams.borrow_mut().make_room(flow);
    let sightings = datagrams.borrow_mut().hear(servers, flow, bytes, service);
    datagrams.borrow_mut().answered(flow, answer.len());
    for (flow, stream) in told {
        servers.say(flow, Said::Stream(stream)).await;
    }
    servers.saw(flow, sightings, service, None).await;
    (!answer.is_empty()).then_some(answer)
}

/// Tells what flows sent since the last time.
pub async fn flush(servers: &Servers, datagrams: &RefCell<Datagrams>) {
    let told = datagrams.borrow_mut().changed();
    for (flow, stream) in told {
        servers.say(flow, Said::Stream(stream)).await;
    }
}

/// Seconds since 1970 in the world, with the part of a second in 32 bits.
fn now(servers: &Servers) -> Now {
    let since = servers.born.elapsed();
    let part = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (servers.world.now + since.as_secs(), part as u32)
}
