//! The layers of a connection: the socket with its counters, what was read ahead of a decision, and an
//! ear that hears everything that the sandbox says.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::room::Lease;
use crate::bait::{Scan, Scanner, Sighting};

/// Anything that carries bytes both ways.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// A layer, whatever lies below it.
pub type Pipe = Box<dyn Wire>;

/// How a connection lives; shared with those who may end it.
#[derive(Debug)]
pub struct Pulse {
    pub born: Instant,
    last: Cell<Instant>,
    /// Bytes from the sandbox, and to it.
    pub sent: Cell<u64>,
    pub received: Cell<u64>,
    ending: Cell<Ending>,
    waiting: RefCell<[Option<Waker>; 2]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Ending {
    #[default]
    No,
    Softly,
    Now,
}

impl Pulse {
    /// A pulse that beats.
    pub fn new() -> Rc<Pulse> {
        let now = Instant::now();
        Rc::new(Pulse {
            born: now,
            last: Cell::new(now),
            sent: Cell::default(),
            received: Cell::default(),
            ending: Cell::default(),
            waiting: RefCell::default(),
        })
    }

    /// When a byte last went through.
    pub fn last(&self) -> Instant {
        self.last.get()
    }

    /// It beats no more.
    pub fn is_ended(&self) -> bool {
        self.ending.get() != Ending::No
    }

    /// Makes every read and write fail from now on.
    pub fn end(&self) {
        self.end_as(Ending::Now);
    }

    /// Makes every read and write fail that would have to wait: what has come already is still read.
    pub fn end_softly(&self) {
        self.end_as(Ending::Softly);
    }

    fn end_as(&self, ending: Ending) {
        self.ending.set(ending);
        for waker in self.waiting.take().into_iter().flatten() {
            waker.wake();
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.ending.get() == Ending::Now { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// What becomes of one who would have to wait.
    fn wait<T>(&self, direction: usize, waker: &Waker) -> Poll<io::Result<T>> {
        if self.is_ended() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.waiting.borrow_mut()[direction] = Some(waker.clone());
        Poll::Pending
    }

    fn went(&self, counter: &Cell<u64>, bytes: usize) {
        counter.set(counter.get() + bytes as u64);
        if bytes > 0 {
            self.last.set(Instant::now());
        }
    }
}

/// The lowest layer: counts, and can be ended from outside.
pub struct Meter<S> {
    pub inner: S,
    pub pulse: Rc<Pulse>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.pulse.check()?;
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Pending => this.pulse.wait(0, cx.waker()),
            ready => {
                this.pulse.went(&this.pulse.sent, buf.filled().len() - before);
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.pulse.check()?;
        match Pin::new(&mut this.inner).poll_write(cx, bytes) {
            Poll::Pending => this.pulse.wait(1, cx.waker()),
            ready => {
                if let Poll::Ready(Ok(written)) = ready {
                    this.pulse.went(&this.pulse.received, written);
                }
                ready
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.pulse.check()?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// What one layer has heard from the sandbox.
pub struct Heard {
    /// The first bytes, as many as `lease` allows.
    first: Vec<u8>,
    lease: Lease,
    scan: Scan<'static>,
    sightings: Vec<Sighting>,
    /// Bytes that are still looked through.
    attention: u64,
}

/// How much of a stream is looked through as it stands where its content is looked through as well, once
/// it has been read: the rest is only what no reader of the protocol takes for content.
const GLANCE: u64 = 256 << 10;

impl Heard {
    /// Has heard nothing yet.
    pub fn new(scanner: &'static Scanner, lease: Lease) -> Heard {
        Heard { first: Vec::new(), lease, scan: scanner.scan(), sightings: Vec::new(), attention: u64::MAX }
    }

    /// Takes in what came next.
    pub fn hear(&mut self, bytes: &[u8]) {
        let room = self.lease.bytes().saturating_sub(self.first.len());
        self.first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let seen = self.attention.min(bytes.len() as u64);
        self.attention -= seen;
        self.sightings.extend(self.scan.feed(&bytes[..seen as usize]));
    }

    /// Others look through the content from now on.
    pub fn glance(&mut self) {
        self.attention = GLANCE;
    }

    /// Another layer inside is listened to instead.
    pub fn stop(&mut self) {
        self.attention = 0;
        self.first = Vec::new();
        self.lease.give_back();
    }

    /// What was found since it was asked last.
    pub fn take_sightings(&mut self) -> Vec<Sighting> {
        std::mem::take(&mut self.sightings)
    }

    /// The beginning of all that came.
    pub fn first(&self) -> &[u8] {
        &self.first
    }
}

/// A layer that is listened to. What was read before it was made stands in front.
pub struct Ear {
    front: Vec<u8>,
    inner: Pipe,
    pub heard: Rc<RefCell<Heard>>,
}

impl Ear {
    pub fn new(front: Vec<u8>, inner: Pipe, heard: Rc<RefCell<Heard>>) -> Ear {
        heard.borrow_mut().hear(&front);
        Ear { front, inner, heard }
    }
}

impl AsyncRead for Ear {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if take_front(&mut this.front, buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = polled {
            this.heard.borrow_mut().hear(&buf.filled()[before..]);
        }
        polled
    }
}

impl AsyncWrite for Ear {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// A layer with bytes that were read ahead.
pub struct Ahead {
    front: Vec<u8>,
    inner: Pipe,
}

impl Ahead {
    pub fn pipe(front: Vec<u8>, inner: Pipe) -> Pipe {
        if front.is_empty() { inner } else { Box::new(Ahead { front, inner }) }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match take_front(&mut this.front, buf) {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut this.inner).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// True where something of it was given out.
fn take_front(front: &mut Vec<u8>, buf: &mut ReadBuf<'_>) -> bool {
    if front.is_empty() || buf.remaining() == 0 {
        return false;
    }
    let length = front.len().min(buf.remaining());
    buf.put_slice(&front[..length]);
    front.drain(..length);
    if front.is_empty() {
        *front = Vec::new();
    }
    true
}
