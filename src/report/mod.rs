//! Published types and their renderings; the event log.
//!
//! Everything here is a function from values to values, or writes to a `Write` it was given: no file
//! is opened and no clock is read. What the kernel and the image said is bytes until [`escape`]
//! makes text of it.
//!
//! - [`log`]: the event log, `events.jsonl`, from which a replay writes an equal report.
//! - [`Summary`]: what the image did, collected event by event.
//! - [`convert`]: findings as they are published, and what a verdict needs of them.
//! - [`assemble()`]: the report; [`document`]: its types, whose names others rely on.
//! - [`quarantine`]: our check in an orchestrator's document; [`completion`]: the event at the end.
//! - [`escape`]: bytes → text that a document or a terminal can hold.

mod assemble;
pub mod completion;
pub mod convert;
pub mod document;
pub mod escape;
pub mod failure;
pub mod log;
pub mod quarantine;
#[cfg(test)]
pub(crate) mod sample;
mod summary;

pub use assemble::{Material, assemble, publish};
pub use failure::{Failure, FailureKind};
pub use summary::Summary;
