//! The image is made to act: long sleeps end early, ports are called at, commands run inside; and what
//! must not be touched is not. Needs root, and a C compiler for the programs that sleep.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)] // a part of it is used here
#[path = "../live_analyze/place.rs"]
mod place;

mod commands;
mod ports;
mod sleeps;
