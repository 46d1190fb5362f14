//! Correlations as authors write them, on events made here.

use std::sync::Arc;
use std::time::Duration;

use super::sample::*;
use crate::event::{Act, Event, FileAct, Inode, Origin, Process, Program};
use crate::rule::{FindingList, Findings, Problem, RuleSet};

/// A whole rule file around a correlation and its bases.
fn rule(correlation: &str) -> String {
    format!(
        "title: A rule\nid: 00000000-0000-4000-8000-000000000001\nstatus: test\ndescription: Text.\n\
         author: A\ndate: 2026-01-01\ntags: [attack.t1105]\nlevel: low\nclass: risky\nconfidence: low\n\
         falsepositives: [none]\nmeaning: It means.\nadvice: Do.\n{correlation}{BASES}"
    )
}

/// Line of the correlation's first line in [`rule`].
const FIRST: usize = 14;

const BASES: &str = "base:
  written:
    logsource: {product: lazaret, category: file}
    detection: {s: {file.action: write}, condition: s}
  run:
    logsource: {product: lazaret, category: exec}
    detection: {s: {outcome: done}, condition: s}
  removed:
    logsource: {product: lazaret, category: file}
    detection: {s: {file.action: unlink}, condition: s}
";

/// Uses every base, whatever else it says.
const ORDERED: &str = "correlation:
  type: temporal_ordered
  rules: [written, run, removed]
  aliases:
    file: {written: file.inode, run: exe.inodes, removed: file.inode}
  group-by: [file]
  timespan: 10s
";

fn load(text: &str) -> RuleSet {
    match RuleSet::load([("rules/a.yaml", text)]) {
        Ok(rules) => rules,
        Err(errors) => panic!("{}", errors[0]),
    }
}

fn found(rules: &RuleSet, events: &[Event]) -> FindingList {
    let mut findings = Findings::new(rules);
    events.iter().for_each(|event| {
        findings.observe(event);
    });
    findings.finish()
}

/// Evidence of the only finding, by event; empty where there is none.
fn evidence(text: &str, events: &[Event]) -> Vec<u64> {
    let list = found(&load(text), events);
    assert!(list.findings.len() < 2, "{list:#?}");
    let evidence = list.findings.iter().flat_map(|finding| &finding.evidence);
    evidence.map(|evidence| evidence.event.0).collect()
}

fn at(seconds: u64, mut event: Event) -> Event {
    event.at = Duration::from_secs(seconds);
    event
}

fn shell() -> Arc<Program> {
    program(1, "/bin/sh", Origin::Layer(0), &["sh"], None)
}

fn with_inode(mut event: Event, number: u64) -> Event {
    if let Act::File(FileAct::Open { file, .. } | FileAct::Unlink { file }) = &mut event.act {
        file.inode = Some(Inode { device: 1, number });
    }
    event
}

fn unlink(id: u64, program: &Arc<Program>, path: &str) -> Event {
    event(id, program, Act::File(FileAct::Unlink { file: file(path, Origin::Written) }))
}

fn write(id: u64, program: &Arc<Program>, path: &str) -> Event {
    event(id, program, open(path, Origin::Written, WRITE))
}

/// A file is written by the shell, run, and removed by a third program.
fn dropped(inode: u64) -> [Event; 3] {
    let shell = shell();
    let mut dropped = Program::clone(&program(2, "/tmp/x", Origin::Written, &["x"], Some(&shell)));
    Arc::make_mut(&mut dropped.exe).file.inode = Some(Inode { device: 1, number: 50 });
    let rm = program(3, "/bin/rm", Origin::Layer(0), &["rm"], Some(&shell));
    [
        at(1, with_inode(write(1, &shell, "/tmp/y"), inode)),
        at(2, event(2, &Arc::new(dropped), exec(&[]))),
        at(3, with_inode(unlink(3, &rm, "/tmp/x"), 50)),
    ]
}

#[test]
fn ordered_steps_are_bound_by_a_value_and_show_one_event_each() {
    assert_eq!(evidence(&rule(ORDERED), &dropped(50)), [1, 2, 3]);
    assert!(evidence(&rule(ORDERED), &dropped(51)).is_empty(), "another file was written");
    let [write, run, remove] = dropped(50);
    assert!(evidence(&rule(ORDERED), &[run.clone(), at(3, write.clone()), at(4, remove.clone())]).is_empty());
    let late = at(12, remove);
    assert!(evidence(&rule(ORDERED), &[write.clone(), run.clone(), late.clone()]).is_empty(), "too late");
    let again = at(4, with_inode(Event { id: crate::event::EventId(9), ..write.clone() }, 50));
    let rerun = at(5, Event { id: crate::event::EventId(10), ..run.clone() });
    assert_eq!(evidence(&rule(ORDERED), &[write, run, again, rerun, late]), [9, 10, 3], "the later chain");
}

