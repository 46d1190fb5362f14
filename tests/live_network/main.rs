//! The simulated internet on a real kernel: everything answers, nothing gets out, nothing is left.
//!
//! Needs root, LAZARET_LIVE=1 and the Debian package busybox-static.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

#[path = "../support/mod.rs"]
mod support;

mod alone;
mod capture;
mod ends;
mod isolation;
#[path = "../live_analyze/place.rs"]
#[allow(dead_code)] // live_analyze uses all of it
mod place;
mod scenario;
mod services;
mod tools;
