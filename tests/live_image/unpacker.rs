//! The process that unpacks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lazaret::image::{Cache, Image, Limits, Reference};

use crate::place::{Place, layer};
use crate::support::image::{ImageBuilder, Packing};
use crate::support::live;

#[test]
fn an_unpacker_at_work_has_nothing_that_it_does_not_need() {
    if !live() {
        return;
    }
    let place = Place::new();
    let builder = ImageBuilder::new().packed(layer().file("big", &vec![0; 256 << 20], 0o644), Packing::Plain);
    let image = place.image(builder);
    // Somebody started us with a descriptor that is not close-on-exec.
    let leaked =
        nix::fcntl::open("/etc/hostname", nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty());
    let mut looked = false;
    let limits = Limits { ratio: u64::MAX, ..Limits::default() };
    place
        .cache()
        .unpack(&image, &limits, |_| {
            let Some(pid) = unpacker(place.temporary.path()).filter(|_| !looked) else {
                return ControlFlow::Continue(());
            };
            looked = true;
            let own = PathBuf::from(format!("/proc/{pid}"));
            let status = fs::read_to_string(own.join("status")).unwrap();
            for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Threads:\t1", "Groups:\t \n"] {
                assert!(status.contains(line), "{line} in {status}");
            }
            let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap();
            assert!(uid.split('\t').all(|id| id.parse::<u32>().unwrap() >= 0x7000_0000), "{uid}");
            for kind in ["user", "mnt", "net", "ipc", "uts", "pid"] {
                let link = |process: &Path| fs::read_link(process.join("ns").join(kind)).unwrap();
                assert_ne!(link(&own), link(Path::new("/proc/self")), "{kind}");
            }
            let mut open: Vec<_> = fs::read_dir(own.join("fd"))
                .unwrap()
                .flatten()
                .filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.display().to_string()))
                .collect();
            open.sort();
            open.dedup();
            // The tree, the file in the making, nothing, the blob, the conversation.
            let known = |path: &String| {
                path == "/"
                    || path == "/big"
                    || path == "/dev/null"
                    || path.contains("/blobs/sha256/")
                    || path.starts_with("socket:")
            };
            assert!(open.iter().all(known) && open.len() <= 5, "{open:?}");
            assert!(fs::symlink_metadata(own.join("root/proc")).is_err(), "its root is the layer");
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(looked);
    drop(leaked);
}

/// The unpacker that reads a blob below `place`: the child of a thread of its own.
fn unpacker(place: &Path) -> Option<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = threads.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
    let all: Vec<String> =
        children.flat_map(|it| it.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let reads =
        |pid: &String| fs::read_link(format!("/proc/{pid}/fd/0")).is_ok_and(|it| it.starts_with(place));
    all.into_iter().find(reads)
}

/// Set in the process that [`a_killed_runner_takes_its_unpacker_along`] starts and kills.
const VICTIM: &str = "LAZARET_TEST_VICTIM";

#[test]
fn a_killed_runner_takes_its_unpacker_along() {
    if !live() {
        return;
    }
    if let Some(place) = std::env::var_os(VICTIM) {
        return unpack_until_killed(Path::new(&place));
    }
    const SIZE: usize = 256 << 20;
    let place = Place::new();
    let builder = ImageBuilder::new().packed(layer().file("big", &vec![0; SIZE], 0o644), Packing::Plain);
    builder.write_layout(&place.path("layout"));
    let mut runner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "unpacker::a_killed_runner_takes_its_unpacker_along", "--nocapture"])
        .env(VICTIM, place.temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let unpacker = lines.find_map(|line| Some(line.split_once("unpacker ")?.1.to_owned())).unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    // Ended, or ended and not yet reaped by whoever inherited it.
    let state = || fs::read_to_string(format!("/proc/{unpacker}/stat")).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        std::thread::yield_now();
    }
    let partial = fs::read_dir(place.path("state/layers")).unwrap().map(|entry| entry.unwrap().path());
    let partial = partial.into_iter().find(|path| path.extension() == Some("partial".as_ref())).unwrap();
    assert!(fs::metadata(partial.join("fs/big")).unwrap().len() < SIZE as u64, "it ran to its end");
    drop(place.cache());
    assert!(!partial.exists());
}

fn unpack_until_killed(place: &Path) {
    let reference = Reference::parse(place.join("layout").as_os_str()).unwrap();
    let image = Image::open(&reference, &Limits { ratio: u64::MAX, ..Limits::default() }).unwrap();
    let cache = Cache::open(&place.join("state")).unwrap().with_unpacker(env!("CARGO_BIN_EXE_lazaret"));
    let _ = cache.unpack(&image, &Limits::default(), |_| {
        let Some(pid) = unpacker(place) else { return ControlFlow::Continue(()) };
        println!("unpacker {pid}");
        loop {
            std::thread::park();
        }
    });
}
