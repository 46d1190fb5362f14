//! Descriptors in tokio's event loop.
#![allow(unsafe_code)] // AsyncFd asks for a promise about its descriptor that the type system cannot see.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for `descriptor` to be readable. Watches a copy of it, which the waiter owns; reading is done
/// through the original. Inside a runtime.
pub fn readable(descriptor: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    let copy = descriptor.try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` is open until it is dropped, is always the same descriptor, and the `AsyncFd`
    // owns this one.
    Ok(unsafe { AsyncFd::register_with_interest(copy, Interest::READABLE) }?)
}
