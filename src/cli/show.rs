//! Writes a report where it was asked for: a directory, standard output.

use std::io::Write;
use std::path::Path;

use super::args::Rendering;
use super::failure::{Failure, Kind};
use super::terminal;
use crate::report::{self, document::Report};

/// The file in a run directory that others wait for.
pub const REPORT: &str = "report.json";

/// The report as it stands in its file.
pub fn json(report: &Report) -> Vec<u8> {
    report::to_json(report).into_bytes()
}

/// Prints the report. A reader that went away is no failure.
pub fn print(report: &Report, format: Rendering, place: Option<&Path>) -> Result<(), Failure> {
    let text = match format {
        Rendering::Human => terminal::render(report, place.map(|place| place.to_string_lossy()).as_deref()),
        Rendering::Json => report::to_json(report),
        Rendering::Markdown => report::markdown(report),
    };
    let written = anstream::stdout().write_all(text.as_bytes());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::Environment, "cannot write the report to standard output").because(error))
        }
        _ => Ok(()),
    }
}
