//! HTTP connections: hyper reads requests and writes answers, within bounds that no client needs more of.
//!
//! What hyper cannot read ends the connection, never more; the bytes were listened to before it saw them.
//!
//! Not here: what one request is answered ([`super::exchange`]).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_local;

use super::connection::{Connection, Inside};
use super::exchange::exchange;
use super::pipe::{Ahead, Ear, Pipe};
use super::websocket;

/// Request line and headers.
const HEAD_MAX: usize = 64 << 10;
/// The same in HTTP/2, where many of them wait at one time.
const LIST_MAX: u32 = 16 << 10;
const HEADERS_MAX: usize = 256;
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Requests at one time in an HTTP/2 connection, and what they may send before they are read.
const STREAMS_MAX: u32 = 32;
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
const SEND_BUFFER: usize = 32 << 10;
/// Streams that a client took back and we have not yet seen (CVE-2023-44487).
const RESET_MAX: usize = 16;

/// What the requests of a connection share.
pub struct Session {
    pub connection: Rc<Connection>,
    pub protocol: &'static str,
    /// What goes on once a request has ended the exchange of requests.
    pub tunnel: RefCell<Option<Tunnel>>,
}

/// What an HTTP/1 connection can become.
#[derive(Clone, Copy, Debug)]
pub enum Tunnel {
    /// A connection to another host's port.
    Port(u16),
    WebSocket,
}

/// HTTP/1: request after request, until one of them opens a tunnel.
pub async fn one(connection: &Rc<Connection>, ear: Ear) -> Inside {
    ear.heard.borrow_mut().glance();
    let session = session(connection, "1");
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).half_close(true);
    builder.max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
    let service = {
        let session = Rc::clone(&session);
        // On the heap: hyper must be able to give the connection back, and so to move it.
        service_fn(move |request: hyper::Request<Incoming>| Box::pin(exchange(Rc::clone(&session), request)))
    };
    let mut served = builder.serve_connection(TokioIo::new(Box::new(ear) as Pipe), service);
    let ended = poll_fn(|cx| served.poll_without_shutdown(cx)).await;
    let parts = served.into_parts();
    let mut pipe = parts.io.into_inner();
    match session.tunnel.take() {
        Some(Tunnel::Port(port)) if ended.is_ok() => {
            Inside::Pipe(Ahead::pipe(parts.read_buf.to_vec(), pipe), port)
        }
        Some(Tunnel::WebSocket) if ended.is_ok() => {
            let pipe = Ahead::pipe(parts.read_buf.to_vec(), pipe);
            let _ = websocket::serve(connection, pipe).await;
            Inside::End
        }
        _ => {
            let _ = pipe.shutdown().await;
            Inside::End
        }
    }
}

/// HTTP/2, to its end.
pub async fn two(connection: &Rc<Connection>, ear: Ear) {
    ear.heard.borrow_mut().glance();
    let session = session(connection, "2");
    let mut builder = http2::Builder::new(Here);
    builder.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    builder.max_send_buf_size(SEND_BUFFER).max_header_list_size(LIST_MAX);
    builder.max_pending_accept_reset_streams(RESET_MAX).max_local_error_reset_streams(RESET_MAX);
    let service = service_fn(move |request: hyper::Request<Incoming>| exchange(Rc::clone(&session), request));
    let _ = builder.serve_connection(TokioIo::new(Box::new(ear) as Pipe), service).await;
}

fn session(connection: &Rc<Connection>, protocol: &'static str) -> Rc<Session> {
    connection.named("http");
    Rc::new(Session { connection: Rc::clone(connection), protocol, tunnel: RefCell::default() })
}

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy, Debug)]
struct Here;

impl<F: Future + 'static> Executor<F> for Here
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}
