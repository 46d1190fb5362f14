//! `lazaret doctor`: what this host can see and do, learnt by trying, and what to do about the rest.

use std::path::Path;

use serde::Serialize;

use super::args::{Doctor, Format};
use super::failure::{self, Failure, Kind};
use crate::internet::netlink::has_ipv6;
use crate::pipeline::{capture, outside};
use crate::sandbox;
use crate::trace;

/// One thing that a run needs, or could use.
#[derive(Serialize)]
struct Check {
    what: String,
    needed: bool,
    /// Null where it works.
    refused: Option<String>,
    advice: String,
}

/// 0: able. 5: something that is needed does not work.
pub fn run(args: Doctor, state: &Path) -> Result<u8, Failure> {
    // First: what comes after it starts threads.
    let cage = sandbox::survey(state);
    let mut checks: Vec<Check> = trace::survey().into_iter().map(of_probe).collect();
    checks.push(captured());
    checks.push(simulated());
    checks.push(ipv6());
    checks.extend(cage.into_iter().map(of_cage));
    match args.format {
        Format::Human => checks.iter().for_each(print),
        Format::Json => print_json(&checks)?,
    }
    let missing = checks.iter().filter(|check| check.needed && check.refused.is_some()).count();
    if args.format == Format::Human {
        anstream::println!("\n{}", conclusion(missing));
    }
    Ok(if missing == 0 { 0 } else { failure::exit_code(Kind::Environment) })
}

fn of_probe(answer: trace::Answer) -> Check {
    let trace::Answer { what, needed, refused, advice } = answer;
    Check { what: what.into(), needed, refused, advice: advice.into() }
}

/// Without it a run goes on, but the family `process` is seen in part.
fn captured() -> Check {
    Check {
        what: "executed files can be kept before they run (fanotify)".into(),
        needed: false,
        refused: capture::refused(),
        advice: "run in the initial user namespace with CAP_SYS_ADMIN, on a kernel with \
            CONFIG_FANOTIFY_ACCESS_PERMISSIONS"
            .into(),
    }
}

/// Without it images run with `--network none` only.
fn simulated() -> Check {
    Check {
        what: "a simulated internet".into(),
        needed: false,
        refused: outside::refused(),
        advice: "load the kernel modules veth, nft_tproxy and nf_tables; allow user namespaces; else run \
            with --network none"
            .into(),
    }
}

/// Without it the image meets a world of IPv4.
fn ipv6() -> Check {
    Check {
        what: "IPv6 in the simulated internet".into(),
        needed: false,
        refused: (!has_ipv6()).then(|| "this kernel does without it (ipv6.disable=1)".into()),
        advice: "boot without ipv6.disable=1; else the image finds IPv4 only, and the report says so".into(),
    }
}

fn of_cage(answer: sandbox::Answer) -> Check {
    let sandbox::Answer { what, needed, refused, advice } = answer;
    Check { what: what.into(), needed, refused, advice: advice.into() }
}

fn print(check: &Check) {
    let word = match (&check.refused, check.needed) {
        (None, _) => "works  ",
        (Some(_), true) => "MISSING",
        (Some(_), false) => "absent ",
    };
    anstream::println!("{word}  {}", check.what);
    if let Some(refused) = &check.refused {
        anstream::println!("         why: {refused}");
        anstream::println!("         do:  {}", check.advice);
    }
}

fn print_json(checks: &[Check]) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(checks)
        .map_err(|error| Failure::new(Kind::Internal, "cannot write the checks as JSON").because(error))?;
    anstream::println!("{text}");
    Ok(())
}

fn conclusion(missing: usize) -> String {
    match missing {
        0 => "This host can run and watch images (tier B).".into(),
        1 => "This host cannot run images: one thing is missing.".into(),
        missing => format!("This host cannot run images: {missing} things are missing."),
    }
}
