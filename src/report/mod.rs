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
//! - [`to_json`], [`markdown()`]: its renderings; the terminal's is the command line's own.
//! - [`escape`]: bytes → text that a document or a terminal can hold.

mod assemble;
pub mod completion;
pub mod convert;
pub mod document;
pub mod escape;
pub mod failure;
pub mod log;
mod markdown;
pub mod quarantine;
#[cfg(test)]
pub(crate) mod sample;
mod summary;
#[cfg(test)]
mod tests;

pub use assemble::{Material, assemble, publish};
pub use failure::{Failure, FailureKind};
pub use markdown::markdown;
pub use summary::Summary;

/// The report as it stands in its file: JSON, indented, and safe to print on a terminal.
pub fn to_json(report: &document::Report) -> String {
    let text = serde_json::to_string_pretty(report).expect("a report has string keys and finite numbers");
    escape::json(&text) + "\n"
}
