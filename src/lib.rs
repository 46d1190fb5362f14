//! Lazaret runs a suspicious container image in a sealed sandbox, watches it from the kernel, and
//! gives a verdict with the evidence.
//!
//! ```text
//! Image → Rootfs → Sandbox → Record → Event → Finding → Verdict → Report
//! ```
//!
//! Only values pass between stages. The modules stand in reading order; each may use only those
//! above it, and [`sys`]. The feature `live` (on by default) holds what needs privileges; without
//! it the core still reads recordings, tests rules and judges again.

#[cfg(feature = "live")]
pub mod sys;

pub mod event;

pub mod yaml;

pub mod image;

#[cfg(feature = "live")]
pub mod sandbox;

#[cfg(feature = "live")]
pub mod bait;

pub mod internet;

#[cfg(feature = "live")]
pub mod trace;

pub mod record;

pub mod normalise;

pub mod reconcile;

pub mod rule;

pub mod verdict;

pub mod report;

pub mod pipeline;

pub mod cli;
