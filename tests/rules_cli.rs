//! The commands for rule authors, on rules and recordings in a directory of their own.

// Clippy allows `unwrap` in test functions only, not in what they lean on.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use lazaret::cli::rules::{self, Expected, Outcome, RulesError};

struct Author {
    rules: PathBuf,
    fixtures: PathBuf,
}

/// One shipped rule with its recordings, to be spoilt.
fn author(test: &str) -> Author {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&own);
    let author = Author { rules: own.join("rules/stealth"), fixtures: own.join("fixtures") };
    fs::create_dir_all(&author.rules).unwrap();
    fs::create_dir_all(author.fixtures.join("ld-preload-written")).unwrap();
    copy(&root.join("rules/stealth/ld-preload-written.yaml"), &author.rules);
    for file in fs::read_dir(root.join("fixtures/rules/ld-preload-written")).unwrap() {
        copy(&file.unwrap().path(), &author.fixtures.join("ld-preload-written"));
    }
    author
}

fn copy(file: &Path, to: &Path) {
    fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
}

impl Author {
    fn test(&self) -> (Outcome, String) {
        let mut out = Vec::new();
        let directories = [self.rules.clone()];
        let outcome = rules::test(&directories, &self.fixtures, Expected::Compare, None, &mut out).unwrap();
        (outcome, String::from_utf8(out).unwrap())
    }

    fn recording(&self, name: &str) -> PathBuf {
        self.fixtures.join("ld-preload-written").join(name)
    }

    fn spoil(&self, from: &str, to: &str) {
        let file = self.rules.join("ld-preload-written.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(file, text.replace(from, to)).unwrap();
    }
}

#[test]
fn a_rule_with_both_recordings_passes() {
    let (outcome, text) = author("passes").test();
    assert_eq!((outcome, text.as_str()), (Outcome::Good, "1 rules, 2 tests, 0 failed\n"));
}

#[test]
fn a_rule_without_a_firing_or_a_quiet_recording_fails() {
    for (name, kind) in [("fires-simulation.jsonl", "fires"), ("quiet-loader-and-ldconfig.jsonl", "quiet")] {
        let author = author(&format!("without-{kind}"));
        fs::remove_file(author.recording(name)).unwrap();
        let (outcome, text) = author.test();
        assert_eq!(outcome, Outcome::Bad);
        assert!(text.contains(&format!("ld-preload-written/{kind}: no recording")), "{text}");
    }
}

#[test]
fn a_rule_that_matches_too_much_or_too_little_fails() {
    let much = author("too-much");
    much.spoil("file.path: /etc/ld.so.preload", "file.path|startswith: /etc/ld.so");
    let (outcome, text) = much.test();
    assert_eq!(outcome, Outcome::Bad);
    assert!(text.contains("quiet-loader-and-ldconfig: the rule matched"), "{text}");
    let little = author("too-little");
    little.spoil("/etc/ld.so.preload", "/etc/ld.so.none");
    assert!(little.test().1.contains("fires-simulation: the rule did not match"));
}

#[test]
fn an_unexpected_finding_and_a_broken_recording_fail() {
    let author = author("unexpected");
    fs::write(author.recording("fires-simulation.findings"), "other high 1 000000000000\n").unwrap();
    fs::write(author.recording("quiet-loader-and-ldconfig.jsonl"), "{}\n").unwrap();
    let (outcome, text) = author.test();
    assert_eq!(outcome, Outcome::Bad);
    assert!(text.contains("missing [other high 1 000000000000], not expected [ld-preload-written"), "{text}");
    assert!(text.contains("no header of an event log"), "{text}");
}

#[test]
fn recordings_without_a_rule_fail() {
    let author = author("orphan");
    fs::create_dir(author.fixtures.join("no-such-rule")).unwrap();
    assert!(author.test().1.contains("no-such-rule/rule: there are recordings, but no rule"));
}

#[test]
fn check_names_file_line_and_what_was_meant() {
    let author = author("check");
    author.spoil("file.path: /etc", "file.pth: /etc");
    let mut out = Vec::new();
    let outcome = rules::check(std::slice::from_ref(&author.rules), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(outcome, Outcome::Bad);
    let line = "ld-preload-written.yaml:27: unknown field \"file.pth\"; did you mean \"file.path\"?\n";
    assert!(text.contains(line), "{text}");
    assert!(text.ends_with("1 problems in 1 files\n"), "{text}");
}

#[test]
fn a_directory_without_rules_is_an_error() {
    let author = author("empty");
    let result = rules::check(std::slice::from_ref(&author.fixtures), &mut std::io::sink());
    assert!(matches!(result, Err(RulesError::NoRules { .. })));
    let result = rules::check(&[author.fixtures.join("nowhere")], &mut std::io::sink());
    assert!(matches!(result, Err(RulesError::Read { .. })));
}

#[test]
fn junit_counts_what_failed() {
    let author = author("junit");
    fs::remove_file(author.recording("fires-simulation.jsonl")).unwrap();
    let file = author.fixtures.parent().unwrap().join("junit.xml");
    let junit = Some(file.as_path());
    rules::test(
        std::slice::from_ref(&author.rules),
        &author.fixtures,
        Expected::Compare,
        junit,
        &mut std::io::sink(),
    )
    .unwrap();
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(r#"<testsuites name="lazaret rules" tests="2" failures="1">"#), "{text}");
}

#[test]
fn list_fields_and_coverage_tell_what_there_is() {
    let text = |run: &dyn Fn(&mut dyn std::io::Write)| {
        let mut out = Vec::new();
        run(&mut out);
        String::from_utf8(out).unwrap()
    };
    let list = text(&|out| {
        rules::list(&[], out).unwrap();
    });
    assert!(
        list.lines().any(|line| line.starts_with("reverse-shell ") && line.contains("T1059.004")),
        "{list}"
    );
    let fields = text(&|out| {
        rules::fields(None, out).unwrap();
    });
    assert!(fields.contains("file.path ") && fields.contains("dst.port "), "{fields}");
    let coverage = text(&|out| {
        rules::coverage(&[], out).unwrap();
    });
    let layer: serde_json::Value = serde_json::from_str(&coverage).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    assert!(layer["techniques"].as_array().unwrap().iter().any(|it| it["techniqueID"] == "T1053.003"));
}
