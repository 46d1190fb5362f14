//! The servers, with real clients on the loopback.

mod carry;
mod datagram;
mod hostile;
mod stage;
mod talk;
