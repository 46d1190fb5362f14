//! Removes what killed runs left behind.
//!
//! Touches only runs whose lock it could take: everybody who could still use anything of theirs is gone.
//! Two collectors and a starting run can meet: see [`super::state`].

use std::path::Path;

use nix::mount::{MntFlags, umount2};

use super::cgroup::Cgroups;
use super::state::state;
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

/// Groups first: what still ran in them could write to the files.
fn collect(run: RunDir) -> Result<(), SandboxError> {
    let cgroups = Cgroups::of(run.id())?;
    cgroups.remove()?;
    if let Some(left) = cgroups.left().first() {
        return Err(SandboxError::Left { id: run.id().to_string(), what: format!("cgroup {left:?}") });
    }
    unmount_below(run.path())?;
    run.remove()
}

/// Mounts lie in the helper's own namespace and die with it; one that was made here all the same would
/// make removal descend into it.
fn unmount_below(directory: &Path) -> Result<(), SandboxError> {
    let path = Path::new("/proc/self/mountinfo");
    let mounts = std::fs::read_to_string(path).map_err(state("read", path))?;
    let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
    for point in points.filter(|point| point.starts_with(directory)) {
        umount2(point, MntFlags::MNT_DETACH).map_err(|errno| state("unmount", point)(errno.into()))?;
    }
    Ok(())
}
