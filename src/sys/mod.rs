//! The system calls that need care: one file per kind.

pub mod allow;
pub mod open;
pub mod remove;
pub mod xattr;
