//! What ends a run without a verdict.

use std::io;

use super::rundir::RunDirError;
use crate::image::{Digest, ImageError};
use crate::internet::process::InternetError;
use crate::report::log::LogError;
use crate::sandbox::{PlanError, Refusal, SandboxError};
use crate::trace::TraceError;

/// No verdict: nothing of the image ran, or the run could not be carried through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image is another than the one that was asked for.
    #[error("image has the digest {found}, expected {expected}")]
    OtherDigest { expected: Digest, found: Digest },
    /// The quarantine report that should take our check is about another image.
    #[error("image has the digest {found}, the quarantine report is about {expected}")]
    OtherSubject { expected: String, found: String },
    #[error("image has no manifest, so no digest can be expected of it")]
    NoDigest,
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The image's program cannot be run here.
    #[error("{0}")]
    Refused(Refusal),
    #[error(transparent)]
    Internet(#[from] InternetError),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("cannot {what}")]
    Io { what: &'static str, source: io::Error },
    /// A signal to lazaret itself.
    #[error("interrupted by {signal}")]
    Interrupted { signal: &'static str },
    /// The run failed, and then the clean-up failed too.
    #[error("{first}")]
    CleanUp { first: Box<PipelineError>, then: SandboxError },
}

impl PipelineError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> PipelineError {
        move |source| PipelineError::Io { what, source }
    }
}
