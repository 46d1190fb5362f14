//! Loads the probes, attaches them to one sandbox, and drains what they saw.
//!
//! [`Loading`] are probes on their way into the kernel. [`Probes`] are loaded and verified but see nothing;
//! [`Probes::attach`] names the sandbox and gives
//! a [`Watch`]. The bytes of a record go to whoever drains; nothing here looks into them.
//!
//! What could not be kept is counted per processor and family ([`Watch::losses`]).
//!
//! Not here: what the bytes mean. See [`crate::record`].

mod btf;
mod packets;
mod probes;
mod survey;
mod thin;
mod watch;

pub use probes::{Loading, Options, Probes, Target};
pub use survey::{Answer, survey, survey_with};
pub use watch::{Drained, Fill, Level, Loss, Watch};

use std::io;
use std::path::PathBuf;

/// Where the kernel shows its own types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why nothing can be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The host cannot be watched: without its types the probes cannot find anything in the kernel.
    #[error("the kernel does not show its types (BTF) at {path:?}")]
    NoBtf { path: PathBuf, source: Option<io::Error> },
    #[error("the kernel's types (BTF) at {path:?} cannot be read")]
    BadBtf { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// Loading probes asks for CAP_BPF and CAP_PERFMON.
    #[error("loading probes is not permitted: root, or CAP_BPF and CAP_PERFMON, is needed")]
    NotPermitted { source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the kernel refuses the probes' maps or types")]
    Load { source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the kernel refuses the probe {probe}")]
    Refused { probe: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the kernel has no tracepoint for the probe {probe}")]
    NoTracepoint { probe: &'static str },
    #[error("the embedded object has no {name}")]
    Missing { name: &'static str },
    #[error("the sandbox cannot be marked as the one to watch: {what}")]
    Mark { what: &'static str, source: io::Error },
    #[error("no thread for loading the probes can be begun")]
    Thread { source: io::Error },
    #[error("the ring of records cannot be mapped")]
    Ring { source: io::Error },
}
