//! Unpacking for real: the unpacker process, its overlay, the cache. Needs root.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // the functions around the tests, too

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod content;
mod place;
mod refuse;
mod shrink;
mod unpacker;
