//! A tiny image (busybox and hand-made programs), a state directory, and a way to run something to its
//! end and collect what it said.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lazaret::image::Config;
use lazaret::sandbox::{
    HeldSandbox, LAYER_IDS, Layers, Options, Plan, Plant, RunId, RunningSandbox, SandboxError, SealedProgram,
    Sleeps, StateDir, Status, Target, Watcher, create,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// True where the tests can run; else says loudly why not. Under CI they must.
pub fn live() -> bool {
    let asked = std::env::var_os("LAZARET_LIVE").is_some_and(|value| value == "1");
    let able = asked && nix::unistd::geteuid().is_root();
    assert!(able || std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "live tests must run under CI");
    if !able {
        eprintln!("skipped: needs root and LAZARET_LIVE=1");
    }
    able
}

/// How long a test waits for what must come. It proves nothing, and a busy or slow machine needs it.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Says that it watches; what watching is, others test.
pub struct Trusting;

impl Watcher for Trusting {
    fn watches(&self, _: &Target) -> bool {
        true
    }
}

pub struct Fixture {
    pub directory: tempfile::TempDir,
    pub state: StateDir,
    pub program: SealedProgram,
    pub config: Config,
    pub options: Options,
    pub plants: Vec<Plant>,
}

/// What a run did until it was gone.
#[derive(Debug, Default)]
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    pub statuses: Vec<Status>,
}

impl Outcome {
    pub fn code(&self) -> Option<(u8, u8)> {
        self.statuses.iter().find_map(|status| match status {
            Status::ProgramExited { code, signal } => Some((*code, *signal)),
            _ => None,
        })
    }
}

impl Fixture {
    pub fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let layer = directory.path().join("layer");
        fill(&layer);
        let state = StateDir::open(&directory.path().join("state")).unwrap();
        let program = SealedProgram::open(Path::new(env!("CARGO_BIN_EXE_lazaret"))).unwrap();
        let sleeps = Sleeps::Slept;
        let options = Options { memory: Some(256 << 20), pids: Some(64), sleeps, ..Options::default() };
        Fixture { directory, state, program, config: Config::default(), options, plants: Vec::new() }
    }

    pub fn layer(&self) -> PathBuf {
        self.directory.path().join("layer")
    }

    /// Puts a file into the image.
    pub fn file(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.layer().join(name.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        own(&self.layer());
    }

    pub fn link(&self, target: &str, name: &str) {
        let path = self.layer().join(name.trim_start_matches('/'));
        // There or not, it is to be the link now.
        let _ = std::fs::remove_dir_all(&path);
        symlink(target, &path).unwrap();
        own(&self.layer());
    }

    pub fn hold(&self, command: &[&str]) -> Result<HeldSandbox, SandboxError> {
        self.hold_as(&RunId::random().unwrap(), command)
    }

    pub fn hold_as(&self, id: &RunId, command: &[&str]) -> Result<HeldSandbox, SandboxError> {
        self.hold_all(id, vec![self.layer()], command)
    }

    /// With these layers, bottom to top.
    pub fn hold_layers(&self, layers: &[PathBuf], command: &[&str]) -> Result<HeldSandbox, SandboxError> {
        self.hold_all(&RunId::random().unwrap(), layers.to_vec(), command)
    }

    fn hold_all(
        &self,
        id: &RunId,
        dirs: Vec<PathBuf>,
        command: &[&str],
    ) -> Result<HeldSandbox, SandboxError> {
        let command = command.iter().map(OsString::from).collect();
        let options = Options { command, ..self.options.clone() };
        let mut plan = Plan::new(&self.config, &options, id).unwrap();
        plan.plants = self.plants.clone();
        let layers = Layers { dirs, id_base: LAYER_IDS };
        create(&self.program, &plan, &layers, self.state.new_run(id)?)
    }

    pub fn start(&self, command: &[&str]) -> RunningSandbox {
        self.hold(command).unwrap().start(&Trusting).unwrap()
    }

    /// Runs to the end, and checks that nothing is left.
    pub fn run(&self, command: &[&str]) -> Outcome {
        let mut running = self.start(command);
        let outcome = follow(&mut running, |_, _| {});
        let cgroup = running.target().cgroup.clone();
        running.end().unwrap().remove().unwrap();
        assert!(!cgroup.exists());
        outcome
    }

    pub fn shell(&self, script: &str) -> Outcome {
        self.run(&["/bin/sh", "-c", script])
    }

    pub fn says(&self, script: &str) -> String {
        let outcome = self.shell(script);
        assert_eq!(outcome.code(), Some((0, 0)), "{script}: {outcome:?}");
        outcome.stdout.trim_end().to_owned()
    }
}

