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
    /// Programs that are not listed.
    #[serde(default)]
    pub processes_omitted: u64,
    /// What was changed or refused, by path.
    #[schemars(length(max = "super::FILES_MAX"))]
    pub files: Vec<FileUse>,
    /// Acts on files that are not listed.
    #[serde(default)]
    pub files_omitted: u64,
    /// What it said to others, and where it listened.
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
    /// Decoys that were touched and are not listed.
    #[serde(default)]
    pub baits_omitted: u64,
    /// Programs that came about during the run and were then run.
    #[schemars(length(max = "super::DROPPED_MAX"))]
    pub dropped: Vec<Dropped>,
    /// Programs that are not listed.
    #[serde(default)]
    pub dropped_omitted: u64,
    /// Files that were written in the run and deleted again, mapped as code, or opened to be executed
    /// without a program that came of it (a text that its caller reads then, a loader, what the kernel refused), and
    /// whose content is kept.
    #[schemars(length(max = "super::KEPT_MAX"))]
    #[serde(default)]
    pub kept: Vec<KeptFile>,
    /// Files that are not listed.
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
    /// Path of the file that ran; of a script, of its interpreter.
    pub exe: String,
    /// What it was started with.
    #[schemars(length(max = "super::ARGUMENTS_MAX"))]
    pub argv: Vec<String>,
    /// Arguments beyond the bound of the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub argv_omitted: u64,
    /// The directory that it was started in.
    pub cwd: String,
    /// As the image itself sees it.
    pub pid: u32,
    /// Effective user id, as the image itself sees it.
    pub uid: u32,
    /// Where its file came from.
    pub origin: Origin,
    /// Of the executable; null where it could not be read.
    pub sha256: Option<String>,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// Acts on one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileUse {
    /// As the sandbox knows it, from its root.
    pub path: String,
    /// `create`, `write`, `rename`, `link`, `delete`, `mkdir`, `chmod`, `chown`, `times`,
    /// `attributes`; `refused` where one failed.
    pub acts: Vec<String>,
    /// How many acts.
    pub count: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
    /// Where the file came from.
    pub origin: Origin,
    /// False: the path is what the program passed, which may not be what the kernel used.
    pub verified: bool,
}

/// A file whose content is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptFile {
    /// Where it lay.
    pub path: String,
    /// Its name under `files/`.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// `deleted`, `mapped`, `tried`.
    pub why: String,
    /// Who wrote it, mapped it, or tried it; empty where it is not known.
    pub exe: String,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
}

/// A program that the image does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// Where it ran from.
    pub path: String,
    /// Of its content; null where it could not be read.
    pub sha256: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// When it first ran.
    pub first_seen: f64,
}
