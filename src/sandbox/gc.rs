//! Removes what killed runs left behind.
//!
//! Touches only runs whose lock it could take: everybody who could still use anything of theirs is gone.
//! Two collectors and a starting run can meet: see [`super::state`].

use std::time::{Duration, Instant};

use super::cgroup::Cgroups;
use super::state::Found;
use super::{RunDir, SandboxError, StateDir};

/// What was found and done.
#[derive(Debug, Default)]
pub struct Collected {
    /// Ids of the runs that were cleaned up after.
    pub runs: Vec<String>,
    /// What could not be, by run id.
    pub failures: Vec<(String, SandboxError)>,
}

/// How long the processes of a run may take to follow a runner that was killed.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Cleans up after every dead run of `directory`; waits, within bounds, for those that are dying.
/// Finished runs that hold a report keep it.
pub fn gc(directory: &StateDir) -> Result<Collected, SandboxError> {
    let mut collected = Collected::default();
    let until = Instant::now() + PATIENCE;
    for id in directory.run_names()? {
        match take(directory, &id, until) {
            Ok(None) => {}
            Ok(Some(run)) => match collect(run) {
                Ok(()) => collected.runs.push(id),
                Err(error) => collected.failures.push((id, error)),
            },
            Err(error) => collected.failures.push((id, error)),
        }
    }
    Ok(collected)
}

fn take(directory: &StateDir, id: &str, until: Instant) -> Result<Option<RunDir>, SandboxError> {
    loop {
        match directory.take_dead(id)? {
            Found::Nothing | Found::Alive => return Ok(None),
            Found::Dead(run) => return Ok(Some(run)),
            Found::Dying if Instant::now() < until => std::thread::sleep(PAUSE),
            Found::Dying => {
                let what = "a process of it, long after its runner".to_owned();
                return Err(SandboxError::Left { id: id.to_owned(), what });
            }
        }
    }
}

/// Groups first: what still ran in them could write to the files. There is nothing to unmount: all mounts
/// lay in the helper's own namespace and died with it (one that somebody else put there is an error).
fn collect(run: RunDir) -> Result<(), SandboxError> {
    let cgroups = Cgroups::of(run.id())?;
    cgroups.remove()?;
    if let Some(left) = cgroups.left().first() {
        return Err(SandboxError::Left { id: run.id().to_string(), what: format!("cgroup {left:?}") });
    }
    run.remove()
}
