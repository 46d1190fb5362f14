//! Lets one image run, and records everything it does.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::PipelineError;
use super::bait;
use super::capture::{self, Capture, Keeper, Written};
use super::compare::Before;
use super::inside::{self, Inside};
use super::judge::Judge;
use super::output::Output;
use super::outside::{Network, Outside};
use super::provenance::Layers;
use super::provoke::{self, Provocation, Visits};
use super::recorder::Recorder;
use super::rundir::RunDir;
use super::scribe::Scribe;
use super::signals::Signals;
use super::watch::{self, Ended, Watched};
use crate::bait::{Baits, Profile};
use crate::image::{Cache, Digest, Image, Keep, LAYER_ID_BASE, Limits, Progress, Reference, Rootfs};
use crate::normalise::{Normaliser, Supplied};
use crate::report::document::{self, Environment, Inputs, Request, Subject, Unchanged};
use crate::report::log::{self, Header, Trailer};
use crate::rule::{Finding, RuleSet};
use crate::sandbox::{
    self, DiskUse, HeldSandbox, Options, Plan, Remains, RunId, SandboxError, SealedProgram, StateDir, Target,
    Watcher,
};
use crate::trace::{self, Loading, Probes, Watch};

/// What is to be run, and how it is to be judged.
pub struct Job<'j> {
    pub reference: Reference,
    pub expected: Option<Digest>,
    /// The image that the quarantine report is about: `sha256:…`.
    pub quarantined: Option<String>,
    pub options: Options,
    pub duration: Duration,
    /// Commands to run inside while the image runs: for a shell, see [`super::provoke::words`].
    pub exec: Vec<OsString>,
    /// Bytes of events that the log takes before compression.
    pub log_bound: u64,
    /// What the image can reach.
    pub network: Network,
    /// Which baits it finds.
    pub profile: Profile,
    /// Bytes of unpacked layers that the cache keeps beside those of this image.
    pub cache_bound: Option<u64>,
    /// How much of what is executed is kept.
    pub captures: capture::Bounds,
    /// The directory the run leaves behind.
    pub out: &'j RunDir,
    pub state: PathBuf,
    pub rules: &'j RuleSet,
    pub inputs: Inputs,
    pub request: Request,
    /// Id of the report.
    pub id: String,
    /// RFC 3339.
    pub created: String,
}

/// Something that happens on the way, for whoever waits.
pub enum News<'n> {
    /// A step begins; its name is a verb.
    Step(&'static str),
    /// The image was resolved.
    Subject(&'n Subject),
    Unpacking(Progress),
    /// The image has run for so long, of so long, and done so much.
    Running {
        time: Duration,
        of: Duration,
        events: u64,
    },
    /// The workload stands still until the records are read.
    Held,
    Finding(&'n Finding),
}

/// How long one step took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub step: &'static str,
    pub time: Duration,
}

/// A run that was carried through.
pub struct Detonated<'j> {
    pub header: Header,
    pub trailer: Trailer,
    pub judge: Judge<'j>,
    pub timings: Vec<Timing>,
    /// The run is over and recorded, but something of it is left on the host.
    pub clean_up: Result<(), SandboxError>,
}

/// The probe by which the kernel tells of missing capabilities.
const CAPABILITY_PROBE: &str = "capability";
/// How much is kept of programs that ran from memory.
const MEMORY: capture::Bounds = capture::Bounds { bytes: 128 << 20, files: 64 };

