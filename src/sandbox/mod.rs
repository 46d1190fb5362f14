//! The cage: an image's first process, made, held, watched, started, ended, and cleaned up after.
//!
//! ```text
//! Options + Config → Plan → create → HeldSandbox → start(watcher) → RunningSandbox → end → Remains
//! ```
//!
//! ```no_run
//! # use lazaret::{image::Config, sandbox::*};
//! # fn story(config: &Config, layers: &Layers, watcher: &impl Watcher) -> Result<(), Box<dyn std::error::Error>> {
//! let program = SealedProgram::of_this_process()?;
//! let state = StateDir::open("/var/lib/lazaret".as_ref())?;
//! let id = RunId::random()?;
//! let plan = Plan::new(config, &Options::default(), &id)?;
//! let held = create(&program, &plan, layers, state.new_run(&id)?)?;
//! let running = held.start(watcher)?;
//! while running.next_status()? != Some(Status::Gone) { /* wait for running.status_fd() */ }
//! let remains = running.end()?; // everything is gone but the files in remains.upper()
//! remains.remove()?;
//! # Ok(()) }
//! ```
//!
//! Three processes stand between the runner and the image, all of them copies of this program in a sealed
//! memory file, so that nothing of the image can reach the file that the runner itself runs from:
//!
//! - the *guard*, a child of the runner that dies with it and takes the rest along;
//! - the *helper*, PID 1 of a pid namespace and owner of a mount namespace of its own: it mounts the root,
//!   and lets libcontainer build the container ([`helper`], [`rootfs`], [`spec`]);
//! - the *init*, PID 1 of the container: it resolves user and program inside the cage, shuts the last
//!   doors, forks the program and reaps until no task is left ([`init`]).
//!
//! Invariants: no start without a watcher, by types; the run directory's lock is taken before the first
//! resource and held by runner and helper alike; all mounts live in the helper's namespace and die with
//! it; after a SIGKILL of the runner only empty cgroup directories and the run directory remain, which
//! [`gc`] collects; every name that another run could meet carries the run's id.
//!
//! Not here: what is watched ([`crate::trace`]), when to stop and how much output to keep
//! ([`crate::pipeline`]). `libcontainer` is named only in this module.

mod calls;
mod cgroup;
mod codec;
mod copy;
mod create;
mod disk;
mod errand;
mod error;
mod gc;
mod helper;
mod init;
mod message;
mod order;
mod plan;
mod plant;
mod planting;
mod program;
/// Public for the fuzzer alone.
#[doc(hidden)]
pub mod reader;
mod remove;
mod rootfs;
mod running;
mod seccomp;
mod skip;
mod spec;
mod state;
mod survey;
mod user;
pub mod visit;

pub use cgroup::LimitHit;
pub use copy::SealedProgram;
pub use create::{HeldSandbox, Layers, Target, Watcher, create};
pub use disk::{DiskMeter, DiskUse};
pub use error::SandboxError;
pub use gc::{Collected, gc};
pub use helper::helper_main_if_asked;
pub use message::{Reason, Refusal, Status};
pub use plan::{Limits, Network, Options, Plan, PlanError, Sleeps};
pub use plant::{How, Plant, Planted};
pub use running::{Remains, RunningSandbox};
pub use seccomp::refuses;
pub use skip::Skip;
pub use state::{DISK_FLOOR, LAYER_IDS, RANGE, RunDir, RunId, StateDir};
pub use survey::{Answer, survey};
