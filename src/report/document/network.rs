//! What the image said to others, and who it listened to.
//!
//! Addresses of names are made up by the simulated internet: compare names, not addresses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::is_zero;

/// Each list is bounded: first come, first kept; the others are counted beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// Questions to name servers.
    #[schemars(length(max = "super::DNS_MAX"))]
    pub dns: Vec<DnsQuestion>,
    /// Questions that are not listed.
    #[serde(default)]
    pub dns_omitted: u64,
    /// Connections and datagrams.
    #[schemars(length(max = "super::FLOWS_MAX"))]
    pub flows: Vec<Flow>,
    /// Flows that are not listed.
    #[serde(default)]
    pub flows_omitted: u64,
    /// Requests.
    #[schemars(length(max = "super::HTTP_MAX"))]
    #[serde(default)]
    pub http: Vec<HttpRequest>,
    /// Requests that are not listed.
    #[serde(default)]
    pub http_omitted: u64,
    /// Handshakes.
    #[schemars(length(max = "super::TLS_MAX"))]
    #[serde(default)]
    pub tls: Vec<TlsHello>,
    /// Handshakes that are not listed.
    #[serde(default)]
    pub tls_omitted: u64,
    /// Commands of other protocols.
    #[schemars(length(max = "super::COMMANDS_MAX"))]
    #[serde(default)]
    pub commands: Vec<Command>,
    /// Commands that are not listed.
    #[serde(default)]
    pub commands_omitted: u64,
    /// Sockets that others could call.
    #[schemars(length(max = "super::LISTENERS_MAX"))]
    pub listeners: Vec<Listener>,
    /// Listeners that are not listed.
    #[serde(default)]
    pub listeners_omitted: u64,
}

/// A question to a name server, by one program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DnsQuestion {
    /// In lower case, without a dot at the end.
    pub name: String,
    /// `A`, `AAAA`, `TXT`, …
    pub kind: String,
    /// What it came in: `udp`, `tcp`, `tls`, `https`.
    #[serde(default)]
    pub carriers: Vec<String>,
    /// Empty where it is not known.
    #[serde(default)]
    pub exe: String,
    /// How often it was asked.
    pub count: u64,
    /// How it was answered first (RCODE; 0: no error, 3: no such name); null where nobody answered.
    #[serde(default)]
    pub code: Option<u16>,
    /// Of that answer.
    #[schemars(length(max = "super::ADDRESSES_MAX"))]
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// Connections or datagrams of one program to one address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// `tcp`, `udp`, `icmp`, `unix`, …
    pub protocol: String,
    /// `203.0.113.9:443`, or a socket's path.
    pub remote: String,
    /// Null of a unix socket.
    #[serde(default)]
    pub address: Option<String>,
    /// Null where the protocol has none.
    #[serde(default)]
    pub port: Option<u16>,
    /// The name for which a name server gave the address.
    #[serde(default)]
    pub name: Option<String>,
    /// Who answered: `http`, `tls`, `smtp`, … as far as the protocol was known; `raw`: nobody knew it.
    #[serde(default)]
    pub service: Option<String>,
    /// Empty where it is not known.
    pub exe: String,
    /// How many connections or datagrams.
    pub count: u64,
    /// How many of them were refused.
    pub failed: u64,
    /// Bytes of those connections that ended in the run, and of datagrams.
    #[serde(default)]
    pub sent: u64,
    /// Bytes that came back, likewise.
    #[serde(default)]
    pub received: u64,
    /// The beginning of what was sent first, inside TLS where it was.
    #[schemars(length(max = "super::PAYLOAD_MAX"))]
    #[serde(default)]
    pub first: Option<String>,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// HTTP requests of one program that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// It came through TLS.
    pub secure: bool,
    /// As the client named it.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Of the answer that it was given.
    pub status: u16,
    /// Who answered: `web`, `aws-metadata`, `kubernetes`, …
    pub service: String,
    /// As the client called itself; null where it did not.
    pub user_agent: Option<String>,
    /// Bytes of all bodies.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub body_size: u64,
    /// The beginning of the first body.
    #[schemars(length(max = "super::PAYLOAD_MAX"))]
    pub body: Option<String>,
    /// Empty where it is not known.
    pub exe: String,
    /// How many requests.
    pub count: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// TLS handshakes of one program that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlsHello {
    /// The name that the client asked for; null where it named none.
    pub server_name: Option<String>,
    /// What the client is, by the shape of its hello (JA4).
    pub ja4: String,
    /// The protocols that the client offered.
    pub alpn: Vec<String>,
    /// `done`, `refused` (the client did not accept the certificate), `broken`.
    pub outcome: String,
    /// Of a client that refused: `unknown_ca`, …
    pub alert: Option<String>,
    /// Empty where it is not known.
    pub exe: String,
    /// How many handshakes.
    pub count: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// A command of a protocol that is neither HTTP nor DNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// `smtp`, `ftp`, `irc`, `redis`, `stratum`, `ssh`, …
    pub service: String,
    /// `LOGIN`, `MAIL`, `mining.subscribe`, …
    pub verb: String,
    /// The beginning of what follows the verb.
    #[schemars(length(max = "super::PAYLOAD_MAX"))]
    pub text: String,
    /// Where it was said: name or address, and port.
    pub remote: String,
    /// Empty where it is not known.
    pub exe: String,
    /// How often it was said.
    pub count: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// A socket that others could call, by one program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// `tcp`, `udp`, `unix`, …
    pub protocol: String,
    /// `0.0.0.0:80`, or a socket's path.
    pub local: String,
    /// Empty where it is not known.
    pub exe: String,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
    /// What it answered when it was called at.
    #[serde(default)]
    #[schemars(length(max = "super::ANSWERS_MAX"))]
    pub answers: Vec<PortAnswer>,
}

/// The answer of a port to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortAnswer {
    /// `greeting`, `http_get`, `http_post`, `tls_hello`, `redis_ping`, `socks_hello`, `line`, `datagram`.
    pub request: String,
    /// Its first bytes.
    pub first: String,
    /// So many bytes came, as far as was waited for.
    pub bytes: u64,
}

/// What became of a decoy, by one program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaitUse {
    /// `aws-credentials`, `ssh-key`, …
    pub bait: String,
    /// What was done with it.
    pub what: BaitDeed,
    /// The part of it that was seen; null of one that was read.
    pub field: Option<String>,
    /// How it was written: `plain`, `base64`, …; null of one that was read.
    pub encoding: Option<String>,
    /// The file that was read; what it was carried off in (`https`, `dns`, …); the look-alike that it was
    /// shown to.
    pub place: String,
    /// Where it went: name or address, and port; null of one that was read.
    pub remote: Option<String>,
    /// Empty where it is not known.
    pub exe: String,
    /// How often.
    pub count: u64,
    /// The first event that shows it.
    pub event: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// What can be done with a decoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaitDeed {
    /// Its file was opened for reading.
    Read,
    /// Its secret was in what was sent.
    CarriedOff,
    /// Its secret was shown as a credential to a look-alike of the service that it is for.
    Used,
}
