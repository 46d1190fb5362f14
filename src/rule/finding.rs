//! Findings: what rules matched, one per identity, with evidence.
//!
//! A finding's id is the same in every run of the same image, so that reports can be compared. Repeats
//! raise a count and keep the first three and the last piece of evidence. The number of findings is
//! bounded, and what was left out is counted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::attack::Technique;
use super::describe;
use super::identity;
use super::metadata::{Class, Confidence, Level, Rule};
use super::set::{Matcher, RuleMatch, RuleSet};
use super::subject::{ProgramFacts, Subject, hex};
use crate::event::{Event, EventId, Process, Program};

/// At most so many findings are kept.
pub const FINDINGS_MAX: usize = 1000;
/// So many pieces of evidence are kept from the beginning; the last one is kept besides.
pub const EVIDENCE_FIRST: usize = 3;

/// sha256(rule id, identity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub [u8; 32]);

impl fmt::Display for FindingId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex(&self.0))
    }
}

/// A rule matched these events.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub id: FindingId,
    /// The rule's name.
    pub rule: String,
    pub title: String,
    pub level: Level,
    pub confidence: Confidence,
    pub class: Class,
    pub attack: Vec<&'static Technique>,
    /// How many acts matched.
    pub count: u64,
    /// Since time zero.
    pub first_seen: Duration,
    /// Who did it first; `None` for a finding that belongs to no process.
    pub process: Option<Process>,
    /// The first [`EVIDENCE_FIRST`] and the last, in the order of their events.
    pub evidence: Vec<Evidence>,
    pub meaning: String,
    pub advice: String,
}

/// One event that matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    pub event: EventId,
    /// One line for people; every byte from the image is escaped.
    pub text: String,
    /// The fields that made the rule match, with their values, escaped.
    pub fields: Vec<(&'static str, String)>,
}

/// Collects findings from the events of one recording.
pub struct Findings<'r> {
    matcher: Matcher<'r>,
    by_id: HashMap<FindingId, Growing<'r>>,
    known: KnownIds,
    omitted: u64,
}

/// A finding, and the latest match beyond the first [`EVIDENCE_FIRST`]: it becomes evidence only at the
/// end, so that a flood of matches costs little each.
struct Growing<'r> {
    finding: Finding,
    last: Option<(&'r Rule, Event)>,
}

/// Ids that need not be made again, by rule and program, where the identity is the default one. The
/// program is kept beside its id, so that its address stays its own.
type KnownIds = HashMap<(*const Rule, *const Program), (FindingId, Arc<Program>)>;

/// All findings of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FindingList {
    /// Worst level first, then by first event and rule.
    pub findings: Vec<Finding>,
    /// Matches that were left out, because there were [`FINDINGS_MAX`] findings already.
    pub omitted: u64,
}

impl<'r> Findings<'r> {
    pub fn new(rules: &'r RuleSet) -> Findings<'r> {
        Findings { matcher: rules.matcher(), by_id: HashMap::new(), known: HashMap::new(), omitted: 0 }
    }

    /// Holds one event against all rules; says what was found for the first time.
    pub fn observe(&mut self, event: &Event) -> Vec<&Finding> {
        let mut new = Vec::new();
        // The matcher lends what it found, and adding a finding needs the rest of `self`.
        let Findings { matcher, by_id, known, omitted } = self;
        for found in matcher.matches(event) {
            let id = id_of(known, &found);
            if let Some(growing) = by_id.get_mut(&id) {
                growing.repeat(&found);
            } else if by_id.len() < FINDINGS_MAX {
                by_id.insert(id, Growing { finding: Finding::first(id, &found), last: None });
                new.push(id);
            } else {
                *omitted = omitted.saturating_add(found.event.count);
            }
        }
        new.iter().filter_map(|id| self.by_id.get(id)).map(|growing| &growing.finding).collect()
    }

    pub fn finish(self) -> FindingList {
        let mut findings: Vec<Finding> = self.by_id.into_values().map(Growing::finish).collect();
        findings.sort_by(|a, b| {
            let key = |it: &Finding| (std::cmp::Reverse(it.level), it.evidence[0].event);
            key(a).cmp(&key(b)).then_with(|| (&a.rule, a.id).cmp(&(&b.rule, b.id)))
        });
        FindingList { findings, omitted: self.omitted }
    }
}

impl Finding {
    fn first(id: FindingId, found: &RuleMatch<'_, '_>) -> Finding {
        let rule = found.rule;
        Finding {
            id,
            rule: rule.name.clone(),
            title: rule.title.clone(),
            level: rule.level,
            confidence: rule.confidence,
            class: rule.class,
            attack: rule.techniques.clone(),
            count: found.event.count,
            first_seen: found.event.at,
            process: found.event.process.clone(),
            evidence: vec![Evidence::of(found)],
            meaning: rule.meaning.clone(),
            advice: rule.advice.clone(),
        }
    }
}

impl<'r> Growing<'r> {
    fn repeat(&mut self, found: &RuleMatch<'r, '_>) {
        let finding = &mut self.finding;
        finding.count = finding.count.saturating_add(found.event.count);
        if finding.evidence.len() < EVIDENCE_FIRST {
            finding.evidence.push(Evidence::of(found));
        } else {
            self.last = Some((found.rule, found.event.clone()));
        }
    }

    fn finish(self) -> Finding {
        let mut finding = self.finding;
        finding
            .evidence
            .extend(self.last.map(|(rule, event)| Evidence::of(&RuleMatch { rule, event: &event })));
        finding
    }
}

impl Evidence {
    fn of(found: &RuleMatch<'_, '_>) -> Evidence {
        let fields = found.facts();
        let fields = fields.into_iter().map(|(name, value)| (name, describe::escape(&value))).collect();
        Evidence { event: found.event.id, text: describe::event(found.event), fields }
    }
}

/// The default identity depends on rule and program only, and is made once for both.
fn id_of(known: &mut KnownIds, found: &RuleMatch<'_, '_>) -> FindingId {
    let Some(process) = found.event.process.as_ref().filter(|_| found.rule.identity.is_empty()) else {
        return make_id(found);
    };
    let key = (std::ptr::from_ref(found.rule), Arc::as_ptr(&process.program));
    if known.len() >= FINDINGS_MAX && !known.contains_key(&key) {
        known.clear();
    }
    known.entry(key).or_insert_with(|| (make_id(found), process.program.clone())).0
}

/// Every part is written with its length, so that no two identities are the same bytes.
fn make_id(found: &RuleMatch<'_, '_>) -> FindingId {
    let mut sum = Sha256::new();
    let mut part = |bytes: &[u8]| {
        sum.update((bytes.len() as u64).to_be_bytes());
        sum.update(bytes);
    };
    part(found.rule.id.as_bytes());
    if found.rule.identity.is_empty() {
        found.rule.techniques.iter().for_each(|technique| part(technique.id.as_bytes()));
        let exe = found.event.process.as_ref().map(|process| identity::executable(&process.program.exe));
        part(&exe.unwrap_or_default());
    }
    let facts = found.event.process.as_ref().map(|process| ProgramFacts::new(process.program.clone()));
    let subject = Subject { event: found.event, program: facts.as_ref() };
    for field in &found.rule.identity {
        part(field.name.as_bytes());
        field.show(subject, &mut |value| part(value));
    }
    FindingId(sum.finalize().into())
}
