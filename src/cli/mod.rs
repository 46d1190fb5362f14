//! The command line: one file for each command. The only place that prints, reads the environment and
//! chooses exit codes.

#[cfg(feature = "live")]
mod analyze;
mod args;
#[cfg(feature = "live")]
mod doctor;
#[cfg(feature = "live")]
mod ending;
pub mod failure;
#[cfg(feature = "live")]
mod gc;
mod load;
mod outdir;
#[cfg(feature = "live")]
mod profile;
#[cfg(feature = "live")]
mod progress;
mod replay;
pub mod rules;
#[cfg(feature = "live")]
mod scenario;
#[cfg(feature = "live")]
mod selftest;
mod show;
mod terminal;
mod verdict;

use std::io::{self, IsTerminal};
use std::panic;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use failure::{Failure, Kind};

/// Parses, calls the command, prints its failure once. The exit code is part of the contract: see
/// [`failure::exit_code`] and [`verdict::exit_code`].
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = panic::catch_unwind(|| run(cli)).unwrap_or_else(|_| {
        Err(Failure::new(Kind::Internal, "lazaret itself failed")
            .hint("the lines above say where; please report them"))
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let text = if io::stderr().is_terminal() { failure.folded() } else { failure.to_string() };
            anstream::eprintln!("{text}");
            ExitCode::from(failure::exit_code(failure.kind))
        }
    }
}

fn run(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        #[cfg(feature = "live")]
        Command::Analyze(args) => analyze::run(*args, &cli.state),
        Command::Replay(args) => replay::run(args),
        Command::Rules(args) => rules::run(args),
        #[cfg(feature = "live")]
        Command::Doctor(args) => doctor::run(args, &cli.state),
        #[cfg(feature = "live")]
        Command::Selftest(args) => selftest::run(args, &cli.state),
        #[cfg(feature = "live")]
        Command::Gc(args) => gc::run(&args, &cli.state),
    }
}
