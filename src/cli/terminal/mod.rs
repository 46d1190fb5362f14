//! The report as a person reads it on a terminal: the verdict first, then why, then what was found,
//! then how much was seen.
//!
//! Lines take 80 columns at most. Colour only helps the eye: every word stands there without it, and
//! the caller's stream decides whether it arrives. Whatever the image chose passes
//! [`escape::terminal`], so that no text of its own can steer the terminal; what is long is cut in the
//! middle, with the number of characters that are missing.

mod network;
mod page;

#[cfg(test)]
mod tests;

use anstyle::{AnsiColor, Style};

pub use self::page::{Page, fold};
use crate::report::document::{
    Coverage, CoverageState, Decision, ExitReason, Finding, Level, Origin, OriginKind, Process, Report, Run,
};

/// Findings that are shown; the others are in the report.
const FINDINGS_SHOWN: usize = 20;
/// Programs of a lineage that are shown.
const LINEAGE_SHOWN: usize = 6;
/// Columns before the text of a finding.
const INDENT: usize = 10;

/// Renders the whole report, with colours. `place` is where it lies on disk.
pub fn render(report: &Report, place: Option<&str>) -> String {
    let mut page = Page::new();
    head(&mut page, report);
    reasons(&mut page, report);
    exceptions(&mut page, report);
    findings(&mut page, report);
    network::network(&mut page, &report.behaviour);
    seen(&mut page, report);
    if let Some(place) = place {
        page.blank();
        page.entry(Style::new(), "report", place);
    }
    page.finish()
}

/// Renders one finding in one line, as it comes up while the image still runs.
#[cfg(any(feature = "live", test))]
pub fn render_line(finding: &Finding) -> String {
    let mut page = Page::new();
    page.title(level_style(finding.level), finding.level.name(), &finding.title, &techniques(finding));
    page.finish()
}

fn head(page: &mut Page, report: &Report) {
    let result = report.verdict.result;
    let word = match (result, &report.verdict.allowed_by) {
        (Decision::Fail, _) => "FAIL",
        (Decision::Inconclusive, _) => "INCONCLUSIVE",
        (Decision::Review, _) => "REVIEW",
        (Decision::Pass, None) => "PASS",
        (Decision::Pass, Some(_)) => "PASS BY EXCEPTION",
    };
    page.badge(result_style(result), word, &report.subject.reference);
    let subject = &report.subject;
    let digest = subject.digest();
    match digest.strip_prefix("sha256:") {
        Some(digits) => page.entry(Style::new(), "sha256", digits),
        None => page.entry(Style::new(), "digest", digest),
    }
    let layers = plural(subject.layers.len() as u64, "layer");
    let about = format!("{}, {layers}; recorded {}", subject.platform, to_the_second(&report.created));
    page.entry(Style::new(), "", &about);
}

/// A time of RFC 3339 without the part of a second.
fn to_the_second(time: &str) -> String {
    match (time.split_once('.'), time.strip_suffix('Z')) {
        (Some((seconds, _)), Some(_)) => format!("{seconds}Z"),
        _ => time.to_owned(),
    }
}

fn reasons(page: &mut Page, report: &Report) {
    page.blank();
    for (index, reason) in report.verdict.reasons.iter().enumerate() {
        let label = if index == 0 { "why" } else { "" };
        let findings = match reason.findings.len() {
            0 => String::new(),
            count => format!(" ({})", plural(count as u64, "finding")),
        };
        page.entry(Style::new(), label, &format!("{}{findings}", reason.clause));
    }
    let others = report.verdict.policies.iter();
    if report.verdict.policies.len() > 1 {
        let said: Vec<String> =
            others.map(|policy| format!("{}: {}", policy.name, policy.result.name())).collect();
        page.entry(Style::new(), "policies", &said.join(", "));
    }
    if let Some(step) = &report.verdict.next_step {
        page.entry(Style::new(), "next", step);
    }
}

fn exceptions(page: &mut Page, report: &Report) {
    for applied in &report.verdict.exceptions {
        let label = if applied.expired { "expired" } else { "exception" };
        let covered = plural(applied.findings.len() as u64, "finding");
        page.entry(Style::new(), label, &format!("{} ({covered})", applied.exception));
    }
}

