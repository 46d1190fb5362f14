//! The lines of sockets and of questions to name servers.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::optional::optional;
use super::world::{CarrierDef, is_udp, optional_text};
use crate::event::{Bytes, Carrier, DnsAct, Endpoint, NetAct, NetAction, Protocol, Question};
use crate::report::log::text;

optional!(optional_endpoint, Endpoint, "EndpointDef");
optional!(optional_question, Question, "QuestionDef");

#[derive(Serialize, Deserialize)]
#[serde(remote = "Protocol", rename_all = "snake_case")]
pub enum ProtocolDef {
    Tcp,
    Udp,
    Icmp,
    Raw,
    Packet,
    Netlink,
    Unix,
    Vsock,
    Other(u16),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Endpoint", rename_all = "snake_case")]
pub enum EndpointDef {
    Inet(SocketAddr),
    Unix(#[serde(with = "text")] Bytes),
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NetAct", deny_unknown_fields)]
pub struct NetActDef {
    #[serde(with = "NetActionDef")]
    action: NetAction,
    #[serde(with = "ProtocolDef")]
    protocol: Protocol,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_endpoint")]
    local: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_endpoint")]
    remote: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    name: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NetAction", rename_all = "snake_case")]
pub enum NetActionDef {
    Connect,
    Bind,
    Listen,
    Send,
    Socket,
    Accept,
    Close { sent: u64, received: u64 },
    Settle,
    Return { times: u32 },
    Option { level: u32, number: u32, value: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DnsAct", deny_unknown_fields)]
pub struct DnsActDef {
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_endpoint")]
    server: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "is_udp", with = "CarrierDef")]
    carrier: Carrier,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_question")]
    question: Option<Question>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Question", deny_unknown_fields)]
pub struct QuestionDef {
    #[serde(with = "text")]
    name: Bytes,
    kind: u16,
}
