//! How the end of a run is told to others, whatever the end: our check in the quarantine report, and
//! a completion event in the run directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::failure::{self, Failure, Kind};
use super::{load, show, verdict};
use crate::image::Digest;
use crate::pipeline::rundir::RunDir;
use crate::report::completion::{Attempt, Completion};
use crate::report::document::{Named, Report};
use crate::report::escape;
use crate::report::quarantine::{self, Check};

/// The completion event's name in a run directory.
pub const EVENT: &str = "completion.json";

/// Where the end of one run is told.
pub struct Ending {
    quarantine: Option<PathBuf>,
    pub attempt: Attempt,
}

impl Ending {
    pub fn new(quarantine: Option<PathBuf>, attempt: Attempt) -> Ending {
        Ending { quarantine, attempt }
    }

    /// The image that the quarantine report is about. An unusable document is refused before
    /// anything runs.
    pub fn subject(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.quarantine else { return Ok(None) };
        match load::read(path, quarantine::BYTES_MAX as u64) {
            Ok(bytes) => quarantine::subject(&bytes).map_err(|error| refused(path, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(path, error)),
        }
    }

    /// Tells of a verdict, and of what went wrong besides it.
    pub fn with_report(&self, report: &Report, out: &RunDir, also: Option<&Failure>) -> Result<(), Failure> {
        let files = [show::REPORT, "events.jsonl.zst", "capture.pcapng", "stdout", "stderr"];
        let evidence: Vec<Named> = files.into_iter().filter_map(|name| named(out, name)).collect();
        let exit_code = match also {
            Some(failure) => failure::exit_code(failure.kind),
            None => verdict::exit_code(report.verdict.result),
        };
        let also = also.map(Failure::published);
        let event = Completion::of_report(report, evidence.clone(), exit_code, also, Timestamp::now());
        let put = self.put(Some(report.subject.digest()), &Check::of_report(report, evidence));
        let written = write_event(out, &event);
        put.and(written)
    }

    /// Tells of an end without a verdict; gives the failure back, with what failed in telling.
    pub fn with_failure(&self, failure: Failure, out: Option<&RunDir>) -> Failure {
        let (now, published) = (Timestamp::now(), failure.published());
        let check = Check::of_failure(published.clone(), env!("CARGO_PKG_VERSION"), now);
        let event = Completion::of_failure(&self.attempt, published, failure::exit_code(failure.kind), now);
        // A document about another image is not ours to write in, and the failure says so already.
        let put = match self.is_foreign() {
            true => Ok(()),
            false => self.put(self.attempt.digest.as_deref(), &check),
        };
        let written = out.map_or(Ok(()), |out| write_event(out, &event));
        match put.and(written) {
            Ok(()) => failure,
            Err(error) => failure.and_then(error),
        }
    }

    fn is_foreign(&self) -> bool {
        let subject = self.subject().ok().flatten();
        subject.zip(self.attempt.digest.as_ref()).is_some_and(|(theirs, ours)| theirs != *ours)
    }

    /// Replaces the document by one with our check; readers see the old one or the new one.
    fn put(&self, subject: Option<&str>, check: &Check) -> Result<(), Failure> {
        let Some(path) = &self.quarantine else { return Ok(()) };
        let _lock = lock(path).map_err(|error| unwritten(path, error))?;
        let existing = match load::read(path, quarantine::BYTES_MAX as u64) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(refused(path, error)),
        };
        let document = quarantine::put(existing.as_deref(), subject, check, Timestamp::now())
            .map_err(|error| refused(path, error))?;
        replace(path, &document).map_err(|error| unwritten(path, error))
    }
}

fn refused(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Kind::Usage, format!("cannot put our check into the quarantine report {}", path.display()))
        .because(error)
        .hint("name this image's own quarantine report, or a file that does not exist yet")
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    Failure::new(Kind::Environment, format!("cannot write the quarantine report {}", path.display()))
        .because(error)
        .hint("see that its directory is writable and has room")
}

/// Two checks of one image may end at the same time: the directory's lock puts them in order. It lies
/// beside no file, so nothing is left behind.
fn lock(path: &Path) -> io::Result<File> {
    let directory = File::open(folder(path))?;
    directory.lock()?;
    Ok(directory)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a draft beside the file, then renames it over; the mode stays. A link stays a link: what it
/// leads to is replaced.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let draft = folder(path).join(format!(".{name}.{}.draft", std::process::id()));
    let mode = fs::metadata(path).map_or(0o644, |metadata| metadata.mode() & 0o7777);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path))
        .and_then(|()| File::open(folder(path))?.sync_all());
    if written.is_err() {
        // The first failure is the one to tell; a draft that stays is only a file more.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_event(out: &RunDir, event: &Completion) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(event)
        .map_err(|error| Failure::new(Kind::Internal, "cannot write the completion event").because(error))?;
    let text = escape::json(&text) + "\n";
    out.write(EVENT, text.as_bytes()).map_err(super::outdir::unwritten)
}

/// A file of the run by name and digest.
fn named(out: &RunDir, name: &str) -> Option<Named> {
    let file = load::regular(&out.path().join(name)).ok()?;
    let (digest, _) = Digest::of_reader(file).ok()?;
    Some(Named { name: name.into(), digest: digest.to_string() })
}
