//! `rules test`: holds recordings against the rules.
//!
//! Each rule has a folder of its own name below the fixtures: recordings `fires-*.jsonl`, in which it
//! must match, and `quiet-*.jsonl`, in which it must not: near misses from ordinary images. Beside each
//! recording stands `*.findings`: a line `RULE LEVEL COUNT ID` for every finding of *any* rule in it, so
//! that a rule that begins to match where it should not is seen, and finding ids stay what they were. A
//! rule without a firing and a quiet recording fails.

use std::fs;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use super::{Outcome, RulesError, entries, junit, load, read};
use crate::report::log;
use crate::rule::{FindingList, Findings, RuleSet, Word};

/// What to do with the findings expected of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Compare,
    /// Write down what was found, to be looked over and committed.
    Write,
}

/// The tests of one rule.
pub struct Suite {
    pub rule: String,
    pub cases: Vec<Case>,
}

/// One recording, or the demand that there is one.
pub struct Case {
    pub name: String,
    pub failure: Option<String>,
}

impl Suite {
    pub fn failures(&self) -> usize {
        self.cases.iter().filter(|case| case.failure.is_some()).count()
    }
}

/// Tests every rule; tells what failed, and writes a JUnit document where one is wanted.
pub fn test(
    directories: &[PathBuf],
    fixtures: &Path,
    expected: Expected,
    junit: Option<&Path>,
    out: &mut dyn Write,
) -> Result<Outcome, RulesError> {
    let suites = suites(&load(directories)?, fixtures, expected)?;
    if let Some(path) = junit {
        write_junit(&suites, path)?;
    }
    for suite in &suites {
        for case in &suite.cases {
            if let Some(reason) = &case.failure {
                writeln!(out, "failed: {}/{}: {reason}", suite.rule, case.name)?;
            }
        }
    }
    let cases: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let failed: usize = suites.iter().map(Suite::failures).sum();
    writeln!(out, "{} rules, {cases} tests, {failed} failed", suites.len())?;
    Ok(if failed == 0 { Outcome::Good } else { Outcome::Bad })
}

fn write_junit(suites: &[Suite], path: &Path) -> Result<(), RulesError> {
    let failed = |source| RulesError::WriteFile { path: path.to_owned(), source };
    let mut document = Vec::new();
    junit::write(suites, &mut document).map_err(failed)?;
    fs::write(path, document).map_err(failed)
}

/// Runs the tests of every rule, and demands a rule for every folder.
pub fn suites(rules: &RuleSet, fixtures: &Path, expected: Expected) -> Result<Vec<Suite>, RulesError> {
    let mut suites = Vec::new();
    for rule in rules.rules() {
        suites.push(suite(rules, &rule.name, &fixtures.join(&rule.name), expected)?);
    }
    for folder in entries(fixtures)?.iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if rules.rule(&name).is_none() {
            let failure = Some("there are recordings, but no rule of this name".to_owned());
            suites.push(Suite { rule: name, cases: vec![Case { name: "rule".into(), failure }] });
        }
    }
    Ok(suites)
}

fn suite(rules: &RuleSet, rule: &str, folder: &Path, expected: Expected) -> Result<Suite, RulesError> {
    let files = if folder.is_dir() { entries(folder)? } else { Vec::new() };
    let recordings: Vec<_> =
        files.iter().filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
    let mut cases = Vec::new();
    for (kind, must_match) in [("fires", true), ("quiet", false)] {
        let of_kind = recordings.iter().filter(|path| stem(path).starts_with(&format!("{kind}-")));
        let before = cases.len();
        for path in of_kind {
            let failure = recording(rules, rule, path, must_match, expected)?;
            cases.push(Case { name: stem(path), failure });
        }
        if cases.len() == before {
            let failure = Some(format!("no recording {}", folder.join(format!("{kind}-*.jsonl")).display()));
            cases.push(Case { name: kind.to_owned(), failure });
        }
    }
    Ok(Suite { rule: rule.to_owned(), cases })
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Judges one recording; says what is wrong.
fn recording(
    rules: &RuleSet,
    rule: &str,
    path: &Path,
    must_match: bool,
    expected: Expected,
) -> Result<Option<String>, RulesError> {
    let found = match replay(rules, path) {
        Ok(found) => found,
        Err(RulesError::Recording { source, .. }) => return Ok(Some(source.to_string())),
        Err(error) => return Err(error),
    };
    let matched = found.findings.iter().any(|finding| finding.rule == rule);
    match (matched, must_match) {
        (false, true) => return Ok(Some("the rule did not match".to_owned())),
        (true, false) => return Ok(Some("the rule matched".to_owned())),
        _ => {}
    }
    compare(&summary(&found), &path.with_extension("findings"), expected)
}

/// All findings in an uncompressed event log.
fn replay(rules: &RuleSet, path: &Path) -> Result<FindingList, RulesError> {
    let failed = |source| RulesError::Recording { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(|source| RulesError::Read { path: path.to_owned(), source })?;
    let mut findings = Findings::new(rules);
    for event in log::Reader::open(BufReader::new(file)).map_err(failed)? {
        findings.observe(&event.map_err(failed)?);
    }
    Ok(findings.finish())
}

/// One line per finding: rule, level, count, the first twelve digits of its id.
fn summary(found: &FindingList) -> String {
    let line = |finding: &crate::rule::Finding| {
        let id = finding.id.to_string();
        format!("{} {} {} {}\n", finding.rule, finding.level.name(), finding.count, &id[..12])
    };
    found.findings.iter().map(line).collect()
}

fn compare(found: &str, path: &Path, expected: Expected) -> Result<Option<String>, RulesError> {
    if expected == Expected::Write {
        let failed = |source| RulesError::WriteFile { path: path.to_owned(), source };
        fs::write(path, found).map_err(failed)?;
        return Ok(None);
    }
    if !path.is_file() {
        return Ok(Some(format!("no expected findings {}", path.display())));
    }
    let wanted = String::from_utf8_lossy(&read(path)?).into_owned();
    if wanted == found {
        return Ok(None);
    }
    let only = |left: &str, right: &str| -> Vec<String> {
        left.lines().filter(|line| !right.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    let (missing, surplus) = (only(&wanted, found), only(found, &wanted));
    Ok(Some(format!("missing [{}], not expected [{}]", missing.join(", "), surplus.join(", "))))
}
