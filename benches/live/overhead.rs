//! The processor time of work in a sandbox, watched and unwatched in turn.

use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use lazaret::event;
use lazaret::image::{Cache, Config, Image, LAYER_ID_BASE, Limits, Reference};
use lazaret::normalise::{Normaliser, Provenance};
use lazaret::record::Stream;
use lazaret::report::log::{self, Header, Writer};
use lazaret::rule::{Findings, RuleSet};
use lazaret::sandbox::{
    HeldSandbox, Layers, Options, Plan, RunId, RunningSandbox, SealedProgram, StateDir, Status, Target,
    Watcher, create,
};
use lazaret::trace::{self, Probes, Watch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Place;
use super::measure::{ROUNDS, head, line, median};

/// Name, image of fixtures/images, command. What is not a number of its own is repeated until it takes
/// about half a second.
const WORK: [(&str, &str, &str); 5] = [
    ("open and close in a tight loop", "base", "exec /load loop 400000"),
    ("find over the whole tree", "compile", "for i in 1 2 3 4 5 6 7 8; do find / -xdev -size +1k; done"),
    ("tar of /usr", "compile", "tar cf - /usr | cat"),
    ("gcc -O2", "compile", "for i in 1 2 3; do gcc -O2 -c /load.c -o /tmp/load.o; done"),
    (
        "redis-server and redis-benchmark",
        "redis",
        "redis-server --save '' & while ! redis-cli ping; do :; done; \
         redis-benchmark -q -n 20000 -t set,get,lpush; redis-cli shutdown nosave; wait",
    ),
];

pub fn bench(place: &Place) {
    head("processor time watched : unwatched");
    let stage = Stage::set(place);
    let mut real = Vec::new();
    for (at, (name, image, command)) in WORK.into_iter().enumerate() {
        let Some(root) = stage.root(image) else {
            line(name, "no image", "");
            continue;
        };
        let (mut plain, mut watched) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            plain.push(stage.run(&root, command, false));
            watched.push(stage.run(&root, command, true));
        }
        let ratios = watched.iter().zip(&plain).map(|(watched, plain)| watched / plain).collect();
        let (ratio, plain, watched) = (median(ratios), median(plain), median(watched));
        let goal = if at == 0 { "≤ 1.3" } else { "≤ 1.15" };
        line(name, &format!("{ratio:.2} ({:.2} : {:.2} s)", watched / 1e6, plain / 1e6), goal);
        if at > 0 {
            real.push(ratio);
        }
    }
    let mean = (real.iter().map(|ratio| ratio.ln()).sum::<f64>() / real.len() as f64).exp();
    line("geometric mean of all but the loop", &format!("{mean:.2}"), "≤ 1.05");
}

/// What all runs share.
pub struct Stage {
    state: PathBuf,
    program: SealedProgram,
    rules: RuleSet,
    /// A layer that puts load.c and its program into every image.
    extra: PathBuf,
}

pub struct Root {
    layers: Layers,
    _rootfs: lazaret::image::Rootfs,
}

impl Stage {
    pub fn set(place: &Place) -> Stage {
        let extra = place.path().join("extra");
        fs::create_dir_all(&extra).expect("a directory");
        fs::copy(place.load(), extra.join("load")).expect("a copy");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/programs/load.c");
        fs::copy(source, extra.join("load.c")).expect("a copy");
        for path in [extra.join("load"), extra.join("load.c"), extra.clone()] {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
            chown(&path, Some(LAYER_ID_BASE), Some(LAYER_ID_BASE)).expect("its owner");
        }
        let state = place.path().join("cage");
        StateDir::open(&state).expect("a state directory");
        let program = SealedProgram::of_this_process().expect("a copy of this program");
        Stage { state, program, rules: RuleSet::shipped(), extra }
    }

