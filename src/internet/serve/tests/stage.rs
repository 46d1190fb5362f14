//! A world on a port of the loopback, and clients of it.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::super::socket::Listeners;
use super::super::super::tell;
use super::super::super::testimony::{Said, Testimony};
use super::super::super::tls::{Terms, authority::Authority};
use super::super::super::world::{Scenario, World};
use super::super::room::{OPEN_MAX, Room};
use super::super::{Servers, pipe::Wire};
use crate::bait::Baits;

const NOW: u64 = 1_790_000_000;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn world() -> World {
    World {
        hostname: "web-1".into(),
        client: (Ipv4Addr::new(172, 17, 0, 2), Ipv6Addr::LOCALHOST),
        gateway: (Ipv4Addr::new(172, 17, 0, 1), Ipv6Addr::LOCALHOST),
        resolver: IpAddr::from([172, 17, 0, 1]),
        now: NOW,
        baits: Default::default(),
        scenario: Scenario::default(),
        capture_max: 0,
    }
}

/// Where the world is.
#[derive(Clone)]
pub struct Stage {
    pub address: SocketAddr,
    root: CertificateDer<'static>,
}

/// Lets a client act, and gives what was told of it.
pub fn play<F: Future<Output = ()>>(client: impl FnOnce(Stage) -> F) -> Vec<Said> {
    play_in(OPEN_MAX, client)
}

/// The same in a world with baits.
pub fn play_with<F: Future<Output = ()>>(baits: Baits, client: impl FnOnce(Stage) -> F) -> Vec<Said> {
    stage(World { baits, ..world() }, OPEN_MAX, client)
}

/// The same with so many places for connections.
pub fn play_in<F: Future<Output = ()>>(places: usize, client: impl FnOnce(Stage) -> F) -> Vec<Said> {
    stage(world(), places, client)
}

fn stage<F: Future<Output = ()>>(world: World, places: usize, client: impl FnOnce(Stage) -> F) -> Vec<Said> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let written = LocalSet::new().block_on(&runtime, async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Authority::generate(NOW).unwrap();
        let root = authority.certificate_der();
        let (tell, scribe) = tell::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let servers = Servers::new(Rc::new(world), Terms::new(authority), tell, Room::of(places));
        let scribe = spawn_local(async {
            let mut written = Vec::new();
            scribe.write(&mut written).await.unwrap();
            written
        });
        let listeners = Listeners { tcp: vec![listener], udp: vec![], echo: vec![] };
        let server = spawn_local(async move {
            let run = servers.run(listeners, async { drop(stopped.await) });
            LocalSet::new().run_until(run).await;
        });
        timeout(PATIENCE, client(Stage { address, root })).await.expect("the client's patience");
        stop.send(()).unwrap();
        server.await.unwrap();
        scribe.await.unwrap()
    });
    frames(&written)
}

pub fn frames(mut bytes: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        all.push(Testimony::decode(frame).unwrap().said);
        bytes = rest;
    }
    all
}

/// What was told, without the one kind that ends every connection.
pub fn without_streams(said: Vec<Said>) -> Vec<Said> {
    said.into_iter().filter(|it| !matches!(it, Said::Stream(_))).collect()
}

impl Stage {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Says this, no more, and hears what there is to hear.
    pub async fn say(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // Whoever is refused in the middle of it has nothing to complain of.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    }

    /// A request that shows that the world still stands.
    pub async fn still_answers(&self) {
        let heard = self.say(b"GET / HTTP/1.1\r\nHost: still.example\r\nConnection: close\r\n\r\n").await;
        assert!(heard.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&heard));
    }

    /// TLS inside, with a client that knows the world's authority.
    pub async fn trusting<W: Wire>(&self, inner: W, name: &str, protocols: &[&[u8]]) -> TlsStream<W> {
        self.tls(inner, name, protocols, std::slice::from_ref(&self.root)).await.unwrap()
    }

    pub async fn tls<W: Wire>(
        &self,
        inner: W,
        name: &str,
        protocols: &[&[u8]],
        roots: &[CertificateDer<'static>],
    ) -> std::io::Result<TlsStream<W>> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(Clock))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = config.with_root_certificates(store).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, inner).await
    }
}

/// The world's time, in which its certificates are valid.
#[derive(Debug)]
struct Clock;

impl rustls::time_provider::TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
    }
}

#[derive(Clone)]
struct Here;

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        spawn_local(async move { drop(future.await) });
    }
}

/// One request over HTTP/1; the whole answer.
pub async fn one(stream: impl Wire + 'static, request: Request<Full<Bytes>>) -> (Response<()>, Bytes) {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    spawn_local(async move { drop(connection.await) });
    whole(sender.send_request(request).await.unwrap()).await
}

/// One over HTTP/2.
pub async fn two(stream: impl Wire + 'static, request: Request<Full<Bytes>>) -> (Response<()>, Bytes) {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(Here, TokioIo::new(stream)).await.unwrap();
    spawn_local(async move { drop(connection.await) });
    whole(sender.send_request(request).await.unwrap()).await
}

async fn whole(response: Response<hyper::body::Incoming>) -> (Response<()>, Bytes) {
    let (head, body) = response.into_parts();
    (Response::from_parts(head, ()), body.collect().await.unwrap().to_bytes())
}
