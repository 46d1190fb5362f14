//! The sandbox on a real kernel: what runs, what it sees, what it cannot do, what is left.
//!
//! Needs root, LAZARET_LIVE=1 and the Debian package busybox-static.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // Clippy knows test functions, but not those that they lean on.

mod cage;
mod end;
mod fixture;
mod plant;
mod refuse;
mod skip;
