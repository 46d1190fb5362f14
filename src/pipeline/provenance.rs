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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::capture::{Book, Keeper, Key, Tally, sha256};
use crate::event::{self, Inode, Origin};
use crate::image::{RootEntry, Rootfs};
use crate::normalise::{ImageEntry, Provenance, Start, Supplied};
use crate::sys::open;

/// Where a memory file is looked for.
const PROCESSES_MAX: usize = 256;
const DESCRIPTORS_MAX: usize = 256;

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
    /// Takes the content of memory files.
    memory: Option<Keeper>,
    /// The sandbox's v2 group, whose processes may hold one.
    cgroup: PathBuf,
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
        Ok(Layers {
            rootfs,
            upper,
            book,
            digests,
            unhashed: 0,
            supplied,
            memory: None,
            cgroup: PathBuf::new(),
        })
    }

    /// What memory files hold is kept as well; `cgroup` is the sandbox's.
    #[must_use]
    pub fn with_memory(self, memory: Keeper, cgroup: PathBuf) -> Layers {
        Layers { memory: Some(memory), cgroup, ..self }
    }

    /// What was kept of memory files.
    pub fn memory(&self) -> Option<Tally> {
        self.memory.as_ref().map(|keeper| keeper.tally)
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

    /// A memory file, through the process that runs it, or any that still has it open.
    fn of_memory(&mut self, pid: u32, inode: Inode) -> Option<[u8; 32]> {
        let mut file = of_process(pid, inode).or_else(|| of_descriptors(&self.cgroup, inode))?;
        match &mut self.memory {
            Some(keeper) => keeper.keep(&file, false),
            None => sha256(&mut file),
        }
    }

    fn of_run(&mut self, file: &event::File, start: Start) -> Option<[u8; 32]> {
        let found = match (file.origin, &self.book) {
            (Origin::Memfd, _) => self.of_memory(start.pid, file.inode?),
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
fn of_process(pid: u32, inode: Inode) -> Option<File> {
    let file = File::open(format!("/proc/{pid}/exe")).ok()?;
    (file.metadata().ok()?.ino() == inode.number).then_some(file)
}

/// A memory file that a process of the group has open: mostly who made it waits for who ran it.
fn of_descriptors(cgroup: &Path, inode: Inode) -> Option<File> {
    let pids = std::fs::read_to_string(cgroup.join("cgroup.procs")).ok()?;
    let descriptors =
        pids.lines().take(PROCESSES_MAX).filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).ok());
    let paths =
        descriptors.flat_map(|list| list.filter_map(Result::ok).take(DESCRIPTORS_MAX)).map(|fd| fd.path());
    let is_memory = |path: &PathBuf| {
        std::fs::read_link(path).is_ok_and(|to| to.as_os_str().as_bytes().starts_with(b"/memfd:"))
    };
    let files = paths.filter(is_memory).filter_map(|path| File::open(path).ok());
    files.into_iter().find(|file| file.metadata().is_ok_and(|metadata| metadata.ino() == inode.number))
}

/// A file of the writable layer, if it is still the one the kernel spoke of: the overlay shows the
/// inode number of the file that lies in its upper layer (fs/overlayfs/inode.c, `ovl_map_dev_ino`).
fn of_written(upper: &File, path: &[u8], inode: Inode) -> Option<[u8; 32]> {
    let path = Path::new(OsStr::from_bytes(path.strip_prefix(b"/")?));
    let mut file = open::regular_beneath(upper, path).ok()?;
    (file.metadata().ok()?.ino() == inode.number).then_some(())?;
    sha256(&mut file)
}
