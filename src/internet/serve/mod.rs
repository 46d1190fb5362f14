//! The servers: they take every connection and every datagram, find out what is spoken, and answer.
//!
//! One thread, no file, no program. The sandbox decides what comes and how much of it, so that every
//! connection has its place in [`room`], everything kept is leased there, and whoever has something to
//! tell waits until the runner can take it: a flood slows itself down.
//!
//! Not here: what is answered ([`super::service`], [`super::dns`]), and which sockets there are
//! ([`super::socket`]).

mod connection;
mod dialogue;
mod doh;
mod echo;
mod exchange;
mod http;
pub mod pipe;
pub mod recognise;
pub mod room;
mod socks;
#[cfg(test)]
mod tests;
mod udp;
mod websocket;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, interval, sleep, timeout};

use super::address::AddressBook;
use super::dns;
use super::socket::{EchoListener, Listeners, UdpListener};
use super::tell::Tell;
use super::testimony::{Bait, Carrier, Flow, Said};
use super::tls::{Terms, authority::Authority};
use super::world::World;
use crate::bait::{Scanner, Sighting};
use room::Room;
use udp::Datagrams;

/// How long connections may take to say their last when the run ends.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// For packets on their way. The ends of the wire know each other from the start
/// ([`super::netlink::Ends::inside`]): none waits for its neighbour but who goes to another of its own network.
const ON_THE_WIRE: Duration = Duration::from_millis(2);
/// The shortest time that the runtime waits.
const MOMENT: Duration = Duration::from_millis(1);
/// How often what is overdue is looked for, and what UDP flows sent is told.
const TICK: Duration = Duration::from_secs(1);

/// What all servers share.
pub(crate) struct Servers {
    pub world: Rc<World>,
    pub terms: Terms,
    pub scanner: &'static Scanner,
    pub room: Rc<Room>,
    book: RefCell<AddressBook>,
    tell: Tell,
    born: Instant,
}

/// Serves for ever, on a thread whose tokio runtime has I/O and time.
pub async fn serve(listeners: Listeners, world: Rc<World>, authority: Authority, tell: Tell) {
    serve_until(listeners, world, Terms::new(authority), tell, std::future::pending()).await;
}

/// Serves until `stop` is ready; then every open connection and flow is ended and told.
pub async fn serve_until(
    listeners: Listeners,
    world: Rc<World>,
    terms: Terms,
    tell: Tell,
    stop: impl Future<Output = ()>,
) {
    let servers = Servers::new(world, terms, tell, Room::new());
    LocalSet::new().run_until(servers.run(listeners, stop)).await;
}

/// The servers without sockets: for who has a stream or a datagram of his own, as tests and fuzzers.
pub struct Rehearsal {
    servers: Rc<Servers>,
    datagrams: RefCell<Datagrams>,
}

impl Rehearsal {
    /// Serves this world, and tells `tell` what is said.
    pub fn new(world: Rc<World>, authority: Authority, tell: Tell) -> Rehearsal {
        let servers = Servers::new(world, Terms::new(authority), tell, Room::new());
        Rehearsal { servers, datagrams: RefCell::new(Datagrams::new()) }
    }

    /// Serves a stream to its end. Within a [`LocalSet`].
    pub async fn stream(&self, flow: Flow, stream: impl pipe::Wire + 'static) {
        connection::serve(&self.servers, flow, stream).await;
    }

    /// Takes in a datagram; gives the answer.
    pub async fn datagram(&self, client: SocketAddr, server: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        udp::hear(&self.servers, &self.datagrams, client, server, bytes).await
    }

    /// Tells what datagrams have come since the last time.
    pub async fn flush(&self) {
        udp::flush(&self.servers, &self.datagrams).await;
    }
}

