//! What was looked at, with what, and how the run went: the parts of the report that also stand in
//! the event log, so that a replay can write them again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who asked for the run, and under what name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The id of the run, unless the requester gave another.
    pub id: String,
    /// Null where nobody is named.
    pub requester: Option<String>,
    /// Keys and values are the requester's.
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
}

/// The image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// As the user wrote it, transport included.
    pub reference: String,
    /// `sha256:…`; null where the source has no manifest (`dir:`).
    pub manifest_digest: Option<String>,
    /// `sha256:…` of the image's configuration.
    pub config_digest: String,
    /// `linux/amd64`.
    pub platform: String,
    /// From the bottom.
    #[schemars(length(max = "super::LAYERS_MAX"))]
    pub layers: Vec<Layer>,
    /// Null while the run is not over, or where it could not be measured.
    #[serde(default)]
    pub unchanged: Option<Unchanged>,
}

impl Subject {
    /// What the image is known by: its manifest's digest, or its configuration's where it has none.
    pub fn digest(&self) -> &str {
        self.manifest_digest.as_ref().unwrap_or(&self.config_digest)
    }
}

/// A layer of the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    /// `sha256:…` of the blob.
    pub digest: String,
    /// `sha256:…` of the unpacked stream.
    pub diff_id: String,
    /// The image history's word for it, which is the attacker's.
    pub created_by: Option<String>,
}

/// Digest of what was analysed, before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unchanged {
    /// `sha256:…`
    pub before: String,
    /// `sha256:…`
    pub after: String,
    /// The two are equal.
    pub same: bool,
}

/// What the verdict was reached with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The first of the policies; `verdict.policies` has all.
    pub policy: Named,
    /// Which decoys the image found.
    pub profile: String,
    /// The rule sets, in the order they were loaded.
    pub rules: Vec<Named>,
    /// Version of the ATT&CK table that the rules name techniques of.
    pub attack_version: String,
    /// The file of exceptions; null where none was given.
    pub exceptions: Option<Named>,
    /// The scenario of the simulated internet; null where it was the usual one.
    pub world: Option<Named>,
}

/// A file by its name and the digest of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// As it was given; `shipped` for the rules that come with lazaret.
    pub name: String,
    /// `sha256:…`
    pub digest: String,
}

/// Where the image ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Version of lazaret that recorded the run.
    pub lazaret: String,
    /// Kernel release.
    pub kernel: String,
    /// `A` or `B`: which kinds of probe could be loaded.
    pub tier: String,
    /// `namespaces`, …
    pub isolation: String,
}

/// How the run went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// What the runner did with the image, in order.
    pub phases: Vec<PhaseTime>,
    /// How the image's first program ended, and why the run did.
    pub exit: Exit,
    /// The image's own program ran past its loader or interpreter.
    pub entrypoint_ran: bool,
    /// How many events there are.
    pub events: EventCount,
    /// How complete the event log is; findings beyond a truncated log still count.
    pub recording: Recording,
    /// The workload stood still for so long in all, so that nothing was lost.
    pub held_seconds: f64,
    /// So much sleep was skipped.
    pub skipped_seconds: f64,
    /// Commands that were run inside: the image's own health check, and what was asked for.
    #[serde(default)]
    #[schemars(length(max = "super::RAN_MAX"))]
    pub commands: Vec<RanCommand>,
    /// Names of limits, each once.
    pub limits_hit: Vec<String>,
    /// Null where it was not measured.
    pub visibility: Option<Visibility>,
    /// Changed files that no event explains.
    #[schemars(length(max = "super::UNEXPLAINED_MAX"))]
    pub unexplained: Vec<String>,
    /// Files that are not listed.
    #[serde(default)]
    pub unexplained_omitted: u64,
    /// What was executed and not in the image; null where it could not be captured.
    #[serde(default)]
    pub captured: Option<Captured>,
}

/// How a command that was run inside ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RanCommand {
    /// `healthcheck` or `exec`.
    pub purpose: String,
    /// The command, without the shell that may have run it.
    #[schemars(length(max = "super::ARGUMENTS_MAX"))]
    pub argv: Vec<String>,
    /// Exit status. Null with `signal` null: it was never started.
    pub code: Option<u8>,
    /// The number of the signal that ended it.
    pub signal: Option<u8>,
    /// It took too long, and was killed.
    pub timed_out: bool,
}

/// Files of the run that are kept under `files/`, each named by its sha256: what was executed, deleted, or mapped
/// as code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Captured {
    /// How many are kept.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Contents that found no room; of what was executed the hashes are known all the same.
    pub omitted: u64,
    /// Times that written files went by unseen, because there were too many at once: what was deleted of them
    /// is not known.
    #[serde(default)]
    pub missed: u64,
}

/// A phase of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseTime {
    /// `setup`, `start`, `probe`, `idle`, `stop`.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}

/// How the image's first program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// Exit status; null where a signal ended it.
    pub code: Option<i32>,
    /// `SIGKILL`; null where it ended by itself.
    pub signal: Option<String>,
    /// Why the run ended.
    pub reason: ExitReason,
}

/// Why the run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// Every process of the image ended by itself.
    Exited,
    /// The time was up.
    Deadline,
    /// A limit ended it.
    Limit,
    /// Ended as soon as enough was known.
    Stopped,
    /// Ended from outside: interrupted, or the runner died.
    #[default]
    Killed,
}

/// Events of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCount {
    /// How many were seen and judged; one that stands for repeats counts as often.
    pub seen: u64,
    /// Records that the kernel could not hand over.
    pub lost: u64,
    /// Events in which a string was longer than the probe's bound.
    pub cut: u64,
    /// Seen and judged, but left out of the event log for its bound.
    #[serde(default)]
    pub unlogged: u64,
}

/// How complete the event log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// It holds every event.
    Complete,
    /// Its bound was reached; from then on it holds evidence only.
    Truncated,
    /// It ends without a trailer: the recorder was killed.
    #[default]
    Unfinished,
}

/// Changes of the file system that an event explains, of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Visibility {
    /// Those that an event explains.
    pub explained: u64,
    /// All changed files that were found.
    pub all: u64,
}

/// How well one family of events was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Name of an event family.
    pub family: String,
    /// How well.
    pub state: CoverageState,
    /// Empty where the state is `full`.
    pub reason: String,
}

/// How well a family of events was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CoverageState {
    /// Not at all.
    None,
    /// In part, for the reason beside it.
    Partial,
    /// As far as the probes reach.
    Full,
}
