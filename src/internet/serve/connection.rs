//! A TCP connection, from its first byte to what is told of its end: layer after layer is recognised and
//! taken off, as a tunnel in a proxy's connection with TLS in it and HTTP in that.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::super::service;
use super::super::testimony::{BODY_MAX, Carrier, Flow, Handshake, Said, Stream, Transport};
use super::super::tls::hello::{self, ClientHello, Reading};
use super::super::tls::{bare, outcome, told};
use super::dialogue::{self, Turned};
use super::pipe::{Ahead, Ear, Heard, Meter, Pipe, Pulse, Wire};
use super::recognise::{First, Guess, first};
use super::{Servers, breathe, http, socks};
use crate::bait::Sighting;

/// Layers of one connection; a tunnel in a tunnel in a tunnel is a flood.
const LAYERS_MAX: usize = 8;
/// How long a client may say nothing before the server does.
const PATIENCE: Duration = Duration::from_millis(300);
/// The same before one that waits for orders is given one.
const LONG_PATIENCE: Duration = Duration::from_secs(2);
const HTTP: u16 = 80;
/// The same on ports where the server always begins.
const SHORT_PATIENCE: Duration = Duration::from_millis(20);
const SERVER_BEGINS: [u16; 17] =
    [21, 22, 23, 25, 110, 119, 143, 465, 587, 873, 993, 995, 2525, 2628, 3306, 3690, 5900];
/// Where TLS comes before everything else. A client may be held for long between its connect and its hello:
/// nobody speaks before it here.
const TLS_FIRST: [u16; 7] = [443, 465, 636, 853, 990, 993, 995];
/// For a whole handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(20);
const DNS_PORTS: [u16; 2] = [53, 853];

/// Takes connections for ever.
pub async fn accept(servers: Rc<Servers>, listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).expect("a listening socket of our own");
    loop {
        match listener.accept().await {
            Ok((socket, client)) => take(&servers, socket, client).await,
            // Out of descriptors, or a connection that ended while it waited (accept(2)).
            Err(_) => {
                servers.room.end_idlest();
                breathe().await;
            }
        }
    }
}

/// Takes those that wait, and no more.
pub async fn drain(servers: &Rc<Servers>, listener: &std::net::TcpListener) {
    while let Ok((socket, client)) = listener.accept() {
        let socket = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket));
        if let Ok(socket) = socket {
            take(servers, socket, client).await;
        }
    }
}

async fn take(servers: &Rc<Servers>, socket: TcpStream, client: SocketAddr) {
    let Ok(server) = socket.local_addr() else { return };
    let flow = Flow { transport: Transport::Tcp, client: plain(client), server: plain(server) };
    let pulse = Pulse::new();
    let place = servers.room.enter(Rc::clone(&pulse)).await;
    let _ = socket.set_nodelay(true);
    let servers = Rc::clone(servers);
    spawn_local(async move {
        whole(&servers, flow, Meter { inner: socket, pulse }).await;
        drop(place);
    });
}

/// Serves a stream of any kind to its end.
pub async fn serve(servers: &Rc<Servers>, flow: Flow, stream: impl Wire + 'static) {
    whole(servers, flow, Meter { inner: stream, pulse: Pulse::new() }).await;
}

async fn whole(servers: &Rc<Servers>, flow: Flow, meter: Meter<impl Wire + 'static>) {
    let connection = Connection::new(Rc::clone(servers), flow, Rc::clone(&meter.pulse));
    // An error is the client's way of ending it.
    let _ = connection.converse(Box::new(meter)).await;
    connection.end().await;
}

/// An IPv4 address in IPv6 clothes is an IPv4 address.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What is known of a connection while it lasts.
pub struct Connection {
    pub servers: Rc<Servers>,
    pub flow: Flow,
    pulse: Rc<Pulse>,
    service: RefCell<String>,
    /// The innermost layer that was listened to.
    heard: RefCell<Option<Rc<RefCell<Heard>>>>,
    /// Secrets that were told of: name and field.
    known: RefCell<HashSet<(String, String)>>,
    pub secure: Cell<bool>,
}

/// What is inside a layer.
pub enum Inside {
    /// Nothing more: the connection is over.
    End,
    /// Another layer, for this port.
    Pipe(Pipe, u16),
}

