//! The story in one function: open, unpack, cage, arm, start, drain, normalise, judge, report.
//!
//! [`detonate`] lets an image run and records it; [`judge`] makes a report of a recording. The live
//! path writes the recording first and judges the same events that a replay will read.
//!
//! Every way out cleans up: what is made is owned by a value whose drop removes it, and a clean-up
//! that fails is told together with the failure before it.

pub mod judge;

#[cfg(feature = "live")]
mod authority;
#[cfg(feature = "live")]
mod bait;
#[cfg(feature = "live")]
pub mod capture;
#[cfg(feature = "live")]
mod compare;
#[cfg(feature = "live")]
mod coverage;
#[cfg(feature = "live")]
mod detonate;
#[cfg(feature = "live")]
mod error;
#[cfg(feature = "live")]
mod handed;
#[cfg(feature = "live")]
mod hearing;
#[cfg(feature = "live")]
mod inside;
#[cfg(feature = "live")]
mod output;
#[cfg(feature = "live")]
pub mod outside;
#[cfg(feature = "live")]
mod provenance;
#[cfg(feature = "live")]
mod provoke;
#[cfg(feature = "live")]
mod recorder;
pub mod rundir;
#[cfg(feature = "live")]
mod scribe;
#[cfg(feature = "live")]
pub mod selftest;
#[cfg(feature = "live")]
mod signals;
#[cfg(feature = "live")]
mod skips;
#[cfg(feature = "live")]
mod standing;
#[cfg(feature = "live")]
mod waiting;
#[cfg(feature = "live")]
mod watch;

#[cfg(feature = "live")]
pub use detonate::{Detonated, Job, News, Timing, detonate};
#[cfg(feature = "live")]
pub use error::PipelineError;
#[cfg(feature = "live")]
pub use outside::Network;
#[cfg(feature = "live")]
pub use provoke::COMMANDS_MAX;
