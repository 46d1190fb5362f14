//! A stage for one act: a held child in a cgroup and a directory of its own, watched until its end.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use lazaret::record::{Body, Counters, KernelFile, Record, Stream};
use lazaret::sys::process;
use lazaret::trace::{Loss, Options, Probes, Target, Watch};

pub fn is_live() -> bool {
    let live = std::env::var_os("LAZARET_LIVE").is_some_and(|value| value == "1");
    if !live {
        eprintln!("skipped: needs root and LAZARET_LIVE=1");
    }
    live
}

static ACTS: LazyLock<PathBuf> = LazyLock::new(|| build("acts", &[]));
static ROUTES: LazyLock<PathBuf> = LazyLock::new(|| build("routes", &[]));
static RINGS: LazyLock<PathBuf> = LazyLock::new(|| build("rings", &[]));

/// Builds fixtures/programs/<name>.c, with these arguments of the linker's as well: where cargo keeps what
/// tests make, so that nothing stays elsewhere. Another process may build at the same time: the name appears
/// by rename.
pub fn build(name: &str, link: &[&str]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let stem = format!("{name}{}", link.join(""));
    let (program, draft) = (directory.join(&stem), directory.join(format!("{stem}-{}", std::process::id())));
    let built = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .arg(&draft)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/programs/{name}.c")))
        .arg("-lpthread")
        .args(link)
        .status()
        .expect("cc");
    assert!(built.success());
    fs::rename(draft, &program).expect("one file system");
    program
}

/// A cgroup, a directory and a held child; all gone when dropped.
pub struct Stage {
    dir: Option<tempfile::TempDir>,
    cgroup: PathBuf,
    child: Child,
}

/// What a watched run left.
pub struct Seen {
    pub records: Vec<Record>,
    pub losses: Vec<Loss>,
    pub counters: Counters,
    pub pid: u32,
    pub dir: tempfile::TempDir,
}

impl Stage {
    /// A child that waits for a line and then runs `command` in a directory of its own.
    pub fn set(command: &[&str]) -> Stage {
        Stage::hold(&["/bin/busybox"], command)
    }

    /// One whose root is the stage's directory.
    pub fn set_in_root(command: &[&str]) -> Stage {
        Stage::hold(&["/bin/busybox", "chroot", ".", "/busybox"], command)
    }

    fn hold(shell: &[&str], command: &[&str]) -> Stage {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("target"), "target").unwrap();
        std::os::unix::fs::symlink("target", dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/inner"), "inner").unwrap();
        if shell.len() > 1 {
            fs::copy("/bin/busybox", dir.path().join("busybox")).unwrap();
            fs::copy("/bin/busybox", dir.path().join("sub/busybox")).unwrap();
        }
        let child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["sh", "-c", "read line; exec \"$@\"", "sh"])
            .args(command)
            .current_dir(dir.path())
            .env_clear()
            .env("MARK", "here")
            .stdin(Stdio::piped())
            .spawn()
            .expect("busybox");
        // Wait until it is the shell that holds, and not chroot(1) or the forked test.
        let comm = format!("/proc/{}/comm", child.id());
        let is_held = || fs::read_to_string(&comm).is_ok_and(|comm| comm.trim() == "busybox");
        while !is_held() || !is_reading(child.id()) {
            std::thread::yield_now();
        }
        let cgroup = new_cgroup();
        fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).unwrap();
        Stage { dir: Some(dir), cgroup, child }
    }

    pub fn attach(&self, probes: Probes) -> Watch {
        let init = pidfd_of(self.child.id()).expect("pidfd");
        let cgroup = File::open(&self.cgroup).unwrap();
        let target = Target { init: init.as_fd(), cgroup: cgroup.as_fd() };
        probes.attach(&target).expect("attach")
    }

    /// Marks the child only by its cgroup: the pidfd is that of another, harmless process.
    pub fn attach_by_cgroup(&self, probes: Probes, other: u32) -> Watch {
        let init = pidfd_of(other).expect("pidfd");
        let cgroup = File::open(&self.cgroup).unwrap();
        probes.attach(&Target { init: init.as_fd(), cgroup: cgroup.as_fd() }).expect("attach")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
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
        watch.drain_rest(&mut |bytes| take(&mut stream, bytes));
        records.extend(stream.finish());
        Seen {
            records,
            losses: watch.losses().unwrap(),
            counters: stream.counters(),
            pid: self.child.id(),
            dir: self.dir.take().unwrap(),
        }
    }
}

