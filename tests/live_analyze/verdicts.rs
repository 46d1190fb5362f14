//! Verdicts: what passes, what fails, what cannot be told; the same every time, and again in replay.

use std::fs;

use serde_json::Value;

use super::place::{Place, busybox, run, shell};
use crate::support::live;

/// Writes a program, runs it, plants a cron job, reads a key, changes its shell's start-up file.
const MALICIOUS: &str = "cp /bin/busybox /tmp/kworker; chmod 755 /tmp/kworker; /tmp/kworker true; \
    mkdir -p /etc/cron.d /root/.ssh; echo '* * * * * root /tmp/kworker' > /etc/cron.d/job; \
    echo x >> /root/.profile; cat /root/.ssh/id_rsa";

fn ids(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let mut ids: Vec<String> = findings.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn an_image_that_does_nothing_wrong_passes_with_a_complete_report() {
    if !live() {
        return;
    }
    let place = Place::new();
    let said = place.analyze(&[&place.image(shell("echo hello; echo oops >&2; cat /etc/passwd"))]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let report = place.report();
    assert_eq!(report["schema"], "lazaret.report/v1");
    assert_eq!(report["verdict"]["result"], "pass");
    assert_eq!(report["subject"]["unchanged"]["same"], true);
    assert_eq!(report["run"]["exit"], serde_json::json!({"code": 0, "signal": null, "reason": "exited"}));
    assert_eq!((&report["run"]["events"]["lost"], &report["environment"]["tier"]), (&0.into(), &"B".into()));
    let state = |family: &str| {
        let coverage = report["coverage"].as_array().unwrap();
        coverage.iter().find(|entry| entry["family"] == family).unwrap()["state"].clone()
    };
    let whole = ["process", "memory", "file", "network", "dns", "http", "tls"];
    assert_eq!(whole.map(state), ["full"; 7].map(Value::from));
    assert_eq!(
        std::fs::read_to_string(place.path("out/stdout")).unwrap(),
        "hello\nroot:x:0:0::/root:/bin/sh\n"
    );
    assert_eq!(std::fs::read_to_string(place.path("out/stderr")).unwrap(), "oops\n");
    assert_eq!(place.json("out/completion.json")["data"]["result"], "pass");
    place.assert_clean();
}

#[test]
fn the_same_image_twice_has_the_same_verdict_and_finding_ids_and_so_has_its_replay() {
    if !live() {
        return;
    }
    let place = Place::new();
    let layer = busybox().directory("root/.ssh", 0o700).file("root/.ssh/id_rsa", b"key", 0o600);
    let reference = place.image(run(layer, &["/bin/sh", "-c", MALICIOUS]));
    let mut reports = Vec::new();
    for _ in 0..2 {
        let said = place.analyze(&[&reference]);
        assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
        reports.push(place.report());
        let again = place.call(&["replay", "--format", "json", place.path("out").to_str().unwrap()]);
        assert_eq!(again.code, 1, "{}", again.stderr);
        reports.push(serde_json::from_str(&again.stdout).unwrap());
        std::fs::remove_dir_all(place.path("out")).unwrap();
    }
    assert!(ids(&reports[0]).len() >= 4, "{:#}", reports[0]["findings"]);
    for report in &reports[1..] {
        assert_eq!(ids(report), ids(&reports[0]));
        assert_eq!(report["verdict"]["result"], reports[0]["verdict"]["result"]);
    }
    // A replay of the same recording is the same report.
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[2], reports[3]);
    place.assert_clean();
}

#[test]
fn a_replay_judges_by_another_policy_and_by_other_rules() {
    if !live() {
        return;
    }
    let place = Place::new();
    assert_eq!(place.analyze(&[&place.image(shell(MALICIOUS))]).code, 1);
    let out = place.path("out/report.json");
    let replay = |arguments: &[&str]| {
        let all: Vec<&str> =
            ["replay", out.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
        place.call(&all).code
    };
    assert_eq!(replay(&[]), 1);
    assert_eq!(replay(&["--policy", "observe"]), 4);
    assert_eq!(replay(&["--policy", "observe", "--policy", "default"]), 1);
    assert_eq!(replay(&["--rules", "rules/impact"]), 0);
    assert_eq!(replay(&["--policy", "no-such"]), 2);
    let exceptions = place.path("exceptions.yaml");
    let scope = format!("image: {}", place.report()["subject"]["manifest_digest"].as_str().unwrap());
    fs::write(
        &exceptions,
        format!("exceptions:\n- scope: {{ {scope} }}\n  reason: known\n  author: a\n  expires: 9999-01-01\n"),
    )
    .unwrap();
    let again = place.path("again");
    let arguments = ["--exceptions", exceptions.to_str().unwrap(), "--out", again.to_str().unwrap()];
    assert_eq!(replay(&arguments), 0);
    let report: Value = serde_json::from_slice(&fs::read(again.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["verdict"]["allowed_by"].as_array().unwrap().len(), 1);
    assert_eq!(report["inputs"]["exceptions"]["digest"].as_str().unwrap().len(), 71);
}

#[test]
fn a_recording_that_was_changed_is_refused_and_one_cut_off_cannot_pass() {
    if !live() {
        return;
    }
    let place = Place::new();
    assert_eq!(place.analyze(&[&place.image(shell("echo hello"))]).code, 0);
    let packed = std::fs::read(place.path("out/events.jsonl.zst")).unwrap();
    let plain = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let replay = |text: &str| {
        std::fs::write(place.path("log.jsonl"), text).unwrap();
        place.call(&["replay", place.path("log.jsonl").to_str().unwrap()])
    };
    assert_eq!(replay(&plain).code, 0);
    let trailer = plain.rfind("{\"trailer\"").unwrap();
    assert_eq!(replay(&plain[..trailer]).code, 3);
    let changed = replay(&plain.replace("/bin/busybox", "/bin/busyboy"));
    assert_eq!(changed.code, 2, "{}", changed.stderr);
    assert!(changed.stderr.contains("changed"), "{}", changed.stderr);
}

#[test]
fn lost_records_are_inconclusive_and_never_soften_a_fail() {
    if !live() {
        return;
    }
    let place = Place::new();
    // A ring of one page is full before a hold can reach all of several tasks.
    let flood = "for j in 1 2 3 4 5 6 7 8; do \
        (i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo x > /tmp/f$j.$i; done) & done; wait";
    let said = place.analyze(&["--ring", "4k", &place.image(shell(flood))]);
    let report = place.report();
    assert!(report["run"]["events"]["lost"].as_u64().unwrap() > 0, "{:#}", report["run"]);
    assert_eq!((said.code, &report["verdict"]["result"]), (3, &"inconclusive".into()), "{}", said.stdout);
    drop(place);
    let place = Place::new();
    let said =
        place.analyze(&["--ring", "4k", &place.image(shell(&format!("{MALICIOUS}; sleep 1; {flood}")))]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    place.assert_clean();
}

#[test]
fn a_program_that_never_got_past_its_loader_is_inconclusive() {
    if !live() {
        return;
    }
    // A real program whose libraries are not in the image, but whose loader is.
    let (program, loader) = ("/usr/bin/gzip", "/lib64/ld-linux-x86-64.so.2");
    let read = |path: &str| std::fs::read(path).unwrap();
    let layer = busybox().file("app", &read(program), 0o755).directory("lib64", 0o755);
    let layer = layer.file(&loader[1..], &read(loader), 0o755);
    let place = Place::new();
    let said = place.analyze(&[&place.image(run(layer, &["/app", "--version"]))]);
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    assert_eq!(place.report()["run"]["entrypoint_ran"], false);
    place.assert_clean();
}

#[test]
fn what_the_image_asks_for_is_what_it_gets() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script =
        "id -u; id -g; pwd; echo $A $B $HOME; hostname; cat /etc/resolv.conf | head -c 4 > /dev/null";
    let layer = busybox()
        .symlink("bin/pwd", "busybox")
        .symlink("bin/hostname", "busybox")
        .symlink("bin/head", "busybox");
    let layer = layer.file("etc/group", b"app:x:77:\n", 0o644);
    let config = serde_json::json!({
        "Entrypoint": ["/bin/sh"], "Cmd": ["-c", script], "Env": ["A=image", "B=image"], "User": "1000:77",
        "WorkingDir": "/work/here",
    });
    let builder = crate::support::image::ImageBuilder::new().layer(layer.finish()).config(config);
    let reference = place.image(builder);
    let said = place.analyze(&["-e", "B=given", "--hostname", "box", &reference]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let stdout = std::fs::read_to_string(place.path("out/stdout")).unwrap();
    assert_eq!(stdout, "1000\n77\n/work/here\nimage given /\nbox\n");
    place.assert_clean();
}
