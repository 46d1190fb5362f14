//! System calls that neither `std` nor `nix` offers safely: one file per kind. Each function is a thin,
//! total wrapper; what the calls are for is said by the stages that use them.
//!
//! Not here: policy. Only this module opens `unsafe`.

pub mod allow;
pub mod bpf;
pub mod fanotify;
pub mod mount;
pub mod net;
pub mod notify;
pub mod open;
pub mod packet;
pub mod process;
pub mod ready;
pub mod remove;
pub mod ring;
pub mod seccomp;
pub mod socket;
pub mod xattr;
