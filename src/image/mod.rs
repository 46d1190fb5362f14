//! What we were given: a reference, resolved once and pinned by digest.

mod config;
pub use config::Config;