/// Reads output and statuses until init is gone; `each` sees every status and the output so far.
pub fn follow(running: &mut RunningSandbox, mut each: impl FnMut(&RunningSandbox, &Outcome)) -> Outcome {
    let until = Instant::now() + PATIENCE;
    let mut outcome = Outcome::default();
    let mut streams = [running.take_stdout(), running.take_stderr()];
    loop {
        let (seen, read) = (outcome.statuses.len(), outcome.stdout.len());
        wait(running, &streams);
        while let Some(status) = running.next_status().unwrap() {
            let last = status == Status::Gone;
            outcome.statuses.push(status);
            if last {
                drain(&mut streams[0], &mut outcome.stdout);
                drain(&mut streams[1], &mut outcome.stderr);
                return outcome;
            }
        }
        drain(&mut streams[0], &mut outcome.stdout);
        drain(&mut streams[1], &mut outcome.stderr);
        if (seen, read) != (outcome.statuses.len(), outcome.stdout.len()) {
            each(running, &outcome);
        }
        assert!(Instant::now() < until, "sandbox did not end: {outcome:?}");
    }
}

fn wait(running: &RunningSandbox, streams: &[Option<OwnedFd>]) {
    let mut entries = vec![PollFd::new(running.status_fd(), PollFlags::POLLIN)];
    entries.extend(streams.iter().flatten().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)));
    poll(&mut entries, PollTimeout::try_from(1000).unwrap()).unwrap();
}

fn drain(stream: &mut Option<OwnedFd>, text: &mut String) {
    let Some(open) = stream else { return };
    let mut file = std::fs::File::from(open.try_clone().unwrap());
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => {
                *stream = None;
                return;
            }
            Ok(length) => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
            Err(_) => return,
        }
    }
}

fn fill(layer: &Path) {
    for name in ["bin", "etc", "tmp", "root", "home/u", "dev", "proc", "sys", "run"] {
        std::fs::create_dir_all(layer.join(name)).unwrap();
    }
    std::fs::copy("/bin/busybox", layer.join("bin/busybox")).expect("package busybox-static");
    for applet in [
        "sh", "id", "env", "cat", "ls", "sleep", "mount", "unshare", "hostname", "ps", "readlink", "kill",
        "grep", "touch", "stat", "setsid", "ip", "nc", "mknod", "dd", "head", "wc", "true", "chmod", "pwd",
    ] {
        symlink("busybox", layer.join("bin").join(applet)).unwrap();
    }
    std::fs::write(layer.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n")
        .unwrap();
    std::fs::write(layer.join("etc/group"), "root:x:0:\nu:x:1000:\nextra:x:50:u\n").unwrap();
    symlink("../run/resolv.conf", layer.join("etc/resolv.conf")).unwrap();
    std::fs::set_permissions(layer.join("tmp"), PermissionsExt::from_mode(0o1777)).unwrap();
    own(layer);
}

/// Gives everything to the range of the layers, as the unpacker does.
pub fn own(path: &Path) {
    let before = std::fs::symlink_metadata(path).unwrap();
    lchown(path, Some(LAYER_IDS), Some(LAYER_IDS)).unwrap();
    if before.is_file() {
        // The change of owner takes set-uid bits away.
        std::fs::set_permissions(path, before.permissions()).unwrap();
    }
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}

/// Which of the two entries of the kernel.
#[derive(Clone, Copy)]
pub enum Entry {
    Wide,
    /// `int 0x80`.
    Narrow,
}

/// A static 64-bit program that makes one system call and exits with its negated result.
pub fn call(entry: Entry, number: u32, arguments: [u32; 3]) -> Vec<u8> {
    let (registers, instruction): ([u8; 3], [u8; 2]) = match entry {
        Entry::Wide => ([0xbf, 0xbe, 0xba], [0x0f, 0x05]),
        Entry::Narrow => ([0xbb, 0xb9, 0xba], [0xcd, 0x80]),
    };
    let mut code = Vec::new();
    for (register, value) in registers.into_iter().zip(arguments).chain([(0xb8, number)]) {
        code.push(register);
        code.extend(value.to_le_bytes());
    }
    code.extend(instruction);
    code.extend([0xf7, 0xd8, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]); // neg eax; exit(eax)
    elf(62, &code)
}

pub fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let base = 0x40_0000u64;
    let size = 120 + code.len() as u64;
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for half in [2, machine] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1u32.to_le_bytes());
    for word in [base + 120, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for half in [1u32, 5] {
        bytes.extend(half.to_le_bytes()); // PT_LOAD, read and execute
    }
    for word in [0, base, base, size, size, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}
