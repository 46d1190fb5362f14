//! A rule file, and the events of a real run held against it.

use lazaret::rule::RuleSet;

use super::sample;

pub fn check(bytes: &[u8]) {
    match RuleSet::load([("fuzzed.yaml", bytes)]) {
        Ok(rules) => matches(&rules),
        Err(errors) => {
            assert!(!errors.is_empty());
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            for error in errors {
                assert!(!error.to_string().is_empty());
                assert!((1..=lines + 1).contains(&error.line), "{error} in {lines} lines");
            }
        }
    }
}

fn matches(rules: &RuleSet) {
    assert_eq!(rules.digest(), rules.digest());
    let mut matcher = rules.matcher();
    for event in sample::events() {
        for found in matcher.matches(event) {
            let _ = found.facts();
        }
    }
}