    /// `None` where the image was not built.
    fn root(&self, image: &str) -> Option<Root> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/images").join(image);
        self.unpack(&format!("oci:{}", path.display()))
    }

    /// `None` where there is no such image.
    pub fn unpack(&self, image: &str) -> Option<Root> {
        let reference = Reference::parse(image.as_ref()).ok()?;
        let image = Image::open(&reference, &Limits::default()).ok()?;
        let cache = Cache::open(&self.state).expect("a cache");
        let rootfs = cache
            .unpack(&image, &Limits::default(), |_| ControlFlow::Continue(()))
            .expect("an unpacked image");
        let dirs = rootfs.directories().map(Path::to_owned).chain([self.extra.clone()]).collect();
        Some(Root { layers: Layers { dirs, id_base: LAYER_ID_BASE }, _rootfs: rootfs })
    }

    /// Microseconds of processor time of the command and its children.
    fn run(&self, root: &Root, command: &str, is_watched: bool) -> f64 {
        let text = self.output(root, &["/load", "measure", "/bin/sh", "-c", command], is_watched);
        text.trim().parse().unwrap_or_else(|_| panic!("{command}: {text:?}"))
    }

    /// What the command writes.
    pub fn output(&self, root: &Root, command: &[&str], is_watched: bool) -> String {
        let state = StateDir::open(&self.state).expect("a state directory");
        let id = RunId::random().expect("an id");
        let command = command.iter().map(Into::into).collect();
        let options = Options { command, cpus: Some(2.0), ..Options::default() };
        let plan = Plan::new(&path_only(), &options, &id).expect("a plan");
        let run = state.new_run(&id).expect("a run");
        let held = create(&self.program, &plan, &root.layers, run).expect("a sandbox");
        let eyes = is_watched.then(|| Eyes::open(&held, &self.rules));
        let mut running = held.start(&Anyone).expect("a start");
        let output = File::from(running.take_stdout().expect("its output"));
        let eyes = until_gone(&running, eyes);
        let remains = running.end().expect("an end");
        drop(eyes);
        remains.remove().expect("a clean-up");
        let mut text = String::new();
        let mut output = output;
        let _ = output.read_to_string(&mut text);
        text
    }
}

/// Lets a sandbox start that nobody watches: that is what is measured.
struct Anyone;

impl Watcher for Anyone {
    fn watches(&self, _: &Target) -> bool {
        true
    }
}

fn path_only() -> Config {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    Config { env: vec![path.into()], ..Config::empty() }
}

/// Everything that a run does with what it sees, but for the report.
struct Eyes<'r> {
    watch: Watch,
    stream: Stream,
    normaliser: Normaliser<Nothing>,
    findings: Findings<'r>,
    log: Writer<BufWriter<zstd::Encoder<'static, std::io::Sink>>>,
}

impl<'r> Eyes<'r> {
    fn open(held: &HeldSandbox, rules: &'r RuleSet) -> Eyes<'r> {
        let probes = Probes::load().expect("probes");
        let target = held.target();
        let cgroup = File::open(&target.cgroup).expect("the cgroup");
        let place = trace::Target { init: target.pidfd.as_fd(), cgroup: cgroup.as_fd() };
        let watch = probes.attach(&place).expect("attached probes");
        let frame = log::compress(std::io::sink()).expect("a frame");
        let log = Writer::new(BufWriter::with_capacity(1 << 18, frame), &Header::default());
        Eyes {
            watch,
            stream: Stream::new(),
            normaliser: Normaliser::new(Nothing, 100_000, target.pid),
            findings: Findings::new(rules),
            log: log.expect("a log"),
        }
    }

    /// As the pipeline does it.
    fn drain(&mut self, sandbox: &RunningSandbox) {
        let fill = self.watch.fill();
        let is_full = fill.critical.is_above_mark() || fill.bulk.is_above_mark();
        if is_full {
            sandbox.hold().expect("a hold");
        }
        while self.drain_once() > 64 && is_full {}
        if is_full {
            sandbox.release().expect("a release");
        }
    }

    fn drain_once(&mut self) -> u64 {
        let stream = &mut self.stream;
        let drained = self.watch.drain(&mut |bytes| stream.push(bytes));
        for record in self.stream.take(drained.watermark) {
            if let Some(event) = self.normaliser.observe(record) {
                self.findings.observe(&event);
                self.log.write(&event).expect("an event");
            }
        }
        drained.records
    }
}

fn until_gone<'r>(sandbox: &RunningSandbox, mut eyes: Option<Eyes<'r>>) -> Option<Eyes<'r>> {
    loop {
        let mut ears = vec![PollFd::new(sandbox.status_fd(), PollFlags::POLLIN)];
        if let Some(eyes) = &eyes {
            ears.extend(eyes.watch.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        }
        let _ = poll(&mut ears, PollTimeout::from(100u16));
        if let Some(eyes) = &mut eyes {
            eyes.drain(sandbox);
        }
        while let Some(status) = sandbox.next_status().expect("a status") {
            match status {
                Status::Gone => return eyes,
                Status::Refused(refusal) => panic!("{refusal}"),
                _ => {}
            }
        }
    }
}

struct Nothing;

impl Provenance for Nothing {
    fn layer_of(&mut self, _: &[u8]) -> Option<u16> {
        None
    }
    fn entry_at(&mut self, _: &[u8]) -> lazaret::normalise::ImageEntry {
        lazaret::normalise::ImageEntry::Absent
    }

    fn digest_of(&mut self, _: &event::File, _: lazaret::normalise::Start) -> Option<[u8; 32]> {
        None
    }
}
