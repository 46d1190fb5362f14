//! Removes what killed runs left behind.
//!
//! Touches only runs whose lock it could take: everybody who could still use anything of theirs is gone.
//! Two collectors and a starting run can meet: see [`super::state`].

use super::cgroup::Cgroups;
use super::{RunDir, SandboxError, StateDir};

/// What was found and done.
#[derive(Debug, Default)]
pub struct Collected {
    /// Ids of the runs that were cleaned up after.
    pub runs: Vec<String>,
    /// What could not be, by run id.
    pub failures: Vec<(String, SandboxError)>,
}

/// Cleans up after every dead run of `directory`. Finished runs that hold a report keep it.
pub fn gc(directory: &StateDir) -> Result<Collected, SandboxError> {
    let mut collected = Collected::default();
    for id in directory.run_names()? {
        match directory.take_dead(&id) {
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
