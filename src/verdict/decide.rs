//! The decision itself: clause by clause, then the worst of them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Decision;
use super::exception::{Exception, agrees, repository};
use super::fact::{Case, End, FindingFacts, Sight};
use super::policy::{Policy, Thresholds};
use crate::event::Family;
use crate::rule::attack::{self, Lookup};
use crate::rule::{Class, Level, Word};

/// What a policy says of a run, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub policy: String,
    pub decision: Decision,
    /// What led to the decision, worst first. For a pass: what was looked at.
    pub clauses: Vec<Clause>,
    /// Exceptions that covered a finding, in the order of their file.
    pub exceptions: Vec<Applied>,
    /// What was passed only because of exceptions: each in one line. `None` for a plain verdict.
    pub allowed_by: Option<Vec<String>>,
    pub next_step: Option<String>,
    /// The policy's validity from the recording on, and no longer than an exception that it rests on.
    pub valid_until: Timestamp,
}

/// One clause of a policy, and what it comes to here.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    pub decision: Decision,
    /// One sentence.
    pub text: String,
    /// Ids of the findings that it speaks of.
    pub findings: Vec<String>,
}

/// An exception that covers a finding of this run.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    pub exception: Exception,
    /// Its time is over: it suppressed nothing, and is named so that somebody notices.
    pub expired: bool,
    /// Ids of the findings that it covers.
    pub findings: Vec<String>,
}

/// Decides. Pure: the same values give the same verdict; `now` only ends exceptions.
pub fn decide(policy: &Policy, exceptions: &[Exception], case: &Case, now: Timestamp) -> Verdict {
    let applied = apply(exceptions, case, now);
    let all: Vec<&FindingFacts> = case.findings.iter().collect();
    let suppressed = suppressed(&applied);
    let left: Vec<&FindingFacts> =
        all.iter().copied().filter(|finding| !suppressed.contains(finding.id.as_str())).collect();

    let clauses = explain(policy, case, &left);
    let decision = worst_of(&clauses);
    let plain = worst_of(&explain(policy, case, &all));
    let allowed = decision < plain;
    Verdict {
        policy: policy.name.clone(),
        decision,
        allowed_by: allowed.then(|| describe(&applied)),
        clauses: bearing(clauses, decision, policy),
        next_step: policy.next_steps.get(&decision).cloned(),
        valid_until: match first_end(&applied).filter(|_| allowed) {
            Some(end) => valid_until(policy, case.run.recorded).min(end),
            None => valid_until(policy, case.run.recorded),
        },
        exceptions: applied,
    }
}

/// The worst of several verdicts, the first where several are equally bad.
pub fn worst(verdicts: &[Verdict]) -> Option<&Verdict> {
    verdicts.iter().rev().max_by_key(|verdict| verdict.decision)
}

fn valid_until(policy: &Policy, recorded: Timestamp) -> Timestamp {
    let valid = SignedDuration::try_from(policy.valid).unwrap_or(SignedDuration::MAX);
    recorded.saturating_add(valid).unwrap_or(Timestamp::MAX)
}

fn apply(exceptions: &[Exception], case: &Case, now: Timestamp) -> Vec<Applied> {
    let covered = |exception: &Exception| -> Vec<String> {
        let covers = |finding: &&FindingFacts| exception.covers(&case.subject, finding);
        case.findings.iter().filter(covers).map(|finding| finding.id.clone()).collect()
    };
    exceptions
        .iter()
        .map(|exception| Applied {
            exception: exception.clone(),
            expired: !exception.holds(now),
            findings: covered(exception),
        })
        .filter(|applied| !applied.findings.is_empty())
        .collect()
}

/// What was allowed by exceptions holds no longer than the first of them.
fn first_end(applied: &[Applied]) -> Option<Timestamp> {
    applied.iter().filter(|applied| !applied.expired).map(|applied| applied.exception.expires).min()
}

fn suppressed(applied: &[Applied]) -> BTreeSet<&str> {
    let holding = applied.iter().filter(|applied| !applied.expired);
    holding.flat_map(|applied| &applied.findings).map(String::as_str).collect()
}

fn describe(applied: &[Applied]) -> Vec<String> {
    applied.iter().filter(|applied| !applied.expired).map(|applied| applied.exception.describe()).collect()
}

fn worst_of(clauses: &[Clause]) -> Decision {
    clauses.iter().map(|clause| clause.decision).max().unwrap_or(Decision::Pass)
}

/// Worst first; the clauses that ask for nothing are kept only where nothing else was said.
fn bearing(mut clauses: Vec<Clause>, decision: Decision, policy: &Policy) -> Vec<Clause> {
    if decision == Decision::Pass {
        return vec![passed(policy)];
    }
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.decision));
    clauses
}

