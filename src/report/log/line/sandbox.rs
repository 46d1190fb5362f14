//! The lines of the sandbox: its limits, what was lost, and what the runner did to make the image act.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::net::ProtocolDef;
use super::usual::is_zero;
use crate::event::{Bytes, Errand, Family, Kept, Protocol, Purpose, SandboxAct, Visit, Why};
use crate::report::log::text::{self, arguments, plain_digest};

#[derive(Serialize, Deserialize)]
#[serde(remote = "SandboxAct", rename_all = "snake_case", deny_unknown_fields)]
pub enum SandboxActDef {
    Phase,
    Limit {
        name: String,
    },
    Held {
        #[serde(with = "nanoseconds")]
        time: Duration,
    },
    Skipped {
        #[serde(with = "nanoseconds")]
        time: Duration,
    },
    Visited(#[serde(with = "VisitDef")] Visit),
    Ran(#[serde(with = "ErrandDef")] Errand),
    Kept(#[serde(with = "KeptDef")] Kept),
    Lost {
        #[serde(with = "FamilyDef")]
        family: Family,
        records: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Family", rename_all = "snake_case")]
pub enum FamilyDef {
    Process,
    Memory,
    File,
    Network,
    Dns,
    Http,
    Tls,
    Kernel,
    Sandbox,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Kept", deny_unknown_fields)]
pub struct KeptDef {
    #[serde(with = "text")]
    path: Bytes,
    #[serde(with = "plain_digest")]
    sha256: [u8; 32],
    size: u64,
    #[serde(with = "WhyDef")]
    why: Why,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Why", rename_all = "snake_case")]
pub enum WhyDef {
    Deleted,
    Mapped,
    Tried,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Visit", deny_unknown_fields)]
pub struct VisitDef {
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
pub struct ErrandDef {
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

/// Durations are nanoseconds; 584 years fit.
mod nanoseconds {
    use super::{Deserialize, Duration, Serialize};

    pub fn serialize<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).serialize(to)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}
