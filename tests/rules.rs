//! The shipped rules: each loads, lies in a folder named after one of its tactics, and is tested by
//! recordings.

use std::io::BufReader;
use std::path::Path;

use lazaret::cli::rules::{self, Expected, Outcome};
use lazaret::report::log;
use lazaret::rule::{Findings, Level, RuleSet, SHIPPED};

fn below_root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_shipped_rules_have_no_problem() {
    if let Err(errors) = RuleSet::load(SHIPPED.iter().copied()) {
        let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", text.join("\n"));
    }
}

#[test]
fn the_embedded_rules_are_the_files_of_the_folder() {
    let mut files = Vec::new();
    for tactic in std::fs::read_dir(below_root("rules")).unwrap() {
        let tactic = tactic.unwrap().path();
        if !tactic.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&tactic).unwrap() {
            let file = file.unwrap().path();
            let name = file.strip_prefix(below_root("rules")).unwrap().to_str().unwrap().to_owned();
            files.push((name, std::fs::read_to_string(file).unwrap()));
        }
    }
    files.sort();
    let embedded: Vec<_> = SHIPPED.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    assert_eq!(embedded, files);
}

#[test]
fn a_rule_lies_in_the_folder_of_one_of_its_tactics() {
    let rules = RuleSet::shipped();
    let elsewhere = |rule: &&lazaret::rule::Rule| {
        let folder = rule.file.split('/').next().unwrap();
        let mut tactics = rule.techniques.iter().flat_map(|technique| &technique.tactics);
        !tactics.any(|tactic| tactic == folder)
    };
    let misplaced: Vec<_> = rules.rules().iter().filter(elsewhere).map(|rule| &rule.file).collect();
    assert!(misplaced.is_empty(), "{misplaced:?}");
}

#[test]
fn every_shipped_rule_passes_its_recordings() {
    let mut out = Vec::new();
    let outcome = rules::test(&[], &below_root("fixtures/rules"), Expected::Compare, None, &mut out);
    assert_eq!(outcome.unwrap(), Outcome::Good, "{}", String::from_utf8_lossy(&out));
}

/// Writes the expected findings anew, to be looked over: `LAZARET_BLESS=1 cargo test --test rules`.
#[test]
fn expected_findings_are_written_on_demand() {
    if std::env::var_os("LAZARET_BLESS").is_some() {
        rules::test(&[], &below_root("fixtures/rules"), Expected::Write, None, &mut std::io::sink()).unwrap();
    }
}

/// Quiet recordings show ordinary images, so that nothing grave may be found in them, by any rule.
#[test]
fn no_rule_of_level_high_matches_an_ordinary_recording() {
    let mut seen = 0;
    for folder in std::fs::read_dir(below_root("fixtures/rules")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("quiet-") && name.ends_with(".findings") && !is_of_decoys(&path) {
                let text = std::fs::read_to_string(&path).unwrap();
                let grave = text.lines().find(|line| line.contains(" high ") || line.contains(" critical "));
                assert_eq!(grave, None, "{path:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "only {seen} quiet recordings");
}

/// Near misses with decoys are thefts by another way, and no ordinary image touches one.
fn is_of_decoys(findings: &Path) -> bool {
    std::fs::read_to_string(findings.with_extension("jsonl")).expect("a recording").contains("\"bait\":")
}

#[test]
fn no_rule_of_level_high_matches_ordinary_work() {
    let rules = RuleSet::shipped();
    for name in ["package-install", "servers", "build-job"] {
        let file = std::fs::File::open(below_root(&format!("fixtures/ordinary/{name}.jsonl.zst"))).unwrap();
        let plain = log::decompress(BufReader::new(file)).unwrap();
        let mut findings = Findings::new(&rules);
        let mut seen = 0;
        for event in log::Reader::open(BufReader::new(plain)).unwrap() {
            findings.observe(&event.unwrap());
            seen += 1;
        }
        let found = findings.finish().findings;
        let grave: Vec<_> = found.iter().filter(|finding| finding.level >= Level::High).collect();
        assert!(grave.is_empty(), "{name}: {grave:#?}");
        assert!(seen > 3000 && !found.is_empty(), "{name} shows nothing");
    }
}
