//! The event log: everything a replay needs to judge a run again, as lines of JSON.
//!
//! ```text
//! {"lazaret.events":1,"id":…,"subject":…,…}     header: what was run, with what
//! {"ancestor":{"id":1,"exe":…,"argv":…}}         a program known only as somebody's ancestor
//! {"program":{"id":2,…,"lineage":[1]}}           each program once, before its first event
//! {"event":{"id":1,"ns":…,"act":{"file":{"open":…}}}}
//! {"trailer":{…},"sha256":"…"}                   how it ended, and the digest of all bytes before `,"sha256"`
//! ```
//!
//! Invariants, which the reader checks: events have ascending ids; whatever an id refers to stands
//! before; no field is unknown; a line is no longer than [`LINE_MAX`]; nothing follows the trailer.
//! Times are integer nanoseconds, so that nothing is rounded. Byte strings are written as
//! [`escape`](crate::report::escape) says, without loss. Fields of their usual value are left out
//! (`count` 1, flags that are false, `errno` of what succeeded).
//!
//! A log without a trailer was cut off: it can be judged, never passed ([`Ending::Missing`]). A log
//! whose digest differs was changed, and is refused ([`LogError::Digest`]). The digest guards against
//! accidents and careless edits, not against someone who computes it again: that is what a signature
//! is for.

mod line;
mod read;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

pub use read::{Ending, Reader};
pub(super) use text::digest::hex;
pub use write::Writer;

use super::document::{Coverage, CoverageState, Environment, Inputs, Request, Run, Subject};
use crate::event::Family;

/// Version of the format, the value of the header's first field.
pub const VERSION: u64 = 1;

/// Longest line, with its newline: an argument vector and an environment of 2 MiB each, every byte
/// escaped.
pub const LINE_MAX: usize = 32 << 20;

/// Longest argument vector or environment. The kernel takes 6 MiB of strings and pointers at most
/// (`bprm_stack_limits` in fs/exec.c), of nine bytes or more each.
pub const LIST_MAX: usize = 1 << 20;

/// So many bytes of programs a reader keeps in memory (see [`program_cost`]); a writer stops there.
pub const PROGRAM_BYTES_MAX: u64 = 256 << 20;

/// What a program line takes in memory: its text, and an allocation for each argument, because a line
/// of empty arguments grows most when it is read.
fn program_cost(line: usize, arguments: usize) -> u64 {
    line as u64 + 64 * arguments as u64
}

/// The first line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Of the report that the run wrote; a replay writes the same.
    pub id: String,
    /// RFC 3339: when the run began.
    pub created: String,
    pub request: Request,
    /// Id of the previous report on this image.
    pub previous: Option<String>,
    pub subject: Subject,
    pub inputs: Inputs,
    pub environment: Environment,
}

/// The last line: how the run ended. The writer sets the counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trailer {
    pub run: Run,
    pub coverage: Vec<Coverage>,
    /// The subject, with what only the end can tell (`unchanged`).
    pub subject: Subject,
    #[serde(default)]
    pub counters: Counters,
}

impl Trailer {
    /// Stands in for the trailer of a log that breaks off: nothing is known for certain.
    pub fn missing(header: &Header) -> Self {
        let unknown = |family: Family| Coverage {
            family: family.name().to_owned(),
            state: CoverageState::None,
            reason: "the recording breaks off".to_owned(),
        };
        Self { coverage: Family::ALL.map(unknown).into(), subject: header.subject.clone(), ..Self::default() }
    }
}

/// What the log itself holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    pub events: u64,
    pub programs: u64,
    /// Events that the log's bound left out.
    pub omitted: u64,
    /// The bound was reached: from then on only evidence was written.
    pub truncated: bool,
}

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    #[error("cannot read the event log after line {line}")]
    Read { line: u64, source: io::Error },
    #[error("cannot write the event log")]
    Write(#[source] io::Error),
    #[error("the first line is no header of an event log: {reason}")]
    NoHeader { reason: String },
    #[error("the event log has version {found}, this program reads version {VERSION}")]
    Version { found: u64 },
    #[error("line {line} of the event log is longer than {LINE_MAX} bytes")]
    LongLine { line: u64 },
    #[error("line {line} of the event log, field {field}: {reason}")]
    Field { line: u64, field: String, reason: String },
    #[error("line {line} of the event log follows the trailer")]
    AfterTrailer { line: u64 },
    #[error(
        "the event log was changed after it was written: its bytes have sha256 {found}, its trailer says {expected}"
    )]
    Digest { expected: String, found: String },
}

/// Compresses a log on its way to `to`; finish it with `finish()`, else it reads as cut off.
pub fn compress<W: Write>(to: W) -> io::Result<zstd::Encoder<'static, W>> {
    // Lines alike by the thousand: the levels above take twice as long, and give as many bytes or more.
    zstd::Encoder::new(to, 1)
}

/// Decompresses a log. Bounded in memory: frames that ask for a window over 8 MiB are refused.
pub fn decompress<R: BufRead>(from: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(from)?;
    decoder.window_log_max(23)?;
    Ok(decoder)
}
