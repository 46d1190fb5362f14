//! Deeds by ways that might hide them from rules that know their names: fixtures/programs/evade.c in an image.

use serde_json::Value;

use super::place::{Place, busybox, run};
use super::routes::events;
use crate::support::live;
use crate::support::program;

/// Runs `script` where `evade` can do all that it does.
fn analyze(place: &Place, script: &str, duration: &str) -> Vec<Value> {
    let mut layer =
        busybox().file("bin/evade", &program::build("evade"), 0o755).symlink("bin/stat", "busybox");
    for directory in ["usr", "usr/bin", "opt", "opt/jobs", "etc/cron.d"] {
        layer = layer.directory(directory, 0o755);
    }
    layer = layer
        .file("usr/bin/victim", b"of the image", 0o755)
        .file("etc/group", b"root:x:0:\n", 0o644)
        .symlink("etc/cron.weekly", "/opt/jobs");
    let reference = place.image(run(layer, &["/bin/sh", "-c", script]));
    let said = place.analyze(&["--duration", duration, &reference]);
    assert!(place.path("out/report.json").exists(), "{}{}", said.stdout, said.stderr);
    let stderr = std::fs::read_to_string(place.path("out/stderr")).unwrap_or_default();
    assert_eq!(stderr, "", "every way was open");
    place.assert_clean();
    events(place)
}

fn rules(place: &Place) -> Vec<String> {
    let report = place.report();
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_deed_by_another_name_is_a_finding_under_its_own() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "evade link; evade place; evade bytes; evade memory; evade fed; evade thread";
    let events = analyze(&place, script, "60s");
    let written = |path: &str| {
        let wrote = |event: &&Value| {
            let open = &event["act"]["file"]["open"];
            open["file"]["path"] == path && open["mode"]["write"] == true
        };
        events.iter().filter(wrote).count()
    };
    for path in ["/etc/passwd", "/tmp/b/one", "/usr/bin/victim", "/etc/cron.weekly/job", "/opt/jobs/job"] {
        assert_eq!(written(path), 1, "{path}");
    }
    let found = rules(&place);
    for rule in [
        "account-database-changed",
        "system-program-overwritten",
        "cron-job-written",
        "script-read-from-memory",
        "script-fed-from-memory",
        "program-run-from-temporary-directory",
    ] {
        assert!(found.iter().any(|it| it == rule), "no {rule} in {found:?}");
    }
    let report = place.report();
    assert_eq!(report["run"]["events"]["lost"], 0, "{}", report["coverage"]);
    assert_eq!(report["run"]["unexplained"], serde_json::json!([]));
}

#[test]
fn whoever_waits_in_an_odd_call_or_spins_is_seen_waiting() {
    if !live() {
        return;
    }
    let place = Place::new();
    let events = analyze(&place, "exec evade waits", "6s");
    let told = |what: &str, name: &str| {
        let call = |event: &&Value| {
            let call = &event["act"]["process"]["call"];
            call["what"] == what && (name.is_empty() || call["call"]["call"] == name)
        };
        events.iter().any(|event| call(&event))
    };
    for name in ["futex_waitv", "mq_timedreceive", "recvfrom"] {
        assert!(told("wait", name), "{name}: {events:#?}");
    }
    assert!(told("busy", ""), "{events:#?}");
    assert!(rules(&place).iter().any(|rule| rule == "dormant-until-later"), "{:?}", rules(&place));
}

#[test]
fn no_device_node_of_the_host_is_inside() {
    if !live() {
        return;
    }
    let place = Place::new();
    let names = ["null", "zero", "full", "random", "urandom", "tty"];
    let script = names.map(|name| format!("stat -c %d:%i:%t:%T /dev/{name}")).join("; ");
    analyze(&place, &script, "10s");
    let stdout = std::fs::read_to_string(place.path("out/stdout")).unwrap();
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), names.len(), "{stdout}");
    for (name, inside) in names.iter().zip(lines) {
        use std::os::unix::fs::MetadataExt;
        let host = std::fs::metadata(format!("/dev/{name}")).unwrap();
        let numbers = (host.rdev() >> 8 & 0xfff, host.rdev() & 0xff);
        assert!(inside.ends_with(&format!(":{:x}:{:x}", numbers.0, numbers.1)), "{name}: {inside}");
        assert!(!inside.starts_with(&format!("{}:{}:", host.dev(), host.ino())), "{name}: {inside}");
    }
}
