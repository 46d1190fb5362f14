//! Descriptors in a tokio event loop.
#![allow(unsafe_code)] // tokio (1.54) has no safe way to register a descriptor.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a copy of `descriptor`, to be told when it can be read. Reading stays with its owner, and must
/// not block.
pub fn watch(descriptor: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    let copy = descriptor.try_clone_to_owned()?;
    // SAFETY: the copy is open, is owned by the `AsyncFd` from here on, and an `OwnedFd` gives the same
    // number until it is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(copy, Interest::READABLE) };
    registered.map_err(|error| error.into())
}
