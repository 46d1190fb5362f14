use super::sample::*;
use crate::event::{Act, Event, FileAct, Origin, Outcome};
use crate::rule::{Problem, RuleError, RuleSet};
use crate::yaml::YamlError;

/// A whole rule file around a category and a detection.
pub fn rule(category: &str, detection: &str) -> String {
    format!(
        "title: A rule\nid: 00000000-0000-4000-8000-000000000001\nstatus: test\ndescription: Text.\n\
         author: A\ndate: 2026-01-01\ntags: [attack.t1105]\nlevel: low\nclass: risky\nconfidence: low\n\
         falsepositives: [none]\nmeaning: It means.\nadvice: Do.\n\
         logsource: {{product: lazaret, category: {category}}}\ndetection:\n{detection}"
    )
}

/// Line of the detection's first line in [`rule`].
const FIRST: usize = 16;

fn load(text: &str) -> Result<RuleSet, Vec<RuleError>> {
    RuleSet::load([("rules/a.yaml", text)])
}

fn matches(category: &str, detection: &str, event: &Event) -> bool {
    let rules = match load(&rule(category, detection)) {
        Ok(rules) => rules,
        Err(errors) => panic!("{}", errors[0]),
    };
    rules.matcher().matches(event).count() == 1
}

fn event_of(act: Act) -> Event {
    let shell = program(1, "/usr/bin/bash", Origin::Layer(0), &["bash"], None);
    let tool = program(2, "/tmp/X/tool", Origin::Written, &["tool", "-a", "b*c", "É"], Some(&shell));
    event(1, &tool, act)
}

#[test]
fn selections_mean_what_sigma_says() {
    let exec = event_of(exec(&["A=1"]));
    let check = |selection: &str, expected: bool| {
        let detection = format!("  s:\n{selection}\n  condition: s\n");
        assert_eq!(matches("exec", &detection, &exec), expected, "{selection}");
    };
    check("    exe.path: /tmp/X/tool", true);
    check("    exe.path: /tmp/x/tool", false);
    check("    exe.path: /tmp/*", true);
    check("    exe.path: [/bin/ls, /tmp/X/tool]", true);
    check("    exe.path|endswith: /tool\n    exe.written: true", true);
    check("    exe.path|endswith: /tool\n    exe.written: false", false);
    check("    - exe.written: false\n    - exe.name|startswith: to", true);
    check("    argv|contains: ['-a', nowhere]", true);
    check("    argv|contains|all: ['-a', nowhere]", false);
    check("    argv|contains|all: ['-a', too]", true);
    check(r"    argv: 'b\*c'", true);
    check(r"    argv: 'b\*d'", false);
    check("    argv|re: '^b.c$'", true);
    check("    argv|re: 'TOOL'", false);
    check("    argv|re|i: 'TOOL'", true);
    check("    command_line|contains: 'tool -a b'", true);
    check("    argc: 4", true);
    check("    argc|gt: 4", false);
    check("    argc|gte: 0x4", true);
    check("    argc|lt: 0o5", true);
    check("    ancestors.exe.name: bash", true);
    check("    parent.exe.path|cased: /usr/bin/bash", true);
    check("    ancestors.exe.origin: written", false);
    check("    exe.layer|exists: true", false);
    check("    exe.layer|exists: false", true);
    check("    exe.layer: null", true);
    check("    script.path: null", true);
    check("    env: A=1", true);
}

