//! What is executed is kept, however short its life.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::place::{Place, busybox, run, shell};
use crate::support::{live, program};

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every program that ran from a path that begins so, with its hash, in the order of the recording.
fn ran(place: &Place, prefix: &str) -> Vec<(String, Option<String>)> {
    let packed = fs::read(place.path("out/events.jsonl.zst")).unwrap();
    let text = zstd::decode_all(&packed[..]).unwrap();
    let report = place.report();
    let omitted = report["behaviour"]["processes_omitted"].as_u64().unwrap();
    assert_eq!(omitted, 0, "{} bytes of log", text.len());
    let programs = report["behaviour"]["processes"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = programs.map(|program| (text(&program["exe"]).unwrap(), text(&program["sha256"])));
    all.filter(|(exe, _)| exe.starts_with(prefix)).collect()
}

/// By id: the rule, and what it saw.
fn findings(place: &Place) -> BTreeMap<String, String> {
    let report = place.report();
    let all = report["findings"].as_array().unwrap().iter();
    let told = |finding: &Value| format!("{} {}", finding["rule"], finding["evidence"]);
    all.map(|finding| (finding["id"].as_str().unwrap().to_owned(), told(finding))).collect()
}

/// What only the first has.
fn beyond(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    one.iter().filter(|(id, _)| !other.contains_key(*id)).map(|(_, told)| told.clone()).collect()
}

fn process_coverage(place: &Place) -> Value {
    let report = place.report();
    let mut all = report["coverage"].as_array().unwrap().iter();
    all.find(|entry| entry["family"] == "process").unwrap().clone()
}

#[test]
fn a_program_that_is_dropped_run_and_deleted_at_once_is_known_every_time() {
    if !live() {
        return;
    }
    let script = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); cp /bin/busybox /tmp/k; echo $i >> /tmp/k; \
        (exec -a true /tmp/k) ; rm /tmp/k; done";
    let script = script.replace("(exec -a true /tmp/k)", "/tmp/k true");
    let place = Place::new();
    let reference = place.image(shell(&script));
    let program = fs::read("/bin/busybox").unwrap();
    let expected: Vec<String> =
        (1..=100).map(|round| hex(&[&program[..], format!("{round}\n").as_bytes()].concat())).collect();
    let mut found = Vec::new();
    for _ in 0..2 {
        let said = place.analyze(&[&reference]);
        assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
        let seen: Vec<String> = ran(&place, "/tmp/k").into_iter().map(|(_, hash)| hash.unwrap()).collect();
        assert_eq!(seen, expected);
        for (round, name) in (1..).zip(&expected) {
            let path = place.path(&format!("out/files/{name}"));
            assert_eq!(fs::read(&path).unwrap(), [&program[..], format!("{round}\n").as_bytes()].concat());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o400);
        }
        assert_eq!(fs::read_dir(place.path("out/files")).unwrap().count(), 100);
        assert_eq!(process_coverage(&place)["state"], "full");
        found.push(findings(&place));
        fs::remove_dir_all(place.path("out")).unwrap();
    }
    assert!(!found[0].is_empty());
    let (gone, new) = (beyond(&found[0], &found[1]), beyond(&found[1], &found[0]));
    assert!(gone.is_empty() && new.is_empty(), "the first time alone: {gone:#?}, the second: {new:#?}");
    place.assert_clean();
}

