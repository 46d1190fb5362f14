//! (to be written)

pub mod terminal;