impl Servers {
    pub fn new(world: Rc<World>, terms: Terms, tell: Tell, room: Rc<Room>) -> Rc<Servers> {
        // There is one for the life of the process, and every stream is looked through with it.
        let scanner = Scanner::new(&world.baits).with_machine(&world.hostname);
        let scanner: &'static Scanner = Box::leak(Box::new(scanner));
        Rc::new(Servers { world, terms, scanner, room, book: RefCell::default(), tell, born: Instant::now() })
    }

    async fn run(self: Rc<Servers>, listeners: Listeners, stop: impl Future<Output = ()>) {
        let datagrams = Rc::new(RefCell::new(Datagrams::new()));
        let udp: Vec<Rc<UdpListener>> = listeners.udp.into_iter().map(Rc::new).collect();
        let mut tasks = Vec::new();
        for listener in &listeners.tcp {
            let listener = quiet(listener).expect("a listening socket of our own");
            tasks.push(spawn_local(connection::accept(Rc::clone(&self), listener)));
        }
        for listener in &udp {
            let listener = Rc::clone(listener);
            tasks.push(spawn_local(udp::receive(Rc::clone(&self), Rc::clone(&datagrams), listener)));
        }
        let echo: Vec<Rc<EchoListener>> = listeners.echo.into_iter().map(Rc::new).collect();
        for listener in &echo {
            let listener = Rc::clone(listener);
            tasks.push(spawn_local(echo::receive(Rc::clone(&self), Rc::clone(&datagrams), listener)));
        }
        tasks.push(spawn_local(Rc::clone(&self).tick(Rc::clone(&datagrams))));
        stop.await;
        sleep(ON_THE_WIRE).await;
        tasks.iter().for_each(|task| task.abort());
        let _ = timeout(LAST_WORDS, self.finish(&listeners.tcp, &udp, &datagrams)).await;
        for listener in &echo {
            echo::drain(&self, &datagrams, listener).await;
        }
        udp::flush(&self, &datagrams).await;
    }

    /// Hears out what was sent before the end.
    async fn finish(
        self: &Rc<Servers>,
        tcp: &[TcpListener],
        udp: &[Rc<UdpListener>],
        datagrams: &RefCell<Datagrams>,
    ) {
        for listener in udp {
            udp::drain(self, datagrams, listener).await;
        }
        for listener in tcp {
            connection::drain(self, listener).await;
        }
        // What has come is known to the runtime only once it has waited for it.
        sleep(MOMENT).await;
        self.room.end_all();
        self.room.empty().await;
    }

    async fn tick(self: Rc<Servers>, datagrams: Rc<RefCell<Datagrams>>) {
        let mut ticks = interval(TICK);
        loop {
            ticks.tick().await;
            self.room.end_overdue();
            udp::flush(&self, &datagrams).await;
        }
    }

    pub async fn say(&self, flow: Flow, said: Said) {
        self.tell.say(Some(flow), said).await;
    }

    /// Tells of secrets that were seen. `used_at`: the service that they are credentials of.
    pub async fn saw(&self, flow: Flow, sightings: Vec<Sighting>, place: &str, used_at: Option<&str>) {
        for Sighting { name, field, encoding } in sightings {
            let used_at = used_at.map(str::to_owned);
            self.say(flow, Said::Bait(Bait { name, field, encoding, place: place.into(), used_at })).await;
        }
    }

    /// Answers a DNS message, and tells of it and of what its name carried off.
    pub async fn resolve(&self, flow: Flow, message: &[u8], carrier: Carrier) -> Vec<u8> {
        let reply = dns::reply(&self.world, &mut self.book.borrow_mut(), message, carrier);
        let sightings = self.scanner.name(&reply.spelt);
        self.say(flow, Said::Dns(reply.said)).await;
        self.saw(flow, sightings, "dns", None).await;
        reply.bytes
    }
}

/// Another descriptor of the same socket; both do not block.
fn quiet(listener: &TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    listener.try_clone()
}

/// Waits a little where the system has no more of something.
async fn breathe() {
    sleep(Duration::from_millis(10)).await;
}