impl Connection {
    pub fn new(servers: Rc<Servers>, flow: Flow, pulse: Rc<Pulse>) -> Rc<Connection> {
        Rc::new(Connection {
            servers,
            flow,
            pulse,
            service: RefCell::new("raw".into()),
            heard: RefCell::default(),
            known: RefCell::default(),
            secure: Cell::default(),
        })
    }

    /// Talks until one side ends it.
    pub async fn converse(self: &Rc<Self>, pipe: Pipe) -> io::Result<()> {
        let mut layer = Layer { pipe, port: self.flow.server.port(), hello: None };
        for _ in 0..LAYERS_MAX {
            match self.layer(layer).await? {
                Some(inner) => layer = inner,
                None => break,
            }
        }
        Ok(())
    }

    /// How long a client may say nothing; `None`: for ever.
    fn patience(&self, port: u16) -> Option<Duration> {
        match self.secure.get() {
            false if TLS_FIRST.contains(&port) => None,
            _ if SERVER_BEGINS.contains(&port) => Some(SHORT_PATIENCE),
            _ => Some(PATIENCE),
        }
    }

    /// The same where nobody begins by himself: as long as it takes a client that was only held up.
    fn long_patience(&self, port: u16) -> Option<Duration> {
        let client_begins = !self.secure.get() && (port == HTTP || TLS_FIRST.contains(&port));
        (!client_begins).then_some(LONG_PATIENCE)
    }

    /// Serves one layer; gives the next.
    async fn layer(self: &Rc<Self>, mut layer: Layer) -> io::Result<Option<Layer>> {
        let begins = first(&mut layer.pipe, self.patience(layer.port)).await;
        if let Some(hello) = &layer.hello {
            // A client may find out only after the handshake that it does not like our certificate.
            let refused = begins.as_ref().err().map(outcome).filter(|it| *it != Handshake::Broken);
            self.say(Said::Tls(told(hello, refused.unwrap_or(Handshake::Done)))).await;
        }
        let mut begins = begins?;
        let mut speaker = None;
        if begins.guess == Guess::Open && !begins.ended {
            let mut dialogue = service::dialogue(&self.servers.world, layer.port, &[]);
            match dialogue.greet() {
                // Nobody begins here: whoever comes first will tell what it is.
                greeting if greeting.is_empty() => {
                    begins = first(&mut layer.pipe, self.long_patience(layer.port)).await?;
                    // One that waits for orders is given one.
                    if begins.guess == Guess::Open && !begins.ended {
                        speaker = Some((dialogue, greeting));
                    }
                }
                greeting => speaker = Some((dialogue, greeting)),
            }
        }
        if let Some((dialogue, greeting)) = speaker {
            return self.talk(layer, begins.bytes, dialogue, greeting).await;
        }
        self.dispatch(layer, begins).await
    }

    async fn dispatch(self: &Rc<Self>, layer: Layer, begins: First) -> io::Result<Option<Layer>> {
        let Layer { pipe, port, hello } = layer;
        let First { bytes, guess, .. } = begins;
        match guess {
            Guess::Tls => self.handshake(bytes, pipe, port).await,
            Guess::Http1 => Ok(http::one(self, self.ear(bytes, pipe).await).await.into_layer()),
            Guess::Http2 => {
                http::two(self, self.ear(bytes, pipe).await).await;
                Ok(None)
            }
            Guess::Socks => Ok(socks::serve(self, bytes, pipe).await?.into_layer()),
            _ if bytes.is_empty() => Ok(None),
            _ if is_dns(port, hello.as_deref()) => {
                let carrier = if self.secure.get() { Carrier::Tls } else { Carrier::Tcp };
                self.resolve(self.ear(bytes, pipe).await, carrier).await?;
                Ok(None)
            }
            _ => {
                let mut dialogue = service::dialogue(&self.servers.world, port, &bytes);
                let greeting = dialogue.greet();
                self.talk(Layer { pipe, port, hello: None }, bytes, dialogue, greeting).await
            }
        }
    }

