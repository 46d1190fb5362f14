//! What is executed is kept, however short its life.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::place::{Place, busybox, run, shell};
use crate::support::live;

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

fn findings(place: &Place) -> Vec<Value> {
    let report = place.report();
    let mut ids: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].clone()).collect();
    ids.sort_by_key(ToString::to_string);
    ids
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
    let mut ids = Vec::new();
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
        ids.push(findings(&place));
        fs::remove_dir_all(place.path("out")).unwrap();
    }
    assert!(!ids[0].is_empty());
    assert_eq!(ids[0], ids[1]);
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
    assert_eq!(process_coverage(&place)["state"], "full");
    place.assert_clean();
}
