//! An end without a verdict, as it is published.

use serde::Serialize;

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// What went wrong, in one line; names the object.
    pub message: String,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The command line, a policy or a rule is wrong.
    Usage,
    /// The image cannot be used: malformed, of another architecture, without a program to run.
    Image,
    /// The image attacks whoever unpacks it.
    HostileImage,
    /// The host cannot do it: no privileges, no BPF, no space.
    Environment,
    /// Ended from outside.
    Interrupted,
    /// Our own fault.
    Internal,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [FailureKind; 6] = [
        FailureKind::Usage,
        FailureKind::Image,
        FailureKind::HostileImage,
        FailureKind::Environment,
        FailureKind::Interrupted,
        FailureKind::Internal,
    ];

    /// The name in the quarantine report and the completion event.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Usage => "usage",
            FailureKind::Image => "image",
            FailureKind::HostileImage => "hostile_image",
            FailureKind::Environment => "environment",
            FailureKind::Interrupted => "interrupted",
            FailureKind::Internal => "internal",
        }
    }
}
