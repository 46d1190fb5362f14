//! How the internet ends: with the run, before it, or with the runner; and what it leaves.

use std::fs;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::place::{Place, said, shell};
use crate::support::{PATIENCE, live};

const COMM: &str = "lazaret-interne";

/// The process below `parent` that is the internet proper: the guard's child.
fn internet_of(parent: u32) -> Option<i32> {
    child(child(parent)? as u32)
}

fn child(parent: u32) -> Option<i32> {
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|it| it.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let comm = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
        comm.is_some_and(|(comm, rest)| {
            comm == COMM && rest.split_whitespace().nth(1) == Some(&parent.to_string())
        })
    })
}

fn await_output(place: &Place) {
    let until = Instant::now() + PATIENCE;
    while fs::metadata(place.path("out/stdout")).map_or(0, |it| it.len()) == 0 {
        assert!(Instant::now() < until, "the image never printed anything");
        std::thread::yield_now();
    }
}

fn start(place: &Place, script: &str) -> std::process::Child {
    let mut command = place.command();
    command.arg("analyze").arg("--out").arg(place.path("out")).arg(place.image(shell(script)));
    command.args(["--duration", "60s", "--no-skip"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_run_whose_internet_dies_is_inconclusive_and_says_why() {
    if !live() {
        return;
    }
    let place = Place::new();
    let run = start(&place, "echo up; sleep 8");
    await_output(&place);
    let internet = internet_of(run.id()).expect("an internet");
    kill(Pid::from_raw(internet), Signal::SIGKILL).unwrap();
    let said = said(run.wait_with_output().unwrap());
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    let report = place.report();
    for family in ["network", "dns", "http", "tls"] {
        let coverage = report["coverage"].as_array().unwrap();
        let entry = coverage.iter().find(|entry| entry["family"] == family).unwrap();
        assert_eq!(entry["state"], "partial", "{entry}");
        assert!(entry["reason"].as_str().unwrap().contains("ended before the run did"), "{entry}");
    }
    place.assert_clean();
}

#[test]
fn a_killed_runner_takes_the_internet_along() {
    if !live() {
        return;
    }
    let place = Place::new();
    let mut run = start(&place, "echo up; while true; do echo x | nc -w 1 1.2.3.4 80; done");
    await_output(&place);
    assert!(internet_of(run.id()).is_some());
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(place.call(&["gc"]).code, 0);
    place.assert_clean();
}

#[test]
fn the_internet_can_do_nothing_but_serve() {
    if !live() {
        return;
    }
    let place = Place::new();
    let run = start(&place, "echo up; sleep 8");
    await_output(&place);
    let internet = internet_of(run.id()).expect("an internet");
    let status = fs::read_to_string(format!("/proc/{internet}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name}: {status}")).trim().to_owned()
    };
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(capabilities), "0000000000000000", "{capabilities}");
    }
    assert_eq!((field("Seccomp"), field("NoNewPrivs")), ("2".into(), "1".into()));
    assert!(field("Uid").split_whitespace().all(|id| id.parse::<u32>().unwrap() > 1_000_000), "{status}");
    let root = fs::read_dir(format!("/proc/{internet}/root")).map(Iterator::count);
    assert!(root.is_ok_and(|entries| entries == 0));
    let mounts = fs::read_to_string(format!("/proc/{internet}/mountinfo")).unwrap();
    assert!(mounts.lines().count() == 1 && mounts.contains(" ro,"), "{mounts}");
    for kind in ["user", "net", "mnt", "pid", "ipc", "uts", "cgroup"] {
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert_ne!(of(&internet.to_string()), of("self"), "{kind}");
    }
    let said = said(run.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    place.assert_clean();
}

#[test]
fn without_a_network_there_is_a_loopback_and_no_capture() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("ls /sys/class/net"));
    let said = place.analyze(&["--network", "none", &reference]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(fs::read_to_string(place.path("out/stdout")).unwrap(), "lo\n");
    assert!(!place.path("out/capture.pcapng").exists());
    let states: Vec<Value> = place.report()["coverage"].as_array().unwrap().clone();
    assert!(states.iter().any(|entry| entry["family"] == "http" && entry["state"] == "none"), "{states:?}");
    place.assert_clean();
}
