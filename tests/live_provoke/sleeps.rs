//! Sleeps that are skipped, and waiting that is not.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::place::{Place, busybox, run, shell};
use crate::support::image::ImageBuilder;
use crate::support::live;

/// An image with the program of `fixtures/programs/sleeps.c`.
pub fn sleeper(place: &Place, how: &str) -> ImageBuilder {
    let program = place.path("sleeps");
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/programs/sleeps.c");
    let built = Command::new("cc").args(["-O1", "-static", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(built.success());
    run(busybox().file("bin/sleeps", &std::fs::read(&program).unwrap(), 0o755), &["/bin/sleeps", how])
}

fn analyze(place: &Place, image: ImageBuilder, more: &[&str]) -> (Value, String) {
    let reference = place.image(image);
    let said = place.analyze(&[&["--duration", "120s", &reference][..], more].concat());
    assert!(said.code != 5 && said.code != 2, "{}{}", said.stdout, said.stderr);
    let output = std::fs::read_to_string(place.path("out/stdout")).unwrap();
    (place.report(), output)
}

#[test]
fn what_sleeps_for_an_hour_acts_within_the_run() {
    if !live() {
        return;
    }
    let images: [fn(&Place) -> ImageBuilder; 2] = [
        |_| shell("sleep 3600; cp /bin/busybox /tmp/late; /tmp/late true; echo acted"),
        |place| sleeper(place, "hour"),
    ];
    for image in images {
        let place = Place::new();
        let (report, output) = analyze(&place, image(&place), &[]);
        assert!(output.contains("acted"), "{output}");
        let skipped = report["run"]["skipped_seconds"].as_f64().unwrap();
        assert!((3590.0..=7200.0).contains(&skipped), "{skipped}");
        assert_eq!(report["run"]["exit"]["reason"], "exited");
        // What was asked for is in the kernel's record of the call, whoever answered it.
        assert!(report["findings"].to_string().contains("long-sleep"), "{}", report["findings"]);
        assert!(report["limits"].to_string().contains("Sleeps were skipped"), "{}", report["limits"]);
        place.assert_clean();
    }
}

#[test]
fn every_way_to_sleep_is_skipped_and_every_error_is_the_kernels() {
    if !live() {
        return;
    }
    let place = Place::new();
    let (_, output) = analyze(&place, sleeper(&place, "all"), &[]);
    for way in [
        "nanosleep",
        "relative",
        "monotonic",
        "boottime",
        "realtime",
        "poll",
        "select",
        "pselect",
        "ppoll",
        "compat",
    ] {
        assert!(output.contains(&format!("{way}: 0 early\n")), "{way}: {output}");
    }
    assert!(output.contains("negative: 22\n") && output.contains("nowhere: 14\n"), "{output}");
    assert!(output.contains("short: 0 late\n") && output.contains("masked: -1 4\n"), "{output}");
}

#[test]
fn without_skipping_a_sleep_takes_its_time() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "sleep 3600; echo acted";
    let reference = place.image(shell(script));
    let said = place.analyze(&["--duration", "4s", "--stop-grace", "1s", "--no-skip", &reference]);
    // It did nothing but wait for later.
    assert_eq!(said.code, 4, "{}{}", said.stdout, said.stderr);
    assert_eq!(std::fs::read_to_string(place.path("out/stdout")).unwrap(), "");
    assert_eq!(place.report()["run"]["skipped_seconds"], 0.0);
}

/// Nothing skips an hour in epoll, behind a timer's descriptor, or until an alarm; an image that does nothing
/// else is no plain pass.
#[test]
fn who_only_waits_for_a_later_time_is_told() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(sleeper(&place, "dormant"));
    let said = place.analyze(&["--duration", "3s", "--stop-grace", "1s", &reference]);
    assert_eq!(said.code, 4, "{}{}", said.stdout, said.stderr);
    let findings = place.report()["findings"].to_string();
    for part in ["dormant-until-later", "dormant-until-alarm", "long-sleep", "epoll_wait", "timerfd_settime"]
    {
        assert!(findings.contains(part), "{part}: {findings}");
    }
}

/// The server waits with poll for three seconds at a time, and says how often the time was up.
#[test]
fn a_server_that_waits_in_poll_behaves_as_without_skipping() {
    if !live() {
        return;
    }
    let ticks = |more: &[&str]| {
        let place = Place::new();
        let image = sleeper(&place, "serve");
        let reference = place.image(image);
        place.analyze(&[&["--duration", "10s", "--stop-grace", "1s", &reference][..], more].concat());
        let output = std::fs::read_to_string(place.path("out/stdout")).unwrap();
        (output.matches("tick").count(), output.matches("served").count(), place.report())
    };
    let (with, served, report) = ticks(&[]);
    let (without, served_too, _) = ticks(&["--no-skip"]);
    assert!(with.abs_diff(without) <= 1 && with <= 4, "{with} against {without}");
    assert!(served >= 1 && served == served_too, "{served} against {served_too}");
    assert_eq!(report["run"]["skipped_seconds"], 0.0);
}

#[test]
fn a_loop_of_sleeps_does_not_spin() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "i=0; while true; do sleep 5; i=$((i+1)); echo $i; done";
    let reference = place.image(shell(script));
    place.analyze(&["--duration", "6s", "--stop-grace", "1s", &reference]);
    let rounds = std::fs::read_to_string(place.path("out/stdout")).unwrap().lines().count();
    assert!((2..=14).contains(&rounds), "{rounds}");
}

#[test]
fn the_machine_looks_as_if_it_were_up_for_weeks_and_nothing_names_us() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "cat /proc/uptime; hostname; cat /proc/net/unix; cat /proc/self/mountinfo /proc/self/cgroup; \
                  cat /proc/*/comm; tr '\\0' '\\n' < /proc/1/cmdline; tr '\\0' '\\n' < /proc/self/environ; \
                  grep Seccomp_filters /proc/self/status; ls -l /proc/self/fd";
    let mut layer = busybox();
    for applet in ["hostname", "tr", "grep"] {
        layer = layer.symlink(format!("bin/{applet}"), "busybox");
    }
    let (_, output) = analyze(&place, run(layer, &["/bin/sh", "-c", script]), &[]);
    let mut lines = output.lines();
    let up: f64 = lines.next().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(up > 11.0 * 86_400.0 && up < 1000.0 * 86_400.0, "{up}");
    let name = lines.next().unwrap();
    assert!(name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    assert!(output.contains("Seccomp_filters:\t1"), "{output}");
    assert!(!output.to_lowercase().contains("lazaret"), "{output}");
}
