//! `lazaret rules check | test | list | fields | coverage`: for those who write rules.
//!
//! Needs no privileges. Each function does one command, writes its result to `out`, and says with
//! [`Outcome`] whether all was good; arguments and exit codes are its caller's.

mod coverage;
mod fixture;
mod junit;
mod page;

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use super::args;
use super::failure::{Failure, Kind};
use crate::report::log::LogError;
use crate::rule::{
    Rule, RuleError, RuleSet, Word,
    field::{self, Category, Field},
};
use crate::yaml;

pub use coverage::coverage;
pub use fixture::{Expected, test};

/// Does one of the commands. 0: the rules are good. 1: they are not.
pub fn run(args: args::Rules) -> Result<u8, Failure> {
    use args::RulesCommand::*;
    let out = &mut anstream::stdout();
    let is_terminal = io::stdout().is_terminal();
    let outcome = match args.command {
        Check { rules } => check(&rules, out),
        Test { rules, fixtures, bless, junit } => {
            let expected = if bless { Expected::Write } else { Expected::Compare };
            test(&rules, &fixtures, expected, junit.as_deref(), out)
        }
        List { rules } if is_terminal => page::list(&rules, out),
        List { rules } => list(&rules, out),
        Fields if is_terminal => page::fields(out),
        Fields => fields(None, out),
        Coverage { rules } => coverage(&rules, out),
    };
    match outcome {
        Ok(Outcome::Good) => Ok(0),
        Ok(Outcome::Bad) => Ok(1),
        Err(RulesError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(error.into()),
    }
}

impl From<RulesError> for Failure {
    fn from(error: RulesError) -> Failure {
        let hint = match error {
            RulesError::Read { .. } | RulesError::NoRules { .. } | RulesError::TooMany { .. } => {
                "name folders of rules, or rule files; without any, the shipped rules are taken"
            }
            RulesError::Rules(_) => "mend the line named above; lazaret rules check tells every problem",
            RulesError::Recording { .. } => "rules/README.md says what a recording holds",
            RulesError::WriteFile { .. } | RulesError::Write(_) => {
                "see that there is room, and that the place is writable"
            }
        };
        Failure::new(Kind::Usage, "cannot use the rules").because(error).hint(hint)
    }
}

/// What a command came to: exit 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Good,
    Bad,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    #[error("cannot read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path:?}")]
    WriteFile { path: PathBuf, source: io::Error },
    #[error("{path:?} holds no rule file (*.yaml)")]
    NoRules { path: PathBuf },
    #[error("{path:?} is nested too deeply, or holds more than {FILES_MAX} files")]
    TooMany { path: PathBuf },
    #[error("{}", first_of(.0))]
    Rules(Vec<RuleError>),
    #[error("recording {path:?} cannot be read")]
    Recording { path: PathBuf, source: LogError },
    #[error("cannot write the result")]
    Write(#[from] io::Error),
}

/// More rule files than anyone writes.
const FILES_MAX: usize = 20_000;
/// Deepest folder below a rule directory.
const DEPTH_MAX: usize = 8;

/// The first problem, and how many there are besides.
fn first_of(problems: &[RuleError]) -> String {
    match problems {
        [] => "unknown problem".into(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// Loads the rules below some directories; none given: the shipped ones.
pub fn load(directories: &[PathBuf]) -> Result<RuleSet, RulesError> {
    if directories.is_empty() {
        return Ok(RuleSet::shipped());
    }
    let mut files = Vec::new();
    for directory in directories {
        let before = files.len();
        collect(directory, 0, &mut files)?;
        if files.len() == before {
            return Err(RulesError::NoRules { path: directory.clone() });
        }
    }
    let contents = files.into_iter().map(|path| {
        let bytes = read(&path)?;
        Ok((path.display().to_string(), bytes))
    });
    let contents = contents.collect::<Result<Vec<_>, RulesError>>()?;
    RuleSet::load(contents).map_err(RulesError::Rules)
}

/// Finds rule files in the order of their names. Hidden ones are left out.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), RulesError> {
    if depth > DEPTH_MAX || files.len() > FILES_MAX {
        return Err(RulesError::TooMany { path: path.to_owned() });
    }
    let is_rule = |path: &Path| path.extension().is_some_and(|it| it == "yaml" || it == "yml");
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in entries(path)? {
        let hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && (entry.is_dir() || is_rule(&entry)) {
            collect(&entry, depth + 1, files)?;
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, RulesError> {
    let failed = |source| RulesError::Read { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut paths: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// Reads a whole file, and at most one byte more than a rule may have.
fn read(path: &Path) -> Result<Vec<u8>, RulesError> {
    let failed = |source| RulesError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let mut bounded = fs::File::open(path).map_err(failed)?.take(yaml::BYTES_MAX as u64 + 1);
    bounded.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// `rules check`: tells every problem, each with file, line and what was probably meant.
pub fn check(directories: &[PathBuf], out: &mut dyn Write) -> Result<Outcome, RulesError> {
    match load(directories) {
        Ok(rules) => {
            writeln!(out, "{} rules, no problem", rules.rules().len())?;
            Ok(Outcome::Good)
        }
        Err(RulesError::Rules(errors)) => {
            for error in &errors {
                writeln!(out, "{error}")?;
            }
            let files: std::collections::BTreeSet<_> = errors.iter().map(|error| &error.file).collect();
            writeln!(out, "{} problems in {} files", errors.len(), files.len())?;
            Ok(Outcome::Bad)
        }
        Err(error) => Err(error),
    }
}

/// `rules list`: one line per rule, for programs; people read [`page::list`].
pub fn list(directories: &[PathBuf], out: &mut dyn Write) -> Result<Outcome, RulesError> {
    let rules = load(directories)?;
    let longest = rules.rules().iter().map(|rule| rule.name.len()).max().unwrap_or(0);
    for rule in rules.rules() {
        writeln!(
            out,
            "{:longest$}  {:13}  {:9}  {:16}  {:20}  {}",
            rule.name,
            rule.level.name(),
            rule.class.name(),
            rule.kind(),
            techniques(rule),
            rule.title
        )?;
    }
    Ok(Outcome::Good)
}

fn techniques(rule: &Rule) -> String {
    let ids: Vec<&str> = rule.techniques.iter().map(|technique| technique.id.as_str()).collect();
    ids.join(" ")
}

/// `rules fields`: every field a rule may name, with type, categories and meaning; people read [`page::fields`].
pub fn fields(category: Option<Category>, out: &mut dyn Write) -> Result<Outcome, RulesError> {
    let wanted = |field: &&Field| category.is_none_or(|category| field.categories.contains(&category));
    for field in field::fields().filter(wanted) {
        writeln!(out, "{:24} {:14} {}", field.name, kind(field), field.doc)?;
        writeln!(out, "{:24} {:14} in {}", "", "", categories(field))?;
    }
    Ok(Outcome::Good)
}

fn kind(field: &Field) -> &'static str {
    if field.is_list() { "list of texts" } else { field.kind().name() }
}

fn categories(field: &Field) -> String {
    let names: Vec<&str> = field.categories.iter().map(|category| category.name()).collect();
    names.join(", ")
}
