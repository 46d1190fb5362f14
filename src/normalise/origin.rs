//! Where a file came from: which layer of the image, or the run itself.
//!
//! Two facts of the kernel decide: the overlay's own word on whether the file has an upper half, and
//! the set of inodes that were made or opened for writing. Only then is the image asked which layer
//! supplies the path.

use std::collections::{HashMap, HashSet};

use super::supplied::SuppliedFiles;
use super::{Provenance, Supplied};
use crate::event::{Bytes, FileKind, Inode, Origin};
use crate::record::KernelFile;

// include/uapi/linux/magic.h
const OVERLAY: u64 = 0x794c_7630;
const TMPFS: u64 = 0x0102_1994;
const HUGETLBFS: u64 = 0x9584_58f6;
const KERNEL_OWN: [u64; 9] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x1cd1,      // devpts
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x1980_0202, // mqueue
    0x6e73_6673, // nsfs
    0x534f_434b, // sockfs
    0x5049_5045, // pipefs
];

/// The files that the sandbox writes before the start, as a container engine does. Others are planted.
const SUPPLIED: [&[u8]; 3] = [b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf"];

/// How many files are remembered one by one; past it the overlay's own word must do.
const REMEMBERED: usize = 1 << 20;

/// What is known of the files of this run.
#[derive(Default)]
pub(super) struct Origins {
    written: HashSet<Inode>,
    /// Where the written ones can be found by name, for calls that give only a string.
    names: HashMap<Vec<u8>, Inode>,
    /// Names of files whose content was changed without an open.
    changed: HashSet<Vec<u8>>,
    /// Answers that cannot change: files of the image by inode.
    layers: HashMap<Inode, u16>,
    planted: SuppliedFiles,
}

impl Origins {
    pub(super) fn new(planted: Vec<Supplied>) -> Origins {
        Origins { planted: SuppliedFiles::new(planted), ..Origins::default() }
    }

    /// The bait that was planted as this file.
    pub(super) fn bait_of_file(&self, file: &KernelFile) -> Option<Bytes> {
        let on_root = file.magic == OVERLAY && kind(file.mode) == FileKind::Regular;
        self.planted.of_number(file.inode).filter(|_| on_root)?.clone()
    }

    pub(super) fn bait_of_path(&self, path: &[u8]) -> Option<Bytes> {
        self.planted.of_path(path)?.clone()
    }

    /// An open made the file.
    pub(super) fn created(&mut self, file: &KernelFile) {
        if file.magic == OVERLAY {
            self.planted.created(file);
        }
    }

    /// Remembers that the file was made, or opened so that it could be changed.
    pub(super) fn wrote(&mut self, file: &KernelFile) {
        if self.written.len() < REMEMBERED {
            self.written.insert(inode(file));
            self.layers.remove(&inode(file));
            self.names.insert(file.path.clone(), inode(file));
        }
    }

    /// Remembers that what stands at this name was changed; its inode is not known.
    pub(super) fn changed(&mut self, path: &[u8]) {
        match self.names.get(path) {
            Some(inode) => drop(self.written.insert(*inode)),
            None if self.changed.len() < REMEMBERED => drop(self.changed.insert(path.to_vec())),
            None => {}
        }
    }

    /// Follows a rename, so that the new name leads to the same file.
    pub(super) fn renamed(&mut self, from: &[u8], to: &[u8]) {
        self.planted.renamed(from, to);
        match self.names.remove(from) {
            Some(inode) => drop(self.names.insert(to.to_vec(), inode)),
            None => drop(self.names.remove(to)),
        }
    }

    pub(super) fn exchanged(&mut self, one: &[u8], other: &[u8]) {
        self.planted.exchanged(one, other);
        let (first, second) = (self.names.remove(one), self.names.remove(other));
        self.names.extend(second.map(|inode| (one.to_vec(), inode)));
        self.names.extend(first.map(|inode| (other.to_vec(), inode)));
    }

    pub(super) fn linked(&mut self, from: &[u8], to: &[u8]) {
        self.planted.linked(from, to);
        if let Some(inode) = self.names.get(from).copied().filter(|_| self.names.len() < REMEMBERED) {
            self.names.insert(to.to_vec(), inode);
        }
    }

    pub(super) fn unlinked(&mut self, path: &[u8]) {
        self.planted.unlinked(path);
        self.names.remove(path);
    }

    /// The origin of a file that the kernel itself showed.
    pub(super) fn of_file(&mut self, file: &KernelFile, provenance: &mut dyn Provenance) -> Origin {
        if is_memfd(file) {
            return Origin::Memfd;
        }
        if KERNEL_OWN.contains(&file.magic) || is_device(file.mode) {
            return Origin::Kernel;
        }
        if self.written.contains(&inode(file)) {
            return Origin::Written;
        }
        match file.magic {
            TMPFS => Origin::Written,
            OVERLAY => self.of_overlay(file, provenance),
            _ => Origin::Unknown,
        }
    }

    /// The origin of a file that is known only by the string the program passed.
    pub(super) fn of_path(&self, path: &[u8], provenance: &mut dyn Provenance) -> Origin {
        let supplied = SUPPLIED.contains(&path) || self.planted.of_path(path).is_some();
        match (self.names.contains_key(path), supplied) {
            (true, _) => Origin::Written,
            (_, true) => Origin::Supplied,
            _ => provenance.layer_of(path).map_or(Origin::Unknown, Origin::Layer),
        }
    }

    /// The inode behind a name that was written in this run.
    pub(super) fn inode_of(&self, path: &[u8]) -> Option<Inode> {
        self.names.get(path).copied()
    }

    fn of_overlay(&mut self, file: &KernelFile, provenance: &mut dyn Provenance) -> Origin {
        if SUPPLIED.contains(&file.path.as_slice()) || self.planted.of_number(file.inode).is_some() {
            return Origin::Supplied;
        }
        if file.upper != Some(false) && self.changed.contains(&file.path) {
            return Origin::Written;
        }
        if let Some(&layer) = self.layers.get(&inode(file)) {
            return Origin::Layer(layer);
        }
        let Some(layer) = provenance.layer_of(&file.path) else {
            // No layer has it: it was made in the run, unless it lost its name meanwhile and the
            // overlay says that it never had an upper half.
            return if file.upper == Some(false) { Origin::Unknown } else { Origin::Written };
        };
        // An upper half without a write is a change of attributes: the content is the image's.
        if self.layers.len() < REMEMBERED {
            self.layers.insert(inode(file), layer);
        }
        Origin::Layer(layer)
    }
}

pub(super) fn inode(file: &KernelFile) -> Inode {
    Inode { device: file.device, number: file.inode }
}

/// The kind of file behind the type bits of an `i_mode`.
pub(super) fn kind(mode: u16) -> FileKind {
    match mode & 0o170_000 {
        0o100_000 => FileKind::Regular,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Link,
        0o140_000 => FileKind::Socket,
        0o010_000 => FileKind::Fifo,
        0o020_000 => FileKind::CharDevice,
        0o060_000 => FileKind::BlockDevice,
        _ => FileKind::Unknown,
    }
}

fn is_device(mode: u16) -> bool {
    matches!(kind(mode), FileKind::CharDevice | FileKind::BlockDevice)
}

/// A memfd lives on a mount of the kernel's own, so its path never reaches a root: it has no slash
/// in front (mm/memfd.c names it `memfd:` and the caller's word).
fn is_memfd(file: &KernelFile) -> bool {
    matches!(file.magic, TMPFS | HUGETLBFS) && file.path.starts_with(b"memfd:")
}
