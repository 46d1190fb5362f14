//! Findings and the verdict, as published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule matched these events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The same in every run of the same image, and in every image that does the same.
    pub id: String,
    /// Name of the rule.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// How bad it is.
    pub level: Level,
    /// How sure it is that what matched is what the title says.
    pub confidence: Confidence,
    /// What it says about the image.
    pub class: Class,
    /// Where the program that did it came from.
    pub origin: Origin,
    /// Techniques of MITRE ATT&CK that it shows.
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

/// How bad a finding is.
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
    /// The name in rules and reports.
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

/// How sure a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

/// What a finding says about the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nothing well-meant does it.
    Malicious,
    /// Well-meant software does it too, but should not.
    Risky,
    /// It is unusual.
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

/// Where a file can come from.
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
    /// It could not be told.
    Unknown,
}

/// A technique of MITRE ATT&CK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Technique {
    /// `T1059.004`
    pub technique: String,
    /// `Unix Shell`
    pub name: String,
    /// Short names: `execution`.
    pub tactics: Vec<String>,
}

/// The process that did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Path of the file that runs; of a script, of its interpreter.
    pub exe: String,
    /// What it was started with.
    #[schemars(length(max = "super::ARGUMENTS_MAX"))]
    pub argv: Vec<String>,
    /// Arguments beyond the bound of the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub argv_omitted: u64,
    /// The programs that led to it, nearest first.
    #[schemars(length(max = "super::LINEAGE_MAX"))]
    pub lineage: Vec<Ancestor>,
}

/// A program that led to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ancestor {
    /// Path of the file that ran.
    pub exe: String,
    /// What it was started with.
    #[schemars(length(max = "super::ARGUMENTS_MAX"))]
    pub argv: Vec<String>,
    /// Arguments beyond the bound of the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub argv_omitted: u64,
}

/// An event on which a finding rests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Id of the event in the event log.
    pub event: u64,
    /// The event in one line.
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
    /// What the policy advises to do with the image.
    pub next_step: Option<String>,
}

/// A verdict, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing of what follows, and all that the policy requires was seen.
    Pass,
    /// It did something that a person should look at.
    Review,
    /// It ran, but too little was seen to tell.
    Inconclusive,
    /// It did what the policy forbids.
    Fail,
}

impl Decision {
    /// The name in policies and reports.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Pass => "pass",
            Decision::Review => "review",
            Decision::Inconclusive => "inconclusive",
            Decision::Fail => "fail",
        }
    }
}

/// A clause of a policy that holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The clause of the policy, as a sentence.
    pub clause: String,
    /// What this clause alone comes to.
    pub result: Decision,
    /// Ids of findings.
    pub findings: Vec<String>,
}

/// What one policy says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyResult {
    /// The policy's name.
    pub name: String,
    /// `sha256:…` of its file.
    pub digest: String,
    /// What it says.
    pub result: Decision,
    /// Why, worst first.
    pub reasons: Vec<Reason>,
}

/// An exception that covers a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedException {
    /// Scope, author and end, in one line.
    pub exception: String,
    /// Why somebody answers for the findings.
    pub reason: String,
    /// Who does.
    pub author: String,
    /// RFC 3339: it no longer holds from this moment on.
    pub expires: String,
    /// It no longer held when the verdict was reached.
    pub expired: bool,
    /// Ids of the findings that it covers, and suppresses where it has not expired.
    pub findings: Vec<String>,
}

pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}
