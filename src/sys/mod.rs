//! The system calls that need `unsafe`, one file per kind. Nothing here knows what they are for.

pub mod bpf;
pub mod ring;
