//! Failures of the live side: what each error is, and what to do next.

use super::{Failure, Kind};
use crate::image::{ImageError, ImageFault};
use crate::pipeline::PipelineError;
use crate::report::log::LogError;
use crate::sandbox::{PlanError, Refusal, SandboxError};
use crate::trace::TraceError;

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Failure {
        let (kind, what) = match error.fault() {
            ImageFault::Unusable => (Kind::Image, "cannot use the image"),
            ImageFault::Hostile => {
                (Kind::HostileImage, "the image attacks whoever unpacks it; nothing of it ran")
            }
            ImageFault::Host => (Kind::Environment, "cannot unpack the image on this host"),
        };
        let hint = image_hint(&error);
        Failure::new(kind, what).because(error).hint(hint)
    }
}

fn image_hint(error: &ImageError) -> &'static str {
    use ImageError::*;
    match error {
        Reference { .. } | NotFound { .. } => {
            "an image is oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG], dir:ROOTFS, or a path to one of these"
        }
        Transport { .. } => "copy the image into an OCI layout first, and name it as oci:DIR",
        NoSuchTag { .. } | Ambiguous { .. } => "name one of the tags behind a colon",
        Platform { .. } => "analyse it on a host of that architecture, or take the image for this one",
        MissingBlob { .. } | Size { .. } | Digest { .. } | DiffId { .. } | Stream { .. } => {
            "the image is damaged or was changed: fetch it again, and do not use this copy"
        }
        Escapes { .. } | Bomb { .. } | Forged { .. } => {
            "do not unpack this image elsewhere; keep it in quarantine"
        }
        Io { .. } | Unpacker { .. } => "lazaret doctor says what this host lacks",
        _ => "the image does not follow the OCI image specification; ask whoever built it",
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Failure {
        let (kind, hint) = match error {
            PlanError::NothingToRun => {
                (Kind::Image, "name a command behind --, or a program with --entrypoint")
            }
            PlanError::WorkingDir { .. } => (Kind::Image, "name an absolute one with --workdir"),
            PlanError::StopSignal { .. } => {
                (Kind::Image, "the image's configuration names it: ask whoever built it")
            }
            _ => (Kind::Usage, "see the options of lazaret analyze --help"),
        };
        Failure::new(kind, "the image cannot be run as asked").because(error).hint(hint)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Failure {
        let (kind, what, hint) = match error.first() {
            SandboxError::HostileImage { .. } => (
                Kind::HostileImage,
                "the image attacks whoever sets it up; nothing of it ran",
                "do not run this image elsewhere; keep it in quarantine",
            ),
            SandboxError::Refused(refusal) => (Kind::Image, REFUSED, refusal_hint(refusal)),
            SandboxError::StateNotPrivate { .. } | SandboxError::State { .. } => (
                Kind::Environment,
                "cannot use the state directory",
                "name a directory of root's own with --state, mode 0700",
            ),
            SandboxError::NoRoom { .. } | SandboxError::NoRoomForFiles { .. } => (
                Kind::Environment,
                "this host has too little room for a run; nothing of the image ran",
                "make room, lower --disk, or name another state directory with --state",
            ),
            SandboxError::Left { .. } => {
                (Kind::Environment, "the run could not be removed", "run lazaret gc")
            }
            _ => (Kind::Environment, "cannot build the sandbox", "lazaret doctor says what this host lacks"),
        };
        Failure::new(kind, what).because(error).hint(hint)
    }
}

const REFUSED: &str = "the image's program cannot be run; nothing of the image ran";

fn refusal_hint(refusal: &Refusal) -> &'static str {
    use crate::sandbox::Reason;
    match refusal.reason {
        Reason::ForeignArchitecture => "analyse the image on a host of that architecture",
        Reason::UnknownUser => "name another user with --user",
        Reason::WorkingDir => "name another working directory with --workdir",
        _ => "name another command behind --, or a program with --entrypoint",
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Failure {
        let hint = match error {
            TraceError::NoBtf { .. } | TraceError::BadBtf { .. } => {
                "boot a kernel with CONFIG_DEBUG_INFO_BTF=y (Debian's and Ubuntu's have it), 6.1 or later"
            }
            TraceError::NotPermitted { .. } => "run as root, with CAP_BPF and CAP_PERFMON",
            _ => "lazaret doctor says what this kernel lacks",
        };
        Failure::new(Kind::Environment, "cannot watch the image, so it is not run").because(error).hint(hint)
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Failure {
        use PipelineError::*;
        match error {
            Image(error) => error.into(),
            Plan(error) => error.into(),
            Sandbox(error) => error.into(),
            Trace(error) => error.into(),
            Internet(error) => Failure::new(Kind::Environment, "cannot make the simulated internet")
                .because(error)
                .hint("lazaret doctor says what this host lacks; --network none runs without a network"),
            CleanUp { first, then } => Failure::from(*first).and_then(then),
            Refused(ref refusal) => {
                let hint = refusal_hint(refusal);
                Failure::new(Kind::Image, REFUSED).because(error).hint(hint)
            }
            OtherSubject { .. } => Failure::new(Kind::Usage, "the quarantine report is about another image")
                .because(error)
                .hint("name this image's own quarantine report, or a file that does not exist yet"),
            OtherDigest { .. } | NoDigest => {
                Failure::new(Kind::Image, "the image is not the one that was expected")
                    .because(error)
                    .hint("fetch the image again, or correct --expect-digest")
            }
            Interrupted { .. } => {
                Failure::new(Kind::Interrupted, "the run was ended from outside; there is no verdict")
                    .because(error)
                    .hint("run it again")
            }
            Log(LogError::Write(_)) | RunDir(_) | Io { .. } => {
                Failure::new(Kind::Environment, "the run could not be recorded; there is no verdict")
                    .because(error)
                    .hint("see that the file system of the run has room and is writable")
            }
            Log(_) => Failure::new(Kind::Internal, "the run could not be recorded").because(error),
        }
    }
}
