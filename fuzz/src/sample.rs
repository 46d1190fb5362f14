//! What stands in for the rest of a run: events, rules, a case.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use lazaret::event::{Event, Family};
use lazaret::report::log::{self, Reader};
use lazaret::rule::{Class, Confidence, Level, RuleSet};
use lazaret::verdict::{Case, End, FamilyFacts, FindingFacts, RunFacts, Sight, SubjectFacts};

/// Events of an ordinary build.
pub fn events() -> &'static [Event] {
    static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
        let bytes = include_bytes!("../../fixtures/ordinary/build-job.jsonl.zst");
        let from = std::io::BufReader::new(log::decompress(&bytes[..]).expect("a compressed log"));
        let events = Reader::open(from).expect("a log").map(|event| event.expect("an event"));
        // One of each run of similar ones: rules look at kinds, not at numbers.
        events.step_by(17).take(64).collect()
    });
    &EVENTS
}

pub fn rules() -> &'static RuleSet {
    static RULES: LazyLock<RuleSet> = LazyLock::new(RuleSet::shipped);
    &RULES
}

pub fn case() -> Case {
    let digest = format!("sha256:{}", "0".repeat(64));
    let finding = |level, class, techniques: &[&str]| FindingFacts {
        id: format!("{level:?}"),
        rule: "reverse-shell".into(),
        level,
        class,
        confidence: Confidence::High,
        techniques: techniques.iter().map(|id| (*id).to_owned()).collect(),
        count: 2,
        evidence: vec!["/bin/sh connects to 192.0.2.1:4444".into()],
    };
    Case {
        subject: SubjectFacts { reference: "oci:./app:1".into(), digest, unchanged: Some(true) },
        findings: vec![
            finding(Level::High, Class::Malicious, &["T1059.004"]),
            finding(Level::Low, Class::Risky, &[]),
        ],
        coverage: vec![FamilyFacts { family: Family::Process, sight: Sight::Full, reason: String::new() }],
        run: RunFacts {
            recorded: Timestamp::UNIX_EPOCH,
            end: End::Exited,
            entrypoint_ran: true,
            time: Duration::from_secs(30),
            lost: 0,
            limits_hit: Vec::new(),
            recording_complete: true,
        },
    }
}