/// Runs the image and records it. Whatever the outcome, nothing is left but the run directory.
///
/// `probes` are on their way already: the verifier and the set-up need a processor each. The cage is built by
/// this thread, because the sandbox dies with the one that began it.
pub fn detonate<'j>(
    job: Job<'j>,
    probes: Loading,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Detonated<'j>, PipelineError> {
    let signals = Signals::block().map_err(PipelineError::io("block signals"))?;
    let mut steps = Steps::new(tell);
    let program = SealedProgram::of_this_process()?;
    let mut outside =
        steps.take("start the internet", |_| Outside::start(&job.network, &program, job.out))?;
    let (image, before, subject) = steps.take("open", |tell| open(&job, tell))?;
    steps.take("admit the internet", |_| outside.admit())?;
    let rootfs = steps.take("unpack", |tell| unpack(&job, &image, &signals, tell))?;
    let material = Material { job: &job, image: &image, rootfs: &rootfs, program: &program };
    let (probes, cage) = prepare(&material, &mut outside, probes, &mut steps)?;
    let watch = steps.take("arm", |_| arm(probes, &cage.held))?;
    let inside = Inside::open(cage.held.target()).map_err(PipelineError::io("reach into the sandbox"))?;
    let files = job.out.directory("files")?;
    let capture = capture(&job, &cage, &inside, &files);
    let written = Written::start(&inside, &files);
    let places = Before::look(&inside, &cage.upper, cage.id_base);
    let places = places.map_err(PipelineError::io("look at the sandbox before its start"))?;
    drop(inside);

    let header = header(&job, subject.clone());
    let tells_capabilities = !watch.absent().contains(&CAPABILITY_PROBE);
    let rest = (places, tells_capabilities);
    let mut recorder = recorder(&job, rootfs, &cage, (&capture, files), rest, &header)?;
    recorder.written = written.ok();
    signals.check()?;
    let watched = steps
        .take("run", |tell| run(&job, cage, (watch, capture.ok(), outside), recorder, &signals, tell))?;

    let unchanged = steps.take("look again", |_| compare(&image, before))?;
    let subject = Subject { unchanged: Some(unchanged), ..subject };
    let trailer = Trailer { run: watched.run, coverage: watched.coverage, subject, ..Trailer::default() };
    let (judge, trailer) = close(watched.recorder, trailer)?;
    let clean_up = steps.take("clean up", |_| {
        drop(watched.leaving);
        Ok(watched.remains.and_then(Remains::remove))
    })?;
    Ok(Detonated { header, trailer, judge, timings: steps.done, clean_up })
}

/// Builds the cage while the probes load. A host that cannot watch is the first thing to be told of: what
/// else it lacks matters only to one that can.
fn prepare(
    material: &Material<'_>,
    outside: &mut Outside,
    probes: Loading,
    steps: &mut Steps<'_>,
) -> Result<(Probes, Cage), PipelineError> {
    let cage = steps.take("cage", |_| cage(material, outside));
    let connected = match &cage {
        Ok(cage) => steps.take("connect", |_| outside.connect(cage.held.target())),
        Err(_) => Ok(()),
    };
    // What is left of it: nothing, where all this took longer.
    let probes = steps.take("load probes", |_| Ok(probes.finish()?))?;
    let cage = cage?;
    connected?;
    Ok((probes, cage))
}

fn open(job: &Job<'_>, tell: &mut dyn FnMut(News<'_>)) -> Result<(Image, Digest, Subject), PipelineError> {
    let image = Image::open(&job.reference, &Limits::default())?;
    match (job.expected, image.manifest_digest) {
        (Some(_), None) => return Err(PipelineError::NoDigest),
        (Some(expected), Some(found)) if expected != found => {
            return Err(PipelineError::OtherDigest { expected, found });
        }
        _ => {}
    }
    let subject = subject(&image);
    tell(News::Subject(&subject));
    if let Some(expected) = job.quarantined.as_ref().filter(|expected| *expected != subject.digest()) {
        let (expected, found) = (expected.clone(), subject.digest().to_owned());
        return Err(PipelineError::OtherSubject { expected, found });
    }
    let before = image.subject_digest()?;
    Ok((image, before, subject))
}