    async fn talk(
        self: &Rc<Self>,
        layer: Layer,
        bytes: Vec<u8>,
        mut dialogue: Box<dyn service::Dialogue>,
        greeting: Vec<u8>,
    ) -> io::Result<Option<Layer>> {
        let mut ear = self.ear(bytes, layer.pipe).await;
        ear.write_all(&greeting).await?;
        if dialogue.ends_with_greeting() {
            ear.shutdown().await?;
        }
        loop {
            let inner: Pipe = match dialogue::drive(self, ear, &mut *dialogue).await? {
                Turned::End => return Ok(None),
                // The same conversation goes on inside.
                Turned::StartTls(inner) => match self.start_tls(inner).await? {
                    Some(inner) => inner,
                    None => return Ok(None),
                },
            };
            ear = self.ear(Vec::new(), inner).await;
        }
    }

    async fn start_tls(self: &Rc<Self>, mut inner: Pipe) -> io::Result<Option<Pipe>> {
        let begins = first(&mut inner, None).await?;
        if begins.guess != Guess::Tls {
            return Ok(None);
        }
        let layer = self.handshake(begins.bytes, inner, self.flow.server.port()).await?;
        let Some(layer) = layer else { return Ok(None) };
        if let Some(hello) = &layer.hello {
            self.say(Said::Tls(told(hello, Handshake::Done))).await;
        }
        Ok(Some(layer.pipe))
    }

    /// Takes TLS off. What goes wrong is told; what went well is told with the first word inside.
    async fn handshake(
        self: &Rc<Self>,
        bytes: Vec<u8>,
        mut pipe: Pipe,
        port: u16,
    ) -> io::Result<Option<Layer>> {
        self.named("tls");
        let mut bytes = bytes;
        let hello = timeout(HANDSHAKE_TIME, read_hello(&mut bytes, &mut pipe)).await;
        let Ok(Ok(Some(hello))) = hello else {
            let ear = self.ear(bytes, pipe).await;
            return self.swallow(ear).await;
        };
        self.see_hello(&hello).await;
        let server = self.servers.terms.server(&hello, self.flow.server.ip());
        let Some(server) = server else {
            self.say(Said::Tls(told(&hello, Handshake::Broken))).await;
            return Ok(None);
        };
        let accept = async {
            if bare::serves(&hello) {
                return self.bare(&hello, bytes, pipe).await;
            }
            let accept = tokio_rustls::TlsAcceptor::from(server).accept(Ahead::pipe(bytes, pipe));
            accept.await.map(|stream| Box::new(stream) as Pipe)
        };
        match timeout(HANDSHAKE_TIME, accept).await {
            Ok(Ok(pipe)) => {
                self.secure.set(true);
                Ok(Some(Layer { pipe, port, hello: Some(hello) }))
            }
            Ok(Err(error)) => {
                self.say(Said::Tls(told(&hello, outcome(&error)))).await;
                Ok(None)
            }
            Err(_) => {
                self.say(Said::Tls(told(&hello, Handshake::Broken))).await;
                Ok(None)
            }
        }
    }

