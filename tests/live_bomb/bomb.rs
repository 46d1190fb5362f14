use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, busybox, run, said};
use crate::support::image::ImageBuilder;
use crate::support::program::build;
use crate::support::{PATIENCE, live};

/// What the runner may need, whatever the image does.
const MEMORY: u64 = 150 << 20;

fn image(kind: &str) -> ImageBuilder {
    run(busybox().file("attempt", &build("bomb"), 0o755), &["/attempt", kind])
}

/// Lets one go off; gives its report.
fn explode(kind: &str, arguments: &[&str]) -> Value {
    let place = Place::new();
    let reference = place.image(image(kind));
    let mut command = place.command();
    let time = if arguments.contains(&"--duration") { &[][..] } else { &["--duration", "4s"] };
    command.args(["analyze", "--stop-grace", "1s"]).args(time).args(arguments);
    command.arg("--out").arg(place.path("out")).arg(&reference);
    let begin = Instant::now();
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Both are small; a pipe takes them.
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(resident(child.id()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = said(child.wait_with_output().unwrap());
    let time = begin.elapsed();
    println!("{kind}: exit {}, {time:?}, {} MiB", said.code, most >> 20);
    assert!((0..=4).contains(&said.code), "{kind}: {}", said.stderr);
    assert!(time < PATIENCE, "{kind} took {time:?}");
    assert!(most < MEMORY, "{kind}: the runner took {} MiB", most >> 20);
    place.assert_clean();
    let report = place.report();
    println!("  {} {} {}", report["run"]["limits_hit"], report["run"]["exit"], report["run"]["events"]);
    report
}

/// Resident memory of a process.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10
}

fn check(kind: &str, arguments: &[&str], limit: &str) {
    if !live() {
        return;
    }
    let report = explode(kind, arguments);
    let hit = report["run"]["limits_hit"].as_array().unwrap();
    assert!(hit.contains(&limit.into()), "{kind}: {hit:?} lacks {limit}");
}

/// Bounded by what the kernel gives, without a limit of ours.
fn check_harmless(kind: &str) {
    if live() {
        explode(kind, &[]);
    }
}

#[test]
fn tasks_are_limited_as_processes_and_as_threads() {
    check("forks", &["--pids-limit", "200"], "pids");
    check("threads", &[], "pids");
}

#[test]
fn memory_is_limited_however_it_is_taken() {
    check("memory", &["--memory", "64m"], "memory");
    check_harmless("shared");
    check_harmless("pipes");
}

#[test]
fn disk_is_limited_in_bytes_and_files_wherever_they_lie() {
    // The limit ends each, however long a slow disk takes to come to it.
    let long = ["--duration", "60s"];
    for kind in ["disk", "deep", "unlinked"] {
        check(kind, &[&long[..], &["--disk", "64m"]].concat(), "disk");
    }
    check("inodes", &[&long[..], &["--disk-files", "5000"]].concat(), "disk_files");
}

#[test]
fn a_file_larger_than_any_disk_is_nothing() {
    check_harmless("sparse");
}

#[test]
fn floods_of_text_and_events_are_cut_and_say_so() {
    check("text", &[], "stdout");
    check("events", &["--event-log", "64k"], "event_log");
}

#[test]
fn open_files_are_limited() {
    check("files", &["--open-files", "100"], "open_files");
}

#[test]
fn a_processor_that_is_not_enough_is_named() {
    check("spins", &["--cpus", "0.1"], "cpus");
}

#[test]
fn the_host_can_still_queue_signals_when_an_image_no_longer_can() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(image("signals"));
    let mut command = place.command();
    command.args(["analyze", "--duration", "30s", "--stop-grace", "1s", "--out"]).arg(place.path("out"));
    command.arg(&reference).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    let stdout = || std::fs::read_to_string(place.path("out/stdout")).unwrap_or_default();
    while stdout().lines().count() < 20 {
        assert!(Instant::now() < until, "{}", stdout());
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let queue = status.lines().find_map(|line| line.strip_prefix("SigQ:\t")).unwrap();
    let (used, limit) = queue.split_once('/').unwrap();
    let (used, limit): (u64, u64) = (used.parse().unwrap(), limit.parse().unwrap());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::SIGTERM).unwrap();
    child.wait().unwrap();
    place.assert_clean();
    assert!(stdout().lines().all(|line| line == "no more: EAGAIN"), "{}", stdout());
    assert!(used > limit / 4, "it took as many as it could get: {used} of {limit}");
    assert!(used <= limit / 2 + limit / 8, "{used} of {limit}");
}

#[test]
fn executed_files_are_kept_up_to_a_bound_that_is_named() {
    check("programs", &["--captured-files", "3"], "captured_files");
    check("programs", &["--captured", "64k"], "captured_files");
}

#[test]
fn tasks_that_do_not_want_to_die_do() {
    check_harmless("stopped");
    check_harmless("vforks");
}

#[test]
fn large_arguments_and_odd_names_are_carried_through() {
    check_harmless("arguments");
    check_harmless("names");
}

#[test]
fn a_recording_that_was_cut_at_its_bound_says_so_and_cannot_pass() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo x > /tmp/$i; done";
    let reference = place.image(crate::place::shell(script));
    let said = place.analyze(&["--event-log", "16k", &reference]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert_eq!(place.report()["run"]["recording"], "truncated");
    let replayed = place.call(&["replay", place.path("out").to_str().unwrap()]);
    assert_eq!(replayed.code, 3, "{}", replayed.stdout);
    place.assert_clean();
}

#[test]
fn without_room_nothing_runs() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(crate::place::shell("true"));
    std::fs::create_dir(place.path("state")).unwrap();
    let check = |options: &str, words: &str| {
        let script =
            format!(r#"mount -t tmpfs -o mode=700,{options} none "$LAZARET_STATE" && exec "$0" "$@""#);
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_lazaret"), "analyze", &reference]);
        command.arg("--out").arg(place.path("out")).args(["--disk", "64m"]);
        let said = said(command.env("LAZARET_STATE", place.path("state")).output().unwrap());
        assert_eq!(said.code, 5, "{}", said.stderr);
        assert!(said.stderr.contains(words) && said.stderr.contains("--disk"), "{}", said.stderr);
    };
    check("size=200m", "a run may need 320 MiB");
    std::fs::remove_dir_all(place.path("out")).unwrap();
    check("size=2g,nr_inodes=1000", "more files, too few");
    place.assert_clean();
}
