//! Content of the run that was put away.

use super::Bytes;

/// A file whose content is kept, named by its sha256.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its last name, as the kernel knew it.
    pub path: Bytes,
    pub sha256: [u8; 32],
    /// Bytes.
    pub size: u64,
    pub why: Why,
}

/// Why it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It was written in the run, and lost its last name.
    Deleted,
    /// It was written in the run, and mapped as code.
    Mapped,
    /// It was written in the run, and opened to be executed, but no program came of it: a text that its caller
    /// then reads as a script, a program's loader, what the kernel refused.
    Tried,
}

impl Why {
    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Why::Deleted => "deleted",
            Why::Mapped => "mapped",
            Why::Tried => "tried",
        }
    }
}
