//! Puts the report together. Pure: the same material gives the same report, from a run and from its
//! recording.

use super::document::{
    AppliedException, Behaviour, Coverage, CoverageState, Decision, Finding, LAYERS_MAX, Named, PolicyResult,
    Reason, Recording, Report, Run, SCHEMA, Step, Subject, UNEXPLAINED_MAX, Verdict,
};
use super::log::Header;
use crate::rule::attack;
use crate::verdict;

/// What a report is made of.
#[derive(Clone, Debug)]
pub struct Material<'a> {
    pub header: &'a Header,
    /// The header's subject, with what only the end of the run could tell.
    pub subject: Subject,
    pub run: Run,
    /// One entry for each family; see [`coverage`](super::convert::coverage).
    pub coverage: Vec<Coverage>,
    /// Published findings, worst first, and how many were left out.
    pub findings: Vec<Finding>,
    pub findings_omitted: u64,
    pub behaviour: Behaviour,
    /// At least one; the worst decides, the first where several are equally bad.
    pub verdicts: Vec<(Named, verdict::Verdict)>,
}

/// Makes the report; `None` without a verdict.
pub fn assemble(material: Material<'_>) -> Option<Report> {
    let header = material.header;
    let valid_until = material.verdicts.iter().map(|(_, verdict)| verdict.valid_until).min()?;
    let mut subject = material.subject;
    subject.layers.truncate(LAYERS_MAX);
    let mut run = material.run;
    bound_unexplained(&mut run);
    Some(Report {
        schema: SCHEMA.to_owned(),
        id: header.id.clone(),
        created: header.created.clone(),
        valid_until: valid_until.to_string(),
        request: header.request.clone(),
        previous: header.previous.clone(),
        limits: limits(&run, &material.coverage),
        subject,
        inputs: header.inputs.clone(),
        environment: header.environment.clone(),
        run,
        coverage: material.coverage,
        verdict: publish(&material.verdicts)?,
        kill_chain: kill_chain(&material.findings),
        findings: material.findings,
        findings_omitted: material.findings_omitted,
        behaviour: material.behaviour,
    })
}

/// Publishes the verdict of several policies: the worst stands at the top. `None` without any.
pub fn publish(verdicts: &[(Named, verdict::Verdict)]) -> Option<Verdict> {
    let (_, worst) = verdicts.iter().rev().max_by_key(|(_, verdict)| verdict.decision)?;
    Some(Verdict {
        result: decision(worst.decision),
        reasons: reasons(worst),
        policies: verdicts.iter().map(|(policy, verdict)| policy_result(policy, verdict)).collect(),
        exceptions: worst.exceptions.iter().map(applied).collect(),
        allowed_by: worst.allowed_by.clone(),
        next_step: worst.next_step.clone(),
    })
}

fn bound_unexplained(run: &mut Run) {
    let beyond = run.unexplained.len().saturating_sub(UNEXPLAINED_MAX);
    run.unexplained_omitted += beyond as u64;
    run.unexplained.truncate(UNEXPLAINED_MAX);
}

fn policy_result(policy: &Named, verdict: &verdict::Verdict) -> PolicyResult {
    PolicyResult {
        name: policy.name.clone(),
        digest: policy.digest.clone(),
        result: decision(verdict.decision),
        reasons: reasons(verdict),
    }
}

fn reasons(verdict: &verdict::Verdict) -> Vec<Reason> {
    let reason = |clause: &verdict::Clause| Reason {
        clause: clause.text.clone(),
        result: decision(clause.decision),
        findings: clause.findings.clone(),
    };
    verdict.clauses.iter().map(reason).collect()
}

fn applied(applied: &verdict::Applied) -> AppliedException {
    AppliedException {
        exception: applied.exception.describe(),
        reason: applied.exception.reason.clone(),
        author: applied.exception.author.clone(),
        expires: applied.exception.expires.to_string(),
        expired: applied.expired,
        findings: applied.findings.clone(),
    }
}

fn decision(decision: verdict::Decision) -> Decision {
    match decision {
        verdict::Decision::Pass => Decision::Pass,
        verdict::Decision::Review => Decision::Review,
        verdict::Decision::Inconclusive => Decision::Inconclusive,
        verdict::Decision::Fail => Decision::Fail,
    }
}

/// Findings by tactic, in ATT&CK's order; those of one tactic by time.
fn kill_chain(findings: &[Finding]) -> Vec<Step> {
    attack::tactics().iter().filter_map(|tactic| step(tactic, findings)).collect()
}

fn step(tactic: &attack::Tactic, findings: &[Finding]) -> Option<Step> {
    let serves = |finding: &&Finding| {
        finding.attack.iter().any(|technique| technique.tactics.contains(&tactic.short_name))
    };
    let mut serving: Vec<&Finding> = findings.iter().filter(serves).collect();
    serving.sort_by(|a, b| a.first_seen.total_cmp(&b.first_seen).then_with(|| a.id.cmp(&b.id)));
    Some(Step {
        tactic: tactic.short_name.clone(),
        name: tactic.name.clone(),
        first_seen: serving.first()?.first_seen,
        findings: serving.iter().map(|finding| finding.id.clone()).collect(),
    })
}

/// What skipping sleeps does not reach.
const SKIPPING: &str = "Sleeps were skipped, but no clock was moved: what compares clocks can tell, and goes on \
waiting. Waiting in epoll, futex or on timers, and in poll and select with descriptors, took its time.";

/// What the report does not show, in sentences: first what is so of this run, then what is always so.
const LOOPBACK: &str =
    "Of what the image said to itself on its loopback, the connections were seen, not the content.";
const TRUST: &str = "Java, and programs that bring a trust store of their own, do not trust the simulated services: what they would say in TLS was not read.";

fn limits(run: &Run, coverage: &[Coverage]) -> Vec<String> {
    let mut said = Vec::new();
    for entry in coverage {
        match entry.state {
            CoverageState::Full if entry.reason.is_empty() => {}
            CoverageState::Full => said.push(format!("{}: {}.", entry.family, entry.reason)),
            CoverageState::Partial => {
                said.push(format!("{} was seen in part: {}.", entry.family, entry.reason))
            }
            CoverageState::None => said.push(format!("{} was not watched: {}.", entry.family, entry.reason)),
        }
    }
    if run.events.cut > 0 {
        said.push(format!("In {} events a text was longer than is recorded, and is cut.", run.events.cut));
    }
    if run.recording != Recording::Complete {
        said.push("The recording does not hold every event.".to_owned());
    }
    if run.visibility.is_none() {
        said.push("The changed files were not compared with the events.".to_owned());
    }
    if run.captured.is_some_and(|captured| captured.omitted > 0) {
        said.push("Not every file that was executed is kept; the report has their hashes.".to_owned());
    }
    if run.skipped_seconds > 0.0 {
        said.push(SKIPPING.to_owned());
    }
    let heard = |entry: &Coverage| entry.family == "http" && entry.state != CoverageState::None;
    if coverage.iter().any(heard) {
        let simulated = "Whoever the image spoke to outside was simulated: no address and no answer is the real service's.";
        said.push(simulated.to_owned());
        said.extend([LOOPBACK, TRUST].map(str::to_owned));
    }
    said.push("What the image would do later, elsewhere or for another input was not seen.".to_owned());
    said.push("Files that were made and removed again during the run show in events only.".to_owned());
    said
}
