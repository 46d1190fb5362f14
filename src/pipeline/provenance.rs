//! Answers what only files can tell: which layer supplies a path, and what a program's bytes hash to.
//!
//! Paths come from the kernel already resolved, so no symbolic link is followed, in the layers or in
//! the writable one.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::event::{self, Inode, Origin};
use crate::image::{RootEntry, Rootfs};
use crate::normalise::{ImageEntry, Provenance};
use crate::sys::open;

/// Larger programs are not hashed: the run must not stand still for them.
const HASHED_MAX: u64 = 512 << 20;

/// The unpacked image and the run's writable layer.
pub struct Layers {
    rootfs: Rootfs,
    upper: File,
    digests: HashMap<Version, Option<[u8; 32]>>,
}

/// One content of one file: a file that is changed and run again is hashed again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Version {
    inode: u64,
    device: u64,
    size: u64,
    changed: (i64, i64),
}

impl Layers {
    /// `upper`: the overlay's writable directory.
    pub fn open(rootfs: Rootfs, upper: &Path) -> io::Result<Layers> {
        Ok(Layers { rootfs, upper: open::directory(upper)?, digests: HashMap::new() })
    }

    fn content(&self, file: &event::File) -> Option<File> {
        match file.origin {
            Origin::Layer(_) => Some(self.rootfs.open_file(&file.path)?.1),
            Origin::Written => open_written(&self.upper, &file.path, file.inode?),
            _ => None,
        }
    }
}

impl Provenance for Layers {
    fn layer_of(&mut self, path: &[u8]) -> Option<u16> {
        self.rootfs.layer_of(path)
    }

    fn entry_at(&mut self, path: &[u8]) -> ImageEntry {
        match self.rootfs.entry_at(path) {
            None => ImageEntry::Absent,
            Some(RootEntry::Link(target)) => ImageEntry::Link(target),
            Some(RootEntry::Directory) => ImageEntry::Directory,
            Some(RootEntry::Other) => ImageEntry::Other,
        }
    }

    fn digest_of(&mut self, file: &event::File) -> Option<[u8; 32]> {
        let opened = self.content(file)?;
        let metadata = opened.metadata().ok()?;
        let version = Version {
            inode: metadata.ino(),
            device: metadata.dev(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        *self.digests.entry(version).or_insert_with(|| sha256(opened, version.size))
    }
}

/// A file of the writable layer, if it is still the one the kernel spoke of: the overlay shows the
/// inode number of the file that lies in its upper layer (fs/overlayfs/inode.c, `ovl_map_dev_ino`).
fn open_written(upper: &File, path: &[u8], inode: Inode) -> Option<File> {
    let path = Path::new(OsStr::from_bytes(path.strip_prefix(b"/")?));
    let file = open::regular_beneath(upper, path).ok()?;
    (file.metadata().ok()?.ino() == inode.number).then_some(file)
}

/// `None` where the file is too large, cannot be read, or changes its length under our hands.
fn sha256(file: File, size: u64) -> Option<[u8; 32]> {
    if size > HASHED_MAX {
        return None;
    }
    let mut sum = Sha256::new();
    let read = io::copy(&mut file.take(HASHED_MAX), &mut Summing(&mut sum)).ok()?;
    (read == size).then(|| sum.finalize().into())
}

struct Summing<'a>(&'a mut Sha256);

impl io::Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
