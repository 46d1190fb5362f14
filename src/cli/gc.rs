//! `lazaret gc`: removes what killed runs left behind, and layers that are no longer wanted.

use std::path::Path;
use std::time::SystemTime;

use super::args::{CacheBound, Gc};
use super::failure::{Failure, Kind};
use crate::image::{Cache, Keep, Load};
use crate::sandbox::{self, StateDir};

pub fn run(args: &Gc, state: &Path) -> Result<u8, Failure> {
    let failed = |error| {
        Failure::new(Kind::Environment, format!("cannot clean up in {}", state.display())).because(error)
    };
    let directory =
        StateDir::open(state).map_err(|error| failed(error).hint("run as root, or name another --state"))?;
    let collected = sandbox::gc(&directory).map_err(failed)?;
    for id in &collected.runs {
        anstream::println!("removed what was left of run {id}");
    }
    if collected.runs.is_empty() && collected.failures.is_empty() {
        anstream::println!("nothing to remove");
    }
    if let Some(bound) = args.cache {
        shrink(state, bound)?;
    }
    match collected.failures.into_iter().next() {
        None => Ok(0),
        Some((id, error)) => {
            Err(Failure::new(Kind::Environment, format!("cannot remove what is left of run {id}"))
                .because(error)
                .hint("see what still uses it, then run lazaret gc again"))
        }
    }
}

fn shrink(state: &Path, bound: CacheBound) -> Result<(), Failure> {
    let keep = match bound {
        CacheBound::Bytes(bytes) => Keep::Bytes(bytes),
        // Older than any clock: nothing is.
        CacheBound::Age(age) => {
            Keep::Since(SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH))
        }
    };
    let shrunk = Cache::open(state).and_then(|cache| cache.shrink(keep)).map_err(|error| {
        Failure::new(Kind::Environment, format!("cannot shrink the cache in {}", state.display()))
            .because(error)
    })?;
    anstream::println!("removed {} of the cache; {} are left", told(shrunk.removed), told(shrunk.kept));
    if shrunk.in_use.layers > 0 {
        anstream::println!("kept {} only because a run uses them", told(shrunk.in_use));
    }
    Ok(())
}

fn told(Load { layers, bytes }: Load) -> String {
    format!("{layers} layer{} ({} MiB)", if layers == 1 { "" } else { "s" }, bytes >> 20)
}
