//! What the world answers: pure functions from what was asked to what is said back.
//!
//! No socket, no clock, no file: the servers call these with what they have read. So every answer can
//! be tested, and fuzzed, without a network.

use std::net::SocketAddr;

use super::world::World;

/// A request, as far as the answer depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    pub secure: bool,
    /// The address that was asked for.
    pub server: SocketAddr,
    /// In lower case, without a port; may be an address.
    pub host: &'r str,
    pub method: &'r str,
    /// Path and query, as sent.
    pub target: &'r str,
    /// Names in lower case.
    pub headers: &'r [(Vec<u8>, Vec<u8>)],
    /// The first part of it.
    pub body: &'r [u8],
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `web`, `aws-metadata`, `kubernetes`, `pypi`, …
    pub service: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Baits that are credentials of this very service: their token in the request is a use of them.
    pub accepts: &'static [&'static str],
}

/// What the world answers to an HTTP request.
pub fn answer(world: &World, request: &Request<'_>) -> Answer {
    let _ = (world, request);
    Answer { service: "web", status: 404, headers: Vec::new(), body: Vec::new(), accepts: &[] }
}

/// One side of a conversation that is not HTTP.
pub trait Dialogue {
    /// `smtp`, `ftp`, `irc`, …; `raw` for the sink.
    fn service(&self) -> &'static str;

    /// What the server says before it has heard anything; empty where the client begins.
    fn greet(&mut self) -> Vec<u8>;

    /// Takes in what came, in pieces as the network cut them; says what to answer.
    fn hear(&mut self, bytes: &[u8], turn: &mut Turn);
}

/// What one piece of a conversation led to.
#[derive(Debug, Default)]
pub struct Turn {
    pub say: Vec<u8>,
    /// Commands that became complete: verb, text, bytes of the whole.
    pub commands: Vec<(Vec<u8>, Vec<u8>, u64)>,
    pub close: bool,
}

/// The dialogue for a port, or for the first bytes of a client that began by itself (`first` empty: the
/// client waits for us).
pub fn dialogue(world: &World, port: u16, first: &[u8]) -> Box<dyn Dialogue> {
    let _ = (world, port, first);
    Box::new(Sink)
}

/// Says nothing, and is told everything.
struct Sink;

impl Dialogue for Sink {
    fn service(&self) -> &'static str {
        "raw"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, _: &[u8], _: &mut Turn) {}
}
