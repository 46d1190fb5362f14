use std::sync::Arc;

use super::sample::*;
use crate::event::{Event, EventId, Origin, Program};
use crate::rule::{FINDINGS_MAX, FindingList, Findings, Level, RuleSet};

fn found(events: &[Event]) -> FindingList {
    let rules = RuleSet::shipped();
    let mut findings = Findings::new(&rules);
    events.iter().for_each(|event| {
        findings.observe(event);
    });
    findings.finish()
}

fn preload_write(id: u64, program: &Arc<Program>) -> Event {
    event(id, program, open("/etc/ld.so.preload", Origin::Layer(0), WRITE))
}

fn tool(id: u32, path: &str, origin: Origin) -> Arc<Program> {
    program(id, path, origin, &["x"], None)
}

#[test]
fn repeats_raise_the_count_and_keep_the_first_three_and_the_last() {
    let program = tool(1, "/usr/bin/x", Origin::Layer(0));
    let mut events: Vec<Event> = (1..=9).map(|id| preload_write(id, &program)).collect();
    events[4].count = 10;
    let list = found(&events);
    let [finding] = &list.findings[..] else { panic!("{list:?}") };
    assert_eq!((finding.rule.as_str(), finding.count), ("ld-preload-written", 18));
    let ids: Vec<_> = finding.evidence.iter().map(|evidence| evidence.event).collect();
    assert_eq!(ids, [1, 2, 3, 9].map(EventId));
    assert_eq!(finding.evidence[0].text, "/usr/bin/x emptied and opened for writing /etc/ld.so.preload");
    assert_eq!(finding.first_seen, events[0].at);
    let fields: Vec<_> = finding.evidence[0].fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(fields, ["outcome", "file.path", "file.action"]);
}

#[test]
fn an_id_is_the_same_whatever_changes_from_run_to_run() {
    let id_of = |event: &Event| found(std::slice::from_ref(event)).findings[0].id;
    let image = id_of(&preload_write(1, &tool(1, "/usr/bin/x", Origin::Layer(0))));
    let mut later = preload_write(77, &tool(9, "/usr/bin/x", Origin::Layer(3)));
    later.process.as_mut().unwrap().pid = 999;
    assert_eq!(id_of(&later), image);
    assert_ne!(id_of(&preload_write(1, &tool(1, "/usr/bin/y", Origin::Layer(0)))), image);
    // Written in the run: the content counts, not the name (the sample's hash is made of the id).
    let written = id_of(&preload_write(1, &tool(5, "/tmp/a8f", Origin::Written)));
    assert_eq!(id_of(&preload_write(1, &tool(5, "/var/q", Origin::Written))), written);
    assert_ne!(id_of(&preload_write(1, &tool(6, "/tmp/a8f", Origin::Written))), written);
}

#[test]
fn the_worst_comes_first_and_order_does_not_depend_on_chance() {
    let list = found(&super::sample::events());
    let levels: Vec<Level> = list.findings.iter().map(|finding| finding.level).collect();
    assert!(levels.is_sorted_by(|a, b| a >= b), "{levels:?}");
    assert_eq!(list, found(&super::sample::events()));
}

#[test]
fn findings_are_bounded_and_the_rest_is_counted() {
    let events = |count: usize| -> Vec<Event> {
        let programs = (0..count).map(|at| tool(1, &format!("/opt/{at}"), Origin::Layer(0)));
        programs.enumerate().map(|(at, program)| preload_write(at as u64 + 1, &program)).collect()
    };
    let list = found(&events(FINDINGS_MAX + 5));
    assert_eq!((list.findings.len(), list.omitted), (FINDINGS_MAX, 5));
}

#[test]
fn observe_tells_what_was_found_for_the_first_time() {
    let rules = RuleSet::shipped();
    let mut findings = Findings::new(&rules);
    let program = tool(1, "/usr/bin/x", Origin::Layer(0));
    let names = |new: Vec<&crate::rule::Finding>| -> Vec<String> {
        new.into_iter().map(|finding| finding.rule.clone()).collect()
    };
    assert_eq!(names(findings.observe(&preload_write(1, &program))), ["ld-preload-written"]);
    assert!(findings.observe(&preload_write(2, &program)).is_empty());
}
