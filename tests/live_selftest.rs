//! The selftest, as a user calls it.

#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_selftest_sees_every_deed_and_leaves_nothing_of_its_own() {
    if std::env::var_os("LAZARET_LIVE").is_none_or(|value| value != "1") {
        eprintln!("skipped: needs root and LAZARET_LIVE=1");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("state");
    let output = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .arg("--state")
        .arg(&state)
        .args(["selftest", "--format", "json"])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shown}{complaint}");
    let deeds: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let deeds = deeds.as_array().unwrap();
    assert!(deeds.iter().all(|deed| deed["seen"] == true), "{shown}");
    for family in ["process", "memory", "file", "network", "kernel"] {
        assert!(deeds.iter().any(|deed| deed["family"] == family), "no deed of {family}");
    }
    let left: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("selftest-")), "{left:?}");
}
