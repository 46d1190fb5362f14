//! What we were given: a reference, resolved once and pinned by digest; and its layers, unpacked.
//!
//! [`Reference`] → [`Image`] → [`Cache::unpack`] → [`Rootfs`]. Every byte read here was written by
//! someone who may want to harm who reads it. JSON documents are bounded and judged here; layers are
//! parsed in a process of their own ([`unpack`]), without network, in its own user namespace.
//!
//! [`Digest`] is plain data and exists without the feature `live`.

mod digest;
pub use digest::{Digest, DigestError};

#[cfg(feature = "live")]
mod live {
    pub use super::cache::{Cache, Keep, LAYER_ID_BASE, LAYER_ID_COUNT, Load, Progress, Shrunk};
    pub use super::config::Config;
    pub use super::error::{ImageError, ImageFault};
    pub use super::limits::Limits;
    pub use super::manifest::Compression;
    pub use super::open::{Image, Layer, Platform};
    pub use super::reference::{Place, Reference};
    pub use super::rootfs::{RootEntry, Rootfs, Skipped};
    #[doc(hidden)]
    pub use super::unpack::{hostile_unpacker_main, read_replies};
    pub use super::unpack::{is_unpacker, unpacker_main};
}
#[cfg(feature = "live")]
pub use live::*;

#[cfg(feature = "live")]
mod archive;
#[cfg(feature = "live")]
mod blob;
#[cfg(feature = "live")]
mod cache;
#[cfg(feature = "live")]
mod config;
#[cfg(feature = "live")]
mod docker;
#[cfg(feature = "live")]
mod error;
#[cfg(feature = "live")]
mod limits;
#[cfg(feature = "live")]
mod manifest;
#[cfg(feature = "live")]
mod open;
#[cfg(feature = "live")]
mod reference;
#[cfg(feature = "live")]
mod rootfs;
/// Public for the fuzzer alone, which has no other way to the reader: layers are read in another process.
#[cfg(feature = "live")]
#[doc(hidden)]
pub mod tar;
#[cfg(feature = "live")]
mod tree;
#[cfg(feature = "live")]
mod unpack;
