//! What the image did, whether a rule found fault with it or not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Origin, is_zero};
use super::kernel::{KernelUse, MemoryUse};
use super::network::{BaitUse, Network};

/// A summary of the events. Lists are bounded: first come, first kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Behaviour {
    /// One entry for each program that ran, in order.
    #[schemars(length(max = "super::PROCESSES_MAX"))]
    pub processes: Vec<Program>,
    #[serde(default)]
    pub processes_omitted: u64,
    /// What was changed or refused, by path.
    #[schemars(length(max = "super::FILES_MAX"))]
    pub files: Vec<FileUse>,
    /// Acts on files that are not listed.
    #[serde(default)]
    pub files_omitted: u64,
    pub network: Network,
    /// Memory that became executable, and memory files.
    #[schemars(length(max = "super::MEMORY_MAX"))]
    #[serde(default)]
    pub memory: Vec<MemoryUse>,
    /// Acts on memory that are not listed.
    #[serde(default)]
    pub memory_omitted: u64,
    /// What was asked of the kernel itself, and what was refused.
    #[schemars(length(max = "super::KERNEL_MAX"))]
    #[serde(default)]
    pub kernel: Vec<KernelUse>,
    /// Calls that are not listed.
    #[serde(default)]
    pub kernel_omitted: u64,
    /// Decoys that were touched.
    #[schemars(length(max = "super::BAITS_MAX"))]
    pub baits: Vec<BaitUse>,
    #[serde(default)]
    pub baits_omitted: u64,
    /// Programs that came about during the run and were then run.
    #[schemars(length(max = "super::DROPPED_MAX"))]
    pub dropped: Vec<Dropped>,
    #[serde(default)]
    pub dropped_omitted: u64,
    /// Files that were written in the run and deleted again, mapped as code, or opened to be executed
    /// without a program that came of it (a text that its caller reads then, a loader, what the kernel refused), and
    /// whose content is kept.
    #[schemars(length(max = "super::KEPT_MAX"))]
    #[serde(default)]
    pub kept: Vec<KeptFile>,
    #[serde(default)]
    pub kept_omitted: u64,
}

/// A program that ran: one exec, with the forks that share it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// Its place in the recording.
    pub id: u32,
    /// The program that led to it; null for the image's first.
    pub parent: Option<u32>,
    pub exe: String,
    #[schemars(length(max = "super::ARGUMENTS_MAX"))]
    pub argv: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub argv_omitted: u64,
    pub cwd: String,
    /// As the image itself sees it.
    pub pid: u32,
    /// Effective user id, as the image itself sees it.
    pub uid: u32,
    pub origin: Origin,
    /// Of the executable; null where it could not be read.
    pub sha256: Option<String>,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileUse {
    pub path: String,
    /// `create`, `write`, `rename`, `link`, `delete`, `mkdir`, `chmod`, `chown`, `times`,
    /// `attributes`; `refused` where one failed.
    pub acts: Vec<String>,
    pub count: u64,
    pub first_seen: f64,
    pub origin: Origin,
    /// False: the path is what the program passed, which may not be what the kernel used.
    pub verified: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptFile {
    pub path: String,
    /// Its name under `files/`.
    pub sha256: String,
    pub bytes: u64,
    /// `deleted`, `mapped`, `tried`.
    pub why: String,
    /// Who wrote it, mapped it, or tried it; empty where it is not known.
    pub exe: String,
    pub first_seen: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    pub path: String,
    pub sha256: Option<String>,
    pub origin: Origin,
    /// When it first ran.
    pub first_seen: f64,
}
