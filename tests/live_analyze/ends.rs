//! How a run ends: by itself, by its deadline, by a limit, by a signal to lazaret, by its death.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{Place, said, shell};
use crate::support::live;

#[test]
fn the_deadline_ends_what_ignores_the_stop_signal() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "trap '' TERM; echo up; while true; do sleep 1; done";
    let begin = Instant::now();
    let said = place.analyze(&["--duration", "2s", "--stop-grace", "1s", &place.image(shell(script))]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    let report = place.report();
    assert_eq!(
        (&report["run"]["exit"]["reason"], &report["run"]["exit"]["signal"]),
        (&"deadline".into(), &"SIGKILL".into())
    );
    place.assert_clean();
}

#[test]
fn a_daemon_that_outlives_the_first_program_is_watched_to_its_end() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "(setsid sh -c 'sleep 1; cp /bin/busybox /tmp/late; /tmp/late true' &) ; exit 0";
    let said = place.analyze(&["--duration", "20s", &place.image(shell(script))]);
    let report = place.report();
    let rules: Vec<_> = report["findings"].as_array().unwrap().iter().map(|it| it["rule"].clone()).collect();
    assert!(rules.contains(&"program-written-and-run".into()), "{rules:?} {}", said.stdout);
    assert_eq!(report["run"]["exit"]["reason"], "exited");
    place.assert_clean();
}

#[test]
fn limits_end_bombs_and_are_named() {
    if !live() {
        return;
    }
    let check = |script: &str, arguments: &[&str], limit: &str| {
        let place = Place::new();
        let reference = place.image(shell(script));
        let all: Vec<&str> = arguments.iter().copied().chain(["--duration", "5s", &reference]).collect();
        let said = place.analyze(&all);
        let report = place.report();
        let hit = report["run"]["limits_hit"].as_array().unwrap();
        assert!(hit.contains(&limit.into()), "{limit}: {hit:?} {}", said.stderr);
        place.assert_clean();
    };
    check("f() { f | f & }; f", &["--pids-limit", "64"], "pids");
    check("x=x; while true; do x=$x$x; done", &["--memory", "32m"], "memory");
    check("while true; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", &[], "stdout");
    check("dd if=/dev/zero of=/big bs=1M count=200; sleep 4", &["--disk", "64m"], "disk");
}

#[test]
fn a_signal_to_lazaret_ends_the_run_without_a_verdict_and_cleans_up() {
    if !live() {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let place = Place::new();
        let reference = place.image(shell("echo up; sleep 60"));
        let child = start(&place, &reference);
        await_output(&place);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let said = said(child.wait_with_output().unwrap());
        assert_eq!(said.code, 5, "{}", said.stderr);
        assert!(said.stderr.contains(signal.as_str()), "{}", said.stderr);
        assert_eq!(place.check()["error"]["kind"], "interrupted");
        place.assert_clean();
    }
}

#[test]
fn a_killed_runner_leaves_nothing_that_gc_does_not_remove() {
    if !live() {
        return;
    }
    for wait in [0, 20, 60, 120, 200, 300, 450, 600, 900, 1200] {
        let place = Place::new();
        let reference = place.image(shell("echo up; while true; do echo x > /tmp/f; sleep 0.01; done"));
        let mut child = start(&place, &reference);
        // A moment of the run, whichever it is: the outcome must be the same at all of them.
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let collected = place.call(&["gc"]);
        assert_eq!(collected.code, 0, "after {wait} ms: {}", collected.stderr);
        place.assert_clean();
    }
}

#[test]
fn the_next_run_removes_what_a_killed_one_left() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("echo up; sleep 60"));
    let mut child = start(&place, &reference);
    await_output(&place);
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(place.path("out")).unwrap();
    let said = place.analyze(&[&reference, "--", "/bin/true"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    place.assert_clean();
}

fn start(place: &Place, reference: &str) -> std::process::Child {
    let mut command = place.command();
    command.args(["analyze", "--no-skip", "--out"]).arg(place.path("out"));
    command.arg("--quarantine-report").arg(place.path("quarantine.json")).arg(reference);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.spawn().unwrap()
}

/// Until the image has printed something: it runs.
fn await_output(place: &Place) {
    let until = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(place.path("out/stdout")).map_or(0, |it| it.len()) == 0 {
        assert!(Instant::now() < until, "the image never printed anything");
        std::thread::yield_now();
    }
}
