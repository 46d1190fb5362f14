//! The command line, as clap reads it. What the flags mean is decided in each command's own file.

#[cfg(feature = "live")]
mod live;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "live")]
pub use live::{Analyze, CacheBound, Doctor, Format, Gc, Network, Selftest};

/// Runs a suspicious container image in a sealed sandbox, watches it from the kernel, and gives a
/// verdict with the evidence.
#[derive(Debug, Parser)]
#[command(name = "lazaret", version, max_term_width = 80, after_help = EXIT_CODES)]
pub struct Cli {
    /// Where caches and runs are kept
    #[arg(
        long,
        global = true,
        env = "LAZARET_STATE",
        default_value = "/var/lib/lazaret",
        value_name = "DIR"
    )]
    pub state: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 pass · 1 fail · 2 usage or unusable input, nothing ran ·
            3 inconclusive · 4 review · 5 this host or lazaret itself failed";
const RULES_CODES: &str = "Exit codes: 0 good · 1 not · 2 usage or unusable input";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Detonate an image, judge it, report
    #[cfg(feature = "live")]
    #[command(after_help = EXIT_CODES)]
    Analyze(Box<Analyze>),
    /// Judge a recording again, with other rules or another policy
    #[command(after_help = EXIT_CODES)]
    Replay(Replay),
    /// Check, test and list rules; list what they may ask
    #[command(after_help = RULES_CODES)]
    Rules(Rules),
    /// What this host can see and do, and what it lacks
    #[cfg(feature = "live")]
    #[command(after_help = "Exit codes: 0 able to run and watch images · 5 unable")]
    Doctor(Doctor),
    /// Do small deeds in a sandbox, and say which of them were seen
    #[cfg(feature = "live")]
    #[command(after_help = "Exit codes: 0 all was seen · 1 something was not · 5 it could not be tried")]
    Selftest(Selftest),
    /// Remove what killed runs left behind, and layers that are no longer wanted
    #[cfg(feature = "live")]
    #[command(after_help = "Exit codes: 0 done · 5 something could not be removed")]
    Gc(Gc),
}

#[derive(Debug, Args)]
pub struct Replay {
    /// A run directory, or its report.json
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    #[command(flatten)]
    pub judging: Judging,
    /// Write the new report into this directory; made new, or empty
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// How events become a verdict, and how it is told.
#[derive(Debug, Args)]
pub struct Judging {
    /// Take the rules from here; may be given again (default: the shipped ones)
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    /// A shipped policy (default, strict, observe) or a file; may be given again, the worst result counts
    #[arg(long, value_name = "POLICY")]
    pub policy: Vec<PathBuf>,
    /// Findings that somebody answers for, until a date: a file of exceptions
    #[arg(long, value_name = "FILE")]
    pub exceptions: Option<PathBuf>,
    /// What goes to standard output
    #[arg(long, value_enum, default_value_t = Rendering::Human)]
    pub format: Rendering,
}

/// How a report is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rendering {
    /// Text for a terminal
    Human,
    /// The report itself
    Json,
    /// A summary for a merge request or a ticket
    Markdown,
}

#[derive(Debug, Args)]
pub struct Rules {
    #[command(subcommand)]
    pub command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Load rules and say what is wrong with them
    #[command(after_help = RULES_CODES)]
    Check {
        /// Folders of rules (default: the shipped ones)
        #[arg(value_name = "DIR")]
        rules: Vec<PathBuf>,
    },
    /// Run each rule over the recordings that must fire it and those that must not
    #[command(after_help = RULES_CODES)]
    Test {
        /// Folders of rules (default: the shipped ones)
        #[arg(value_name = "DIR")]
        rules: Vec<PathBuf>,
        /// Where the recordings lie, one folder for each rule
        #[arg(long, default_value = "fixtures/rules", value_name = "DIR")]
        fixtures: PathBuf,
        /// Write down what each firing recording finds now, in place of what was expected
        #[arg(long)]
        bless: bool,
        /// Write the results as JUnit XML
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// List the rules with level and technique
    List {
        /// Folders of rules (default: the shipped ones)
        #[arg(value_name = "DIR")]
        rules: Vec<PathBuf>,
    },
    /// List the fields that a rule may use
    Fields,
    /// Write an ATT&CK Navigator layer of the techniques that the rules name
    Coverage {
        /// Folders of rules (default: the shipped ones)
        #[arg(value_name = "DIR")]
        rules: Vec<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