#[test]
fn events_that_come_after_a_later_one_keep_their_order() {
    // What lazaret notes itself may stand before acts that it has not read yet.
    let later = at(9, write(8, &shell(), "/tmp/z"));
    let [write, run, remove] = dropped(50);
    assert_eq!(
        evidence(&rule(ORDERED), &[later.clone(), write.clone(), run.clone(), remove.clone()]),
        [1, 2, 3]
    );
    assert_eq!(
        evidence(&rule(ORDERED), &[later.clone(), remove.clone(), write.clone(), run.clone()]),
        [1, 2, 3]
    );
    let [remove, run, write] = [at(1, remove), at(2, run), at(3, write)];
    assert!(
        evidence(&rule(ORDERED), &[later.clone(), remove.clone(), run.clone(), write.clone()]).is_empty()
    );
    assert!(evidence(&rule(ORDERED), &[later, write, run, remove]).is_empty());
}

#[test]
fn events_without_a_group_field_form_no_group() {
    let [mut write, run, mut remove] = dropped(50);
    for event in [&mut write, &mut remove] {
        if let Act::File(FileAct::Open { file, .. } | FileAct::Unlink { file }) = &mut event.act {
            file.inode = None;
        }
    }
    assert!(evidence(&rule(ORDERED), &[write, run, remove]).is_empty());
}

#[test]
fn temporal_needs_all_rules_or_so_many_in_any_order() {
    let all = ORDERED.replace("temporal_ordered", "temporal");
    let [write, run, remove] = dropped(50);
    let events = [at(1, remove.clone()), at(2, run.clone()), at(3, write.clone())];
    assert_eq!(evidence(&rule(&all), &events), [1, 2, 3]);
    assert!(evidence(&rule(&all), &events[..2]).is_empty());
    let two = format!("{all}  condition: {{gte: 2}}\n");
    assert_eq!(evidence(&rule(&two), &events[..2]), [2, 3]);
}

/// A correlation over removals only.
fn counting(keys: &str) -> String {
    let text = rule(&format!("correlation:\n  rules: [removed]\n  timespan: 10s\n{keys}"));
    let bases = text.find("base:\n").unwrap();
    let removed = text.find("  removed:").unwrap();
    format!("{}base:\n{}", &text[..bases], &text[removed..])
}

#[test]
fn events_are_counted_within_the_timespan() {
    let text = counting("  type: event_count\n  condition: {gte: 5}\n");
    let shell = shell();
    let every = |seconds: u64, count: u64| -> Vec<Event> {
        (1..=count).map(|id| at(id * seconds, unlink(id, &shell, "/srv/a"))).collect()
    };
    assert_eq!(evidence(&text, &every(2, 5)), [1, 2, 3, 5], "the first three and the last");
    assert!(evidence(&text, &every(2, 4)).is_empty());
    assert!(evidence(&text, &every(3, 50)).is_empty(), "never five within ten seconds");
    let mut folded = every(2, 2);
    folded[0].count = 4;
    assert_eq!(evidence(&text, &folded), [1, 2], "an event counts for as many acts as it stands for");
    let list = found(&load(&text), &every(1, 20));
    let [finding] = &list.findings[..] else { panic!("{list:?}") };
    assert_eq!((finding.count, finding.evidence.last().unwrap().event.0), (20, 20));
}

#[test]
fn values_are_counted_once_each() {
    let text = counting("  type: value_count\n  condition: {gt: 2, field: file.path}\n");
    let shell = shell();
    let paths = |paths: &[&str]| -> Vec<Event> {
        paths.iter().zip(1..).map(|(path, id)| at(id, unlink(id, &shell, path))).collect()
    };
    assert_eq!(evidence(&text, &paths(&["/a", "/b", "/a", "/c"])), [1, 2, 4]);
    assert!(evidence(&text, &paths(&["/a", "/b", "/a", "/b", "/a"])).is_empty());
}

