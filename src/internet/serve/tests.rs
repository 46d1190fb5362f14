//! The servers, with real clients on the loopback.

mod hostile;
mod stage;
mod talk;
