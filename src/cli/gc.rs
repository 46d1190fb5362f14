//! `lazaret gc`: removes what killed runs left behind.

use std::path::Path;

use super::failure::{Failure, Kind};
use crate::sandbox::{self, StateDir};

pub fn run(state: &Path) -> Result<u8, Failure> {
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
    match collected.failures.into_iter().next() {
        None => Ok(0),
        Some((id, error)) => {
            Err(Failure::new(Kind::Environment, format!("cannot remove what is left of run {id}"))
                .because(error)
                .hint("see what still uses it, then run lazaret gc again"))
        }
    }
}
