//! Skipping sleeps, and holding the workload meanwhile.

use std::time::{Duration, Instant};

use lazaret::sandbox::{RunningSandbox, Sleeps, Status};

use super::fixture::{Fixture, Outcome, PATIENCE, follow, live};

fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.options.sleeps = Sleeps::Skipped;
    fixture
}

/// A freeze cancels a call that waits for its answer, and the thaw brings it again: it counts once, and
/// does not begin anew.
#[test]
fn a_sleep_that_is_held_meanwhile_is_skipped_once() {
    if !live() {
        return;
    }
    let fixture = fixture();
    let mut running = fixture.start(&["/bin/sh", "-c", "echo up; sleep 100; echo over"]);
    let begin = Instant::now();
    let hold = |running: &RunningSandbox, so_far: &Outcome| {
        while so_far.stdout.contains("up") && begin.elapsed() < Duration::from_millis(800) {
            running.hold().unwrap();
            while !running.is_held() && begin.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
            running.release().unwrap();
        }
    };
    let outcome = follow(&mut running, hold);
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some((0, 0)), "up\nover\n"), "{outcome:?}");
    assert!(outcome.statuses.contains(&Status::Heard));
    let skips = running.skips();
    assert_eq!(skips.len(), 1, "{skips:?}");
    assert!((20..=100).contains(&skips[0].time.as_secs()) && skips[0].sleeps == 1, "{skips:?}");
    assert!(begin.elapsed() < Duration::from_secs(90), "slept to the end");
    running.end().unwrap().remove().unwrap();
}

/// Whose call waits for an answer can die, and be interrupted, as one that sleeps.
#[test]
fn a_sleeper_can_be_killed_and_interrupted() {
    if !live() {
        return;
    }
    let fixture = fixture();
    let script = "sleep 100 & kill -9 $!; wait $!; echo $?; \
                  trap 'echo trapped' USR1; (usleep 100000; kill -USR1 $$) & sleep 100 & wait $!; echo $?";
    let mut running = fixture.start(&["/bin/sh", "-c", script]);
    let outcome = follow(&mut running, |_, _| {});
    assert_eq!(outcome.stdout, "137\ntrapped\n138\n", "{outcome:?}");
    running.end().unwrap().remove().unwrap();
}

/// Nothing inside leads to the descriptor at which sleeps are heard.
#[test]
fn no_descriptor_of_the_runners_is_inside() {
    if !live() {
        return;
    }
    let fixture = fixture();
    let mut running = fixture.start(&["/bin/sh", "-c", "cd /proc/self/fd; echo *; ls -l /proc/1/fd"]);
    let outcome = follow(&mut running, |_, _| {});
    assert!(outcome.stdout.starts_with("0 1 2"), "{outcome:?}");
    assert!(
        !outcome.stdout.contains("seccomp") && outcome.stderr.contains("ermission denied"),
        "{outcome:?}"
    );
    running.end().unwrap().remove().unwrap();
}
