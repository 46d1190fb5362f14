//! `lazaret doctor`: what this host can see and do, learnt by trying, and what to do about the rest.

use std::path::Path;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::args::{Doctor, Format};
use super::failure::{self, Failure, Kind};
use super::terminal::Page;
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
        Format::Human => anstream::print!("{}", render(&checks)),
        Format::Json => print_json(&checks)?,
    }
    Ok(if missing(&checks) == 0 { 0 } else { failure::exit_code(Kind::Environment) })
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

/// Text for a person.
fn render(checks: &[Check]) -> String {
    let mut page = Page::new();
    for check in checks {
        let (style, word) = match (&check.refused, check.needed) {
            (None, _) => (AnsiColor::Green.on_default(), "works"),
            (Some(_), true) => (AnsiColor::Red.on_default().bold(), "MISSING"),
            (Some(_), false) => (AnsiColor::Yellow.on_default(), "absent"),
        };
        page.entry(style, word, &check.what);
        if let Some(refused) = &check.refused {
            page.entry(Style::new(), "  why:", refused);
            page.entry(Style::new(), "  do:", &check.advice);
        }
    }
    page.blank();
    page.text(&conclusion(missing(checks)));
    page.finish()
}

fn missing(checks: &[Check]) -> usize {
    checks.iter().filter(|check| check.needed && check.refused.is_some()).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_cause_and_advice_within_eighty_columns() {
        let check = |what: &str, refused: Option<&str>| Check {
            what: what.into(),
            needed: true,
            refused: refused.map(str::to_owned),
            advice: "name another directory with --state, or make room; ".repeat(3),
        };
        let text = render(&[check("root", None), check("room", Some("\u{1b}[2J is full"))]);
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.starts_with("works     root\nMISSING   room\n  why:    "), "{text}");
        assert!(text.ends_with("\n\nThis host cannot run images: one thing is missing.\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80) && !text.contains('\u{1b}'), "{text}");
    }
}
