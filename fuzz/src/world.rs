//! A world to talk to, without sockets.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use lazaret::internet::serve::Rehearsal;
use lazaret::internet::tell;
use lazaret::internet::testimony::{Flow, Said, Testimony, Transport};
use lazaret::internet::tls::authority::Authority;
use lazaret::internet::world::{Scenario, World};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::task::{LocalSet, spawn_local};

pub fn world() -> World {
    World {
        hostname: "web-1".into(),
        client: (Ipv4Addr::new(172, 17, 0, 2), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
        gateway: (Ipv4Addr::new(172, 17, 0, 1), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
        resolver: IpAddr::from([172, 17, 0, 1]),
        now: 1_790_000_000,
        baits: Default::default(),
        scenario: Scenario::default(),
        capture_max: 0,
    }
}

/// Says this to a server and hears it out: it ends, the connection is told of, and nothing that is told is
/// too long to be told.
pub fn converse(bytes: &[u8]) {
    let told = STAGE.with(|stage| stage.hear(bytes));
    assert!(!told.iter().any(|said| matches!(said, Said::Lost { .. })), "{told:?}");
    let ends = told.iter().filter(|said| matches!(said, Said::Stream(_))).count();
    assert_eq!(ends, 1);
}

thread_local! {
    /// Made once: an authority's keys are the costly part of a world.
    static STAGE: Stage = Stage::new();
}

struct Stage {
    runtime: Runtime,
    tasks: LocalSet,
    rehearsal: Rc<Rehearsal>,
    told: Told,
}

impl Stage {
    fn new() -> Stage {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (tasks, told) = (LocalSet::new(), Told::default());
        let (tell, scribe) = tell::channel();
        let written = told.clone();
        tasks.spawn_local(async move { scribe.write(written).await.expect("memory to write to") });
        let authority = Authority::generate(world().now).expect("an authority");
        let rehearsal = Rc::new(Rehearsal::new(Rc::new(world()), authority, tell));
        Stage { runtime, tasks, rehearsal, told }
    }

    fn hear(&self, bytes: &[u8]) -> Vec<Said> {
        self.told.0.borrow_mut().clear();
        self.tasks.block_on(&self.runtime, self.converse(bytes.to_vec()));
        frames(&self.told.0.borrow())
    }

    async fn converse(&self, bytes: Vec<u8>) {
        let (client, server) = tokio::io::duplex(1 << 16);
        let (mut from, mut to) = tokio::io::split(client);
        spawn_local(async move {
            let _ = to.write_all(&bytes).await;
            let _ = to.shutdown().await;
        });
        spawn_local(async move { while matches!(from.read(&mut [0; 4096]).await, Ok(1..)) {} });
        self.rehearsal.stream(flow(), server).await;
        // The end is said last, and written only after that.
        while !frames(&self.told.0.borrow()).iter().any(|said| matches!(said, Said::Stream(_))) {
            tokio::task::yield_now().await;
        }
    }
}

/// What was written, whole frames at a time.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<u8>>>);

impl AsyncWrite for Told {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Tcp,
        client: "172.17.0.2:40000".parse().expect("an address"),
        server: "203.0.113.7:8080".parse().expect("an address"),
    }
}

fn frames(mut bytes: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        all.push(Testimony::decode(frame).expect("our own frame").said);
        bytes = rest;
    }
    all
}