fn passed(policy: &Policy) -> Clause {
    let required: Vec<&str> = policy.coverage.keys().map(|family| family.name()).collect();
    let seen = match required.as_slice() {
        [] => "the policy requires no coverage".to_owned(),
        names => format!("{} were seen as required", names.join(", ")),
    };
    Clause {
        decision: Decision::Pass,
        text: format!("no finding reaches a threshold, and {seen}"),
        findings: Vec::new(),
    }
}

/// Every clause that asks for something better or worse than a pass.
fn explain(policy: &Policy, case: &Case, findings: &[&FindingFacts]) -> Vec<Clause> {
    let mut clauses = Vec::new();
    clauses.extend(finding_clauses(policy, findings));
    clauses.extend(together_clause(policy, findings));
    clauses.extend(origin_clause(policy, case));
    clauses.extend(digest_clause(policy, case));
    let blind = blind_spots(policy, case);
    clauses.extend(blind.into_iter().map(|text| Clause {
        decision: Decision::Inconclusive,
        text,
        findings: Vec::new(),
    }));
    clauses
}

/// One clause for each threshold that was reached, with its findings in the order they came.
fn finding_clauses(policy: &Policy, findings: &[&FindingFacts]) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for finding in findings {
        let Some((decision, text)) = judge(policy, finding) else { continue };
        match clauses.iter_mut().find(|clause| clause.text == text) {
            Some(clause) => clause.findings.push(finding.id.clone()),
            None => clauses.push(Clause { decision, text, findings: vec![finding.id.clone()] }),
        }
    }
    clauses
}

/// Many findings that each ask for a review fail together, each by a technique of its own: several rules
/// often see one act, and one act is one reason. What serves two aims at most does not: whoever sets up accounts
/// and services, or removes what an image has too much, uses many techniques to one end.
fn together_clause(policy: &Policy, findings: &[&FindingFacts]) -> Option<Clause> {
    let counts = |finding: &&&FindingFacts| {
        let sure = finding.class != Class::Anomalous && finding.confidence >= policy.fail_confidence;
        sure && judge(policy, finding).is_some_and(|(decision, _)| decision == Decision::Review)
    };
    let asking: Vec<&&FindingFacts> = findings.iter().filter(counts).collect();
    let act = |finding: &&&FindingFacts| finding.techniques.first().unwrap_or(&finding.rule).clone();
    let acts: BTreeSet<String> = asking.iter().map(act).collect();
    let least = policy.together.filter(|least| acts.len() >= *least && !serve_two_aims(&acts))?;
    Some(Clause {
        decision: Decision::Fail,
        text: format!("{least} or more different techniques that each ask for a review fail together"),
        findings: asking.iter().map(|finding| finding.id.clone()).collect(),
    })
}

/// Two of ATT&CK's tactics have all of these techniques; one that it does not know is an aim of its own.
fn serve_two_aims(acts: &BTreeSet<String>) -> bool {
    let serves = |act: &String, aim: &str| match attack::technique(act) {
        Lookup::Known(technique) => technique.tactics.iter().any(|tactic| tactic == aim),
        Lookup::Retired(_) | Lookup::Unknown => false,
    };
    let aims = || attack::tactics().iter().map(|tactic| tactic.short_name.as_str());
    let both = |one, other| acts.iter().all(|act| serves(act, one) || serves(act, other));
    aims().any(|one| aims().any(|other| both(one, other)))
}

/// What one finding comes to: the worst over its techniques, each by its own rule or by its class.
fn judge(policy: &Policy, finding: &FindingFacts) -> Option<(Decision, String)> {
    let by_technique = finding.techniques.iter().map(|id| judge_technique(policy, finding, id));
    let reached = match finding.techniques.is_empty() {
        true => judge_class(policy, finding),
        false => by_technique.flatten().max_by_key(|(decision, _)| *decision),
    };
    let (decision, text) = reached?;
    if decision == Decision::Fail && finding.confidence < policy.fail_confidence {
        let sure = policy.fail_confidence.name();
        let text = format!("{text}; but a finding of less than {sure} confidence asks for a review");
        return Some((Decision::Review, text));
    }
    Some((decision, text))
}

fn judge_technique(policy: &Policy, finding: &FindingFacts, id: &str) -> Option<(Decision, String)> {
    let parent = id.split_once('.').map(|(parent, _)| parent);
    let own = [Some(id), parent].into_iter().flatten();
    let found = own.into_iter().find_map(|id| policy.techniques.get_key_value(id));
    let Some((name, rule)) = found else { return judge_class(policy, finding) };
    let what = format!("findings of {name}");
    reach(finding.level, &what, rule.fail, rule.review)
}

fn judge_class(policy: &Policy, finding: &FindingFacts) -> Option<(Decision, String)> {
    let least = |thresholds: &Thresholds, class: Class| thresholds.0.get(&class).copied();
    let what = format!("{} findings", finding.class.name());
    reach(finding.level, &what, least(&policy.fail, finding.class), least(&policy.review, finding.class))
}

