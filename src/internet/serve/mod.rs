//! Takes everything in, keeps the first bytes, and answers with what it was sent.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

use super::socket::{Listeners, UdpListener};
use super::tell::Tell;
use super::testimony::{Flow, Said, Stream, Transport};
use super::tls::Authority;
use super::world::World;
use crate::sys::ready;

/// Serves until it is dropped.
pub async fn serve(listeners: Listeners, _world: Rc<World>, _authority: Authority, tell: Tell) {
    for listener in listeners.tcp {
        tokio::task::spawn_local(accept(listener, tell.clone()));
    }
    for listener in listeners.udp {
        tokio::task::spawn_local(datagrams(listener, tell.clone()));
    }
    std::future::pending().await
}

async fn accept(listener: TcpListener, tell: Tell) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((stream, client)) => drop(tokio::task::spawn_local(echo(stream, client, tell.clone()))),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn echo(mut stream: tokio::net::TcpStream, client: SocketAddr, tell: Tell) {
    let Ok(server) = stream.local_addr() else { return };
    let (mut first, mut sent, mut received) = (Vec::new(), 0, 0);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        sent += length as u64;
        first.extend_from_slice(&buffer[..length.min(1024_usize.saturating_sub(first.len()))]);
        if stream.write_all(&buffer[..length]).await.is_err() {
            break;
        }
        received += length as u64;
    }
    let flow = Flow { transport: Transport::Tcp, client, server };
    let said = Stream { service: "raw".into(), first, sent, received, datagrams: 0 };
    tell.say(Some(flow), Said::Stream(said)).await;
}

async fn datagrams(listener: UdpListener, tell: Tell) {
    let Ok(ready) = ready::readable(listener.as_fd()) else { return };
    let mut buffer = vec![0; 64 << 10];
    while let Ok(received) = ready.async_io(Interest::READABLE, |_| listener.recv(&mut buffer)).await {
        let (length, client, server) = received;
        let _ = listener.send_from(server, client, &buffer[..length]);
        let flow = Flow { transport: Transport::Udp, client, server };
        let said = Stream {
            service: "raw".into(),
            first: buffer[..length.min(1024)].to_vec(),
            sent: length as u64,
            received: length as u64,
            datagrams: 1,
        };
        tell.say(Some(flow), Said::Stream(said)).await;
    }
}
