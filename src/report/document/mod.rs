//! `report.json`, `lazaret.report/v1`: the published types.
//!
//! Others rely on these names. A reader should ignore names that it does not know; within `v1` names
//! are added, never changed. Every list that can grow has a bound, named here, and what was left out
//! is counted beside it (`…_omitted`). Text that the image chose is written as
//! [`escape`](crate::report::escape) says; longer text than [`TEXT_MAX`] is cut in the middle.

mod behaviour;
mod finding;
mod kernel;
mod network;
mod run;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use behaviour::{Behaviour, Dropped, FileUse, KeptFile, Program};
pub use finding::{
    Ancestor, AppliedException, Class, Confidence, Decision, Evidence, Finding, Level, Origin, OriginKind,
    PolicyResult, Process, Reason, Technique, Verdict,
};
pub use kernel::{KernelUse, MemoryUse};
pub use network::{
    BaitDeed, BaitUse, Command, DnsQuestion, Flow, HttpRequest, Listener, Network, PortAnswer, TlsHello,
};
pub use run::{
    Captured, Coverage, CoverageState, Environment, EventCount, Exit, ExitReason, Inputs, Layer, Named,
    PhaseTime, RanCommand, Recording, Request, Run, Subject, Unchanged, Visibility,
};

/// The version of the format, as the report's field `schema` names it.
pub const SCHEMA: &str = "lazaret.report/v1";

/// Longest text that the image chose, in bytes of UTF-8.
pub const TEXT_MAX: usize = 4096;
/// Longest argument vector.
pub const ARGUMENTS_MAX: usize = 64;
/// More layers than any engine accepts.
pub const LAYERS_MAX: usize = 512;
/// Changed files that no event explains.
pub const UNEXPLAINED_MAX: usize = 200;
/// Findings.
pub const FINDINGS_MAX: usize = 1000;
/// Techniques of one finding.
pub const TECHNIQUES_MAX: usize = 32;
/// The first three, and the last.
pub const EVIDENCE_MAX: usize = 4;
/// Programs that ran.
pub const PROCESSES_MAX: usize = 2000;
/// Paths that were changed or refused.
pub const FILES_MAX: usize = 1000;
/// Connections and datagrams.
pub const FLOWS_MAX: usize = 1000;
/// Sockets that others could call.
pub const LISTENERS_MAX: usize = 200;
/// Of one listener.
pub const ANSWERS_MAX: usize = 8;
/// Commands that were run inside.
pub const RAN_MAX: usize = 32;
/// Programs that the image does not hold.
pub const DROPPED_MAX: usize = 500;
/// Questions to name servers.
pub const DNS_MAX: usize = 1000;
/// Requests.
pub const HTTP_MAX: usize = 1000;
/// Handshakes.
pub const TLS_MAX: usize = 500;
/// Commands of other protocols.
pub const COMMANDS_MAX: usize = 500;
/// Of one DNS answer; of the protocols that a TLS client offers.
pub const ADDRESSES_MAX: usize = 8;
/// Longest beginning of something that was sent, in bytes of UTF-8.
pub const PAYLOAD_MAX: usize = 512;
/// Decoys that were touched.
pub const BAITS_MAX: usize = 200;
/// Files whose content is kept.
pub const KEPT_MAX: usize = 500;
/// Acts on memory.
pub const MEMORY_MAX: usize = 200;
/// Calls on the kernel.
pub const KERNEL_MAX: usize = 500;
/// Different strings of one kind of call.
pub const ABOUT_MAX: usize = 4;
/// Programs that led to one.
pub const LINEAGE_MAX: usize = crate::event::Program::LINEAGE_MAX;

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "lazaret.report/v1")]
pub struct Report {
    /// The version of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The id of this run.
    pub id: String,
    /// RFC 3339: when the run began.
    pub created: String,
    /// RFC 3339: the soonest that a policy says, or that an exception ends on which the result rests.
    pub valid_until: String,
    /// Who asked for the run.
    pub request: Request,
    /// Id of the previous report on this image.
    pub previous: Option<String>,
    /// What was analysed.
    pub subject: Subject,
    /// What the verdict was reached with.
    pub inputs: Inputs,
    /// Where the image ran.
    pub environment: Environment,
    /// How the run went.
    pub run: Run,
    /// One entry for each family.
    pub coverage: Vec<Coverage>,
    /// What the policies say about it.
    pub verdict: Verdict,
    /// Worst level first, then by time.
    #[schemars(length(max = "FINDINGS_MAX"))]
    pub findings: Vec<Finding>,
    /// Findings beyond the bound of the list.
    #[serde(default)]
    pub findings_omitted: u64,
    /// Findings by what they served, in the order of ATT&CK's tactics.
    pub kill_chain: Vec<Step>,
    /// What the image did, whether a rule found fault with it or not.
    pub behaviour: Behaviour,
    /// What this report does not show, in sentences.
    pub limits: Vec<String>,
}

/// One tactic, and what served it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Short name: `execution`.
    pub tactic: String,
    /// The tactic's name: `Execution`.
    pub name: String,
    /// Seconds since the image's first program began.
    pub first_seen: f64,
    /// Ids of findings, by time.
    pub findings: Vec<String>,
}

/// The published JSON Schema of [`Report`], as it stands in `report.schema.json`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After an intended change, write the generated schema with `LAZARET_BLESS=1 cargo test`.
    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/report.schema.json");
        let generated = format!("{:#}\n", schema());
        if std::env::var_os("LAZARET_BLESS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == generated, "run LAZARET_BLESS=1 cargo test, and read the difference");
    }
}
