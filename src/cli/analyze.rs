//! `lazaret analyze IMAGE`: detonates, judges, reports.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::args::{self, Analyze};
use super::ending::Ending;
use super::failure::{Failure, Kind};
use super::load::{self, Loaded};
use super::progress::Progress;
use super::{outdir, profile, scenario, show, verdict};
use crate::bait::Profile;
use crate::image::{Digest, Reference};
use crate::internet::world::Scenario;
use crate::pipeline::rundir::RunDir;
use crate::pipeline::{COMMANDS_MAX, Detonated, Job, Network, News, Timing, capture, detonate};
use crate::report::completion::Attempt;
use crate::report::document::{Inputs, Report, Request};
use crate::report::escape;
use crate::sandbox::{Options, Sleeps, StateDir};
use crate::trace::{self, Loading};

pub fn run(args: Analyze, state: &Path) -> Result<u8, Failure> {
    let id = Uuid::now_v7().to_string();
    let request = Request { id: id.clone(), ..Request::default() };
    let reference = escape::text(args.image.as_encoded_bytes()).into_owned();
    let attempt = Attempt { id, request, reference, digest: None };
    let mut ending = Ending::new(args.quarantine_report.clone(), attempt);

    match prepare(&args, state, &ending) {
        Ok((prepared, out)) => match analyze(&args, state, prepared, &out, &mut ending) {
            Ok(done) => finish(&args, &ending, done, &out),
            Err(failure) => Err(give_up(&args, &ending, failure, out)),
        },
        Err(failure) => Err(ending.with_failure(failure, None)),
    }
}

/// All that can be wrong with the command itself, before anything is made.
struct Prepared {
    probes: Loading,
    loaded: Loaded,
    network: Network,
    exec: Vec<OsString>,
    profile: Profile,
    reference: Reference,
    expected: Option<Digest>,
    quarantined: Option<String>,
}

fn prepare(args: &Analyze, state: &Path, ending: &Ending) -> Result<(Prepared, RunDir), Failure> {
    // Takes longest, and depends on nothing: what goes wrong with it is told when the run needs it.
    let probes = Loading::begin(probes(args));
    let mut loaded = load::load(&args.judging)?;
    let network = network(args, &mut loaded)?;
    let exec = commands(args)?;
    let prepared = Prepared {
        probes,
        loaded,
        network,
        exec,
        profile: profile::load(&args.profile)?,
        reference: Reference::parse(&args.image)?,
        expected: expected(args)?,
        quarantined: ending.subject()?,
    };
    need_root()?;
    let out = out(args, state, &ending.attempt.id)?;
    Ok((prepared, out))
}

/// A run that ended in a report.
struct Done {
    report: Report,
    /// The verdict stands, but something of the run is left on this host.
    left: Option<Failure>,
}

fn analyze(
    args: &Analyze,
    state: &Path,
    prepared: Prepared,
    out: &RunDir,
    ending: &mut Ending,
) -> Result<Done, Failure> {
    let Prepared { probes, loaded, network, exec, profile, reference, expected, quarantined } = prepared;
    let inputs = Inputs { profile: profile.name.clone(), ..loaded.inputs.clone() };
    let job = Job {
        reference,
        expected,
        quarantined,
        options: options(args),
        duration: args.duration,
        exec,
        log_bound: args.event_log,
        network,
        profile,
        cache_bound: args.cache_size,
        captures: capture::Bounds { bytes: args.captured, files: args.captured_files },
        out,
        state: state.to_owned(),
        rules: &loaded.rules,
        inputs,
        request: ending.attempt.request.clone(),
        id: ending.attempt.id.clone(),
        created: Timestamp::now().to_string(),
    };
    let mut progress = Progress::new();
    let detonated = detonate(job, probes, &mut |news| {
        if let News::Subject(subject) = &news {
            ending.attempt.digest = Some(subject.digest().to_owned());
        }
        progress.tell(news);
    });
    progress.finish();
    conclude(args, &loaded, out, detonated?)
}

/// Tells everybody.
fn finish(args: &Analyze, ending: &Ending, done: Done, out: &RunDir) -> Result<u8, Failure> {
    let told = ending.with_report(&done.report, out, done.left.as_ref());
    show::print(&done.report, args.judging.format, Some(&out.path().join(show::REPORT)))?;
    match (done.left, told) {
        (Some(left), Err(told)) => Err(left.and_then(told)),
        (Some(failure), Ok(())) | (None, Err(failure)) => Err(failure),
        (None, Ok(())) => Ok(verdict::exit_code(done.report.verdict.result)),
    }
}

