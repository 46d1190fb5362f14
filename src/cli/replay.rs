//! `lazaret replay RUN`: judges a recording again, with other rules or another policy.
//!
//! Needs no privileges and writes nothing, unless `--out` is given.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::args::Replay;
use super::failure::{Failure, Kind};
use super::load::{self, Loaded};
use super::{outdir, show, verdict};
use crate::pipeline::judge::Judge;
use crate::report::convert::ConvertError;
use crate::report::document::{Inputs, Report};
use crate::report::log::{self, Ending, LogError, Reader};

pub fn run(args: Replay) -> Result<u8, Failure> {
    let loaded = load::load(&args.judging)?;
    let log = log_of(&args.run);
    let report = judge_again(&log, &loaded).map_err(|cause| unreadable(&args.run, cause))?;
    let place = match &args.out {
        Some(out) => Some(outdir::write_report(out, &report)?),
        None => None,
    };
    show::print(&report, args.judging.format, place.as_deref())?;
    Ok(verdict::exit_code(report.verdict.result))
}

/// RUN is a run directory, the report in it, or the event log itself.
fn log_of(run: &Path) -> PathBuf {
    const LOG: &str = "events.jsonl.zst";
    match run.file_name().and_then(|name| name.to_str()) {
        Some("report.json") => run.with_file_name(LOG),
        Some(name) if name.contains(".jsonl") && !run.is_dir() => run.to_owned(),
        _ if run.is_file() => run.with_file_name(LOG),
        _ => run.join(LOG),
    }
}

fn judge_again(log: &Path, loaded: &Loaded) -> Result<Report, ReplayError> {
    let open = |source| ReplayError::Open { path: log.to_owned(), source };
    let file = load::regular(log).map_err(open)?;
    let source: Box<dyn BufRead> = match log.extension().is_some_and(|end| end == "zst") {
        true => {
            Box::new(BufReader::with_capacity(1 << 18, log::decompress(BufReader::new(file)).map_err(open)?))
        }
        false => Box::new(BufReader::new(file)),
    };
    let mut reader = Reader::open(source)?;
    let mut header = reader.header().clone();
    // What the image found is as it was; only what judges it is new.
    let Inputs { profile, world, .. } = header.inputs;
    header.inputs = Inputs { profile, world, ..loaded.inputs.clone() };
    let mut judge = Judge::new(&loaded.rules, &header);
    for event in reader.by_ref() {
        judge.observe(&event?, &mut |_| {});
    }
    let trailer = match reader.ending() {
        Some(Ending::Complete(trailer)) => Some((**trailer).clone()),
        Some(Ending::Missing) | None => None,
    };
    Ok(judge.report(&header, trailer, &loaded.judgement)?)
}

/// Why a recording cannot be judged again.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("cannot open {path:?}")]
    Open { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Report(#[from] ConvertError),
}

fn unreadable(run: &Path, cause: ReplayError) -> Failure {
    Failure::new(Kind::Usage, format!("cannot replay {}", run.display()))
        .because(cause)
        .hint("name a run directory of lazaret analyze, or the report.json in it")
}
