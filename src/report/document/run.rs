//! What was looked at, with what, and how the run went: the parts of the report that also stand in
//! the event log, so that a replay can write them again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who asked for the run, and under what name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    pub id: String,
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

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    pub digest: String,
    pub diff_id: String,
    /// The image history's word for it, which is the attacker's.
    pub created_by: Option<String>,
}

/// Digest of what was analysed, before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unchanged {
    pub before: String,
    pub after: String,
    pub same: bool,
}

/// What the verdict was reached with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    pub policy: Named,
    /// How the run was provoked and bounded.
    pub profile: String,
    /// The rule sets, in the order they were loaded.
    pub rules: Vec<Named>,
    pub attack_version: String,
    pub exceptions: Option<Named>,
    /// The simulated internet's recipe.
    pub world: Option<Named>,
}

/// A file by its name and the digest of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
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
    pub phases: Vec<PhaseTime>,
    pub exit: Exit,
    /// The image's own program ran past its loader or interpreter.
    pub entrypoint_ran: bool,
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
    pub files: u64,
    pub bytes: u64,
    /// Contents that found no room; of what was executed the hashes are known all the same.
    pub omitted: u64,
    /// Times that written files went by unseen, because there were too many at once: what was deleted of them
    /// is not known.
    #[serde(default)]
    pub missed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseTime {
    pub name: String,
    pub seconds: f64,
}

/// How the image's first program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// Exit status; null where a signal ended it.
    pub code: Option<i32>,
    /// `SIGKILL`; null where it ended by itself.
    pub signal: Option<String>,
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
    /// Ended as soon as enough was known (`--stop-on`).
    Stopped,
    /// Ended from outside: interrupted, or the runner died.
    #[default]
    Killed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCount {
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
    pub explained: u64,
    pub all: u64,
}

/// How well one family of events was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Name of an event family.
    pub family: String,
    pub state: CoverageState,
    /// Empty where the state is `full`.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CoverageState {
    None,
    Partial,
    Full,
}
