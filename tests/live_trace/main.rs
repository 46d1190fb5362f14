//! Does the deeds and looks at the records: the real probes in the real kernel.
//!
//! Each test holds a child on a pipe, watches it by pidfd and cgroup, lets it run one act of
//! fixtures/programs/acts.c, and ends when its cgroup is empty.

#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a stage that cannot be set is a failed test

mod calls;
mod files;
mod flood;
mod rare;
mod rings;
mod routes;
mod sockets;
mod stage;
mod tasks;
mod uring;

use std::fs;
use std::path::{Path, PathBuf};

use lazaret::record::Body;
use lazaret::trace::{Options, Probes, TraceError, survey_with};

use stage::{Seen, is_live, watch};

/// Watches one act; its records in their order, the stage's directory shown as `$`, must be `expected`.
fn check(act: &str, expected: &[&str]) -> Option<Seen> {
    if !is_live() {
        return None;
    }
    let seen = watch(&act.split(' ').collect::<Vec<_>>());
    seen.assert_whole();
    let lines: Vec<_> = seen.lines().into_iter().map(|line| steady(&seen, line)).collect();
    let expected: Vec<_> = expected.iter().map(|line| line.to_string()).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
    Some(seen)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn without_the_kernels_types_nothing_is_loaded() {
    let absent = Options { btf: PathBuf::from("/nonexistent/vmlinux"), ..Options::default() };
    assert!(matches!(Probes::load_with(&absent), Err(TraceError::NoBtf { .. })));
    let file = tempfile::NamedTempFile::new().unwrap();
    let empty = Options { btf: file.path().to_owned(), ..Options::default() };
    assert!(matches!(Probes::load_with(&empty), Err(TraceError::NoBtf { .. })));
    fs::write(file.path(), "no types").unwrap();
    assert!(matches!(Probes::load_with(&empty), Err(TraceError::BadBtf { .. })));
}

#[test]
fn the_survey_says_what_works_and_what_to_do_about_the_rest() {
    if !is_live() {
        return;
    }
    for answer in survey_with(Path::new("/sys/kernel/btf/vmlinux")) {
        assert!(!answer.needed || answer.refused.is_none(), "{answer:?}");
    }
    let blind = survey_with(Path::new("/nonexistent/vmlinux"));
    let refused = blind.iter().filter(|answer| answer.needed && answer.refused.is_some());
    assert_eq!(refused.count(), 4, "{blind:#?}");
}

/// Where several sockets were made alike, their count leaves whenever its place is needed; connections end
/// when they like.
fn without_sockets(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.starts_with("socket ") && !line.starts_with("flow ")).collect()
}

/// A line without what differs from run to run: pids, and results that are new numbers.
fn steady(seen: &Seen, line: String) -> String {
    let mut line = line.replace(&format!(" to {} ", seen.pid), " to ME ");
    for record in &seen.records {
        if let Body::Fork { child } = record.body {
            line = line.replace(&child.pid.to_string(), "CHILD");
        }
    }
    match line.rsplit_once(" = ") {
        Some((act, _)) if act.starts_with("denied") => act.split(" [").next().unwrap_or(act).to_owned(),
        Some((act, result)) if result.parse::<u64>().is_ok_and(|result| result > 1) || result == "CHILD" => {
            if line.starts_with("send") {
                line.clone()
            } else {
                format!("{act} = +")
            }
        }
        _ => line,
    }
}

#[test]
fn every_test_that_the_readme_names_is_there() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut all = String::new();
    let mut places = vec![tests.clone()];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension() {
                _ if entry.is_dir() => places.push(entry),
                Some(ending) if ending == "rs" => all += &fs::read_to_string(entry).unwrap(),
                _ => {}
            }
        }
    }
    let readme = fs::read_to_string(tests.join("live_trace/README.md")).unwrap();
    let is_name = |text: &&str| text.matches('_').count() > 2 && !text.contains(['/', ' ', '`']);
    let named: Vec<_> = readme.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 60, "{named:#?}");
    for name in named {
        assert!(all.contains(&format!("fn {name}()")), "{name}");
    }
}