#[test]
fn a_scope_says_whose_events_belong_together() {
    let root = shell();
    let child = |id| program(id, "/bin/rm", Origin::Layer(0), &["rm"], Some(&root));
    let own = |id, program: &Arc<Program>| at(1, unlink(id, program, "/srv/a"));
    let (one, other) = (child(2), child(3));
    let stranger = program(9, "/bin/rm", Origin::Layer(0), &["rm"], None);
    let check = |scope: &str, events: &[Event], expected: bool| {
        let text = counting(&format!("  type: event_count\n  condition: {{gte: 3}}\n  scope: {scope}\n"));
        assert_eq!(!evidence(&text, events).is_empty(), expected, "{scope} {events:#?}");
    };
    let siblings = [own(1, &one), own(2, &other), own(3, &root)];
    check("run", &siblings, true);
    check("lineage", &siblings, true);
    check("process", &siblings, false);
    let strangers = [own(1, &one), own(2, &stranger), own(3, &one)];
    check("run", &strangers, true);
    check("lineage", &strangers, false);
    let same = |event: Event| {
        let key = crate::event::ProcessKey { pid: 1, start: 1 };
        Event { process: event.process.map(|process| Process { key, ..process }), ..event }
    };
    check("process", &siblings.map(same), true);
}

#[test]
fn a_lineage_ends_a_few_generations_up() {
    let mut programs = vec![shell()];
    for id in 2..=6 {
        programs.push(program(id, "/bin/sh", Origin::Layer(0), &["sh"], programs.last()));
    }
    let text = counting("  type: event_count\n  condition: {gte: 2}\n  scope: lineage\n");
    let pair = |generation: usize| {
        [unlink(1, &programs[0], "/a"), unlink(2, &programs[generation], "/a")].map(|event| at(1, event))
    };
    assert_eq!(evidence(&text, &pair(3)), [1, 2]);
    assert!(evidence(&text, &pair(4)).is_empty());
}

#[test]
fn an_alias_of_some_steps_binds_only_those() {
    let text = rule(&ORDERED.replace("group-by: [file]", "group-by: [program]").replace(
        "file: {written: file.inode, run: exe.inodes, removed: file.inode}",
        "program: {run: program, removed: program}",
    ));
    let shell = shell();
    let first = program(2, "/bin/a", Origin::Layer(0), &["a"], Some(&shell));
    let second = program(3, "/bin/b", Origin::Layer(0), &["b"], Some(&shell));
    let run = |seconds, program| at(seconds, event(seconds, program, exec(&[])));
    let remove = |seconds, program| at(seconds, unlink(seconds, program, "/srv/a"));
    let events = [at(1, write(1, &shell, "/tmp/y")), run(2, &first), run(3, &second), remove(4, &first)];
    assert_eq!(evidence(&text, &events), [1, 2, 4]);
    assert!(evidence(&text, &[events[0].clone(), run(2, &first), remove(3, &second)]).is_empty());
}

#[test]
fn a_group_begins_anew_with_what_until_names() {
    let text = rule(
        "correlation:\n  type: temporal_ordered\n  rules: [written, removed]\n  until: [run]\n  aliases:\n    \
         file: {written: file.inode, run: exe.inodes, removed: file.inode}\n  group-by: [file]\n  timespan: 10s\n",
    );
    let [write, run, remove] = dropped(50);
    assert_eq!(evidence(&text, &[write.clone(), remove.clone()]), [1, 3]);
    assert!(evidence(&text, &[write.clone(), run.clone(), remove.clone()]).is_empty());
    assert_eq!(evidence(&text, &[at(0, run), write, remove]), [1, 3]);
}

#[test]
fn absence_is_decided_when_the_run_ends() {
    let text = rule(
        "correlation:\n  type: temporal_ordered\n  rules: [written, run]\n  without: [removed]\n  aliases:\n    \
         file: {written: file.inode, run: exe.inodes, removed: file.inode}\n  group-by: [file]\n  timespan: 10s\n  within: 10s\n",
    );
    let [write, run, remove] = dropped(50);
    assert_eq!(evidence(&text, &[write.clone(), run.clone()]), [1, 2]);
    assert!(evidence(&text, &[write.clone(), run.clone(), at(9, remove.clone())]).is_empty());
    assert_eq!(evidence(&text, &[write.clone(), run.clone(), at(500, remove.clone())]), [1, 2]);
    assert!(evidence(&text, &[remove.clone(), at(4, write.clone()), at(5, run.clone())]).is_empty());
    assert_eq!(evidence(&text, &[remove.clone(), at(504, write.clone()), at(505, run.clone())]), [1, 2]);
    let anywhere = text.replace("  within: 10s\n", "");
    assert!(evidence(&anywhere, &[write, run, at(500, remove)]).is_empty());
    let rules = load(&text);
    let mut findings = Findings::new(&rules);
    for event in &dropped(50)[..2] {
        assert!(findings.observe(event).is_empty(), "nothing is decided yet");
    }
}

