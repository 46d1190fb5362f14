//! Routes by which a deed could go unseen, at the level of the command: fixtures/programs/routes.c in an image.

use std::fs;
use std::io::Read;

use serde_json::Value;

use super::place::{Place, busybox, run};
use crate::support::live;
use crate::support::program;

/// The events of the run in `out`.
pub fn events(place: &Place) -> Vec<Value> {
    let file = fs::File::open(place.path("out/events.jsonl.zst")).unwrap();
    let mut text = String::new();
    zstd::stream::read::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line.get("event").cloned()).collect()
}

fn analyze(place: &Place, script: &str, options: &[&str]) -> Vec<Value> {
    let layer = busybox()
        .file("bin/routes", &program::build("routes"), 0o755)
        .directory("data", 0o777)
        .directory("data/sub", 0o777)
        .file("data/target", b"target", 0o666)
        .file("data/sub/inner", b"inner", 0o666)
        .symlink("data/link", "target");
    let reference = place.image(run(layer, &["/bin/sh", "-c", &format!("cd /data; {script}")]));
    let said = place.analyze(&[options, &[&reference]].concat());
    assert!(place.path("out/report.json").exists(), "{}{}", said.stdout, said.stderr);
    place.assert_clean();
    events(place)
}

fn coverage(place: &Place, family: &str) -> Value {
    let report = place.report();
    let entries = report["coverage"].as_array().unwrap();
    entries.iter().find(|entry| entry["family"] == family).unwrap()["state"].clone()
}

#[test]
fn an_argument_that_is_rewritten_during_the_call_is_a_finding() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "for n in 1 2 3 4 5 6; do routes race 20000; done";
    let events = analyze(&place, script, &["--duration", "120s"]);
    let mismatches: Vec<_> =
        events.iter().filter_map(|event| event["act"]["kernel"].get("mismatch")).collect();
    assert!(!mismatches.is_empty());
    let sides = ["/data/target", "/data/sub/inner"];
    for mismatch in mismatches {
        assert_eq!(mismatch["call"], "open");
        assert!(sides.iter().any(|side| mismatch["taken"] == *side), "{mismatch}");
        assert_ne!(mismatch["passed"], mismatch["taken"]);
    }
    let report = place.report();
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["rule"] == "argument-rewritten"), "{findings:#?}");
    assert_eq!(coverage(&place, "memory"), "full");
}

#[test]
fn what_does_not_lie_is_no_mismatch() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "routes parents; mkdir sub; echo x > sub/inner; routes roots; routes absences; \
        routes attributes; cat link /proc/self/status /dev/stdin < target; ln -s /data/deep/er e; mkdir -p deep/er; \
        echo x > e/file; mv deep moved; cat moved/er/file; cd moved/er; cat ./file ../er/file; routes barred; routes faults";
    let events = analyze(&place, script, &["--duration", "120s"]);
    assert!(events.len() > 50);
    let mismatches: Vec<_> =
        events.iter().filter_map(|event| event["act"]["kernel"].get("mismatch")).collect();
    assert!(mismatches.is_empty(), "{mismatches:#?}");
    // What a filter of its own answers is told from what the sandbox's refuses.
    let of = |name: &str| {
        let call = |event: &&Value| {
            let act = &event["act"];
            [&act["denied"], &act["memory"]["user_fault"]].iter().any(|call| call["call"] == name)
        };
        events.iter().filter(call).collect::<Vec<_>>()
    };
    let (lied, traced, faults) = (of("mkdir"), of("ptrace"), of("userfaultfd"));
    assert_eq!((lied.len(), traced.len(), faults.len()), (1, 1, 1), "{lied:#?} {traced:#?} {faults:#?}");
    for event in [lied[0], traced[0]] {
        assert_eq!(event["act"]["denied"]["own_filter"], true, "{event}");
    }
    assert_eq!((&lied[0]["errno"], &traced[0]["errno"]), (&Value::Null, &Value::from(1)));
    assert_eq!(faults[0]["act"]["memory"]["user_fault"]["filtered"], true, "{}", faults[0]);
    let run = &place.report()["run"];
    assert_eq!(run["unexplained"], serde_json::json!([]));
    assert!(run["visibility"]["all"].as_u64() > Some(10), "{run}");
}

#[test]
fn calls_that_had_not_returned_at_the_end_are_told_once() {
    if !live() {
        return;
    }
    let place = Place::new();
    // Nothing here hears the signal that asks it to stop.
    let script = "trap '' TERM; routes waits";
    let events = analyze(&place, script, &["--duration", "6s", "--network", "none"]);
    let unfinished: Vec<_> = events.iter().filter(|event| event["unfinished"] == true).collect();
    let of =
        |wanted: &dyn Fn(&Value) -> bool| unfinished.iter().filter(|event| wanted(&event["act"])).count();
    let call = |act: &Value, name: &str| act["kernel"]["call"]["call"] == name;
    assert_eq!(of(&|act| act["net"]["action"] == "connect"), 1, "{unfinished:#?}");
    assert_eq!(of(&|act| act["file"]["open"]["file"]["path"] == "/data/fifo"), 1, "{unfinished:#?}");
    assert_eq!(of(&|act| call(act, "accept")), 1, "{unfinished:#?}");
    let flock =
        |compat: bool| of(&|act| call(act, "flock") && (act["kernel"]["call"]["compat"] == true) == compat);
    assert_eq!((flock(false), flock(true)), (1, 1), "{unfinished:#?}");
    // The first call through the 32-bit entry is told as such, too; waits are another matter.
    assert_eq!(unfinished.len() - of(&|act| act["process"]["call"]["what"] == "wait"), 5, "{unfinished:#?}");
}
