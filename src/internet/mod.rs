//! The simulated internet: a world that the sandbox can reach and cannot leave.
//!
//! ```text
//! sandbox ── veth ── [ internet process: TPROXY → recognise → DNS | TLS → HTTP | dialogue | sink ] ── testimony → runner
//! ```
//!
//! A process of its own, in its own user and network namespace without an uplink and without a file
//! system, accepts every connection and every datagram, answers as the asked-for service would, and
//! tells the runner what it was told ([`testimony`]). It parses what an attacker sends; the runner
//! decodes only the bounded frames of its testimony.
//!
//! Not here: which process opened a flow and what that means ([`crate::normalise`], [`crate::rule`]).

#[cfg(feature = "live")]
pub mod address;
#[cfg(feature = "live")]
pub mod capture;
#[cfg(feature = "live")]
pub mod dns;
#[cfg(feature = "live")]
pub mod netlink;
#[cfg(feature = "live")]
mod packet;
#[cfg(feature = "live")]
pub mod process;
#[cfg(feature = "live")]
pub mod scenario;
#[cfg(feature = "live")]
pub mod serve;
#[cfg(feature = "live")]
pub mod service;
#[cfg(feature = "live")]
pub mod socket;
#[cfg(feature = "live")]
pub mod tell;
pub mod testimony;
#[cfg(feature = "live")]
pub mod tls;
#[cfg(feature = "live")]
pub mod world;
