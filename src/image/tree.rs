//! An unpacked tree (`dir:`), read as the tar stream of a single layer.
//!
//! The same tree always gives the same bytes: names sorted, owners numeric, times to the nanosecond.
//! So a tree goes through the same unpacker as any layer, has a diff_id, and a change during the run
//! shows. Sockets and device nodes are left out and counted.
//!
//! The tree is someone else's: nothing is opened through a link, and only regular files are opened.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{OFlag, ResolveFlag, readlinkat};

use super::{Digest, ImageError, Limits};
use crate::sys::{open, xattr};

#[derive(Debug)]
pub struct Tree {
    root: File,
    path: PathBuf,
    entries_max: u64,
}

/// What a pass over a tree left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub devices: u64,
    pub sockets: u64,
}

impl Tree {
    pub fn open(path: &Path, limits: &Limits) -> Result<Tree, ImageError> {
        let root = open::directory(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                ImageError::NotFound { path: path.to_owned() }
            }
            _ => ImageError::Io { what: format!("open {path:?}"), source },
        })?;
        Ok(Tree { root, path: path.to_owned(), entries_max: limits.entries })
    }

    /// The digest of the stream, and its length.
    pub fn digest(&self) -> Result<(Digest, u64), ImageError> {
        let mut sum = super::digest::Sum::default();
        self.write(Summing(&mut sum))?;
        Ok((sum.digest(), sum.bytes()))
    }

    /// Writes the stream.
    pub fn write(&self, sink: impl Write) -> Result<LeftOut, ImageError> {
        let sink = io::BufWriter::with_capacity(256 * 1024, sink);
        let mut walk = Walk {
            tree: self,
            tar: tar::Builder::new(sink),
            links: HashMap::new(),
            left_out: LeftOut::default(),
            entries: 0,
        };
        walk.run().map_err(ImageError::io(format!("read the tree {:?}", self.path)))?;
        Ok(walk.left_out)
    }

    fn at(&self, path: &Path, flags: OFlag) -> io::Result<File> {
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        Ok(open::beneath(&self.root, here, flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, resolve)?.into())
    }
}

struct Walk<'a, W: Write> {
    tree: &'a Tree,
    tar: tar::Builder<W>,
    /// First name of every file that has several, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
    left_out: LeftOut,
    entries: u64,
}

impl<W: Write> Walk<'_, W> {
    fn run(&mut self) -> io::Result<()> {
        // Paths still to visit, the next one last. Memory grows with the width of the open
        // directories, not with the size of the tree.
        let mut todo = vec![PathBuf::new()];
        while let Some(path) = todo.pop() {
            self.entries += 1;
            if self.entries > self.tree.entries_max {
                return Err(io::Error::other(format!("it has more than {} entries", self.tree.entries_max)));
            }
            let seen = self.tree.at(&path, OFlag::O_PATH)?;
            let metadata = seen.metadata()?;
            self.entry(&path, &seen, &metadata)?;
            if metadata.is_dir() {
                let mut names = self.names(&path)?;
                names.sort_unstable_by(|a, b| b.cmp(a));
                todo.extend(names.into_iter().map(|name| path.join(name)));
            }
        }
        self.tar.finish()?;
        self.tar.get_mut().flush()
    }

    fn names(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let directory = self.tree.at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::from_fd(directory.into())?.iter() {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn entry(&mut self, path: &Path, seen: &File, metadata: &Metadata) -> io::Result<()> {
        let kind = metadata.file_type();
        if kind.is_socket() {
            self.left_out.sockets += 1;
            return Ok(());
        }
        if kind.is_block_device() || kind.is_char_device() {
            self.left_out.devices += 1;
            return Ok(());
        }
        let mut pax =
            vec![("path".to_owned(), name(path, kind.is_dir())), ("mtime".to_owned(), time(metadata))];
        let mut linked = |target: &[u8]| pax.push(("linkpath".to_owned(), target.to_vec()));
        let tar_kind = if let Some(first) = self.first_name(path, metadata) {
            linked(first.as_os_str().as_bytes());
            tar::EntryType::Link
        } else if kind.is_symlink() {
            linked(readlinkat(seen, "")?.as_bytes());
            tar::EntryType::Symlink
        } else if kind.is_fifo() {
            tar::EntryType::Fifo
        } else {
            return self.opened(path, pax);
        };
        self.member(metadata, tar_kind, 0, pax, io::empty())
    }

    /// The name under which this file has been written already, if it has several.
    fn first_name(&mut self, path: &Path, metadata: &Metadata) -> Option<PathBuf> {
        if metadata.is_dir() || metadata.nlink() < 2 {
            return None;
        }
        let key = (metadata.dev(), metadata.ino());
        let first = self.links.get(&key).cloned();
        if first.is_none() {
            self.links.insert(key, path.to_owned());
        }
        first
    }

    /// A directory or regular file: those have attributes, and the latter data.
    fn opened(&mut self, path: &Path, mut pax: Vec<(String, Vec<u8>)>) -> io::Result<()> {
        // O_NONBLOCK: the name may lead to a FIFO by now.
        let file = self.tree.at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
        let metadata = file.metadata()?;
        pax.extend(attributes(&file)?);
        if metadata.is_dir() {
            return self.member(&metadata, tar::EntryType::Directory, 0, pax, io::empty());
        }
        if !metadata.is_file() {
            return Err(io::Error::other(format!("{path:?} changed while it was read")));
        }
        let size = metadata.len();
        pax.push(("size".to_owned(), size.to_string().into_bytes()));
        self.member(&metadata, tar::EntryType::Regular, size, pax, Exactly { file, left: size })
    }

    fn member(
        &mut self,
        metadata: &Metadata,
        kind: tar::EntryType,
        size: u64,
        pax: Vec<(String, Vec<u8>)>,
        data: impl Read,
    ) -> io::Result<()> {
        self.tar.append_pax_extensions(pax.iter().map(|(key, value)| (key.as_str(), &value[..])))?;
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.tar.append(&header, data)
    }
}

/// `./` for the root, else without a leading slash; a directory ends in one.
fn name(path: &Path, directory: bool) -> Vec<u8> {
    let mut name = [b"./", path.as_os_str().as_bytes()].concat();
    if directory && name.last() != Some(&b'/') {
        name.push(b'/');
    }
    name
}

fn time(metadata: &Metadata) -> Vec<u8> {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    match (seconds < 0, nanoseconds) {
        (true, 1..) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanoseconds),
        _ => format!("{seconds}.{nanoseconds:09}"),
    }
    .into_bytes()
}

/// Those that mean something inside the image; sorted.
fn attributes(file: &File) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = xattr::list(file)?;
    names.sort_unstable();
    let mut found = Vec::new();
    for name in names {
        let Ok(text) = name.to_str() else { continue };
        let kept = text == "security.capability" || text.starts_with("user.");
        if kept && let Some(value) = xattr::get(file, &name)? {
            found.push((format!("SCHILY.xattr.{text}"), value));
        }
    }
    Ok(found)
}

/// A file's first bytes, as many as its header said: one that grows is cut, one that shrinks fails.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = self.file.read(&mut buffer[..want])?;
        if got == 0 && want > 0 {
            return Err(io::Error::other("a file became shorter while it was read"));
        }
        self.left -= got as u64;
        Ok(got)
    }
}

struct Summing<'a>(&'a mut super::digest::Sum);

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
