//! Runs and collectors that meet; a clean-up that fails.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Instant;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::place::{Place, said, shell};
use crate::support::{PATIENCE, live};

fn start(place: &Place, out: &str, arguments: &[&str]) -> Child {
    let mut command = place.command();
    command.arg("analyze").arg("--out").arg(place.path(out)).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn runs_of_the_same_image_and_name_and_two_collectors_do_not_meet() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("hostname=$(cat /etc/hostname); echo $hostname; sleep 1"));
    let outs = ["one", "two", "three"];
    let runs = outs.map(|out| start(&place, out, &["--hostname", "same", &reference]));
    let running = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while running.load(std::sync::atomic::Ordering::Relaxed) {
                    let collected = place.call(&["gc"]);
                    assert_eq!((collected.code, collected.stdout.as_str()), (0, "nothing to remove\n"));
                }
            });
        }
        let ended = runs.map(|run| said(run.wait_with_output().unwrap()));
        running.store(false, std::sync::atomic::Ordering::Relaxed);
        for (out, said) in outs.iter().zip(ended) {
            assert_eq!(said.code, 0, "{out}: {}", said.stderr);
            assert_eq!(fs::read_to_string(place.path(out).join("stdout")).unwrap(), "same\n");
        }
    });
    place.assert_clean();
}

/// Undone also where the test fails.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_clean_up_that_fails_is_told_beside_the_verdict_and_gc_finishes_it() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("mkdir /made; echo up; sleep 8"));
    let run = start(&place, "out", &["--no-skip", &reference]);
    let until = Instant::now() + PATIENCE;
    while fs::metadata(place.path("out/stdout")).map_or(0, |it| it.len()) == 0 {
        assert!(Instant::now() < until, "the image never printed anything");
        std::thread::yield_now();
    }
    // What no clean-up may remove: another file system, put there by the host's root.
    let runs: Vec<_> = fs::read_dir(place.path("state/runs")).unwrap().flatten().collect();
    let [directory] = &runs[..] else { panic!("{runs:?}") };
    let made = directory.path().join("fs/upper/made");
    let none = None::<&str>;
    mount(none, &made, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    let mounted = Mounted(made);
    let said = said(run.wait_with_output().unwrap());
    assert_eq!(said.code, 5, "{}", said.stderr);
    assert!(
        said.stderr.contains("something of it is left") && said.stderr.contains("lazaret gc"),
        "{}",
        said.stderr
    );
    let report: serde_json::Value = place.json("out/report.json");
    assert_eq!(report["verdict"]["result"], "pass", "the verdict stands");
    let collected = place.call(&["gc"]);
    assert_eq!(collected.code, 5, "{}", collected.stderr);
    drop(mounted);
    let collected = place.call(&["gc"]);
    assert_eq!(collected.code, 0, "{}", collected.stderr);
    assert!(collected.stdout.starts_with("removed what was left of run "), "{}", collected.stdout);
    place.assert_clean();
}
