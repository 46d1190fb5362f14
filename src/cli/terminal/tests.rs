use super::*;
use crate::report::{escape, sample};

/// After an intended change, write the golden files with `LAZARET_BLESS=1 cargo test`, and look at
/// them in a terminal.
fn check(name: &str, report: &Report) {
    let path = format!("{}/src/cli/terminal/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text =
        anstream::adapter::strip_str(&render(report, Some("/var/lib/lazaret/runs/019ab0e6/report.json")))
            .to_string();
    for line in text.lines() {
        assert!(escape::columns(line) <= page::WIDTH, "{name}: {line}");
        assert_eq!(line, line.trim_end(), "{name}");
    }
    if std::env::var_os("LAZARET_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(text == expected, "{name} is rendered differently:\n{text}");
}

#[test]
fn a_pass_reads_as_the_golden_file() {
    check("pass", &sample::calm());
}

#[test]
fn a_fail_reads_as_the_golden_file() {
    check("fail", &sample::malicious());
}

#[test]
fn an_inconclusive_run_reads_as_the_golden_file() {
    check("inconclusive", &sample::blind());
}

#[test]
fn a_pass_by_exception_reads_as_the_golden_file() {
    check("exception", &sample::excepted());
}

#[test]
fn hostile_text_reads_as_the_golden_file() {
    check("hostile", &sample::hostile());
}

#[test]
fn no_text_of_the_image_steers_the_terminal() {
    let text = render(&sample::hostile(), Some("/x\u{1b}[2J\n"));
    // Our own colours are all that strip takes away: nothing of the image looks like a sequence.
    let stripped = anstream::adapter::strip_str(&text).to_string();
    let steers = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{200b}'));
    assert!(!stripped.contains(steers));
    assert_eq!(text.replace("\u{1b}[", "").matches('\u{1b}').count(), 0);
    let ours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[7m", "\u{1b}[31m", "\u{1b}[33m", "\u{1b}[32m"];
    let rest = ours.iter().fold(text, |text, code| text.replace(code, ""));
    assert!(!rest.contains('\u{1b}'), "{rest:?}");
}

#[test]
fn colour_carries_no_meaning() {
    for report in [sample::calm(), sample::malicious(), sample::blind(), sample::excepted()] {
        let text = anstream::adapter::strip_str(&render(&report, None)).to_string();
        assert!(text.to_lowercase().contains(report.verdict.result.name()));
        for finding in &report.findings {
            assert!(text.contains(finding.level.name()), "{text}");
        }
    }
}

#[test]
fn one_finding_takes_one_or_two_lines() {
    for finding in sample::malicious().findings.iter().chain(&sample::hostile().findings) {
        let text = anstream::adapter::strip_str(&render_line(finding)).to_string();
        assert!((1..=2).contains(&text.lines().count()), "{text}");
        assert!(text.starts_with(finding.level.name()));
    }
}
