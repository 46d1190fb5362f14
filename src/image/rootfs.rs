//! An image's unpacked layers, as directories to be stacked; and where a path in them comes from.
//!
//! The layers are not merged here: the sandbox mounts them (`userxattr`, because the unpacker's
//! overlay wrote its marks in a user namespace) idmapped from [`super::LAYER_ID_BASE`]. What is asked
//! here about a path is answered as that mount would.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, readlinkat};

use super::unpack::Tally;
use crate::sys::{open, xattr};

/// Of a directory, so many entries are looked at, and so many names are given.
const LISTED_MAX: usize = 1 << 14;
const NAMES_MAX: usize = 64;

/// Unpacked layers, from the bottom up. They stay in the cache while this lives.
#[derive(Debug)]
pub struct Rootfs {
    layers: Vec<RootLayer>,
}

#[derive(Debug)]
pub struct RootLayer {
    path: PathBuf,
    directory: File,
    pub tally: Tally,
    /// Held shared.
    pub(super) lock: File,
}

/// What the image has and the root file system has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Device nodes.
    pub devices: u64,
    /// Sockets of a bare tree.
    pub sockets: u64,
    /// Extended attributes: labels of security modules, and what the kernel refused.
    pub attributes: u64,
}

impl Rootfs {
    pub(super) fn new(layers: Vec<RootLayer>) -> Rootfs {
        Rootfs { layers }
    }

    /// The layers' directories, from the bottom up; at least one.
    pub fn directories(&self) -> impl DoubleEndedIterator<Item = &Path> + ExactSizeIterator {
        self.layers.iter().map(|layer| layer.path.as_path())
    }

    /// What the layers hold and the root does not.
    pub fn skipped(&self) -> Skipped {
        let sum = |field: fn(&Tally) -> u64| self.layers.iter().map(|layer| field(&layer.tally)).sum();
        Skipped {
            devices: sum(|tally| tally.devices),
            sockets: sum(|tally| tally.sockets),
            attributes: sum(|tally| tally.attributes),
        }
    }

    /// Which layer, counted from 0 at the bottom, supplies this path in the merged view. The path
    /// has no links in it: the kernel resolved it.
    pub fn layer_of(&self, path: &[u8]) -> Option<u16> {
        self.find(path).map(|(layer, _)| layer)
    }

    /// What the merged view has at a path without links on the way; a link is not followed.
    pub fn entry_at(&self, path: &[u8]) -> Option<RootEntry> {
        let (layer, path) = self.find(path)?;
        let file = self.layers[usize::from(layer)].at(path, OFlag::O_PATH).ok()?;
        let kind = file.metadata().ok()?.file_type();
        Some(if kind.is_symlink() {
            RootEntry::Link(readlinkat(&file, "").ok()?.into_vec())
        } else if kind.is_dir() {
            RootEntry::Directory
        } else {
            RootEntry::Other
        })
    }

    /// The file itself, for reading; regular files only.
    pub fn open_file(&self, path: &[u8]) -> Option<(u16, File)> {
        let (layer, path) = self.find(path)?;
        let file = open::regular_beneath(&self.layers[usize::from(layer)].directory, path).ok()?;
        Some((layer, file))
    }

    /// A directory, for reading.
    pub fn open_directory(&self, path: &[u8]) -> Option<File> {
        let (layer, path) = self.find(path)?;
        self.layers[usize::from(layer)].at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).ok()
    }

    /// What stands at this path in the merged view, as a descriptor that can only be asked about itself
    /// (O_PATH). The path has no links in it, but may lead to one.
    pub fn entry(&self, path: &[u8]) -> Option<File> {
        let (layer, path) = self.find(path)?;
        self.layers[usize::from(layer)].at(path, OFlag::O_PATH).ok()
    }

    /// Names in a directory of any layer that `wanted` likes, at most [`NAMES_MAX`]; one of them may be hidden
    /// in the merged view, which [`Rootfs::entry`] tells.
    pub fn names(&self, path: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let path = Path::new(std::ffi::OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let mut names = BTreeSet::new();
        for directory in self.layers.iter().filter_map(|layer| layer.at(path, flags).ok()) {
            let Ok(mut listing) = Dir::from_fd(directory.into()) else { continue };
            let found =
                listing.iter().flatten().take(LISTED_MAX).map(|entry| entry.file_name().to_bytes().to_vec());
            names.extend(found.filter(|name| wanted(name)).take(NAMES_MAX));
        }
        names.into_iter().take(NAMES_MAX).collect()
    }

    fn find<'a>(&self, path: &'a [u8]) -> Option<(u16, &'a Path)> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let path = Path::new(std::ffi::OsStr::from_bytes(if path.is_empty() { b"." } else { path }));
        for (number, layer) in self.layers.iter().enumerate().rev() {
            match layer.look(path) {
                Look::Here => return Some((u16::try_from(number).ok()?, path)),
                Look::Hidden => return None,
                Look::Below => {}
            }
        }
        None
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootEntry {
    /// A symbolic link, with its text.
    Link(Vec<u8>),
    Directory,
    Other,
}

enum Look {
    Here,
    /// Neither here nor in any layer below, as far as the merged view goes.
    Hidden,
    Below,
}

impl RootLayer {
    pub fn open(path: PathBuf, tally: Tally, lock: File) -> io::Result<RootLayer> {
        Ok(RootLayer { directory: open::directory(&path)?, path, tally, lock })
    }

    /// The directory as the unpacker names it: relative to the cache.
    pub fn relative(&self) -> String {
        let tail: PathBuf = self.path.iter().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
        tail.to_string_lossy().into_owned()
    }

    fn look(&self, path: &Path) -> Look {
        match self.at(path, OFlag::O_PATH) {
            Ok(file) => match file.metadata() {
                Ok(metadata) if metadata.file_type().is_char_device() && metadata.rdev() == 0 => Look::Hidden,
                Ok(_) => Look::Here,
                Err(_) => Look::Hidden,
            },
            Err(Errno::ENOENT) => self.look_above(path),
            // Something that is no directory stands on the way (a whiteout, too), and hides all.
            Err(_) => Look::Hidden,
        }
    }

    /// The path is not in this layer: does a directory above it keep the layers below out?
    fn look_above(&self, path: &Path) -> Look {
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            match self.at(above, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
                Ok(directory) if is_opaque(&directory) => return Look::Hidden,
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(_) => return Look::Hidden,
            }
        }
        Look::Below
    }

    fn at(&self, path: &Path, flags: OFlag) -> nix::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS;
        open::beneath(&self.directory, path, flags, resolve).map(File::from)
    }
}

/// The overlay's mark on a directory that replaces one below (fs/overlayfs/namei.c,
/// `ovl_lookup_single`).
fn is_opaque(directory: &File) -> bool {
    let mark = xattr::get(directory, c"user.overlay.opaque");
    mark.is_ok_and(|value| value.as_deref() == Some(b"y"))
}
