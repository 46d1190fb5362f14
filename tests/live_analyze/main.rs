//! `lazaret analyze` and `replay` as a user calls them: every end, its exit code, what it says, and
//! that nothing is left. Needs root.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

#[path = "../support/mod.rs"]
mod support;

mod aliases;
mod capture;
mod changes;
mod ends;
mod errors;
mod evasions;
mod place;
mod routes;
mod said;
mod verdicts;