#[test]
fn conditions_join_selections() {
    let exec = event_of(exec(&[]));
    let selections = "  yes_a: {exe.name: tool}\n  yes_b: {argv: '-a'}\n  no_a: {exe.name: x}\n";
    let check = |condition: &str, expected: bool| {
        // Named besides, so that none is unused.
        let all = format!("({condition}) and (all of yes_* or no_a or not no_a)");
        let detection = format!("{selections}  condition: {all}\n");
        assert_eq!(matches("exec", &detection, &exec), expected, "{condition}");
    };
    check("yes_a", true);
    check("no_a", false);
    check("not no_a", true);
    check("not not yes_a", true);
    check("yes_a and no_a", false);
    check("yes_a and no_a or yes_b", true);
    check("yes_a and (no_a or yes_b)", true);
    check("no_a and no_a or no_a", false);
    check("1 of yes_*", true);
    check("any of no*", false);
    check("all of yes_*", true);
    check("1 of them", true);
    check("all of them", false);
    check("yes_a and not 1 of no_*", true);
}

#[test]
fn addresses_are_compared_as_addresses() {
    let check = |address: &str, selection: &str, expected: bool| {
        let detection = format!("  s: {{{selection}}}\n  condition: s\n");
        assert_eq!(
            matches("net", &detection, &event_of(connect(address))),
            expected,
            "{address} {selection}"
        );
    };
    check("10.1.2.3:80", "dst.ip: 10.1.2.3", true);
    check("10.1.2.3:80", "dst.ip|cidr: 10.0.0.0/8", true);
    check("[::ffff:10.1.2.3]:80", "dst.ip|cidr: [192.168.0.0/16, 10.0.0.0/8]", true);
    check("11.1.2.3:80", "dst.ip|cidr: 10.0.0.0/8", false);
    check("127.9.9.9:80", "dst.loopback: true", true);
    check("0.0.0.0:80", "dst.loopback: true", true);
    check("[::ffff:127.0.0.1]:80", "dst.loopback: true", true);
    check("8.8.8.8:80", "dst.public: true", true);
    check("172.20.0.1:80", "dst.public: true", false);
    check("100.64.0.1:80", "dst.public: true", false);
    check("8.8.8.8:80", "dst.port: [79, 80]", true);
}

#[test]
fn attempts_and_file_acts_are_told_apart() {
    let check = |event: &Event, selection: &str, expected: bool| {
        let detection = format!("  s: {{{selection}}}\n  condition: s\n");
        assert_eq!(matches("file", &detection, event), expected, "{selection}");
    };
    let write = event_of(open("/etc/x.conf", Origin::Layer(1), WRITE));
    check(&write, "file.action: write", true);
    check(&write, "file.action: open", true);
    check(&write, "file.action: create", false);
    check(&write, "file.in_image: true, file.layer: 1", true);
    check(&write, "file.extension: conf, file.dir: /etc", true);
    check(&write, "outcome: done", true);
    let refused = Event { outcome: Outcome::Failed(13), ..write };
    check(&refused, "outcome: failed, errno: 13", true);
    let (from, to) = (file("/tmp/a", Origin::Written), file("/etc/a", Origin::Written));
    let rename = event_of(Act::File(FileAct::Rename { from, to }));
    check(&rename, "file.path: /etc/a, file.from: /tmp/a, file.same_dir: false", true);
    let chmod = event_of(Act::File(FileAct::Chmod { file: file("/tmp/a", Origin::Written), mode: 0o4755 }));
    check(&chmod, "file.setuid: true, file.setgid: false, file.mode: 0o4755", true);
    let own = event_of(Act::File(FileAct::Unlink { file: file("/tmp/X/tool", Origin::Written) }));
    check(&own, "file.is_own_exe: true", true);
}

#[test]
fn event_values_may_hold_any_bytes() {
    let mut raw = event_of(exec(&[]));
    let process = raw.process.as_mut().unwrap();
    let mut program = (*process.program).clone();
    program.argv = [&b"\xff\xfe/tool"[..]].map(Into::into).into();
    process.program = program.into();
    assert!(matches("exec", "  s: {argv0|endswith: /tool}\n  condition: s\n", &raw));
    assert!(matches("exec", "  s: {argv0|re: '^(?-u:\\xff\\xfe)/'}\n  condition: s\n", &raw));
}