fn reach(level: Level, what: &str, fail: Option<Level>, review: Option<Level>) -> Option<(Decision, String)> {
    let from = |least: Level| match least {
        Level::Critical => format!("{what} at level critical"),
        least => format!("{what} at level {} or above", least.name()),
    };
    match (fail, review) {
        (Some(least), _) if level >= least => Some((Decision::Fail, format!("{} fail", from(least)))),
        (_, Some(least)) if level >= least => {
            Some((Decision::Review, format!("{} ask for a review", from(least))))
        }
        _ => None,
    }
}

fn origin_clause(policy: &Policy, case: &Case) -> Option<Clause> {
    let clause = |decision, text| Some(Clause { decision, text, findings: Vec::new() });
    if policy.registries.is_empty() {
        return None;
    }
    let Some(name) = repository(&case.subject.reference) else {
        let text = "the image came from disk: whether its registry is allowed cannot be told";
        return clause(Decision::Review, text.to_owned());
    };
    if policy.registries.iter().any(|allowed| is_below(allowed, name)) {
        return None;
    }
    clause(Decision::Fail, format!("{name} is in no registry that the policy allows"))
}

/// `docker.io` covers everything of that host, `docker.io/library` what lies below it; `*` works.
fn is_below(allowed: &str, name: &str) -> bool {
    let allowed = allowed.trim_end_matches('/');
    agrees(allowed, name) || agrees(&format!("{allowed}/*"), name)
}

fn digest_clause(policy: &Policy, case: &Case) -> Option<Clause> {
    let digest = &case.subject.digest;
    if policy.digests.is_empty() || policy.digests.contains(digest) {
        return None;
    }
    let text = format!("the policy does not expect an image with digest {digest}");
    Some(Clause { decision: Decision::Fail, text, findings: Vec::new() })
}

/// Sentences about what was not seen. Each lowers a pass or a review.
fn blind_spots(policy: &Policy, case: &Case) -> Vec<String> {
    let run = &case.run;
    let mut spots = Vec::new();
    let mut say = |blind: bool, text: String| spots.extend(blind.then_some(text));
    say(!run.entrypoint_ran, "the image's own program never really ran".into());
    say(run.lost > 0, format!("{} records of the kernel were lost", run.lost));
    say(!run.recording_complete, "the recording is not complete".into());
    say(case.subject.unchanged == Some(false), "the image changed while it was analysed".into());
    if let Some(text) = early_end(run.end) {
        say(true, text.into());
    }
    let short = run.time < policy.minimum_run;
    let (ran, wanted) = (run.time.as_secs_f64(), policy.minimum_run.as_secs());
    say(short, format!("it ran for {ran:.1} s, the policy wants {wanted} s"));
    for name in run.limits_hit.iter().filter(|name| !policy.tolerated_limits.contains(name)) {
        say(true, format!("the limit {name:?} was reached, so the image could not do all it would"));
    }
    spots.extend(missing_coverage(policy, case));
    spots
}

fn early_end(end: End) -> Option<&'static str> {
    match end {
        End::Exited | End::Deadline => None,
        End::Limit => Some("a limit ended the run"),
        End::Stopped => Some("the run was stopped before its time was up"),
        End::Killed => Some("the run was ended from outside"),
    }
}

/// One sentence for all families that lack the same for the same reason.
fn missing_coverage(policy: &Policy, case: &Case) -> Vec<String> {
    let mut lacks: Vec<(Sight, Sight, &str, Vec<&str>)> = Vec::new();
    for (family, &required) in &policy.coverage {
        let (sight, reason) = sight_of(case, *family);
        if sight >= required {
            continue;
        }
        match lacks.iter_mut().find(|lack| (lack.0, lack.1, lack.2) == (required, sight, reason)) {
            Some(lack) => lack.3.push(family.name()),
            None => lacks.push((required, sight, reason, vec![family.name()])),
        }
    }
    lacks.into_iter().map(|(required, sight, reason, names)| lack(required, sight, reason, &names)).collect()
}

/// A family that stands twice counts as its worst.
fn sight_of(case: &Case, family: Family) -> (Sight, &str) {
    let entries = case.coverage.iter().filter(|entry| entry.family == family);
    match entries.min_by_key(|entry| entry.sight) {
        None => (Sight::None, "nothing was said of it"),
        Some(entry) => (entry.sight, entry.reason.as_str()),
    }
}

fn lack(required: Sight, sight: Sight, reason: &str, families: &[&str]) -> String {
    let wanted = match required {
        Sight::Full => "in full",
        Sight::Partial | Sight::None => "at least in part",
    };
    let was = match sight {
        Sight::None => "not watched",
        Sight::Partial | Sight::Full => "seen in part only",
    };
    let verb = if families.len() == 1 { "was" } else { "were" };
    format!("{} must be seen {wanted}, but {verb} {was}: {reason}", families.join(", "))
}
