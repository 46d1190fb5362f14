//! `lazaret analyze` and `replay` as a user calls them: every end, its exit code, what it says, and
//! that nothing is left. Needs root.
#![cfg(feature = "live")]

#[path = "../support/mod.rs"]
mod support;

mod ends;
mod errors;
mod place;
mod verdicts;