#[test]
fn every_place_that_can_be_written_is_watched_and_a_changed_file_has_another_hash() {
    if !live() {
        return;
    }
    // The same bytes in the overlay, in a file that was only renamed or linked, and in /dev; then
    // changed in place, with the same length.
    let script = "cp /bin/busybox /tmp/true; /tmp/true; ln /tmp/true /tmp/l; mv /tmp/l /tmp/false; /tmp/false; \
        cp /bin/busybox /dev/true; /dev/true; \
        printf x | dd of=/tmp/true bs=1 seek=8 conv=notrunc 2>/dev/null; /tmp/true; \
        printf x | dd of=/dev/true bs=1 seek=8 conv=notrunc 2>/dev/null; /dev/true; \
        /opt/true; /opt/true; printf x | dd of=/opt/true bs=1 seek=8 conv=notrunc 2>/dev/null; /opt/true; \
        printf '#!/bin/true\\n' > /tmp/script; chmod 755 /tmp/script; /tmp/script";
    let place = Place::new();
    let program = fs::read("/bin/busybox").unwrap();
    let layer = busybox().symlink("bin/printf", "busybox").symlink("bin/ln", "busybox");
    let layer = layer.directory("opt", 0o755).file("opt/true", &program, 0o755);
    let said = place.analyze(&[&place.image(run(layer, &["/bin/sh", "-c", script]))]);
    assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    let mut changed = program.clone();
    changed[8] = b'x';
    let mut seen = BTreeMap::<String, Vec<String>>::new();
    for (exe, hash) in ["/tmp/", "/dev/", "/opt/"].into_iter().flat_map(|prefix| ran(&place, prefix)) {
        seen.entry(exe).or_default().push(hash.unwrap());
    }
    let (one, two) = (hex(&program), hex(&changed));
    let expected = [
        ("/dev/true".to_owned(), vec![one.clone(), two.clone()]),
        ("/opt/true".to_owned(), vec![one.clone(), one.clone(), two.clone()]),
        ("/tmp/false".to_owned(), vec![one.clone()]),
        ("/tmp/true".to_owned(), vec![one.clone(), two.clone()]),
    ];
    assert_eq!(seen, BTreeMap::from(expected), "{}", said.stdout);
    let report = place.report();
    let mut dropped = report["behaviour"]["dropped"].as_array().unwrap().iter();
    let script = dropped.find(|it| it["path"] == "/tmp/script").unwrap();
    assert_eq!(script["sha256"], hex(b"#!/bin/true\n"));
    let mut kept: Vec<String> = fs::read_dir(place.path("out/files"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    let mut expected = vec![one, two, hex(b"#!/bin/true\n")];
    expected.sort();
    assert_eq!(kept, expected);
    place.assert_clean();
}

#[test]
fn a_program_in_memory_has_the_hash_of_its_content() {
    if !live() {
        return;
    }
    let place = Place::new();
    let program = place.path("memory");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/programs/memory.c");
    let built = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(built.success());
    let bytes = fs::read(&program).unwrap();
    let said = place.analyze(&[&place.image(run(busybox().file("memory", &bytes, 0o755), &["/memory"]))]);
    assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    assert_eq!(ran(&place, "memfd:"), [("memfd:x".to_owned(), Some(hex(&bytes)))]);
    assert_eq!(fs::read(place.path(&format!("out/files/{}", hex(&bytes)))).unwrap(), bytes);
    assert_eq!(process_coverage(&place)["state"], "full");
    place.assert_clean();
}

#[test]
fn what_is_deleted_again_or_only_mapped_or_refused_is_kept_and_nothing_without_a_name() {
    if !live() {
        return;
    }
    let place = Place::new();
    // A script that no exec shows, a file that another one takes the name of, a library, one in memory.
    let script = "echo 'echo hi' > /tmp/x; sh /tmp/x; rm /tmp/x; \
        echo one > /tmp/a; echo two > /tmp/b; mv /tmp/b /tmp/a; \
        cp /bin/busybox /dev/lib.so; echo x >> /dev/lib.so; routes maps /dev/lib.so; \
        cp /bin/busybox /tmp/lib.so; echo y >> /tmp/lib.so; routes maps /tmp/lib.so; echo kept > /tmp/k; \
        echo 'echo no magic' > /tmp/t; chmod 755 /tmp/t /tmp/k; /tmp/t; \
        echo '#!/none' > /dev/t; chmod 755 /dev/t; /dev/t; true";
    let layer = busybox().file("bin/routes", &program::build("routes"), 0o755);
    let said = place.analyze(&[&place.image(run(layer, &["/bin/sh", "-c", script]))]);
    assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    let program = fs::read("/bin/busybox").unwrap();
    let report = place.report();
    let kept = report["behaviour"]["kept"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let seen: BTreeSet<_> =
        kept.iter().map(|it| (text(&it["path"]), text(&it["why"]), text(&it["sha256"]))).collect();
    let grown = |tail: &[u8]| [&program[..], tail].concat();
    for (path, why, content) in [
        ("/tmp/x", "deleted", &b"echo hi\n"[..]),
        ("/tmp/a", "deleted", b"one\n"),
        ("/dev/lib.so", "deleted", &grown(b"x\n")),
        ("/dev/lib.so", "mapped", &grown(b"x\n")),
        ("/tmp/lib.so", "deleted", &grown(b"y\n")),
        ("/tmp/lib.so", "mapped", &grown(b"y\n")),
        ("/tmp/t", "tried", b"echo no magic\n"),
        ("/dev/t", "tried", b"#!/none\n"),
    ] {
        assert!(seen.contains(&(path.to_owned(), why.to_owned(), hex(content))), "{path} {why}: {seen:#?}");
        let file = place.path(&format!("out/files/{}", hex(content)));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o400);
        assert_eq!(fs::read(&file).unwrap(), content);
    }
    assert!(!seen.iter().any(|(path, ..)| path == "/tmp/k"), "{seen:#?}");
    assert!(kept.iter().any(|it| it["exe"] == "/bin/routes" && it["why"] == "mapped"), "{kept:#?}");
    let names: BTreeSet<_> = seen.into_iter().map(|(.., sha256)| sha256).collect();
    let files = fs::read_dir(place.path("out/files")).unwrap();
    let files: BTreeSet<_> = files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, names);
    assert_eq!(report["run"]["captured"]["missed"], 0);
    assert_eq!(process_coverage(&place)["state"], "full");
    place.assert_clean();
}

/// Four tasks that go on writing programs and running them.
const STORM: &str = "for j in 1 2 3 4; do mkdir /tmp/$j; (i=0; while [ $i -lt COUNT ]; do i=$((i+1)); \
    cp /bin/busybox /tmp/$j/true; echo $i >> /tmp/$j/true; /tmp/$j/true; done) & done; echo up; wait";

#[test]
fn a_storm_of_executions_and_holds_ends_by_itself_and_no_hash_is_missing() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell(&STORM.replace("COUNT", "40")));
    let said = place.analyze(&["--ring", "64k", "--duration", "240s", &reference]);
    let report = place.report();
    assert_eq!(report["run"]["exit"]["reason"], "exited", "{}{}", said.stdout, said.stderr);
    let programs = ran(&place, "/tmp/");
    // So small a ring may lose records, but never in silence.
    assert!(programs.len() == 160 || report["run"]["events"]["lost"] != 0, "{}", programs.len());
    assert!(programs.iter().all(|(_, hash)| hash.is_some()), "{programs:?}");
    // The same forty contents by four tasks, and whatever was kept of others.
    let contents: BTreeSet<_> = programs.iter().map(|(_, hash)| hash).collect();
    assert!(contents.len() == 40 || report["run"]["events"]["lost"] != 0, "{}", contents.len());
    let behaviour = &report["behaviour"];
    assert_eq!(behaviour["kept_omitted"], 0);
    let kept =
        behaviour["kept"].as_array().unwrap().iter().map(|it| it["sha256"].as_str().map(str::to_owned));
    let kept: BTreeSet<_> = kept.collect();
    let all = contents.into_iter().chain(&kept).collect::<BTreeSet<_>>().len() as u64;
    assert_eq!(report["run"]["captured"]["files"], all, "{kept:?}");
    assert_eq!(fs::read_dir(place.path("out/files")).unwrap().count() as u64, all);
    place.assert_clean();
}

#[test]
fn a_runner_that_is_killed_while_programs_wait_for_its_answer_leaves_nothing() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell(&STORM.replace("COUNT", "100000")));
    let mut command = place.command();
    let command = command.args(["analyze", "--out"]).arg(place.path("out")).arg(&reference);
    let mut running = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    while fs::read_dir(place.path("out/files")).map_or(0, Iterator::count) < 20 {
        assert!(running.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let collected = place.call(&["gc"]);
    assert_eq!(collected.code, 0, "{}", collected.stderr);
    place.assert_clean();
}
