//! What this host lets us build a cage of, learnt by looking and by trying.

use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

use super::cgroup::Cgroups;
use super::{RunId, StateDir};

/// Room that a run may need, for layers and for what the image writes.
const ROOM: u64 = 2 << 30;

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

/// Tries everything on this host. `state` is the state directory that runs would use.
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
        answer("the overlay file system", true, overlay(), "load the kernel module overlay"),
        answer(
            "a state directory of root's alone, with 2 GiB of room",
            true,
            room(state),
            "name another with --state, or make room",
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

fn overlay() -> Result<(), String> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let found = known.lines().any(|line| line.split_whitespace().last() == Some("overlay"));
    if found { Ok(()) } else { Err("the kernel does not list it in /proc/filesystems".into()) }
}

fn room(state: &Path) -> Result<(), String> {
    StateDir::open(state).map_err(text)?;
    let free = statvfs(state).map_err(|errno| errno.to_string())?;
    let bytes = free.blocks_available() * free.fragment_size();
    if bytes >= ROOM { Ok(()) } else { Err(format!("{} MiB are free", bytes >> 20)) }
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
