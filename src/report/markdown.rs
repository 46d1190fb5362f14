//! The report as Markdown (CommonMark), for a merge request or a ticket.
//!
//! What the image chose stands in code spans, where nothing is a link, a mention or markup; words of
//! rules and policies have their punctuation escaped. No tables: a `|` means something even inside
//! their code spans.

use std::fmt::Write;

use super::document::{BaitDeed, CoverageState, Decision, Finding, Flow, HttpRequest, Report};
use super::{escape, quarantine};

/// Renders the report.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = head(&mut text, report);
    let _ = findings(&mut text, report);
    let _ = network(&mut text, report);
    let _ = seen(&mut text, report);
    text
}

fn head(to: &mut String, report: &Report) -> std::fmt::Result {
    let subject = &report.subject;
    let digest = subject.manifest_digest.as_ref().unwrap_or(&subject.config_digest);
    writeln!(to, "# {}: {}\n", result_word(report), code(&subject.reference))?;
    writeln!(to, "{}\n", plain(&quarantine::summary(report)))?;
    writeln!(to, "- Image: {} ({})", code(digest), code(&subject.platform))?;
    writeln!(to, "- Recorded {}, valid until {}", plain(&report.created), plain(&report.valid_until))?;
    for reason in &report.verdict.reasons {
        writeln!(to, "- Why: {}", code(&reason.clause))?;
    }
    for applied in &report.verdict.exceptions {
        let word = if applied.expired { "Expired exception" } else { "Exception" };
        writeln!(to, "- {word}: {}", code(&applied.exception))?;
    }
    if let Some(step) = &report.verdict.next_step {
        writeln!(to, "- Next: {}", plain(step))?;
    }
    Ok(())
}

fn result_word(report: &Report) -> &'static str {
    match (report.verdict.result, &report.verdict.allowed_by) {
        (Decision::Fail, _) => "Fail",
        (Decision::Inconclusive, _) => "Inconclusive",
        (Decision::Review, _) => "Review",
        (Decision::Pass, None) => "Pass",
        (Decision::Pass, Some(_)) => "Pass by exception",
    }
}

fn findings(to: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(to, "\n## Findings\n")?;
    if report.findings.is_empty() {
        writeln!(to, "Nothing was found.")?;
    }
    for found in &report.findings {
        finding(to, found)?;
    }
    if report.findings_omitted > 0 {
        writeln!(to, "{} more were left out.", report.findings_omitted)?;
    }
    Ok(())
}

fn finding(to: &mut String, finding: &Finding) -> std::fmt::Result {
    writeln!(to, "### {} ({})\n", plain(&finding.title), finding.level.name())?;
    writeln!(to, "{} {}\n", plain(&finding.meaning), plain(&finding.advice))?;
    for technique in &finding.attack {
        writeln!(to, "- {} {}", plain(&technique.technique), plain(&technique.name))?;
    }
    if let Some(process) = &finding.process {
        write!(to, "- Process: {}", code(&process.exe))?;
        for ancestor in &process.lineage {
            write!(to, " ← {}", code(&ancestor.exe))?;
        }
        writeln!(to)?;
    }
    for evidence in &finding.evidence {
        writeln!(to, "- Event {}: {}", evidence.event, code(&evidence.text))?;
    }
    writeln!(to, "- Times: {}, first {:.3} s after the start\n", finding.count, finding.first_seen)
}

/// Entries of each kind that are shown; the others are in the report.
const SHOWN: usize = 20;

fn network(to: &mut String, report: &Report) -> std::fmt::Result {
    let (network, baits) = (&report.behaviour.network, &report.behaviour.baits);
    if network.dns.is_empty() && network.flows.is_empty() && baits.is_empty() {
        return Ok(());
    }
    writeln!(to, "\n## Network\n")?;
    for bait in baits.iter().take(SHOWN) {
        let deed = match bait.what {
            BaitDeed::Read => "read as",
            BaitDeed::CarriedOff => "carried off in",
            BaitDeed::Used => "used at",
        };
        writeln!(to, "- Decoy {} {deed} {}, by {}", code(&bait.bait), code(&bait.place), code(&bait.exe))?;
    }
    for question in network.dns.iter().take(SHOWN) {
        writeln!(
            to,
            "- Asked for {} {}, by {}",
            plain(&question.kind),
            code(&question.name),
            code(&question.exe)
        )?;
    }
    for flow in network.flows.iter().take(SHOWN) {
        let name = flow.name.as_ref().map(|name| format!(" ({})", code(name))).unwrap_or_default();
        let (remote, exe) = (code(&flow.remote), code(&flow.exe));
        let Flow { protocol, sent, received, .. } = flow;
        writeln!(to, "- Spoke {protocol} to {remote}{name}, by {exe}: {sent} bytes out, {received} in")?;
    }
    for request in network.http.iter().take(SHOWN) {
        let HttpRequest { method, host, target, status, .. } = request;
        let scheme = if request.secure { "https" } else { "http" };
        let request = code(&format!("{method} {scheme}://{host}{target}"));
        writeln!(to, "- Requested {request}, answered {status}")?;
    }
    more(to, [network.dns.len(), network.flows.len(), network.http.len(), baits.len()])
}

