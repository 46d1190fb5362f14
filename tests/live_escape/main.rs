//! Ways out of the cage, tried one by one by programs of our own: each is refused, leaves the host as
//! it was, and stands in the report. Needs root.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)] // a part of it is used here
#[path = "../live_analyze/place.rs"]
mod place;

mod attempt;
mod calls;
mod files;
mod layers;
