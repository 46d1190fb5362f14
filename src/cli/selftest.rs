//! `lazaret selftest`: does small deeds in a sandbox, and says which of them were seen.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::args::{Format, Selftest};
use super::failure::{Failure, Kind};
use super::progress::Progress;
use crate::pipeline::selftest::{Answers, selftest};
use crate::sandbox::StateDir;

/// What goes to standard output as JSON.
#[derive(Serialize)]
struct Line<'a> {
    family: &'a str,
    route: &'a str,
    seen: bool,
}

/// 0: everything was seen. 1: something was not.
pub fn run(args: Selftest, state: &Path) -> Result<u8, Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new(Kind::Environment, "cannot test the watch: this is not root")
            .hint("run as root; lazaret doctor says what else this host needs"));
    }
    StateDir::open(state)?;
    let mut progress = Progress::new();
    let id = Uuid::now_v7().to_string();
    let answers = selftest(state, &id, &Timestamp::now().to_string(), &mut |news| progress.tell(news));
    progress.finish();
    let answers = answers?;
    match args.format {
        Format::Human => print(&answers),
        Format::Json => print_json(&answers)?,
    }
    Ok(if answers.all_seen() { 0 } else { 1 })
}

fn print(answers: &Answers) {
    for answer in &answers.deeds {
        let word = if answer.seen { "seen    " } else { "NOT SEEN" };
        anstream::println!("{word}  {:8} {}", answer.family.name(), answer.route);
    }
    for (family, records) in &answers.lost {
        anstream::println!("LOST      {:8} {records} records", family.name());
    }
    let unseen = answers.deeds.iter().filter(|deed| !deed.seen).count();
    let all = answers.deeds.len();
    anstream::println!("\n{} of {all} deeds were seen.", all - unseen);
}

fn print_json(answers: &Answers) -> Result<(), Failure> {
    let line = |answer: &crate::pipeline::selftest::Answer| Line {
        family: answer.family.name(),
        route: answer.route,
        seen: answer.seen,
    };
    let lines: Vec<_> = answers.deeds.iter().map(line).collect();
    let text = serde_json::to_string_pretty(&lines)
        .map_err(|error| Failure::new(Kind::Internal, "cannot write the answers as JSON").because(error))?;
    anstream::println!("{text}");
    Ok(())
}
