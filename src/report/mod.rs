//! Published types and their renderings; the event log.
//!
//! Everything here is a function from values to values, or writes to a `Write` it was given: no file
//! is opened and no clock is read. What the kernel and the image said is bytes until [`escape`]
//! makes text of it.
//!
//! - [`document`]: `report.json`, whose names others rely on.
//! - [`log`]: the event log, `events.jsonl`, from which a replay writes an equal report.
//! - [`escape`]: bytes → text that a document or a terminal can hold.

pub mod assemble;
pub mod convert;
pub mod document;
pub mod escape;
pub mod log;
#[cfg(test)]
pub(crate) mod sample;
mod summary;

pub use assemble::{Material, assemble};
pub use summary::Summary;