fn unpack(
    job: &Job<'_>,
    image: &Image,
    signals: &Signals,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Rootfs, PipelineError> {
    // Before anything is written; what the layers take is looked at again before the run.
    StateDir::open(&job.state)?.check_room(job.options.disk.unwrap_or(0))?;
    let cache = Cache::open(&job.state)?;
    let mut ended = Ok(());
    let unpacked = cache.unpack(image, &Limits::default(), |progress| {
        tell(News::Unpacking(progress));
        ended = signals.check();
        if ended.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    ended?;
    let rootfs = unpacked?;
    if let Some(bytes) = job.cache_bound {
        // The image's own layers are locked, and stay.
        cache.shrink(Keep::Bytes(bytes))?;
    }
    Ok(rootfs)
}

/// A held sandbox, and what must be known of it once it is gone.
struct Cage {
    held: HeldSandbox,
    /// The files that stand there before the start, beside the image's.
    supplied: Vec<Supplied>,
    upper: PathBuf,
    id_base: u32,
    stop_grace: Duration,
    output_bound: u64,
    disk: DiskUse,
    provocation: Provocation,
    baits: Baits,
}

/// What a cage is made of.
struct Material<'m> {
    job: &'m Job<'m>,
    image: &'m Image,
    rootfs: &'m Rootfs,
    program: &'m SealedProgram,
}

fn cage(material: &Material<'_>, outside: &mut Outside) -> Result<Cage, PipelineError> {
    let Material { job, image, rootfs, program } = material;
    let state = StateDir::open(&job.state)?;
    // What a killed run left is removed here; what cannot be is for `gc` to explain.
    let _ = sandbox::gc(&state);
    let id = RunId::random()?;
    let mut plan = Plan::new(&image.config, &job.options, &id)?;
    let baits = bait::make()?;
    outside.enter(&mut plan, rootfs, baits.clone())?;
    let has = |path: &[u8]| rootfs.entry(path).is_some();
    let laid = bait::lay(&baits, &job.profile, outside.authority()?, &has, &mut plan);
    let commands = provoke::commands(&image.config, &job.exec);
    plan.errands = commands.iter().map(provoke::Command::argv).collect();
    let bound = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let disk = DiskUse { bytes: bound(plan.limits.disk), entries: bound(plan.limits.disk_files) };
    state.check_room(plan.limits.disk.unwrap_or(0))?;
    let run = state.new_run(&id)?;
    let (upper, id_base) = (run.upper(), run.id_base());
    let layers =
        sandbox::Layers { dirs: rootfs.directories().map(Path::to_owned).collect(), id_base: LAYER_ID_BASE };
    let held = sandbox::create(program, &plan, &layers, run)?;
    let supplied = laid.supplied(&plan, held.planted());
    let exposed = image.config.exposed_ports.clone();
    let provocation =
        Provocation::new(Visits::new(program.share()?, id_base), commands, exposed, job.duration);
    let (stop_grace, output_bound) = (plan.stop_grace, plan.limits.output);
    Ok(Cage { held, supplied, upper, id_base, stop_grace, output_bound, disk, provocation, baits })
}

fn arm(probes: Probes, held: &HeldSandbox) -> Result<Watch, PipelineError> {
    let target = held.target();
    let cgroup = File::open(&target.cgroup).map_err(PipelineError::io("open the sandbox's cgroup"))?;
    Ok(probes.attach(&trace::Target { init: target.pidfd.as_fd(), cgroup: cgroup.as_fd() })?)
}

/// Begins to keep what is executed. Where this host cannot, the run goes on without, and `coverage` says
/// so.
fn capture(job: &Job<'_>, cage: &Cage, inside: &Inside, files: &OwnedFd) -> io::Result<Capture> {
    Capture::start(cage.held.target().pid, inside, &cage.upper, files.try_clone()?, job.captures)
}

/// Proof that probes are attached to this very sandbox, and that what it executes is captured where
/// that is possible at all.
struct Armed<'w> {
    _watch: &'w Watch,
    capture: Option<&'w Capture>,
    pid: u32,
}

impl Watcher for Armed<'_> {
    fn watches(&self, target: &Target) -> bool {
        target.pid == self.pid && self.capture.is_none_or(|capture| capture.watches(target))
    }
}

fn recorder<'j>(
    job: &Job<'j>,
    rootfs: Rootfs,
    cage: &Cage,
    (capture, files): (&io::Result<Capture>, OwnedFd),
    (before, tells_capabilities): (Before, bool),
    header: &Header,
) -> Result<Recorder<'j>, PipelineError> {
    let book = capture.as_ref().ok().map(Capture::book);
    let layers = Layers::open(rootfs, &cage.upper, book, cage.supplied.clone())
        .map_err(PipelineError::io("open the run's writable layer"))?
        .with_memory(Keeper::drafting(files, MEMORY, ".memory"), cage.held.target().cgroup.clone());
    let init = cage.held.target().pid;
    let normaliser = Normaliser::new(layers, cage.id_base, init)
        .with_filter(sandbox::refuses)
        .with_groups(inside::groups(init));
    let normaliser = if tells_capabilities { normaliser } else { normaliser.with_inferred_capabilities() };
    let file = job.out.create("events.jsonl.zst")?;
    let frame = log::compress(BufWriter::new(file)).map_err(PipelineError::io("begin the event log"))?;
    let log = log::Writer::with_bound(BufWriter::with_capacity(1 << 18, frame), header, job.log_bound)?;
    let log = Scribe::begin(log).map_err(PipelineError::io("begin the event log"))?;
    let mut recorder = Recorder::new(normaliser, log, Judge::new(job.rules, header), before);
    recorder.look_for(cage.baits.clone());
    if let Err(error) = capture {
        recorder.losses.capture = format!("executed files could not be captured: {error}");
    }
    Ok(recorder)
}