fn more(to: &mut String, lengths: [usize; 4]) -> std::fmt::Result {
    match lengths.into_iter().map(|length| length.saturating_sub(SHOWN)).sum::<usize>() {
        0 => Ok(()),
        hidden => writeln!(to, "- and {hidden} more in the report"),
    }
}

fn seen(to: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(to, "\n## What was seen\n")?;
    for entry in &report.coverage {
        let state = match entry.state {
            CoverageState::Full => "full".to_owned(),
            CoverageState::Partial => format!("in part: {}", code(&entry.reason)),
            CoverageState::None => format!("not at all: {}", code(&entry.reason)),
        };
        writeln!(to, "- {}: {state}", plain(&entry.family))?;
    }
    let events = &report.run.events;
    writeln!(to, "- Events: {}, lost {}, cut {}", events.seen, events.lost, events.cut)?;
    writeln!(to, "\n## Limits\n")?;
    report.limits.iter().try_for_each(|limit| writeln!(to, "- {}", code(limit)))
}

/// Words with every punctuation mark escaped (CommonMark 0.31, section 2.4).
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in escape::terminal(text).chars() {
        // A full stop or a hyphen in the middle of words means nothing; at their start it would.
        let means_nothing = matches!(character, ' ' | '.' | ',' | '-' | '\'') && !safe.is_empty();
        if character.is_ascii_punctuation() && !means_nothing {
            safe.push('\\');
        }
        safe.push(character);
    }
    safe
}

/// A code span: a fence of more backticks than stand in the text, and never an empty one.
fn code(text: &str) -> String {
    let safe = escape::terminal(text);
    let longest = safe.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // Without the spaces a text that begins with a backtick would lengthen the fence.
    match safe.is_empty() || safe.starts_with(['`', ' ']) || safe.ends_with(['`', ' ']) {
        true => format!("{fence} {safe} {fence}"),
        false => format!("{fence}{safe}{fence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn text_of_the_image_cannot_leave_its_code_span() {
        let check = |text: &str, expected: &str| assert_eq!(code(text), expected);
        check("a", "`a`");
        check("a`b``c", "```a`b``c```");
        check("`", "`` ` ``");
        check("", "`  `");
        check("a\n# b", "`a\\n# b`");
    }

    #[test]
    fn words_cannot_become_markup() {
        let check = |text: &str, expected: &str| assert_eq!(plain(text), expected);
        check("a <b> [c](d) *e*", r"a \<b\> \[c\]\(d\) \*e\*");
        check("# a", r"\# a");
        check("- a", r"\- a");
        check("http://x @y", r"http\:\/\/x \@y");
        check("a shell's end, e.g. so", "a shell's end, e.g. so");
    }

    #[test]
    fn a_report_has_its_result_findings_and_limits() {
        let text = markdown(&sample::malicious());
        assert!(text.starts_with("# Fail: `oci:images/redis:7.0`\n"), "{text}");
        for piece in [
            "### Reverse shell (critical)",
            "- T1059.004 Bash",
            "- Process: `/usr/bin/bash` ← `/usr/bin/redis-server` ← `/bin/sh` ← `/sbin/init`",
            "- Event 42: `/usr/bin/bash copied",
            "- memory: not at all: `not built yet`",
            "- Next: Keep the image in quarantine",
        ] {
            assert!(text.contains(piece), "{piece} is not in\n{text}");
        }
        assert!(markdown(&sample::excepted()).starts_with("# Pass by exception"));
    }

    #[test]
    fn every_line_begins_with_our_own_words() {
        let text = markdown(&sample::hostile());
        let ours = ["#", "- ", "fail\\:", "\\\\x1b", "1 more", "7 more"];
        for line in text.lines().filter(|line| !line.is_empty()) {
            assert!(ours.iter().any(|start| line.starts_with(start)), "{line}");
            assert!(!line.chars().any(char::is_control));
        }
    }
}