fn take(stream: &mut Stream, bytes: &[u8]) {
    keep_fixture(bytes);
    stream.push(bytes);
}

/// With LAZARET_FIXTURES=DIR, the first record of each kind becomes DIR/<stem>.bin, together with
/// the earlier ones that it refers to (layout: ebpf/wire.h).
fn keep_fixture(bytes: &[u8]) {
    const STEMS: [(u8, &str); 41] = [
        (1, "exec"),
        (2, "exec_failed"),
        (3, "fork"),
        (4, "exit"),
        (5, "open"),
        (6, "open_failed"),
        (7, "rename"),
        (8, "link"),
        (9, "symlink"),
        (10, "unlink"),
        (11, "mkdir"),
        (12, "chmod"),
        (13, "file_chmod"),
        (14, "connect"),
        (15, "bind"),
        (16, "listen"),
        (17, "send"),
        (18, "dup"),
        (19, "denied"),
        (20, "piece"),
        (21, "fold"),
        (22, "mismatch"),
        (23, "state"),
        (24, "option"),
        (25, "capability"),
        (26, "rewritten"),
        (40, "mapping"),
        (41, "memory_call"),
        (42, "process_call"),
        (43, "kernel_call"),
        (44, "compat_call"),
        (45, "ids"),
        (46, "signal"),
        (47, "moved"),
        (48, "ring"),
        (60, "change"),
        (61, "socket"),
        (62, "accept"),
        (63, "query"),
        (64, "flow"),
        (65, "source"),
    ];
    thread_local!(static EARLIER: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });
    let Some(dir) = std::env::var_os("LAZARET_FIXTURES") else { return };
    let word = |bytes: &[u8], at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    let Some((_, stem)) = STEMS.into_iter().find(|(kind, _)| *kind == bytes[4]) else { return };
    let belongs = |earlier: &&Vec<u8>| match stem {
        "exec" => earlier[4] == 20 && word(earlier, 56) == word(bytes, 88),
        "fold" => word(earlier, 8) == word(bytes, 56),
        _ => false,
    };
    EARLIER.with_borrow_mut(|earlier| {
        let path = Path::new(&dir).join(stem).with_extension("bin");
        if stem != "piece" && !path.exists() {
            let before = earlier.iter().filter(belongs).flatten();
            fs::write(path, before.chain(bytes).copied().collect::<Vec<_>>()).unwrap();
        }
        earlier.push(bytes.to_vec());
    });
}

fn pidfd_of(pid: u32) -> std::io::Result<std::os::fd::OwnedFd> {
    process::pidfd(nix::unistd::Pid::from_raw(pid as i32))
}

/// True when the process waits in read(2) or poll(2).
fn is_reading(pid: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    call.starts_with("0 ") || call.starts_with("7 ")
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

/// Watches one route of fixtures/programs/routes.c.
pub fn watch_route(route: &str) -> Seen {
    let command = [&[ROUTES.to_str().unwrap()], &route.split(' ').collect::<Vec<_>>()[..]].concat();
    watch_command(&command)
}

/// Watches one act of fixtures/programs/rings.c.
pub fn watch_ring(act: &str) -> Seen {
    watch_command(&[RINGS.to_str().unwrap(), act])
}

/// Watches a command, by its absolute path.
pub fn watch_command(command: &[&str]) -> Seen {
    let stage = Stage::set(command);
    let watch = stage.attach(Probes::load().expect("probes"));
    stage.run(watch)
}

pub fn acts() -> &'static str {
    ACTS.to_str().unwrap()
}

impl Seen {
    /// The records as text, from the end of the act's exec on.
    pub fn lines(&self) -> Vec<String> {
        let is_exec = |record: &Record| matches!(record.body, Body::Exec { .. });
        let begin = self.records.iter().position(is_exec).map_or(0, |at| at + 1);
        let dir = self.dir.path().to_str().unwrap();
        self.records[begin..].iter().map(|record| record.to_string().replace(dir, "$")).collect()
    }

    pub fn opens(&self) -> Vec<(&Record, &KernelFile, u32, bool)> {
        let opens = self.records.iter().filter_map(|record| match &record.body {
            Body::Open { file, flags, created, .. } => Some((record, file, *flags, *created)),
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
