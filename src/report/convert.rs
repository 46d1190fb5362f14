//! From what the stages before know to what is published, and back to what a verdict needs.

use std::time::Duration;

use jiff::Timestamp;

use super::document::{
    self, ARGUMENTS_MAX, Ancestor, Coverage, CoverageState, EVIDENCE_MAX, Evidence, ExitReason, Finding,
    Layer, Origin, OriginKind, Process, Recording, Report, Run, Subject, TECHNIQUES_MAX, TEXT_MAX, Technique,
};
use super::escape::{cut, short_text};
use crate::event::{self, Bytes, Family, Program};
use crate::rule::{self, field::Category};
use crate::verdict::{Case, End, FamilyFacts, FindingFacts, RunFacts, Sight, SubjectFacts};

/// Text of an ancestor may be long in itself, and there are many of them.
const ANCESTOR_TEXT_MAX: usize = 512;

/// Why a report cannot be judged again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    #[error("the report was created at {text:?}, which is no time in RFC 3339")]
    Created { text: String },
}

/// Publishes a finding. `layers` are the subject's, to name the one a file came from.
pub fn finding(found: &rule::Finding, layers: &[Layer]) -> Finding {
    let process = found.process.as_ref();
    Finding {
        id: found.id.to_string(),
        rule: found.rule.clone(),
        title: found.title.clone(),
        level: level(found.level),
        confidence: confidence(found.confidence),
        class: class(found.class),
        origin: process.map(|it| origin(it.program.exe.file.origin, layers)).unwrap_or_default(),
        attack: found.attack.iter().take(TECHNIQUES_MAX).map(|it| technique(it)).collect(),
        count: found.count,
        first_seen: seconds(found.first_seen),
        process: process.map(|it| self::process(&it.program)),
        evidence: found.evidence.iter().take(EVIDENCE_MAX).map(evidence).collect(),
        meaning: found.meaning.clone(),
        advice: found.advice.clone(),
    }
}

/// Publishes all findings, worst first as they come, within their bound; the number is of findings
/// and matches that were left out.
pub fn findings(found: &rule::FindingList, layers: &[Layer]) -> (Vec<Finding>, u64) {
    let list = found.findings.iter().take(document::FINDINGS_MAX);
    let beyond = found.findings.len().saturating_sub(document::FINDINGS_MAX) as u64;
    (list.map(|it| finding(it, layers)).collect(), found.omitted + beyond)
}

/// One entry for each family, in their order; what nobody spoke of is not built yet.
pub fn coverage(known: &[Coverage]) -> Vec<Coverage> {
    let entry = |family: Family| {
        let same = known.iter().filter(|entry| entry.family == family.name());
        same.min_by_key(|entry| entry.state).cloned().unwrap_or_else(|| not_built(family))
    };
    Family::ALL.map(entry).into()
}

fn not_built(family: Family) -> Coverage {
    let reason = "not built yet".to_owned();
    Coverage { family: family.name().to_owned(), state: CoverageState::None, reason }
}

/// Lowers the families that a correlation could not hold enough of: what it was to find may have been
/// there.
pub fn lowered(mut coverage: Vec<Coverage>, given_up: &[rule::GivenUp]) -> Vec<Coverage> {
    for rule in given_up {
        let families: Vec<Family> = rule.categories.iter().map(|&category| family_of(category)).collect();
        let is_meant = |entry: &&mut Coverage| families.iter().any(|family| family.name() == entry.family);
        for entry in coverage.iter_mut().filter(is_meant) {
            if entry.state == CoverageState::Full {
                entry.state = CoverageState::Partial;
            }
            let before = if entry.reason.is_empty() { "" } else { "; " };
            let reason = format!("{before}{} events forgotten by rule {}", rule.events, rule.rule);
            entry.reason.push_str(&reason);
        }
    }
    coverage
}

fn family_of(category: Category) -> Family {
    match category {
        Category::Exec | Category::Process => Family::Process,
        Category::File => Family::File,
        Category::Net | Category::Command | Category::Stream | Category::Bait => Family::Network,
        Category::Http => Family::Http,
        Category::Tls => Family::Tls,
        Category::Kernel | Category::Denied => Family::Kernel,
        Category::Memory => Family::Memory,
        Category::Dns | Category::DnsAnswer => Family::Dns,
        Category::Sandbox => Family::Sandbox,
    }
}

/// What a verdict needs, from a report.
pub fn case(report: &Report) -> Result<Case, ConvertError> {
    facts(
        &report.created,
        &report.subject,
        &report.run,
        &report.coverage,
        &report.findings,
        report.findings_omitted,
    )
}

/// What a verdict needs, from the parts of a report.
pub fn facts(
    created: &str,
    subject: &Subject,
    run: &Run,
    coverage: &[Coverage],
    findings: &[Finding],
    findings_omitted: u64,
) -> Result<Case, ConvertError> {
    let mut run = run_facts(created, run)?;
    // A finding that is not shown cannot be judged.
    run.recording_complete &= findings_omitted == 0;
    Ok(Case {
        subject: SubjectFacts {
            reference: subject.reference.clone(),
            digest: subject.digest().to_owned(),
            unchanged: subject.unchanged.as_ref().map(|it| it.same && it.before == it.after),
        },
        findings: findings.iter().map(finding_facts).collect(),
        coverage: coverage.iter().filter_map(family_facts).collect(),
        run,
    })
}

