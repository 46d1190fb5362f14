//! The lines of what was said to the world outside.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::net::{ProtocolDef, optional_question};
use super::usual::{is_false, is_zero};
use crate::event::{
    BaitAct, Bytes, Carrier, CommandAct, DnsAnswer, Flow, Handshake, HttpAct, Protocol, Question, StreamAct,
    TlsAct,
};
use crate::report::log::text::{self, arguments};

pub fn is_udp(carrier: &Carrier) -> bool {
    *carrier == Carrier::Udp
}

/// A text that may be absent.
pub mod optional_text {
    use super::{Bytes, Deserialize, Serialize, text};

    #[derive(Serialize)]
    struct Out<'a>(#[serde(with = "text")] &'a [u8]);
    #[derive(Deserialize)]
    struct In(#[serde(with = "text")] Bytes);

    pub fn serialize<S: serde::Serializer>(value: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
        value.as_deref().map(Out).serialize(to)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
        Ok(Option::<In>::deserialize(from)?.map(|value| value.0))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Flow", deny_unknown_fields)]
struct FlowDef {
    #[serde(with = "ProtocolDef")]
    protocol: Protocol,
    client: SocketAddr,
    server: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    name: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Carrier", rename_all = "snake_case")]
pub enum CarrierDef {
    Udp,
    Tcp,
    Tls,
    Https,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DnsAnswer", deny_unknown_fields)]
pub struct DnsAnswerDef {
    #[serde(with = "FlowDef")]
    flow: Flow,
    #[serde(default, skip_serializing_if = "is_udp", with = "CarrierDef")]
    carrier: Carrier,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_question")]
    question: Option<Question>,
    code: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<IpAddr>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "HttpAct", deny_unknown_fields)]
pub struct HttpActDef {
    #[serde(with = "FlowDef")]
    flow: Flow,
    #[serde(default, skip_serializing_if = "is_false")]
    secure: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    server_name: Option<Bytes>,
    #[serde(with = "text")]
    version: Bytes,
    #[serde(with = "text")]
    method: Bytes,
    #[serde(with = "text")]
    host: Bytes,
    #[serde(with = "text")]
    target: Bytes,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "arguments")]
    headers: Vec<Bytes>,
    #[serde(default, skip_serializing_if = "is_zero")]
    headers_omitted: u64,
    #[serde(default = "empty", skip_serializing_if = "is_empty", with = "text")]
    body: Bytes,
    #[serde(default, skip_serializing_if = "is_zero")]
    body_size: u64,
    status: u16,
    #[serde(with = "text")]
    service: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TlsAct", deny_unknown_fields)]
pub struct TlsActDef {
    #[serde(with = "FlowDef")]
    flow: Flow,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    server_name: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "arguments")]
    alpn: Vec<Bytes>,
    #[serde(with = "text")]
    ja4: Bytes,
    #[serde(with = "HandshakeDef")]
    outcome: Handshake,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Handshake", rename_all = "snake_case", deny_unknown_fields)]
enum HandshakeDef {
    Done,
    Refused {
        #[serde(with = "text")]
        alert: Bytes,
    },
    Broken,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CommandAct", deny_unknown_fields)]
pub struct CommandActDef {
    #[serde(with = "FlowDef")]
    flow: Flow,
    #[serde(with = "text")]
    service: Bytes,
    #[serde(with = "text")]
    verb: Bytes,
    #[serde(default = "empty", skip_serializing_if = "is_empty", with = "text")]
    text: Bytes,
    size: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StreamAct", deny_unknown_fields)]
pub struct StreamActDef {
    #[serde(with = "FlowDef")]
    flow: Flow,
    #[serde(with = "text")]
    service: Bytes,
    #[serde(default = "empty", skip_serializing_if = "is_empty", with = "text")]
    first: Bytes,
    sent: u64,
    received: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    datagrams: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BaitAct", deny_unknown_fields)]
pub struct BaitActDef {
    #[serde(with = "FlowDef")]
    flow: Flow,
    #[serde(with = "text")]
    name: Bytes,
    #[serde(with = "text")]
    field: Bytes,
    #[serde(with = "text")]
    encoding: Bytes,
    #[serde(with = "text")]
    place: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    used_at: Option<Bytes>,
}

fn empty() -> Bytes {
    Bytes::from(&[][..])
}

fn is_empty(text: &[u8]) -> bool {
    text.is_empty()
}
