//! Answers what only files can tell: which layer supplies a path, and what a program's bytes hash to.
//!
//! What was made or changed in the run was hashed before it ran ([`super::capture`]). What a layer holds
//! cannot change, and is hashed here; paths come from the kernel already resolved, so no symbolic link is
//! followed. A memory file is read through the process that runs it, if that still does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::capture::{Book, Key, sha256};
use crate::event::{self, Inode, Origin};
use crate::image::{RootEntry, Rootfs};
use crate::normalise::{ImageEntry, Provenance, Start, Supplied};
use crate::sys::open;

/// The unpacked image, and what was captured of the run.
pub struct Layers {
    rootfs: Rootfs,
    upper: File,
    /// `None` where this host cannot capture.
    book: Option<Arc<Book>>,
    /// Of the layers' files, by device and inode.
    digests: HashMap<(u64, u64), Option<[u8; 32]>>,
    /// Programs made in the run that ran without their hash being known.
    unhashed: u64,
    supplied: Vec<Supplied>,
}

impl Layers {
    /// `upper`: the overlay's writable directory. `supplied`: the files that were planted.
    pub fn open(
        rootfs: Rootfs,
        upper: &Path,
        book: Option<Arc<Book>>,
        supplied: Vec<Supplied>,
    ) -> io::Result<Layers> {
        let (upper, digests) = (open::directory(upper)?, HashMap::new());
        Ok(Layers { rootfs, upper, book, digests, unhashed: 0, supplied })
    }

    pub fn rootfs(&self) -> &Rootfs {
        &self.rootfs
    }

    pub fn book(&self) -> Option<&Book> {
        self.book.as_deref()
    }

    /// Programs made in the run that ran without their hash being known.
    pub fn unhashed(&self) -> u64 {
        self.unhashed
    }

    fn of_layer(&mut self, path: &[u8]) -> Option<[u8; 32]> {
        let (_, mut file) = self.rootfs.open_file(path)?;
        let metadata = file.metadata().ok()?;
        let known = self.digests.entry((metadata.dev(), metadata.ino()));
        *known.or_insert_with(|| sha256(&mut file))
    }

    fn of_run(&mut self, file: &event::File, start: Start) -> Option<[u8; 32]> {
        let found = match (file.origin, &self.book) {
            (Origin::Memfd, _) => of_process(start.pid, file.inode?),
            (_, Some(_)) => None,
            // Too late for what is gone or changed by now; better than nothing.
            (_, None) => of_written(&self.upper, &file.path, file.inode?),
        };
        self.unhashed += u64::from(found.is_none());
        found
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

    fn supplied(&self) -> Vec<Supplied> {
        self.supplied.clone()
    }

    fn digest_of(&mut self, file: &event::File, start: Start) -> Option<[u8; 32]> {
        let key = file.inode.map(|inode| Key { pid: start.pid, inode });
        if let (Some(book), Some(key)) = (&self.book, key)
            && let Some(captured) = book.find(key, start.time)
        {
            return Some(captured);
        }
        match file.origin {
            Origin::Layer(_) => self.of_layer(&file.path),
            Origin::Written | Origin::Memfd => self.of_run(file, start),
            _ => None,
        }
    }
}

/// The program that a process runs, if it is still the one the kernel spoke of.
fn of_process(pid: u32, inode: Inode) -> Option<[u8; 32]> {
    let mut file = File::open(format!("/proc/{pid}/exe")).ok()?;
    (file.metadata().ok()?.ino() == inode.number).then_some(())?;
    sha256(&mut file)
}

/// A file of the writable layer, if it is still the one the kernel spoke of: the overlay shows the
/// inode number of the file that lies in its upper layer (fs/overlayfs/inode.c, `ovl_map_dev_ino`).
fn of_written(upper: &File, path: &[u8], inode: Inode) -> Option<[u8; 32]> {
    let path = Path::new(OsStr::from_bytes(path.strip_prefix(b"/")?));
    let mut file = open::regular_beneath(upper, path).ok()?;
    (file.metadata().ok()?.ino() == inode.number).then_some(())?;
    sha256(&mut file)
}
