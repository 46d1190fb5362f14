//! What an image may be made of, good and bad, given to `lazaret analyze`; and its hostile text, in every
//! output. Needs root.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)] // a part of it is used here
#[path = "../live_analyze/place.rs"]
mod place;

mod image;
mod text;
