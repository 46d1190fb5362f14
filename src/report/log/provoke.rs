//! The lines of what the runner did to make the image act.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::line::{ProtocolDef, is_zero};
use super::text::{self, arguments};
use crate::event::{Bytes, Errand, Protocol, Purpose, Visit};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Visit", deny_unknown_fields)]
pub(super) struct VisitDef {
    request: String,
    #[serde(with = "ProtocolDef")]
    protocol: Protocol,
    remote: SocketAddr,
    #[serde(with = "text")]
    answer: Bytes,
    #[serde(default, skip_serializing_if = "is_zero")]
    said: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Errand", deny_unknown_fields)]
pub(super) struct ErrandDef {
    #[serde(with = "PurposeDef")]
    purpose: Purpose,
    #[serde(with = "arguments")]
    argv: Vec<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<u8>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    timed_out: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Purpose", rename_all = "snake_case")]
enum PurposeDef {
    Healthcheck,
    Exec,
}
