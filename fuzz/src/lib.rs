//! What is fuzzed: one module for each reader of bytes that we did not write.
//!
//! Each has one function, `check`, that takes any bytes and panics where a promise is broken. The
//! programs in targets/ hand it to libFuzzer; tests/fuzz.rs of the product includes this very file and
//! hands it the seeds, so that what was found once stays found, without a fuzzer.

#[cfg(feature = "live")]
pub mod answer;
#[cfg(feature = "live")]
pub mod datagram;
#[cfg(feature = "live")]
pub mod dialogue;
pub mod dns;
pub mod escape;
#[cfg(feature = "live")]
pub mod hello;
#[cfg(feature = "live")]
pub mod http;
#[cfg(feature = "live")]
pub mod http2;
#[cfg(feature = "live")]
pub mod image;
pub mod log;
#[cfg(feature = "live")]
pub mod message;
pub mod policy;
#[cfg(feature = "live")]
pub mod program;
pub mod quarantine;
pub mod record;
#[cfg(feature = "live")]
pub mod reference;
#[cfg(feature = "live")]
pub mod resolver;
pub mod rule;
mod sample;
#[cfg(feature = "live")]
pub mod scan;
#[cfg(feature = "live")]
pub mod scenario;
#[cfg(feature = "live")]
pub mod tar;
pub mod testimony;
#[cfg(feature = "live")]
pub mod user;
#[cfg(feature = "live")]
mod world;
