//! Findings and the verdict, as published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule matched these events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The same in every run of the same image, and in every image that does the same.
    pub id: String,
    pub rule: String,
    pub title: String,
    pub level: Level,
    pub confidence: Confidence,
    pub class: Class,
    /// Where the program that did it came from.
    pub origin: Origin,
    #[schemars(length(max = "super::TECHNIQUES_MAX"))]
    pub attack: Vec<Technique>,
    /// How many times it was found.
    pub count: u64,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
    /// Null for a finding that belongs to no process.
    pub process: Option<Process>,
    /// The first three and the last.
    #[schemars(length(max = "super::EVIDENCE_MAX"))]
    pub evidence: Vec<Evidence>,
    /// What it says about the image.
    pub meaning: String,
    /// What to do about it.
    pub advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Malicious,
    Risky,
    Anomalous,
}

/// Where a file came from. Empty where there is no file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<OriginKind>,
    /// Place of the layer, from 0 at the bottom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<u16>,
    /// Digest of that layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// It stands as a layer of the image has it.
    Layer,
    /// It was made or changed during the run.
    Written,
    /// It lives in memory only.
    Memfd,
    /// The sandbox supplied it.
    Supplied,
    /// A kernel file system.
    Kernel,
    Unknown,
}

/// A technique of MITRE ATT&CK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Technique {
    pub technique: String,
    pub name: String,
    /// Short names: `execution`.
    pub tactics: Vec<String>,
}

/// The process that did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    pub exe: String,
    #[schemars(length(max = "super::ARGUMENTS_MAX"))]
    pub argv: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub argv_omitted: u64,
    /// The programs that led to it, nearest first.
    #[schemars(length(max = "super::LINEAGE_MAX"))]
    pub lineage: Vec<Ancestor>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ancestor {
    pub exe: String,
    #[schemars(length(max = "super::ARGUMENTS_MAX"))]
    pub argv: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub argv_omitted: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Id of the event in the event log.
    pub event: u64,
    pub text: String,
}

/// What the findings come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The worst that a policy says.
    pub result: Decision,
    /// Why, worst first, in words of that policy.
    pub reasons: Vec<Reason>,
    /// What each policy says.
    pub policies: Vec<PolicyResult>,
    /// Exceptions that cover a finding, also those that no longer hold.
    pub exceptions: Vec<AppliedException>,
    /// Exceptions without which the result would be worse; null for a plain result.
    pub allowed_by: Option<Vec<String>>,
    pub next_step: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Pass,
    Review,
    Inconclusive,
    Fail,
}

impl Decision {
    pub fn name(self) -> &'static str {
        match self {
            Decision::Pass => "pass",
            Decision::Review => "review",
            Decision::Inconclusive => "inconclusive",
            Decision::Fail => "fail",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    pub clause: String,
    /// What this clause alone comes to.
    pub result: Decision,
    /// Ids of findings.
    pub findings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyResult {
    pub name: String,
    pub digest: String,
    pub result: Decision,
    pub reasons: Vec<Reason>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedException {
    /// Scope, author and end, in one line.
    pub exception: String,
    pub reason: String,
    pub author: String,
    /// RFC 3339: it no longer holds from this moment on.
    pub expires: String,
    pub expired: bool,
    /// Ids of the findings that it covers, and suppresses where it has not expired.
    pub findings: Vec<String>,
}

pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}