/// Judges what was recorded, and writes the report.
fn conclude(
    args: &Analyze,
    loaded: &Loaded,
    out: &RunDir,
    detonated: Detonated<'_>,
) -> Result<Done, Failure> {
    let Detonated { header, trailer, judge, timings, clean_up } = detonated;
    if args.timings {
        print_timings(&timings);
    }
    let report = judge.report(&header, Some(trailer), &loaded.judgement);
    let report =
        report.map_err(|error| Failure::new(Kind::Internal, "cannot make the report").because(error))?;
    out.write(show::REPORT, &show::json(&report)).map_err(outdir::unwritten)?;
    let left = clean_up.err().map(|error| {
        Failure::new(Kind::Environment, "the run is over and reported, but something of it is left")
            .because(error)
            .hint("run lazaret gc")
    });
    Ok(Done { report, left })
}

/// Without a report there is nothing to keep. A directory that was asked for keeps the event of the
/// end; one of our own goes.
fn give_up(args: &Analyze, ending: &Ending, failure: Failure, out: RunDir) -> Failure {
    let cleared = out.clear();
    let failure = match args.out {
        Some(_) => ending.with_failure(failure, Some(&out)),
        None => ending.with_failure(failure, None),
    };
    let removed = cleared.and_then(|()| if args.out.is_none() { out.remove() } else { Ok(()) });
    match removed {
        Ok(()) => failure,
        Err(error) => failure.and_then(error),
    }
}

fn need_root() -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let failure = Failure::new(Kind::Environment, "cannot run an image: this is not root");
    Err(failure.hint("run as root; lazaret doctor says what else this host needs"))
}

fn commands(args: &Analyze) -> Result<Vec<OsString>, Failure> {
    // One place is the image's own health check's.
    let most = COMMANDS_MAX - 1;
    if args.exec.len() > most {
        let what = format!("{} commands were given with --exec", args.exec.len());
        return Err(
            Failure::new(Kind::Usage, what).hint(format!("give at most {most}, or put them into one script"))
        );
    }
    Ok(args.exec.clone())
}

fn expected(args: &Analyze) -> Result<Option<Digest>, Failure> {
    let parse = |text: &String| {
        text.parse::<Digest>().map_err(|error| {
            Failure::new(Kind::Usage, format!("cannot use --expect-digest {text}"))
                .because(error)
                .hint("give the digest of the image's manifest: sha256: and 64 hexadecimal digits")
        })
    };
    args.expect_digest.as_ref().map(parse).transpose()
}

fn out(args: &Analyze, state: &Path, id: &str) -> Result<RunDir, Failure> {
    if let Some(out) = &args.out {
        return outdir::make(out);
    }
    StateDir::open(state)?;
    let reports: PathBuf = state.join("reports");
    std::fs::create_dir_all(&reports).map_err(|error| {
        Failure::new(Kind::Environment, format!("cannot make {}", reports.display())).because(error)
    })?;
    outdir::make(&reports.join(id))
}

fn options(args: &Analyze) -> Options {
    let defaults = Options::default();
    Options {
        command: args.command.clone(),
        entrypoint: args.entrypoint.clone(),
        env: args.env.clone(),
        user: args.user.clone(),
        working_dir: args.workdir.clone(),
        hostname: args.hostname.clone(),
        memory: Some(args.memory),
        cpus: args.cpus.or(defaults.cpus),
        pids: Some(args.pids_limit),
        disk: Some(args.disk),
        disk_files: Some(args.disk_files),
        open_files: args.open_files,
        output: args.output,
        stop_grace: args.stop_grace,
        sleeps: if args.no_skip { Sleeps::Slept } else { Sleeps::Skipped },
    }
}

/// What the image can reach. A scenario is one more thing that the run was given.
fn network(args: &Analyze, loaded: &mut Loaded) -> Result<Network, Failure> {
    let scenario = match (&args.scenario, args.network) {
        (None, _) => Scenario::default(),
        (Some(file), args::Network::Simulated) => {
            let (scenario, named) = scenario::load(file)?;
            loaded.inputs.world = Some(named);
            scenario
        }
        (Some(_), args::Network::None) => {
            let failure = Failure::new(Kind::Usage, "cannot use a scenario without a network");
            return Err(failure.hint("leave out --network none, or --scenario"));
        }
    };
    Ok(match args.network {
        args::Network::Simulated => Network::Simulated { capture_max: args.capture_size, scenario },
        args::Network::None => Network::None,
    })
}

fn probes(args: &Analyze) -> trace::Options {
    let defaults = trace::Options::default();
    match args.ring {
        None => defaults,
        Some(bytes) => trace::Options { critical: bytes, bulk: bytes, wake_at: bytes / 4, ..defaults },
    }
}

fn print_timings(timings: &[Timing]) {
    for Timing { step, time } in timings {
        anstream::eprintln!("{:>10.1} ms  {step}", time.as_secs_f64() * 1e3);
    }
}