    async fn bare(&self, hello: &ClientHello, bytes: Vec<u8>, pipe: Pipe) -> io::Result<Pipe> {
        let (message, rest) = hello::message(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        let terms = &self.servers.terms;
        let key = terms.key(hello, self.flow.server.ip()).ok_or(io::ErrorKind::Unsupported)?;
        let stream = bare::accept(hello, &message, rest.to_vec(), pipe, &key, &*terms.secrets()).await?;
        Ok(Box::new(stream))
    }

    /// Names in a hello can carry things off as well.
    async fn see_hello(&self, hello: &ClientHello) {
        let mut scan = self.servers.scanner.scan();
        let mut sightings = Vec::new();
        for text in hello.server_name.iter().chain(&hello.alpn) {
            sightings.extend(scan.feed(text));
            sightings.extend(scan.feed(b"\n"));
        }
        self.saw(sightings, "tls", None).await;
    }

    /// Reads what is no protocol to its end.
    async fn swallow(self: &Rc<Self>, ear: Ear) -> io::Result<Option<Layer>> {
        self.named("raw");
        let mut ear = ear;
        let mut piece = vec![0; 4096];
        while ear.read(&mut piece).await? > 0 {}
        Ok(None)
    }

    /// DNS over a stream (RFC 1035, 4.2.2): each message after its length.
    async fn resolve(&self, mut ear: Ear, carrier: Carrier) -> io::Result<()> {
        self.named("dns");
        loop {
            let mut message = vec![0; usize::from(ear.read_u16().await?)];
            ear.read_exact(&mut message).await?;
            let answer = self.servers.resolve(self.flow, &message, carrier).await;
            let Ok(length) = u16::try_from(answer.len()) else { return Ok(()) };
            if length == 0 {
                return Ok(());
            }
            ear.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
        }
    }

    /// Listens to a layer; what the one around it has heard and not told is told.
    pub async fn ear(&self, front: Vec<u8>, pipe: Pipe) -> Ear {
        self.tell_heard().await;
        let lease = self.servers.room.lease(BODY_MAX);
        let heard = Rc::new(RefCell::new(Heard::new(self.servers.scanner, lease)));
        if let Some(outer) = self.heard.borrow_mut().replace(Rc::clone(&heard)) {
            outer.borrow_mut().stop();
        }
        Ear::new(front, pipe, heard)
    }

    /// Who answers.
    pub fn named(&self, service: &str) {
        service.clone_into(&mut self.service.borrow_mut());
    }

    pub async fn say(&self, said: Said) {
        self.servers.say(self.flow, said).await;
    }

    /// Tells of secrets, and remembers that they were told.
    pub async fn saw(&self, sightings: Vec<Sighting>, place: &str, used_at: Option<&str>) {
        let known = sightings.iter().map(|it| (it.name.clone(), it.field.clone()));
        self.known.borrow_mut().extend(known);
        self.servers.saw(self.flow, sightings, place, used_at).await;
    }

    /// Tells of the secrets in the stream as it was, where nobody who read it told of them.
    async fn tell_heard(&self) {
        let Some(heard) = self.heard.borrow().clone() else { return };
        let sightings = heard.borrow_mut().take_sightings();
        let place = self.service.borrow().clone();
        self.saw_new(sightings, &place).await;
    }

    /// The same where others may have told of some already, with more knowledge.
    pub async fn saw_new(&self, sightings: Vec<Sighting>, place: &str) {
        let known = self.known.borrow().clone();
        let is_new = |it: &Sighting| !known.contains(&(it.name.clone(), it.field.clone()));
        let sightings = sightings.into_iter().filter(is_new).collect();
        self.saw(sightings, place, None).await;
    }

    async fn end(&self) {
        self.tell_heard().await;
        let first = self.heard.borrow().as_ref().map(|heard| heard.borrow().first().to_vec());
        let (sent, received) = (self.pulse.sent.get(), self.pulse.received.get());
        let service = self.service.borrow().clone();
        let first = first.unwrap_or_default();
        self.say(Said::Stream(Stream { service, first, sent, received, datagrams: 0 })).await;
    }
}

struct Layer {
    pipe: Pipe,
    port: u16,
    /// It is inside TLS that this one began, and that is not told yet.
    hello: Option<Box<ClientHello>>,
}

impl Inside {
    fn into_layer(self) -> Option<Layer> {
        match self {
            Inside::End => None,
            Inside::Pipe(pipe, port) => Some(Layer { pipe, port, hello: None }),
        }
    }
}

fn is_dns(port: u16, hello: Option<&ClientHello>) -> bool {
    let offers_dot = hello.is_some_and(|hello| hello.alpn.iter().any(|name| name == b"dot"));
    DNS_PORTS.contains(&port) || offers_dot
}

/// Reads on until the hello is whole. `None`: it is none.
async fn read_hello(bytes: &mut Vec<u8>, pipe: &mut Pipe) -> io::Result<Option<Box<ClientHello>>> {
    /// A hello in records of one byte each is six times as long.
    const BYTES_MAX: usize = 6 * hello::HELLO_MAX;
    let mut piece = [0; 2048];
    loop {
        match hello::read(bytes) {
            Reading::Hello(hello) => return Ok(Some(hello)),
            Reading::Other => return Ok(None),
            Reading::More if bytes.len() > BYTES_MAX => return Ok(None),
            Reading::More => match pipe.read(&mut piece).await? {
                0 => return Ok(None),
                length => bytes.extend_from_slice(&piece[..length]),
            },
        }
    }
}
