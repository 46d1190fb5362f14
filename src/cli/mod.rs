//! (to be written)

pub mod rules;
pub mod terminal;
