//! The rule stage as a whole, on events made here. `sample` makes them.

mod correlation;
mod finding;
mod language;
mod sample;

use super::check::Test;
use super::detection::Expr;
use super::metadata::Body;
use super::subject::{ProgramFacts, Subject};
use super::*;
use crate::event::Event;

/// Names of the rules that an event matches, without any index.
fn without_index<'r>(rules: &'r RuleSet, event: &Event) -> Vec<&'r str> {
    let facts = event.process.as_ref().map(|process| ProgramFacts::new(process.program.clone()));
    let subject = Subject { event, program: facts.as_ref() };
    let matches = |rule: &&Rule| match &rule.body {
        Body::Event { category, detection } => {
            *category == field::Category::of(event) && detection.holds(subject)
        }
        Body::Correlation(_) => false,
    };
    rules.rules().iter().filter(matches).map(|rule| rule.name.as_str()).collect()
}

#[test]
fn the_index_finds_exactly_what_trying_every_rule_finds() {
    let rules = RuleSet::shipped();
    let mut matcher = rules.matcher();
    let mut matched = 0;
    // Twice, so that what is remembered of programs is used too.
    for event in sample::events().iter().chain(&sample::events()).flat_map(sample::variants) {
        let found: Vec<&str> = matcher.matches(&event).map(|found| found.rule.name.as_str()).collect();
        assert_eq!(found, without_index(&rules, &event), "{event:?}");
        matched += found.len();
    }
    assert!(matched > 50, "only {matched} matches: the sample shows nothing");
}

#[test]
fn every_field_of_a_test_can_be_present_in_the_rules_category() {
    fn tests<'e>(expr: &'e Expr, found: &mut Vec<&'e Test>) {
        match expr {
            Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| tests(part, found)),
            Expr::Not(part) => tests(part, found),
            Expr::Selection(part) => tests(part, found),
            Expr::Test(test) => found.push(test),
        }
    }
    for rule in RuleSet::shipped().rules() {
        let mut found = Vec::new();
        let detections: Vec<_> = match &rule.body {
            Body::Event { category, detection } => vec![(*category, detection)],
            Body::Correlation(it) => it.base.iter().map(|base| (base.category, &base.detection)).collect(),
        };
        for (category, detection) in detections {
            let before = found.len();
            tests(detection, &mut found);
            assert!(found.len() > before, "{}", rule.name);
            let fits = |test: &&Test| test.field.categories.contains(&category);
            assert!(found[before..].iter().all(fits), "{}", rule.name);
        }
    }
}

#[test]
fn field_names_are_unique_and_every_field_can_be_read() {
    for (at, one) in field::fields().enumerate() {
        assert!(field::fields().take(at).all(|other| other.name != one.name), "{}", one.name);
        let present = sample::events().iter().any(|event| {
            let facts = event.process.as_ref().map(|process| ProgramFacts::new(process.program.clone()));
            let mut present = false;
            one.show(Subject { event, program: facts.as_ref() }, &mut |_| present = true);
            assert!(!present || one.categories.contains(&field::Category::of(event)), "{}", one.name);
            present
        });
        assert!(present, "no sample event shows {}", one.name);
    }
}
