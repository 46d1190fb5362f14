//! Rules, policies and exceptions as the command line names them: shipped, or files.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;

use super::args::Judging;
use super::failure::{Failure, Kind};
use super::rules;
use crate::image::Digest;
use crate::pipeline::judge::Judgement;
use crate::report::document::{Inputs, Named};
use crate::report::escape;
use crate::rule::RuleSet;
use crate::verdict::{Exception, Policy, parse_exceptions, shipped};

/// Larger policies and files of exceptions are not read.
const POLICY_MAX: u64 = 1 << 20;

/// What a run is judged by, and under what names and digests.
pub struct Loaded {
    pub rules: RuleSet,
    pub judgement: Judgement,
    pub inputs: Inputs,
}

/// Loads everything that judging needs.
pub fn load(args: &Judging) -> Result<Loaded, Failure> {
    let rules = rules::load(&args.rules)?;
    let policies = policies(args)?;
    let (named, exceptions) = args.exceptions.as_deref().map(exceptions).transpose()?.unzip();
    let inputs = Inputs {
        policy: policies[0].0.clone(),
        profile: "default".into(),
        rules: vec![named_rules(args, &rules)],
        attack_version: crate::rule::attack::VERSION.into(),
        exceptions: named,
        world: None,
    };
    let judgement = Judgement { policies, exceptions: exceptions.unwrap_or_default(), now: Timestamp::now() };
    Ok(Loaded { rules, judgement, inputs })
}

fn named_rules(args: &Judging, rules: &RuleSet) -> Named {
    let names: Vec<String> = args
        .rules
        .iter()
        .map(|path| escape::text(path.as_os_str().as_encoded_bytes()).into_owned())
        .collect();
    let name = if names.is_empty() { "shipped".into() } else { names.join(" ") };
    Named { name, digest: Digest::from(rules.digest()).to_string() }
}

fn policies(args: &Judging) -> Result<Vec<(Named, Policy)>, Failure> {
    let default = [Path::new("default").to_owned()];
    let names = if args.policy.is_empty() { &default[..] } else { &args.policy };
    names.iter().map(|name| policy(name)).collect()
}

fn policy(name: &Path) -> Result<(Named, Policy), Failure> {
    let what = || format!("cannot use the policy {}", name.display());
    let bytes = match name.to_str().and_then(shipped) {
        Some(text) => text.as_bytes().to_vec(),
        None => read(name, POLICY_MAX).map_err(|error| {
            Failure::new(Kind::Usage, what())
                .because(error)
                .hint("name a shipped policy (default, strict, observe) or a policy file")
        })?,
    };
    let policy = Policy::parse(&name.display().to_string(), &bytes).map_err(|error| {
        Failure::new(Kind::Usage, what()).because(error).hint("mend the line named above")
    })?;
    Ok((Named { name: policy.name.clone(), digest: digest(&bytes) }, policy))
}

fn exceptions(path: &Path) -> Result<(Named, Vec<Exception>), Failure> {
    let what = || format!("cannot use the exceptions {}", path.display());
    let bytes = read(path, POLICY_MAX).map_err(|error| {
        Failure::new(Kind::Usage, what()).because(error).hint("name a file of exceptions")
    })?;
    let exceptions = parse_exceptions(&path.display().to_string(), &bytes).map_err(|error| {
        Failure::new(Kind::Usage, what()).because(error).hint("mend the line named above")
    })?;
    let name = escape::text(path.as_os_str().as_encoded_bytes()).into_owned();
    Ok((Named { name, digest: digest(&bytes) }, exceptions))
}

/// Opens a regular file for reading. Never waits for a FIFO's other end.
pub fn regular(path: &Path) -> io::Result<File> {
    const O_NONBLOCK: i32 = 0o4000;
    let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// A small regular file, whole. Never reads more than `bound`.
pub fn read(path: &Path, bound: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    regular(path)?.take(bound + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bound {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {bound} bytes")));
    }
    Ok(bytes)
}

/// `sha256:…`
pub fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}
