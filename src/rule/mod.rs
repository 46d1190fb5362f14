//! (to be written)

pub mod attack;
pub mod yaml;
