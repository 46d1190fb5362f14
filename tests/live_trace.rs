//! Does the deeds and looks at the records: the real probes in the real kernel.
//!
//! Each test holds a child on a pipe, watches it by pidfd and cgroup, lets it run one act of
//! fixtures/programs/acts.c, and ends when its cgroup is empty.

#![cfg(feature = "live")]

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use lazaret::event::Family;
use lazaret::record::{Body, Counters, DupSource, KernelFile, Record, Stream};
use lazaret::sys::bpf::pidfd;
use lazaret::trace::{Fill, Loss, Options, Probes, Target, TraceError, Watch, survey_with};

mod harness {
    use super::*;

    pub fn is_live() -> bool {
        let live = std::env::var_os("LAZARET_LIVE").is_some_and(|value| value == "1");
        if !live {
            eprintln!("skipped: needs root and LAZARET_LIVE=1");
        }
        live
    }

    static ACTS: LazyLock<PathBuf> = LazyLock::new(|| {
        let program = std::env::temp_dir().join(format!("acts-{}", std::process::id()));
        let built = Command::new("cc")
            .args(["-static", "-O1", "-o"])
            .arg(&program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/programs/acts.c"))
            .arg("-lpthread")
            .status()
            .expect("cc");
        assert!(built.success());
        program
    });

    /// A cgroup, a directory and a held child; all gone when dropped.
    pub struct Stage {
        pub dir: tempfile::TempDir,
        cgroup: PathBuf,
        child: Child,
    }

    /// What a watched run left.
    pub struct Seen {
        pub records: Vec<Record>,
        pub losses: Vec<Loss>,
        pub counters: Counters,
        pub fill: Fill,
        pub pid: u32,
        pub dir: PathBuf,
    }

    impl Stage {
        /// A child that waits for a line and then runs `command` in a directory of its own.
        pub fn set(command: &[&str]) -> Stage {
            let dir = tempfile::tempdir().expect("tempdir");
            fs::write(dir.path().join("target"), "target").unwrap();
            std::os::unix::fs::symlink("target", dir.path().join("link")).unwrap();
            fs::create_dir(dir.path().join("sub")).unwrap();
            fs::write(dir.path().join("sub/inner"), "inner").unwrap();
            let child = Command::new("/bin/busybox")
                .args(["sh", "-c", "read line; exec \"$@\"", "sh"])
                .args(command)
                .current_dir(dir.path())
                .env_clear()
                .env("MARK", "here")
                .stdin(Stdio::piped())
                .spawn()
                .expect("busybox");
            let cgroup = new_cgroup();
            fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).unwrap();
            Stage { dir, cgroup, child }
        }

        pub fn attach(&self, probes: Probes) -> Watch {
            let init = pidfd(self.child.id()).expect("pidfd");
            let cgroup = File::open(&self.cgroup).unwrap();
            let target = Target { init: init.as_fd(), cgroup: cgroup.as_fd() };
            probes.attach(&target).expect("attach")
        }

        /// Marks the child only by its cgroup: the pidfd is that of another, harmless process.
        pub fn attach_by_cgroup(&self, probes: Probes, other: u32) -> Watch {
            let init = pidfd(other).expect("pidfd");
            let cgroup = File::open(&self.cgroup).unwrap();
            probes.attach(&Target { init: init.as_fd(), cgroup: cgroup.as_fd() }).expect("attach")
        }

        pub fn release(&mut self) {
            let mut stdin = self.child.stdin.take().expect("stdin");
            stdin.write_all(b"go\n").unwrap();
        }

        /// True while a task of the stage is alive.
        pub fn is_populated(&mut self) -> bool {
            let _ = self.child.try_wait();
            let events = fs::read_to_string(self.cgroup.join("cgroup.events")).unwrap();
            events.contains("populated 1")
        }

        /// Lets the child run and drains until nothing of it is left.
        pub fn run(mut self, mut watch: Watch) -> Seen {
            let mut stream = Stream::new();
            let mut records = Vec::new();
            self.release();
            while self.is_populated() {
                let drained = watch.drain(&mut |bytes| take(&mut stream, bytes));
                records.extend(stream.take(drained.watermark));
                std::thread::yield_now();
            }
            let fill = watch.fill();
            watch.drain_rest(&mut |bytes| take(&mut stream, bytes));
            records.extend(stream.finish());
            Seen {
                records,
                losses: watch.losses().unwrap(),
                counters: stream.counters(),
                fill,
                pid: self.child.id(),
                dir: self.dir.path().to_owned(),
            }
        }
    }

    fn take(stream: &mut Stream, bytes: &[u8]) {
        keep_fixture(bytes);
        stream.push(bytes);
    }

    /// With LAZARET_FIXTURES=DIR, the first record of each kind is written there.
    fn keep_fixture(bytes: &[u8]) {
        let Some(dir) = std::env::var_os("LAZARET_FIXTURES") else { return };
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        let path = Path::new(&dir).join(format!("{kind}.bin"));
        if !path.exists() {
            fs::write(path, bytes).unwrap();
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
            let _ = self.child.kill();
            let _ = self.child.wait();
            // The group can be removed when the last orphan is reaped by the system's init.
            while fs::remove_dir(&self.cgroup).is_err() && self.cgroup.exists() {
                std::thread::yield_now();
            }
        }
    }

    fn new_cgroup() -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .map(Path::new)
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())
            .expect("a v2 cgroup tree");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let group = root.join(format!("trace-{}-{number}", std::process::id()));
        fs::create_dir(&group).unwrap();
        group
    }

    /// Watches one act.
    pub fn watch(act: &[&str]) -> Seen {
        watch_with(&Options::default(), act)
    }

    pub fn watch_with(options: &Options, act: &[&str]) -> Seen {
        let mut command = vec![ACTS.to_str().unwrap()];
        command.extend(act);
        let stage = Stage::set(&command);
        let probes = Probes::load_with(options).expect("probes");
        let watch = stage.attach(probes);
        stage.run(watch)
    }

    pub fn acts() -> &'static str {
        ACTS.to_str().unwrap()
    }

    impl Seen {
        pub fn path(&self, name: &str) -> Vec<u8> {
            self.dir.canonicalize().unwrap_or(self.dir.clone()).join(name).into_os_string().into_encoded_bytes()
        }

        pub fn opens(&self) -> Vec<(&Record, &KernelFile, u32, bool)> {
            let opens = self.records.iter().filter_map(|record| match &record.body {
                Body::Open { file, flags, created } => Some((record, file, *flags, *created)),
                _ => None,
            });
            opens.collect()
        }

        /// Nothing was lost, cut, misread or out of place.
        pub fn assert_whole(&self) {
            assert_eq!(self.losses, []);
            assert_eq!(self.counters, Counters::default());
        }
    }
}

use harness::{Stage, acts, is_live, watch, watch_with};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn dump() {
    if !is_live() {
        return;
    }
    let act = std::env::var("ACT").unwrap_or("opens".into());
    let seen = watch(&act.split(' ').collect::<Vec<_>>());
    for record in &seen.records {
        println!("{:?} {:?} x{} cut {}", record.time, record.body, record.count, record.cut);
    }
    println!("{:?} {:?} {:?} {}", seen.losses, seen.counters, seen.fill, seen.pid);
}