fn run_facts(created: &str, run: &Run) -> Result<RunFacts, ConvertError> {
    let recorded: Timestamp =
        created.parse().map_err(|_| ConvertError::Created { text: created.to_owned() })?;
    let all: f64 = run.phases.iter().filter(|phase| phase.name != "setup").map(|phase| phase.seconds).sum();
    Ok(RunFacts {
        recorded,
        end: match run.exit.reason {
            ExitReason::Exited => End::Exited,
            ExitReason::Deadline => End::Deadline,
            ExitReason::Limit => End::Limit,
            ExitReason::Stopped => End::Stopped,
            ExitReason::Killed => End::Killed,
        },
        entrypoint_ran: run.entrypoint_ran,
        time: Duration::try_from_secs_f64(all - run.held_seconds).unwrap_or_default(),
        lost: run.events.lost,
        limits_hit: run.limits_hit.clone(),
        recording_complete: run.recording == Recording::Complete,
    })
}

fn finding_facts(finding: &Finding) -> FindingFacts {
    FindingFacts {
        id: finding.id.clone(),
        rule: finding.rule.clone(),
        level: match finding.level {
            document::Level::Informational => rule::Level::Informational,
            document::Level::Low => rule::Level::Low,
            document::Level::Medium => rule::Level::Medium,
            document::Level::High => rule::Level::High,
            document::Level::Critical => rule::Level::Critical,
        },
        class: match finding.class {
            document::Class::Malicious => rule::Class::Malicious,
            document::Class::Risky => rule::Class::Risky,
            document::Class::Anomalous => rule::Class::Anomalous,
        },
        confidence: match finding.confidence {
            document::Confidence::Low => rule::Confidence::Low,
            document::Confidence::Medium => rule::Confidence::Medium,
            document::Confidence::High => rule::Confidence::High,
        },
        techniques: finding.attack.iter().map(|it| it.technique.clone()).collect(),
        count: finding.count,
        evidence: finding.evidence.iter().map(|it| it.text.clone()).collect(),
    }
}

/// A family of a later version says nothing to this one.
fn family_facts(entry: &Coverage) -> Option<FamilyFacts> {
    let sight = match entry.state {
        CoverageState::None => Sight::None,
        CoverageState::Partial => Sight::Partial,
        CoverageState::Full => Sight::Full,
    };
    Some(FamilyFacts { family: Family::parse(&entry.family)?, sight, reason: entry.reason.clone() })
}

fn level(level: rule::Level) -> document::Level {
    match level {
        rule::Level::Informational => document::Level::Informational,
        rule::Level::Low => document::Level::Low,
        rule::Level::Medium => document::Level::Medium,
        rule::Level::High => document::Level::High,
        rule::Level::Critical => document::Level::Critical,
    }
}

fn confidence(confidence: rule::Confidence) -> document::Confidence {
    match confidence {
        rule::Confidence::Low => document::Confidence::Low,
        rule::Confidence::Medium => document::Confidence::Medium,
        rule::Confidence::High => document::Confidence::High,
    }
}

fn class(class: rule::Class) -> document::Class {
    match class {
        rule::Class::Malicious => document::Class::Malicious,
        rule::Class::Risky => document::Class::Risky,
        rule::Class::Anomalous => document::Class::Anomalous,
    }
}

fn technique(technique: &rule::attack::Technique) -> Technique {
    Technique {
        technique: technique.id.clone(),
        name: technique.name.clone(),
        tactics: technique.tactics.clone(),
    }
}

/// The event, and what made the rule match where the sentence does not say it already.
fn evidence(evidence: &rule::Evidence) -> Evidence {
    let mut text = evidence.text.clone();
    let unsaid = evidence.fields.iter().filter(|(_, value)| !evidence.text.contains(value.as_str()));
    for (index, (name, value)) in unsaid.enumerate() {
        text.push_str(if index == 0 { "; " } else { ", " });
        text.push_str(&format!("{name}: {value}"));
    }
    Evidence { event: evidence.event.0, text: cut(&text, TEXT_MAX) }
}

/// Publishes where a file came from.
pub(super) fn origin(origin: event::Origin, layers: &[Layer]) -> Origin {
    let of_kind = |kind| Origin { kind: Some(kind), ..Origin::default() };
    match origin {
        event::Origin::Layer(layer) => Origin {
            kind: Some(OriginKind::Layer),
            layer: Some(layer),
            digest: layers.get(usize::from(layer)).map(|layer| layer.digest.clone()),
        },
        event::Origin::Written => of_kind(OriginKind::Written),
        event::Origin::Memfd => of_kind(OriginKind::Memfd),
        event::Origin::Supplied => of_kind(OriginKind::Supplied),
        event::Origin::Kernel => of_kind(OriginKind::Kernel),
        event::Origin::Unknown => of_kind(OriginKind::Unknown),
    }
}

fn process(program: &Program) -> Process {
    let (argv, argv_omitted) = arguments(&program.argv, TEXT_MAX);
    Process {
        exe: short_text(&program.exe.file.path, TEXT_MAX),
        argv,
        argv_omitted,
        lineage: program.lineage.iter().map(ancestor).collect(),
    }
}

fn ancestor(ancestor: &event::Ancestor) -> Ancestor {
    let (argv, argv_omitted) = arguments(&ancestor.argv, ANCESTOR_TEXT_MAX);
    Ancestor { exe: short_text(&ancestor.exe.file.path, ANCESTOR_TEXT_MAX), argv, argv_omitted }
}

/// The first arguments, of `room` bytes in all, and how many are left out.
pub(super) fn arguments(argv: &[Bytes], room: usize) -> (Vec<String>, u64) {
    let mut shown = Vec::new();
    let mut left = room;
    for argument in argv.iter().take(ARGUMENTS_MAX) {
        if left < 64 {
            break;
        }
        let text = short_text(argument, left);
        left -= text.len();
        shown.push(text);
    }
    let omitted = (argv.len() - shown.len()) as u64;
    (shown, omitted)
}

/// Seconds with six decimals: what a person can compare.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}
