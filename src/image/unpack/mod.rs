//! The unpacker: a process of its own that turns one layer's blob into one directory.
//!
//! ```text
//! runner                                 unpacker (same binary, other argv[0])
//!   start in a new pid namespace,
//!   blob as descriptor 0         ──────▶  unshare user, mount, net, ipc, uts
//!   write id maps, send Job      ──────▶  mount parents as overlay, make it the root,
//!                                         landlock, seccomp
//!   show progress                ◀──────  decompress → digest → apply, entry by entry
//!   check the digests            ◀──────  one Reply, then exit
//! ```
//!
//! It owns nothing on the host: its ids are a range of their own ([`super::LAYER_ID_BASE`]), its
//! root is the merged tree, its descriptors are the blob, the conversation and the upper directory.
//! By its filter ([`crate::sys::allow`]) it cannot signal, trace, start or look into a process, nor make
//! a socket or a mount; it sees no process but itself; no path leads from its root to another tree, since
//! the host's is detached and no `/proc` lies in it, and landlock would refuse one that did.
//! tests/live_unpacker puts a hostile program in its place.
//! What it says is length-checked, and its digests decide only together with those of the image.

mod apply;
mod confine;
mod root;
mod run;
mod start;
mod stream;
mod whiteout;

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Compression, Digest};

pub use run::{hostile_unpacker_main, is_unpacker, unpacker_main};
pub use start::{Input, Unpacker};

/// Bound to what the unpacker does to the bytes: raise it when the same layer would come out
/// different, so that no entry of an older cache is taken for a new one.
pub const FORMAT: u32 = 1;

/// `argv[0]` of the unpacker.
const NAME: &str = "lazaret-unpacker";

const FRAME_MAX: u32 = 256 * 1024;

/// Inside a cache entry: the layer's own directory.
pub const FS: &str = "fs";
/// Inside an entry in the making: where the unpacker mounts. It owns this and `fs`, nothing else.
pub const MOUNT: &str = "mnt";
pub const MERGED: &str = "merged";
pub const WORK: &str = "work";

#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Where the blob begins in the file at descriptor 0; `None`: that is a pipe.
    pub offset: Option<u64>,
    pub size: u64,
    pub compression: Compression,
    /// `None`: only read the stream and digest it.
    pub target: Option<Target>,
    pub bounds: Bounds,
}

/// Directories, relative to the cache, which is the unpacker's working directory at its start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Target {
    /// The parents' directories, from the bottom up.
    pub parents: Vec<String>,
    /// The entry in the making.
    pub entry: String,
}

/// What this layer may still use of the image's limits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Bounds {
    pub bytes: u64,
    pub entries: u64,
    pub ratio: u64,
    pub path: usize,
}

/// What a layer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Of the decompressed stream.
    pub bytes: u64,
    pub entries: u64,
    /// Device nodes, which are not made.
    pub devices: u64,
    /// Sockets of a bare tree; a tar has none.
    pub sockets: u64,
    /// Attributes not set: labels of security modules, and what this kernel refuses.
    pub attributes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// In its namespaces; the id maps may be written.
    Unshared,
    /// Bytes of the blob read so far.
    Progress(u64),
    Done {
        blob: Digest,
        diff_id: Digest,
        tally: Tally,
    },
    /// `blob`: what the whole blob digests to, where it could be read to its end.
    Refused {
        blob: Option<Digest>,
        refusal: Refusal,
    },
}

/// Why a layer was not unpacked. Paths are bytes of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    Stream { reason: String },
    Entry { path: Vec<u8>, rule: String },
    Escapes { path: Vec<u8>, rule: String },
    Bomb { rule: String },
    Forged { path: Vec<u8>, name: String },
    Host { what: String, errno: i32 },
}

/// Everything an unpacker could say, read as the runner reads it. For the fuzzer alone.
pub fn read_replies(bytes: &[u8]) {
    let mut from = bytes;
    while let Ok(Some(message)) = receive::<Message>(&mut from) {
        let mut again = Vec::new();
        send(&mut again, &message).expect("memory takes it");
        let read = receive::<Message>(&again[..]).expect("our own message").expect("a message");
        assert_eq!(format!("{read:?}"), format!("{message:?}"));
    }
}

fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    to.write_all(&[&length.to_le_bytes()[..], &body].concat())
}

/// `None` where the other side is gone.
fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let length = u32::from_le_bytes(length);
    if length > FRAME_MAX {
        return Err(io::Error::other("a message is longer than the limit"));
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}
