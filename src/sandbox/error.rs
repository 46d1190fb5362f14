//! What can go wrong with a sandbox.

use std::io;
use std::path::PathBuf;

use super::Refusal;

/// A sandbox could not be made, started, or cleaned up after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The state directory, or something in it.
    #[error("cannot {action} {path:?}")]
    State { action: &'static str, path: PathBuf, source: io::Error },
    #[error("state directory {path:?} is not a directory of root's alone")]
    StateNotPrivate { path: PathBuf },
    #[error("run {id} exists already")]
    RunExists { id: String },
    /// What a run may write has no room on this host.
    #[error("{path:?} has room for {free} MiB, a run may need {needed} MiB")]
    NoRoom { path: PathBuf, free: u64, needed: u64 },
    #[error("{path:?} has room for {free} more files, too few for a run")]
    NoRoomForFiles { path: PathBuf, free: u64 },
    #[error("no range of 65536 ids is free")]
    NoIds,
    #[error("run id is not 16 to 32 lower-case hex digits: {text:?}")]
    RunId { text: String },
    /// The host has no cgroup v2 tree, which holding and killing need.
    #[error("no cgroup v2 tree is mounted")]
    NoCgroupTree,
    #[error("cannot {action} cgroup {path:?}")]
    Cgroup { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {step}")]
    Helper { step: &'static str, source: io::Error },
    /// Said by the helper process: which step of the cage failed, and what the system answered.
    #[error("cage is not complete: {step}: {detail}")]
    Cage { step: String, detail: String },
    /// The image is made to mislead whoever sets it up. Exit 2, `hostile_image`.
    #[error("image attacks its own set-up: {what}")]
    HostileImage { what: String },
    /// Nothing of the image ran. Exit 2.
    #[error("{0}")]
    Refused(Refusal),
    #[error("sandbox is not watched: the watcher does not know it")]
    Unwatched,
    /// The helper or the init ended, or did not answer in time.
    #[error("sandbox was lost: {what}")]
    Lost { what: &'static str },
    #[error("something of run {id} is left behind: {what}")]
    Left { id: String, what: String },
    /// A clean-up failed after something else had failed.
    #[error("{first}; then the clean-up failed as well: {clean_up}")]
    Both { first: Box<SandboxError>, clean_up: Box<SandboxError> },
}

impl SandboxError {
    /// Joins a failed clean-up to the failure that led to it.
    pub(super) fn with_clean_up(self, clean_up: Result<(), SandboxError>) -> SandboxError {
        match clean_up {
            Ok(()) => self,
            Err(clean_up) => SandboxError::Both { first: Box::new(self), clean_up: Box::new(clean_up) },
        }
    }

    /// The failure that came first.
    pub fn first(&self) -> &SandboxError {
        match self {
            SandboxError::Both { first, .. } => first.first(),
            other => other,
        }
    }
}