fn refused(text: &str, line: usize, problem: Problem) {
    let errors = load(text).err().unwrap_or_default();
    let expected = RuleError { file: "rules/a.yaml".into(), line, problem };
    assert_eq!(errors, [expected], "{text}");
}

fn text(words: &str) -> String {
    words.to_owned()
}

#[test]
fn what_a_detection_may_not_say_is_refused_at_its_line() {
    let check = |detection: &str, line: usize, problem: Problem| {
        refused(&rule("exec", detection), FIRST + line, problem);
    };
    let nearest = Some(text("exe.path"));
    check("  s: {exe.pth: x}\n  condition: s\n", 0, Problem::UnknownField { name: text("exe.pth"), nearest });
    check(
        "  s: {file.path: x}\n  condition: s\n",
        0,
        Problem::FieldNotInCategory { field: "file.path", category: "exec" },
    );
    let nearest = Some(text("startswith"));
    check(
        "  s: {exe.path|startwith: x}\n  condition: s\n",
        0,
        Problem::UnknownModifier { name: text("startwith"), nearest },
    );
    check(
        "  s: {argc|contains: x}\n  condition: s\n",
        0,
        Problem::ModifierNotForField { modifier: text("contains"), field: "argc", kind: "a number" },
    );
    check(
        "  s: {argv|contains|re: x}\n  condition: s\n",
        0,
        Problem::ModifiersClash { first: text("contains"), second: text("re") },
    );
    let wrong = |field, kind, value, hint| Problem::WrongType { field, kind, value: text(value), hint };
    check("  s: {argc: many}\n  condition: s\n", 0, wrong("argc", "a number", "many", ""));
    check("  s: {argv: 22}\n  condition: s\n", 0, wrong("argv", "text", "22", "put text in quotes"));
    check("  s: {argc: '22'}\n  condition: s\n", 0, wrong("argc", "a number", "22", "leave the quotes out"));
    check("  s: {tty: yes}\n  condition: s\n", 0, wrong("tty", "true or false", "yes", ""));
    check(
        "  s:\n    argv|contains:\n      - a\n      - ''\n  condition: s\n",
        3,
        wrong("argv", "text", "", "an empty text is in everything"),
    );
    let nearest = Some(text("written"));
    let never = Problem::NeverEquals { field: "exe.origin", value: text("writen"), nearest };
    check("  s: {exe.origin: writen}\n  condition: s\n", 0, never);
    let unused = Problem::UnusedSelection { name: text("t") };
    check("  s: {tty: true}\n  t: {tty: false}\n  condition: s\n", 1, unused);
    let unknown = Problem::UnknownSelection { name: text("shel"), nearest: Some(text("shell")) };
    check("  shell: {tty: true}\n  condition: shel\n", 1, unknown);
    check("  s: {}\n  condition: s\n", 0, Problem::EmptySelection { name: text("s") });
    let condition = |at, expected| Problem::Condition { at: text(at), expected };
    check("  s: {tty: true}\n  condition: s s\n", 1, condition("s", "'and', 'or' or the end"));
    check("  s: {tty: true}\n  condition: (s\n", 1, condition("(", "a closing parenthesis"));
    check("  s: {tty: true}\n  condition: s and\n", 1, condition("", "a selection"));
    let deep = format!("  s: {{tty: true}}\n  condition: {}s\n", "(".repeat(40));
    check(&deep, 1, condition("(", "fewer parentheses"));
    check(
        "  s: {tty: true, tty: false}\n  condition: s\n",
        0,
        Problem::Yaml(YamlError::DuplicateKey(text("tty"))),
    );
}