fn findings(page: &mut Page, report: &Report) {
    page.blank();
    let all = report.findings.len() as u64 + report.findings_omitted;
    if all == 0 {
        page.text("Nothing was found.");
        return;
    }
    page.text(&plural(all, "finding"));
    for found in report.findings.iter().take(FINDINGS_SHOWN) {
        page.blank();
        finding(page, found);
    }
    let rest = all - report.findings.len().min(FINDINGS_SHOWN) as u64;
    if rest > 0 {
        page.blank();
        page.text(&format!("… and {rest} more in the report"));
    }
}

fn finding(page: &mut Page, finding: &Finding) {
    page.title(level_style(finding.level), finding.level.name(), &finding.title, &techniques(finding));
    page.indented(Style::new(), INDENT, &finding.meaning);
    if let Some(process) = &finding.process {
        page.hanging(Style::new(), INDENT, &lineage(process, &finding.origin));
        if process.argv.len() > 1 {
            page.hanging(Style::new(), INDENT, &command_line(process));
        }
    }
    let dim = Style::new().dimmed();
    for evidence in &finding.evidence {
        page.hanging(dim, INDENT, &format!("#{} {}", evidence.event, evidence.text));
    }
    page.indented(dim, INDENT, &times(finding));
    page.hanging(Style::new(), INDENT, &format!("→ {}", finding.advice));
}

fn times(finding: &Finding) -> String {
    let first = finding.first_seen;
    match finding.count {
        1 => format!("once, {first:.3} s after the start"),
        count => format!("{count} times, first {first:.3} s after the start"),
    }
}

fn techniques(finding: &Finding) -> String {
    match finding.attack.as_slice() {
        [] => String::new(),
        [only] => format!("{} {}", only.technique, only.name),
        [first, rest @ ..] => format!("{} {} +{}", first.technique, first.name, rest.len()),
    }
}

/// `/usr/bin/redis (layer 2) ← sh ← init`: the executable, then the programs that led to it by their
/// names.
fn lineage(process: &Process, origin: &Origin) -> String {
    let mut text = quoted(&process.exe);
    if let Some(from) = origin_words(origin) {
        text.push_str(&format!(" ({from})"));
    }
    let names = runs(process.lineage.iter().map(|ancestor| base_name(&ancestor.exe)));
    let hidden = names.len().saturating_sub(LINEAGE_SHOWN);
    let (shown, last) = match names.split_last() {
        Some((last, before)) if hidden > 0 => (&before[..LINEAGE_SHOWN - 1], Some(last)),
        _ => (&names[..], None),
    };
    for name in shown {
        text.push_str(&format!(" ← {name}"));
    }
    if let Some(last) = last {
        text.push_str(&format!(" ← {hidden} more ← {last}"));
    }
    text
}

/// Names in their order, with the same name in a row written once.
fn runs<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match runs.last_mut() {
            Some((last, times)) if *last == name => *times += 1,
            _ => runs.push((name, 1)),
        }
    }
    let said = |(name, times)| match times {
        1 => quoted(name),
        times => format!("{} ({times} times)", quoted(name)),
    };
    runs.into_iter().map(said).collect()
}

/// A name that could be read as more than a name stands in quotes.
fn quoted(name: &str) -> String {
    if name.is_empty() || name.contains([' ', '"', '(', '←']) {
        format!("{name:?}")
    } else {
        name.to_owned()
    }
}

/// `$ sh -c "echo hello"`: what the process was started with, first seen.
fn command_line(process: &Process) -> String {
    let mut text = "$".to_owned();
    for argument in &process.argv {
        text.push(' ');
        text.push_str(&quoted(argument));
    }
    if process.argv_omitted > 0 {
        text.push_str(&format!(" …[{} arguments]", process.argv_omitted));
    }
    text
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').find(|name| !name.is_empty()).unwrap_or(path)
}

fn origin_words(origin: &Origin) -> Option<String> {
    match origin.kind? {
        OriginKind::Layer => origin.layer.map(|layer| format!("layer {layer}")),
        OriginKind::Written => Some("written during the run".to_owned()),
        OriginKind::Memfd => Some("in memory only".to_owned()),
        OriginKind::Supplied | OriginKind::Kernel => None,
        OriginKind::Unknown => Some("of unknown origin".to_owned()),
    }
}