#[test]
fn completed_groups_are_counted_by_a_field() {
    let text = rule(
        "correlation:\n  type: temporal_ordered\n  rules: [written, removed]\n  aliases:\n    \
         original: {written: file.stem, removed: file.path}\n  group-by: [original]\n  timespan: 10s\n  \
         condition: {gte: 3, field: file.path}\n  scope: lineage\n",
    );
    let bases = text.find("  run:").unwrap()..text.find("  removed:\n").unwrap();
    let text = format!("{}{}", &text[..bases.start], &text[bases.end..]);
    let shell = shell();
    let one = |id: u64, name: &str| {
        let copy = write(id, &shell, &format!("{name}.locked"));
        [at(id, copy), at(id, unlink(id + 1, &shell, name))]
    };
    let three: Vec<Event> = [one(1, "/a"), one(3, "/b"), one(5, "/c")].concat();
    assert_eq!(evidence(&text, &three), [2, 4, 6]);
    let twice: Vec<Event> = [one(1, "/a"), one(3, "/b"), one(5, "/a")].concat();
    assert!(evidence(&text, &twice).is_empty());
    let late: Vec<Event> = [one(1, "/a"), one(3, "/b"), one(14, "/c")].concat();
    assert!(evidence(&text, &late).is_empty());
}

#[test]
fn rules_of_other_files_can_be_correlated_and_still_report() {
    let other = super::language::rule("file", "  s: {file.action: write}\n  condition: s\n")
        .replace("000000000001", "000000000002");
    let text = rule(ORDERED);
    let begin = text.find("  written:\n    logsource").unwrap();
    let text = format!("{}{}", &text[..begin], &text[text.find("  run:\n").unwrap()..]);
    let text = text.replace("written", "other");
    let rules = RuleSet::load([("rules/a.yaml", &text), ("rules/other.yaml", &other)]).unwrap();
    let list = found(&rules, &dropped(50));
    let names: Vec<&str> = list.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(names, ["a", "other"]);
    let nested = rule(ORDERED)
        .replace("000000000001", "000000000003")
        .replace("[written, run, removed]", "[written, run, removed, a]");
    let files = [("rules/a.yaml", &text), ("rules/other.yaml", &other), ("rules/b.yaml", &nested)];
    let errors = RuleSet::load(files).err().unwrap();
    assert!(errors.iter().any(|it| it.problem == Problem::NotABase { name: "a".into() }), "{errors:?}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let check = |from: &str, to: &str, line: usize, expected: &str| {
        let text = rule(&ORDERED.replace(from, to));
        assert!(from.is_empty() || ORDERED.contains(from), "{from}");
        let errors: Vec<String> = match RuleSet::load([("a.yaml", &text)]) {
            Ok(_) => panic!("{to} loads"),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        let wanted = format!("a.yaml:{line}: {expected}");
        assert!(errors.iter().any(|error| error.starts_with(&wanted)), "{wanted}\n{errors:#?}");
    };
    let ordered = "type: temporal_ordered";
    check(
        "temporal_ordered",
        "temporal_orderd",
        FIRST + 1,
        "type is \"temporal_orderd\", but must be one of",
    );
    check("run, removed]", "runn, removed]", FIRST + 2, "unknown rule \"runn\"; did you mean \"run\"?");
    check("run, removed]", "run, run]", FIRST + 2, "\"run\" stands twice in rules");
    check("  timespan: 10s\n", "", FIRST + 1, "\"timespan\" is missing");
    check("10s", "10", FIRST + 6, "timespan is \"10\"");
    check("timespan", "time-span", FIRST + 6, "unknown key \"time-span\"; did you mean \"timespan\"?");
    check("run: exe.inodes", "run: exe.inodse", FIRST + 4, "unknown field \"exe.inodse\"; did you mean");
    check(
        "run: exe.inodes",
        "run: file.inode",
        FIRST + 4,
        "field \"file.inode\" is never present in category \"exec\"",
    );
    check("run: exe.inodes, removed: file.inode", "", FIRST + 5, "alias \"file\" names no field for \"run\"");
    check(
        "group-by: [file]",
        "group-by: [flie]",
        FIRST + 5,
        "unknown field \"flie\"; did you mean \"file\"?",
    );
    check("[written, run, removed]", "[written, run]", FIRST + 4, "unknown rule \"removed\"");
    check("  timespan", "  scope: proces\n  timespan", FIRST + 6, "scope is \"proces\"");
    check("  timespan", "  condition: {gte: 3}\n  timespan", FIRST + 6, "\"field\" is missing");
    check(ordered, "type: event_count", FIRST + 1, "\"condition\" is missing");
    check(ordered, "type: value_count\n  condition: {gte: 3}", FIRST + 2, "\"field\" is missing");
    check(
        ordered,
        "type: value_count\n  condition: {gte: 3, field: call}",
        FIRST + 2,
        "field \"call\" is never",
    );
    check(
        ordered,
        "type: event_count\n  condition: {gte: 3, field: call}",
        FIRST + 2,
        "\"field\" and \"event_count\"",
    );
    check(ordered, "type: event_count\n  condition: {gte: 1000}", FIRST + 2, "gte is \"1000\"");
    check(ordered, "type: event_count\n  condition: {lt: 3}", FIRST + 2, "unknown key \"lt\"");
    check(ordered, "type: temporal\n  condition: {gte: 4}", 1, "gte is \"4\", but must be at most");
    check("correlation:", "detection: {}\ncorrelation:", FIRST, "\"detection\" and \"correlation\"");
}

/// A small generator of its own: the property needs variety, not randomness.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn random_events(dice: &mut Dice, count: u64) -> Vec<Event> {
    let mut seconds = 0;
    let programs = programs();
    (1..=count)
        .map(|id| {
            seconds += dice.roll(3) / 2;
            let program = &programs[dice.roll(5) as usize];
            let path = ["/a", "/bb", "/ccc", "/dddd"][dice.roll(4) as usize];
            let event = match dice.roll(3) {
                0 => write(id, program, path),
                1 => event(id, program, exec(&["A=1"])),
                _ => unlink(id, program, path),
            };
            at(seconds, event)
        })
        .collect()
}

