//! (to be written)

pub mod yaml;
