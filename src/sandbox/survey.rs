//! What this host lets us build a cage of, learnt by looking and by trying.

use std::fs;
use std::path::Path;

use nix::unistd::geteuid;

use super::cgroup::Cgroups;
use super::helper::Failure;
use super::{Limits, RunId, StateDir, rootfs};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub what: &'static str,
    /// Without it no image can be run.
    pub needed: bool,
    /// Why it does not work; `None` if it does.
    pub refused: Option<String>,
    /// What to do about it.
    pub advice: &'static str,
}

/// Tries everything on this host. `state` is the state directory that runs would use. The process must have
/// one thread.
pub fn survey(state: &Path) -> Vec<Answer> {
    let answer = |what, needed, result: Result<(), String>, advice| Answer {
        what,
        needed,
        refused: result.err(),
        advice,
    };
    vec![
        answer("root", true, root(), "run as root"),
        answer(
            "a cgroup v2 group that can be made, frozen and killed",
            true,
            group(),
            "mount the cgroup2 file system; kernel 5.14 or later",
        ),
        answer(
            "limits for memory, processors and tasks",
            true,
            limits(),
            "enable the controllers memory, cpu and pids, in v1 or v2",
        ),
        answer(
            "user namespaces",
            true,
            user_namespaces(),
            "set the sysctl user.max_user_namespaces above zero",
        ),
        answer(
            "a state directory of root's alone, with room for a run",
            true,
            room(state),
            "name another with --state, or make room; a run with less --disk needs less",
        ),
        answer(
            "an overlay with shifted ids on the state directory",
            true,
            overlay(state),
            "have the kernel module overlay; name a directory with --state that lies on ext4, xfs or btrfs",
        ),
    ]
}

fn root() -> Result<(), String> {
    let id = geteuid();
    if id.is_root() { Ok(()) } else { Err(format!("the effective user id is {id}")) }
}

fn group() -> Result<(), String> {
    let groups = RunId::random().and_then(|run| Cgroups::of(&run)).map_err(text)?;
    let tried = groups
        .make()
        .and_then(|()| groups.freeze())
        .and_then(|()| groups.thaw())
        .and_then(|()| groups.kill());
    let removed = groups.remove();
    tried.and(removed).map_err(text)
}

fn limits() -> Result<(), String> {
    let groups = RunId::random().and_then(|run| Cgroups::of(&run)).map_err(text)?;
    let missing: Vec<&str> = ["memory", "cpu", "pids"].into_iter().filter(|name| !groups.has(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no controller for {}", missing.join(", "))) }
}

fn user_namespaces() -> Result<(), String> {
    let path = "/proc/sys/user/max_user_namespaces";
    let allowed = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    if allowed.trim() == "0" { Err(format!("{path} is 0")) } else { Ok(()) }
}

/// The kernel loads a module for a file system that is mounted: /proc/filesystems does not tell before.
fn overlay(state: &Path) -> Result<(), String> {
    let run = StateDir::open(state).and_then(|state| state.new_run(&RunId::random()?)).map_err(text)?;
    let tried = rootfs::trial(&run.path().join("fs"), run.id_base());
    let removed = run.remove().map_err(text);
    match tried {
        Ok(()) => removed,
        Err(Failure::Step { detail, .. }) => Err(format!("cannot {detail}")),
        Err(Failure::Hostile { what }) => Err(what),
    }
}

fn room(state: &Path) -> Result<(), String> {
    let needed = Limits::default().disk.unwrap_or(0);
    StateDir::open(state).and_then(|state| state.check_room(needed)).map_err(text)
}

/// An error with its causes, in one line.
fn text(error: impl std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    line
}
