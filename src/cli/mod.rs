//! (to be written)

pub mod rules;
