//! What the runner decides about the world, and hands to the internet process when it starts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

pub use super::scenario::Scenario;
use crate::bait::Baits;

/// One run's world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// The sandbox's own host name and addresses.
    pub hostname: String,
    pub client: (Ipv4Addr, Ipv6Addr),
    /// The world's end of the wire: the sandbox's gateway.
    pub gateway: (Ipv4Addr, Ipv6Addr),
    /// The address in the sandbox's resolv.conf; any other resolver answers too.
    pub resolver: IpAddr,
    /// Seconds since 1970 at the start, for certificates and dates in answers.
    pub now: u64,
    /// What the run's baits contain: look-alikes hand some out, and all are looked for in what is sent.
    pub baits: Baits,
    pub scenario: Scenario,
    /// Bytes that `capture.pcapng` may take.
    pub capture_max: u64,
}
