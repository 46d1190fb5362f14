//! What the runner did to make the image act.

use std::net::SocketAddr;

use super::{Bytes, Protocol};

/// A request to a port of the image's. The outcome of the event says whether somebody was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// `greeting`, `http_get`, `http_post`, `tls_hello`, `redis_ping`, `socks_hello`, `line`, `datagram`.
    pub request: String,
    pub protocol: Protocol,
    pub remote: SocketAddr,
    /// The first bytes that were answered.
    pub answer: Bytes,
    /// So many were answered, as far as was waited for.
    pub said: u64,
}

/// A command that was run inside, as the image's user. None of `code` and `signal`: it was never started.
#[derive(Clone, Debug, PartialEq)]
pub struct Errand {
    pub purpose: Purpose,
    pub argv: Vec<Bytes>,
    pub code: Option<u8>,
    pub signal: Option<u8>,
    /// It took too long, and was killed.
    pub timed_out: bool,
}

/// Why a command was run inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The image's own configuration asks for it.
    Healthcheck,
    /// Whoever started the run asked for it.
    Exec,
}

impl Purpose {
    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Healthcheck => "healthcheck",
            Purpose::Exec => "exec",
        }
    }
}
