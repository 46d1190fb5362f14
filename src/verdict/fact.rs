//! The facts that a verdict is reached on. They come from a run or from its report.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::Family;
use crate::rule::{Class, Confidence, Level};

/// Everything about one run that a policy may look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub subject: SubjectFacts,
    pub findings: Vec<FindingFacts>,
    /// A family that is missing here was not seen at all.
    pub coverage: Vec<FamilyFacts>,
    pub run: RunFacts,
}

/// What a policy may know of the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectFacts {
    /// As the user wrote it, with its transport.
    pub reference: String,
    /// Manifest digest, or the configuration's where there is no manifest: `sha256:…`.
    pub digest: String,
    /// The image was the same before and after; `None` where it was not measured.
    pub unchanged: Option<bool>,
}

/// What a policy may know of a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingFacts {
    pub id: String,
    pub rule: String,
    pub level: Level,
    pub class: Class,
    pub confidence: Confidence,
    /// ATT&CK ids: `T1059.004`.
    pub techniques: Vec<String>,
    /// How many times it was found.
    pub count: u64,
    /// Text of the evidence that was kept, which may be less than `count`.
    pub evidence: Vec<String>,
}

/// How well a family of events was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyFacts {
    pub family: Family,
    pub sight: Sight,
    pub reason: String,
}

/// How well a family was seen, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sight {
    None,
    Partial,
    Full,
}

impl Sight {
    /// Every value, from worst to best.
    pub const ALL: [Sight; 3] = [Sight::None, Sight::Partial, Sight::Full];

    /// The name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Sight::None => "none",
            Sight::Partial => "partial",
            Sight::Full => "full",
        }
    }
}

/// What a policy may know of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFacts {
    /// When it took place; a verdict is valid from then on, however often it is reached again.
    pub recorded: Timestamp,
    pub end: End,
    /// The image's own program ran past its loader or interpreter.
    pub entrypoint_ran: bool,
    /// From the first exec to the end, without the time that was held.
    pub time: Duration,
    /// Records that the kernel could not hand over.
    pub lost: u64,
    pub limits_hit: Vec<String>,
    /// The event log holds everything that was judged.
    pub recording_complete: bool,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Exited,
    Deadline,
    Limit,
    Stopped,
    Killed,
}

impl End {
    /// Every end.
    pub const ALL: [End; 5] = [End::Exited, End::Deadline, End::Limit, End::Stopped, End::Killed];
}
