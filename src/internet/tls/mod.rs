//! Certificates of the run.

mod authority;

pub use authority::Authority;
