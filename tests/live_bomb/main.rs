//! Programs that use up whatever they can: the run ends in its time, says which limit was hit, and the
//! host is as it was. Needs root.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)] // a part of it is used here
#[path = "../live_analyze/place.rs"]
mod place;

mod bomb;
