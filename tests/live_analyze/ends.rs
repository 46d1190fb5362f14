//! How a run ends: by itself, by its deadline, by a limit, by a signal to lazaret, by its death.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{Place, said, shell};
use crate::support::{PATIENCE, live};

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
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
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
    let said = place.analyze(&["--duration", "120s", &place.image(shell(script))]);
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
        let all: Vec<&str> = arguments.iter().copied().chain([&*reference]).collect();
        let said = place.analyze(&all);
        let report = place.report();
        let hit = report["run"]["limits_hit"].as_array().unwrap();
        assert!(hit.contains(&limit.into()), "{limit}: {hit:?} {}", said.stderr);
        place.assert_clean();
    };
    check("f() { f | f & }; f", &["--pids-limit", "64", "--duration", "8s"], "pids");
    check("x=x; while true; do x=$x$x; done", &["--memory", "32m", "--duration", "60s"], "memory");
    check(
        "while true; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done",
        &["--duration", "8s"],
        "stdout",
    );
    check(
        "dd if=/dev/zero of=/big bs=1M count=200; sleep 4",
        &["--disk", "64m", "--duration", "60s"],
        "disk",
    );
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

/// The flood fills the rings faster than a runner that stands still can drain them: when it goes on, it holds
/// the workload, and dies before it lets go.
#[test]
fn a_runner_killed_while_it_holds_the_workload_leaves_nothing_that_gc_does_not_remove() {
    if !live() {
        return;
    }
    // The hold may be over between look and kill: then the run does not count.
    let killed_in_hold = (0..10).any(|_| {
        let place = Place::new();
        let flood = "i=0; while true; do i=$((i + 1)); true < /none$i; done 2> /dev/null";
        let script = format!("echo up; for n in 1 2 3 4; do ( {flood} ) & done; wait");
        let reference = place.image(shell(&script));
        let mut child = start(&place, &reference);
        await_output(&place);
        let runner = Pid::from_raw(child.id() as i32);
        kill(runner, Signal::SIGSTOP).unwrap();
        std::thread::sleep(Duration::from_secs(4)); // of flood
        let freeze = freeze_of(&place);
        kill(runner, Signal::SIGCONT).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !is_frozen(&freeze) && Instant::now() < until {}
        child.kill().unwrap();
        let in_hold = is_frozen(&freeze);
        child.wait().unwrap();
        let collected = place.call(&["gc"]);
        assert_eq!(collected.code, 0, "{}", collected.stderr);
        place.assert_clean();
        in_hold
    });
    assert!(killed_in_hold, "no runner died during a hold");
}

/// The file that freezes the one run of this place.
fn freeze_of(place: &Place) -> std::path::PathBuf {
    let mut runs = std::fs::read_dir(place.path("state/runs")).unwrap().flatten();
    let id = runs.find(|run| run.path().is_dir()).unwrap().file_name();
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let groups = roots.into_iter().flat_map(|root| std::fs::read_dir(root).into_iter().flatten().flatten());
    let own = |name: &std::ffi::OsStr| name.to_string_lossy().contains(&*id.to_string_lossy());
    let mut frozen =
        groups.filter(|group| own(&group.file_name())).map(|group| group.path().join("cgroup.freeze"));
    frozen.find(|path| path.exists()).expect("the run's v2 group")
}

fn is_frozen(freeze: &std::path::Path) -> bool {
    std::fs::read_to_string(freeze).is_ok_and(|text| text.trim() == "1")
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
    let until = Instant::now() + PATIENCE;
    while std::fs::metadata(place.path("out/stdout")).map_or(0, |it| it.len()) == 0 {
        assert!(Instant::now() < until, "the image never printed anything");
        std::thread::yield_now();
    }
}
