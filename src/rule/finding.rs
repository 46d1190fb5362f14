//! Findings: what rules matched, one per identity, with evidence.
//!
//! A finding's id is the same in every run of the same image, so that reports can be compared. Repeats
//! raise a count and keep the first three and the last piece of evidence. The number of findings is
//! bounded, and what was left out is counted. What a correlation made is a finding as any other: its
//! evidence are the events that completed it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::attack::Technique;
use super::correlation::{Completed, Correlator, GivenUp};
use super::describe;
use super::detection::Expr;
use super::identity;
use super::metadata::{Class, Confidence, Level, Rule};
use super::set::{Feed, Matcher, RuleMatch, RuleSet, facts};
use super::subject::{ProgramFacts, Subject, hex};
use crate::event::{Event, EventId, Executable, Process, Program};

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
    rules: &'r RuleSet,
    matcher: Matcher<'r>,
    correlator: Correlator<'r>,
    by_id: HashMap<FindingId, Growing<'r>>,
    known: KnownIds,
    omitted: u64,
}

/// A finding, and the latest match beyond the first [`EVIDENCE_FIRST`]: it becomes evidence only at the
/// end, so that a flood of matches costs little each.
struct Growing<'r> {
    finding: Finding,
    last: Option<(&'r Expr, Event)>,
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
    /// What correlations had to forget before its time, by rule.
    pub given_up: Vec<GivenUp>,
}

impl<'r> Findings<'r> {
    /// Has seen no event.
    pub fn new(rules: &'r RuleSet) -> Findings<'r> {
        Findings {
            rules,
            matcher: rules.matcher(),
            correlator: Correlator::new(rules),
            by_id: HashMap::new(),
            known: HashMap::new(),
            omitted: 0,
        }
    }

    /// Holds one event against all rules; says what was found for the first time. A correlation is told
    /// with the first event of a later moment than its last.
    pub fn observe(&mut self, event: &Event) -> Vec<&Finding> {
        let due = self.correlator.due(event);
        let mut new: Vec<FindingId> = due.into_iter().filter_map(|completed| self.join(completed)).collect();
        // The matcher lends what it found, and adding a finding needs the rest of `self`.
        let Findings { matcher, correlator, by_id, known, omitted, .. } = self;
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
        correlator.take(event, matcher.feeds());
        new.iter().filter_map(|id| self.by_id.get(id)).map(|growing| &growing.finding).collect()
    }

    /// Takes in what a correlation made; `Some` where it is new.
    fn join(&mut self, completed: Completed<'r>) -> Option<FindingId> {
        let id = completed.id;
        if let Some(growing) = self.by_id.get_mut(&id) {
            growing.repeat_joined(self.rules, &completed);
        } else if self.by_id.len() < FINDINGS_MAX {
            let finding = Finding::joined(self.rules, &completed);
            self.by_id.insert(id, Growing { finding, last: None });
            return Some(id);
        } else {
            self.omitted += completed.count;
        }
        None
    }

    /// Everything that was found; correlations that waited for the end are decided.
    pub fn finish(mut self) -> FindingList {
        let correlator = std::mem::replace(&mut self.correlator, Correlator::new(self.rules));
        let (completed, given_up) = correlator.finish();
        completed.into_iter().for_each(|completed| {
            self.join(completed);
        });
        let mut findings: Vec<Finding> = self.by_id.into_values().map(Growing::finish).collect();
        findings.sort_by(|a, b| {
            let key = |it: &Finding| (std::cmp::Reverse(it.level), it.evidence[0].event);
            key(a).cmp(&key(b)).then_with(|| (&a.rule, a.id).cmp(&(&b.rule, b.id)))
        });
        FindingList { findings, omitted: self.omitted, given_up }
    }
}

impl Finding {
    fn first(id: FindingId, found: &RuleMatch<'_, '_>) -> Finding {
        let evidence = vec![Evidence::of(found.detection, found.event)];
        Finding::new(found.rule, id, found.event, found.event.count, evidence)
    }

    /// The first [`EVIDENCE_FIRST`] events and the last; of an ordered correlation one for each step.
    fn joined(rules: &RuleSet, completed: &Completed<'_>) -> Finding {
        let (first, count) = (&completed.events[0].1, completed.count);
        let last = completed.events.len() - 1;
        let shown = |at: usize| completed.is_ordered || at < EVIDENCE_FIRST || at == last;
        let events = completed.events.iter().enumerate().filter(|(at, _)| shown(*at));
        let evidence = events.map(|(_, (step, event))| {
            Evidence::of(rules.detection(Feed { plan: completed.plan, step: *step }), event)
        });
        Finding::new(completed.rule, completed.id, first, count, evidence.collect())
    }

    fn new(rule: &Rule, id: FindingId, first: &Event, count: u64, evidence: Vec<Evidence>) -> Finding {
        Finding {
            id,
            rule: rule.name.clone(),
            title: rule.title.clone(),
            level: rule.level,
            confidence: rule.confidence,
            class: rule.class,
            attack: rule.techniques.clone(),
            count,
            first_seen: first.at,
            process: first.process.clone(),
            evidence,
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
            finding.evidence.push(Evidence::of(found.detection, found.event));
        } else {
            self.last = Some((found.detection, found.event.clone()));
        }
    }

    /// What completed the finding first stays its evidence; the last event is added.
    fn repeat_joined(&mut self, rules: &'r RuleSet, completed: &Completed<'r>) {
        self.finding.count = self.finding.count.saturating_add(completed.count);
        if let Some((step, event)) = completed.events.last() {
            let detection = rules.detection(Feed { plan: completed.plan, step: *step });
            self.last = Some((detection, Event::clone(event)));
        }
    }

    fn finish(self) -> Finding {
        let mut finding = self.finding;
        finding.evidence.extend(self.last.map(|(detection, event)| Evidence::of(detection, &event)));
        finding
    }
}

impl Evidence {
    fn of(detection: &Expr, event: &Event) -> Evidence {
        let fields = facts(detection, event);
        let fields = fields.into_iter().map(|(name, value)| (name, describe::escape(&value))).collect();
        Evidence { event: event.id, text: describe::event(event), fields }
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

/// Of a match: the acting executable and the event stand for it.
fn make_id(found: &RuleMatch<'_, '_>) -> FindingId {
    let exe = found.event.process.as_ref().map(|process| &*process.program.exe);
    correlation_id(found.rule, exe, found.event)
}

/// Of what events made together: the executable that they share, and the first of them, stand for it.
/// Every part is written with its length, so that no two identities are the same bytes.
pub(super) fn correlation_id(rule: &Rule, exe: Option<&Executable>, event: &Event) -> FindingId {
    let mut sum = Sha256::new();
    let mut part = |bytes: &[u8]| {
        sum.update((bytes.len() as u64).to_be_bytes());
        sum.update(bytes);
    };
    part(rule.id.as_bytes());
    if rule.identity.is_empty() {
        rule.techniques.iter().for_each(|technique| part(technique.id.as_bytes()));
        part(&exe.map(identity::executable).unwrap_or_default());
    }
    let facts = event.process.as_ref().map(|process| ProgramFacts::new(process.program.clone()));
    let subject = Subject { event, program: facts.as_ref() };
    for field in &rule.identity {
        part(field.name.as_bytes());
        field.show(subject, &mut |value| part(value));
    }
    FindingId(sum.finalize().into())
}
