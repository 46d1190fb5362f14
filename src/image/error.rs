//! What can be wrong with an image.
//!
//! Three things are told apart, because they end differently: the image is unusable (malformed, or
//! not what its digests say), the image attacks who unpacks it, or this host failed. Texts name the
//! object and the rule it broke; hints are the command line's business.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::{Digest, Platform};

/// Which of the three ends an [`ImageError`] leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// Malformed, incomplete, for another machine, or not what its digests say.
    Unusable,
    /// It attacks who unpacks it: a path that climbs out, a link that escapes, a bomb.
    Hostile,
    /// The image may be good; this host could not read or unpack it.
    Host,
}

/// Why an image cannot be used: it, this host, or whoever stopped the work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    #[error("{text:?} is no image reference: {rule}")]
    Reference { text: OsString, rule: &'static str },
    #[error("the transport {transport:?} is not supported yet")]
    Transport { transport: String },
    #[error("no image at {path:?}")]
    NotFound { path: PathBuf },
    #[error("{path:?} has no image tagged {tag:?}; it has: {tags}")]
    NoSuchTag { path: PathBuf, tag: String, tags: String },
    #[error("{path:?} holds more than one image, name one of: {tags}")]
    Ambiguous { path: PathBuf, tags: String },
    #[error("the image is not for this machine: it is for {found}, not {wanted}")]
    Platform { wanted: Platform, found: String },

    #[error("{object} is not the JSON it should be")]
    Json { object: String, source: serde_json::Error },
    #[error("{object}: {rule}")]
    Rule { object: String, rule: String },
    #[error("{object} has the media type {media_type:?}, which is not supported")]
    MediaType { object: String, media_type: String },
    #[error("layer {digest} is a foreign layer: its content is not in the image")]
    ForeignLayer { digest: Digest },
    #[error("blob {digest} is missing")]
    MissingBlob { digest: Digest },
    #[error("{object} is not a regular file")]
    NotRegular { object: String },
    #[error("{object} has {actual} bytes instead of {expected}")]
    Size { object: String, expected: u64, actual: u64 },
    #[error("{object} has the digest {actual} instead of {expected}")]
    Digest { object: String, expected: Digest, actual: Digest },
    #[error("layer {layer} unpacks to the diff_id {actual} instead of {expected}")]
    DiffId { layer: Digest, expected: Digest, actual: Digest },
    #[error("layer {layer} cannot be read: {reason}")]
    Stream { layer: Digest, reason: String },
    #[error("layer {layer}, entry {path:?}: {rule}")]
    Entry { layer: Digest, path: PathBuf, rule: String },

    #[error("layer {layer} reaches outside the root, entry {path:?}: {rule}")]
    Escapes { layer: Digest, path: PathBuf, rule: String },
    #[error("layer {layer} is a bomb: {rule}")]
    Bomb { layer: Digest, rule: String },
    #[error(
        "layer {layer}, entry {path:?}: the attribute {name:?} would forge what the overlay file system keeps for itself"
    )]
    Forged { layer: Digest, path: PathBuf, name: String },

    /// Whoever watched the progress broke it off.
    #[error("unpacking was broken off")]
    Stopped,
    #[error("cannot {what}")]
    Io { what: String, source: io::Error },
    #[error("the unpacker of layer {layer} {reason}")]
    Unpacker { layer: Digest, reason: String },
}

impl ImageError {
    /// Whose fault it is, which decides the exit code.
    pub fn fault(&self) -> ImageFault {
        use ImageError::*;
        match self {
            Escapes { .. } | Bomb { .. } | Forged { .. } => ImageFault::Hostile,
            Io { .. } | Unpacker { .. } | Stopped => ImageFault::Host,
            _ => ImageFault::Unusable,
        }
    }

    /// True where the content attacks who unpacks it.
    pub fn is_hostile(&self) -> bool {
        self.fault() == ImageFault::Hostile
    }

    /// True where this host is at fault, not the image.
    pub fn is_host(&self) -> bool {
        self.fault() == ImageFault::Host
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> ImageError {
        let what = what.into();
        move |source| ImageError::Io { what, source }
    }

    pub(super) fn rule(object: impl Into<String>, rule: impl Into<String>) -> ImageError {
        ImageError::Rule { object: object.into(), rule: rule.into() }
    }
}