#[test]
fn what_metadata_may_not_say_is_refused() {
    let good = rule("exec", "  s: {tty: true}\n  condition: s\n");
    assert!(load(&good).is_ok());
    let check = |from: &str, to: &str, line: usize, problem: Problem| {
        assert!(good.contains(from));
        refused(&good.replace(from, to), line, problem);
    };
    check("author: A\n", "", 1, Problem::Missing { key: "author" });
    check("falsepositives: [none]\n", "", 1, Problem::Missing { key: "falsepositives" });
    let nearest = Some(text("author"));
    check("author: A\n", "author: A\nauthr: B\n", 6, Problem::UnknownKey { name: text("authr"), nearest });
    check("t1105", "t9999", 7, Problem::UnknownTechnique { id: text("T9999") });
    let retired = Problem::RetiredTechnique { id: text("T1002"), replaced_by: Some(text("T1560")) };
    check("t1105", "t1002", 7, retired);
    check("attack.t1105", "attack.execution", 7, Problem::NoTechnique);
    let nearest = Some(text("attack.execution"));
    check(
        "attack.t1105",
        "attack.excution",
        7,
        Problem::UnknownTag { tag: text("attack.excution"), nearest },
    );
    let expected = text("one of informational, low, medium, high, critical");
    let level = Problem::Value { key: "level", value: text("hgh"), expected, nearest: Some(text("high")) };
    check("level: low", "level: hgh", 8, level);
    let date = Problem::Value {
        key: "date",
        value: text("2026-02-30"),
        expected: text("a date, YYYY-MM-DD"),
        nearest: None,
    };
    check("2026-01-01", "2026-02-30", 6, date);
    check("advice: Do.\n", "advice: Do.\nidentity: [pid]\n", 14, Problem::UnstableIdentity { field: "pid" });
}

#[test]
fn names_and_ids_are_used_once() {
    let text = rule("exec", "  s: {tty: true}\n  condition: s\n");
    let errors = RuleSet::load([("a/x.yaml", &text), ("b/x.yaml", &text)]).err().unwrap();
    let problems: Vec<_> = errors.into_iter().map(|error| (error.file, error.problem)).collect();
    let stem = Problem::DuplicateName { stem: "x".into(), other: "a/x.yaml".into() };
    let id = "00000000-0000-4000-8000-000000000001".into();
    let id = Problem::DuplicateId { id, other: "a/x.yaml".into() };
    assert_eq!(problems, [("b/x.yaml".into(), stem), ("b/x.yaml".into(), id)]);
}

#[test]
fn every_problem_of_a_file_is_told_at_once() {
    let text = rule("exec", "  s: {exe.pth: x}\n  condition: s\n").replace("level: low", "level: x");
    assert_eq!(load(&text).err().unwrap().len(), 2);
}

#[test]
fn a_digest_changes_with_the_content_and_not_with_the_order() {
    let one = rule("exec", "  s: {tty: true}\n  condition: s\n");
    let two = one.replace("000000000001", "000000000002");
    let changed = two.replace("level: low", "level: high");
    let digest = |files: [(&str, &String); 2]| RuleSet::load(files).ok().unwrap().digest();
    assert_eq!(digest([("a.yaml", &one), ("b.yaml", &two)]), digest([("b.yaml", &two), ("a.yaml", &one)]));
    assert_ne!(
        digest([("a.yaml", &one), ("b.yaml", &two)]),
        digest([("a.yaml", &one), ("b.yaml", &changed)])
    );
}

/// A small generator of numbers (xorshift64), so that a failure can be repeated.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as usize
}

#[test]
fn no_bytes_make_loading_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..4000 {
        let (name, text) = crate::rule::SHIPPED[round % crate::rule::SHIPPED.len()];
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=next(&mut state) % 4 {
            let at = next(&mut state) % bytes.len();
            match next(&mut state) % 4 {
                0 => bytes[at] = next(&mut state) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, b"{}[]|:-*&!'\"#>?\n (%"[next(&mut state) % 19]),
                _ => bytes.extend_from_within(at..),
            }
        }
        if let Err(errors) = RuleSet::load([(name, &bytes)]) {
            assert!(errors.iter().all(|error| error.line >= 1 && !error.to_string().is_empty()));
        }
    }
}
