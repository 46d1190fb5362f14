//! `lazaret analyze IMAGE`: detonates, judges, reports.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::args::Analyze;
use super::failure::{Failure, Kind};
use super::load::{self, Loaded};
use super::progress::Progress;
use super::{ending, outdir, show, verdict};
use crate::image::{Digest, Reference};
use crate::pipeline::rundir::RunDir;
use crate::pipeline::{Detonated, Job, Timing, detonate};
use crate::report::document::{Report, Request};
use crate::sandbox::{Options, StateDir};

pub fn run(args: Analyze, state: &Path) -> Result<u8, Failure> {
    let id = Uuid::now_v7().to_string();
    let created = Timestamp::now();
    let end = ending::Ending::new(&args, &id, created);
    match attempt(&args, state, &id, created) {
        Ok(done) => {
            end.with_report(&done.report, &done.out)?;
            show::print(&done.report, args.judging.format, Some(&done.out.path().join(show::REPORT)))?;
            done.clean_up.map(|()| verdict::exit_code(done.report.verdict.result))
        }
        Err(failure) => Err(end.with_failure(failure)),
    }
}

/// A run that ended in a report.
struct Done {
    report: Report,
    out: RunDir,
    /// The verdict stands, but something of the run is left on this host.
    clean_up: Result<(), Failure>,
}

fn attempt(args: &Analyze, state: &Path, id: &str, created: Timestamp) -> Result<Done, Failure> {
    let loaded = load::load(&args.judging)?;
    need_root()?;
    let reference = Reference::parse(&args.image)?;
    let expected = expected(args)?;
    let out = out(args, state, id)?;
    let job = Job {
        reference,
        expected,
        options: options(args),
        duration: args.duration,
        out: &out,
        state: state.to_owned(),
        rules: &loaded.rules,
        inputs: loaded.inputs.clone(),
        request: Request { id: id.into(), ..Request::default() },
        id: id.into(),
        created: created.to_string(),
    };
    let mut progress = Progress::new();
    let detonated = detonate(job, &mut |news| progress.tell(news));
    progress.finish();
    let detonated = match detonated {
        Ok(detonated) => detonated,
        Err(error) => return Err(give_up(args, out, error.into())),
    };
    conclude(args, &loaded, out, detonated)
}

/// Judges what was recorded, and writes the report.
fn conclude(args: &Analyze, loaded: &Loaded, out: RunDir, detonated: Detonated<'_>) -> Result<Done, Failure> {
    let Detonated { header, trailer, judge, timings, clean_up } = detonated;
    if args.timings {
        print_timings(&timings);
    }
    let report = judge.report(&header, Some(trailer), &loaded.judgement).map_err(|error| {
        Failure::new(Kind::Internal, "cannot make the report").because(error)
    })?;
    out.write(show::REPORT, &show::json(&report)).map_err(outdir::unwritten)?;
    let clean_up = clean_up.map_err(|error| {
        Failure::new(Kind::Environment, "the run is over and reported, but something of it is left")
            .because(error)
            .hint("run lazaret gc")
    });
    Ok(Done { report, out, clean_up })
}

/// Without a report there is nothing to keep: what was begun in the run directory goes.
fn give_up(args: &Analyze, out: RunDir, failure: Failure) -> Failure {
    let cleared = match args.out.is_some() {
        true => out.clear(),
        false => out.clear().and_then(|()| out.remove()),
    };
    match cleared {
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
        ..defaults
    }
}

fn print_timings(timings: &[Timing]) {
    for Timing { step, time } in timings {
        anstream::eprintln!("{:>10.1} ms  {step}", time.as_secs_f64() * 1e3);
    }
}
