//! What was said to the world outside, as whoever answered it heard it.
//!
//! The probes tell that a socket was used; the simulated internet, where the streams end, tells what
//! was said. Texts are the sample's own, each cut at the bound of its field.

use std::net::{IpAddr, SocketAddr};

use super::{Bytes, Protocol, Question};

/// A connection, or a pair of sockets, through which something was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub protocol: Protocol,
    /// The sandbox's end.
    pub client: SocketAddr,
    /// The address that was asked for.
    pub server: SocketAddr,
    /// The name for which a name server gave the sandbox that address; `None` where it was never asked.
    pub name: Option<Bytes>,
}

/// What a DNS message came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Carrier {
    #[default]
    Udp,
    Tcp,
    Tls,
    Https,
}

impl Carrier {
    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Carrier::Udp => "udp",
            Carrier::Tcp => "tcp",
            Carrier::Tls => "tls",
            Carrier::Https => "https",
        }
    }
}

/// A DNS question, and how it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsAnswer {
    pub flow: Flow,
    pub carrier: Carrier,
    /// `None`: its bytes are no question.
    pub question: Option<Question>,
    /// RCODE (RFC 1035, 4.1.1): 0 no error, 3 no such name.
    pub code: u16,
    pub addresses: Vec<IpAddr>,
}

/// One HTTP request, and the status it got.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpAct {
    pub flow: Flow,
    /// It came through TLS.
    pub secure: bool,
    /// The name that TLS asked for around it.
    pub server_name: Option<Bytes>,
    /// `1.0`, `1.1`, `2`.
    pub version: Bytes,
    pub method: Bytes,
    /// Host header or `:authority`, in lower case and without a port.
    pub host: Bytes,
    /// Path and query.
    pub target: Bytes,
    /// `name: value` each, in order; names in lower case.
    pub headers: Vec<Bytes>,
    pub headers_omitted: u64,
    /// The first part, before content coding is undone.
    pub body: Bytes,
    /// Bytes of the whole.
    pub body_size: u64,
    pub status: u16,
    /// Who answered: `web`, `aws-metadata`, `kubernetes`, …
    pub service: Bytes,
}

/// A TLS ClientHello, and how the handshake went.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsAct {
    pub flow: Flow,
    pub server_name: Option<Bytes>,
    pub alpn: Vec<Bytes>,
    /// JA4: what the client is, by the shape of its hello.
    pub ja4: Bytes,
    pub outcome: Handshake,
}

/// How a TLS handshake ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Handshake {
    Done,
    /// The client did not accept the certificate; the alert's name (RFC 8446, 6), as `unknown_ca`.
    Refused {
        alert: Bytes,
    },
    /// It ended before it was complete.
    Broken,
}

impl Handshake {
    /// The name in rules, logs and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Handshake::Done => "done",
            Handshake::Refused { .. } => "refused",
            Handshake::Broken => "broken",
        }
    }
}

/// A line or message of a protocol that is neither HTTP nor DNS.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandAct {
    pub flow: Flow,
    /// `smtp`, `ftp`, `irc`, `redis`, `stratum`, `ssh`, …
    pub service: Bytes,
    /// `MAIL`, `USER`, `mining.authorize`.
    pub verb: Bytes,
    /// What follows; of a mail its first part.
    pub text: Bytes,
    /// Bytes of the whole.
    pub size: u64,
}

/// What a connection carried when it ended, or a pair of UDP sockets up to now.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamAct {
    pub flow: Flow,
    /// Who answered; `raw` where nobody knew the protocol.
    pub service: Bytes,
    /// The first bytes from the sandbox; for TLS those inside it.
    pub first: Bytes,
    /// Bytes from the sandbox, to the sandbox.
    pub sent: u64,
    pub received: u64,
    /// Datagrams from the sandbox; 0 for TCP.
    pub datagrams: u64,
}

/// A secret of a bait was in what was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct BaitAct {
    pub flow: Flow,
    /// `aws-credentials`, `ssh-key`, …
    pub name: Bytes,
    /// The field of it that was seen: `secret_access_key`, …
    pub field: Bytes,
    /// How it was written: `plain`, `base64`, `hex`, …; several in a row outermost first, `gzip+base64`.
    pub encoding: Bytes,
    /// What it was in: `http`, `https`, `dns`, `smtp`, `raw`, …
    pub place: Bytes,
    /// The look-alike that was shown the credential as a credential; `None`: it was carried off.
    pub used_at: Option<Bytes>,
}