fn seen(page: &mut Page, report: &Report) {
    page.blank();
    let full = families(&report.coverage, CoverageState::Full);
    page.entry(Style::new(), "seen", if full.is_empty() { "nothing in full" } else { &full });
    for entry in report.coverage.iter().filter(|entry| entry.state == CoverageState::Partial) {
        page.entry(Style::new(), "in part", &format!("{}: {}", entry.family, entry.reason));
    }
    for (reason, names) in unseen(&report.coverage) {
        page.entry(Style::new(), "unseen", &format!("{} ({reason})", names.join(", ")));
    }
    run(page, &report.run);
    let host = &report.environment;
    let about = format!("lazaret {}, Linux {}, tier {}", host.lazaret, host.kernel, host.tier);
    page.entry(Style::new(), "on", &about);
}

fn families(coverage: &[Coverage], state: CoverageState) -> String {
    let of_state = coverage.iter().filter(|entry| entry.state == state);
    of_state.map(|entry| entry.family.as_str()).collect::<Vec<_>>().join(", ")
}

/// Families that were not watched, by reason, in their order.
fn unseen(coverage: &[Coverage]) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for entry in coverage.iter().filter(|entry| entry.state == CoverageState::None) {
        match groups.iter_mut().find(|(reason, _)| *reason == entry.reason) {
            Some((_, names)) => names.push(&entry.family),
            None => groups.push((&entry.reason, vec![&entry.family])),
        }
    }
    groups
}

fn run(page: &mut Page, run: &Run) {
    // The sum of nothing is -0.0.
    let seconds = run.phases.iter().map(|phase| phase.seconds).fold(0.0, |sum, next| sum + next);
    page.entry(Style::new(), "ran", &format!("{seconds:.1} s, {}", ending(run)));
    let events = &run.events;
    let lost = match events.lost {
        0 => "none lost".to_owned(),
        lost => format!("{lost} LOST"),
    };
    let mut facts = vec![plural(events.seen, "event"), lost];
    facts.extend((events.cut > 0).then(|| format!("{} cut", events.cut)));
    facts.extend((events.unlogged > 0).then(|| format!("{} not recorded", events.unlogged)));
    facts.extend(run.visibility.map(|it| format!("{} of {} changed files explained", it.explained, it.all)));
    page.entry(Style::new(), "", &facts.join(", "));
    let mut oddities = Vec::new();
    oddities.extend((run.held_seconds > 0.0).then(|| format!("held for {:.1} s", run.held_seconds)));
    oddities.extend(
        (run.skipped_seconds > 0.0).then(|| format!("{:.0} s of sleep skipped", run.skipped_seconds)),
    );
    oddities.extend(
        (!run.limits_hit.is_empty()).then(|| format!("limits reached: {}", run.limits_hit.join(", "))),
    );
    if !oddities.is_empty() {
        page.entry(Style::new(), "", &oddities.join(", "));
    }
}

fn ending(run: &Run) -> String {
    let how = match (&run.exit.signal, run.exit.code) {
        (Some(signal), _) => format!(" by {signal}"),
        (None, Some(code)) => format!(" with status {code}"),
        (None, None) => String::new(),
    };
    match run.exit.reason {
        ExitReason::Exited => format!("until it ended{how}"),
        ExitReason::Deadline => "until its time was up".to_owned(),
        ExitReason::Limit => format!("until a limit ended it{how}"),
        ExitReason::Stopped => "until enough was known".to_owned(),
        ExitReason::Killed => format!("until it was ended from outside{how}"),
    }
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn result_style(result: Decision) -> Style {
    let colour = match result {
        Decision::Fail => AnsiColor::Red,
        Decision::Inconclusive => AnsiColor::Magenta,
        Decision::Review => AnsiColor::Yellow,
        Decision::Pass => AnsiColor::Green,
    };
    colour.on_default().bold().invert()
}

fn level_style(level: Level) -> Style {
    match level {
        Level::Critical => AnsiColor::Red.on_default().bold(),
        Level::High => AnsiColor::Red.on_default(),
        Level::Medium => AnsiColor::Yellow.on_default(),
        Level::Low => AnsiColor::Cyan.on_default(),
        Level::Informational => Style::new().dimmed(),
    }
}