fn run<'j>(
    job: &Job<'j>,
    cage: Cage,
    (watch, capture, outside): (Watch, Option<Capture>, Outside),
    recorder: Recorder<'j>,
    signals: &Signals,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Watched<'j>, PipelineError> {
    let armed = Armed { _watch: &watch, capture: capture.as_ref(), pid: cage.held.target().pid };
    let mut sandbox = cage.held.start(&armed)?;
    let taken = (sandbox.take_stdout(), sandbox.take_stderr());
    let (Some(stdout), Some(stderr)) = taken else {
        return Err(SandboxError::Lost { what: "output of the sandbox was taken already" }.into());
    };
    let ended = Ended {
        stdout: Output::new(File::from(stdout), job.out.create("stdout")?, cage.output_bound),
        stderr: Output::new(File::from(stderr), job.out.create("stderr")?, cage.output_bound),
    };
    let bounds = watch::Bounds { duration: job.duration, stop_grace: cage.stop_grace, disk: cage.disk };
    watch::watch(sandbox, (watch, outside), recorder, ended, (bounds, cage.provocation), signals, tell)
}

/// The artefact must be what it was.
fn compare(image: &Image, before: Digest) -> Result<Unchanged, PipelineError> {
    let after = image.subject_digest()?;
    Ok(Unchanged { before: before.to_string(), after: after.to_string(), same: before == after })
}

fn close<'j>(recorder: Recorder<'j>, trailer: Trailer) -> Result<(Judge<'j>, Trailer), PipelineError> {
    let (judge, file, trailer) = recorder.close(trailer)?;
    let finish = || -> std::io::Result<()> {
        let frame = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        frame.finish()?.flush()
    };
    finish().map_err(PipelineError::io("finish the event log"))?;
    Ok((judge, trailer))
}

fn header(job: &Job<'_>, subject: Subject) -> Header {
    Header {
        id: job.id.clone(),
        created: job.created.clone(),
        request: job.request.clone(),
        previous: None,
        subject,
        inputs: job.inputs.clone(),
        environment: Environment {
            lazaret: env!("CARGO_PKG_VERSION").into(),
            kernel: kernel_release(),
            tier: "B".into(),
            isolation: "namespaces".into(),
        },
    }
}

fn kernel_release() -> String {
    nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn subject(image: &Image) -> Subject {
    let layer = |layer: &crate::image::Layer| document::Layer {
        digest: layer.digest.to_string(),
        diff_id: layer.diff_id.to_string(),
        created_by: layer.created_by.clone(),
    };
    Subject {
        reference: crate::report::escape::text(image.reference.as_encoded_bytes()).into_owned(),
        manifest_digest: image.manifest_digest.map(|digest| digest.to_string()),
        config_digest: image.config_digest.to_string(),
        platform: image.platform.to_string(),
        layers: image.layers.iter().map(layer).collect(),
        unchanged: None,
    }
}

/// Tells each step, and takes its time.
struct Steps<'t> {
    tell: &'t mut dyn FnMut(News<'_>),
    done: Vec<Timing>,
}

impl<'t> Steps<'t> {
    fn new(tell: &'t mut dyn FnMut(News<'_>)) -> Steps<'t> {
        Steps { tell, done: Vec::new() }
    }

    fn take<T>(
        &mut self,
        step: &'static str,
        act: impl FnOnce(&mut dyn FnMut(News<'_>)) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        (self.tell)(News::Step(step));
        let start = Instant::now();
        let result = act(self.tell);
        self.done.push(Timing { step, time: start.elapsed() });
        result
    }
}
