//! What the image did with memory that can be run, and what it asked of the kernel itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::is_zero;

/// Memory of one kind, by one program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryUse {
    /// `map`, `protect` (made executable later), `memfd`, `secret_memfd`, `user_fault`.
    pub act: String,
    /// The file that is mapped, the name of a memory file; empty of anonymous memory.
    pub what: String,
    /// Writable and executable at once.
    pub write: bool,
    /// Something was written into it before it became executable.
    pub written: bool,
    /// Of the largest, in bytes; 0 where there is no size.
    pub bytes: u64,
    /// Empty where it is not known.
    pub exe: String,
    /// How many acts.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// Calls on the kernel itself, on what separates the sandbox from it, or on other processes' insides, by one
/// program; and calls that were refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelUse {
    /// `call`; `compat` (the 32-bit entry); `ring` (io_uring); `moved` (to another cgroup); `capability` (one
    /// that was asked for and not there); `argument_mismatch`; `process` (ptrace and its like); `denied` (a
    /// refused call of any other kind).
    pub act: String,
    /// Name of the call or operation.
    pub call: String,
    /// The first different strings among the arguments: paths, names, targets.
    #[schemars(length(max = "super::ABOUT_MAX"))]
    pub about: Vec<String>,
    /// The capability that was missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Who refused it: `sandbox` (its filter), `own_filter` (one of the image's), `kernel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<String>,
    /// Empty where it is not known.
    pub exe: String,
    /// How many calls.
    pub count: u64,
    /// How many of them failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}