/// Shuffles events of equal time among each other.
fn shuffled(dice: &mut Dice, events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    for last in (1..events.len()).rev() {
        let other = dice.roll(last as u64 + 1) as usize;
        events.swap(last, other);
    }
    events.sort_by_key(|event| event.at);
    events
}

#[test]
fn replays_agree_and_the_order_of_equal_times_changes_nothing() {
    let mut dice = Dice(7);
    let rules = [
        rule(ORDERED),
        rule(&ORDERED.replace("temporal_ordered", "temporal")),
        rule(&ORDERED.replace("  group-by: [file]\n", "  scope: lineage\n").replace(
            "  aliases:\n    file: {written: file.inode, run: exe.inodes, removed: file.inode}\n",
            "",
        )),
        counting("  type: event_count\n  condition: {gte: 5}\n  scope: lineage\n"),
        counting("  type: value_count\n  condition: {gte: 3, field: file.path}\n  group-by: [exe.name]\n"),
    ];
    let mut made = 0;
    for text in &rules {
        let rules = load(text);
        for _ in 0..40 {
            let events = random_events(&mut dice, 60);
            let list = found(&rules, &events);
            assert_eq!(list, found(&rules, &events));
            assert_eq!(list, found(&rules, &shuffled(&mut dice, &events)), "{text}");
            made += list.findings.len();
        }
    }
    assert!(made > 100, "only {made} findings: the property shows nothing");
}

#[test]
fn a_flood_of_groups_stays_bounded_and_is_counted() {
    let text = counting("  type: event_count\n  condition: {gte: 2}\n  group-by: [file.path]\n");
    let shell = shell();
    let rules = load(&text);
    let flood = |count: u64, name: usize| {
        let path = |id: u64| format!("/{id:0name$}");
        let events: Vec<Event> = (1..=count).map(|id| at(1, unlink(id, &shell, &path(id)))).collect();
        found(&rules, &events)
    };
    assert!(flood(9_000, 8).given_up.is_empty());
    let many = flood(9_000, 4_000);
    let [given_up] = &many.given_up[..] else { panic!("{:?}", many.given_up) };
    assert_eq!(given_up.rule, "a");
    assert!((1_000..9_000).contains(&given_up.events), "{given_up:?}");
}

#[test]
fn what_is_too_old_to_count_is_not_given_up() {
    let text = counting("  type: event_count\n  condition: {gte: 2}\n  group-by: [file.path]\n");
    let shell = shell();
    let events: Vec<Event> =
        (1..=20_000).map(|id| at(id / 100, unlink(id, &shell, &format!("/{id}")))).collect();
    assert!(found(&load(&text), &events).given_up.is_empty());
}
