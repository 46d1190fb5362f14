//! The directory that a command leaves behind, as the command line names it.

use std::path::{Path, PathBuf};

use super::failure::{Failure, Kind};
use super::show;
use crate::pipeline::rundir::{RunDir, RunDirError};
use crate::report::document::Report;

/// Makes the directory, or takes it where it is empty.
pub fn make(path: &Path) -> Result<RunDir, Failure> {
    RunDir::make(path).map_err(|error| {
        Failure::new(Kind::Usage, format!("cannot use {} for the run", path.display()))
            .because(error)
            .hint("name a directory with --out that does not exist yet, or is empty and yours")
    })
}

/// Makes the directory and writes the report into it.
pub fn write_report(path: &Path, report: &Report) -> Result<PathBuf, Failure> {
    let run = make(path)?;
    run.write(show::REPORT, &show::json(report)).map_err(unwritten)?;
    Ok(run.path().join(show::REPORT))
}

pub fn unwritten(error: RunDirError) -> Failure {
    Failure::new(Kind::Environment, "cannot write the report")
        .because(error)
        .hint("see that the file system has room and is writable")
}
