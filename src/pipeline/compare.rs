//! What a run left in its writable places, held against the events that were seen.
//!
//! [`Before`] is what stood there when the sandbox was complete and nothing of the image had run: what
//! engines supply, and the sandbox's own mount points. Whatever is new, changed or gone since then is a
//! change, and the [`Ledger`] must know an act that explains it. Contents are compared with what the
//! image has at that path: a file that was only copied up is no new content.
//!
//! The tree is the image's work: it is walked by descriptors, through no link, within bounds; where the
//! walk stops, there is a change that nothing explains.

mod attributes;
mod walk;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::readlinkat;
use nix::sys::stat::{FileStat, SFlag, fstat};

use super::capture::sha256;
use super::inside::{self, Inside};
use crate::event::Inode;
use crate::image::{LAYER_ID_BASE, Rootfs};
use crate::reconcile::{Answer, Found, Ledger};
use crate::report::document::{UNEXPLAINED_MAX, Visibility};
use crate::report::escape;
use crate::sys::{open, xattr};
use attributes::Attributes;
use walk::{Entry, kind, walk};

/// Bytes of a path in the report.
const SHOWN_MAX: usize = 512;

/// The writable places of a sandbox as they were before its start.
#[derive(Debug)]
pub struct Before {
    upper: HashMap<Vec<u8>, Seen>,
    /// The content of its files, hashed.
    contents: HashMap<Vec<u8>, [u8; 32]>,
    /// Of what stood there, where there were any.
    attributes: HashMap<Vec<u8>, Attributes>,
    /// Each tmpfs, kept open: it lives on when the sandbox is gone.
    tmpfs: Vec<Tmpfs>,
    /// The overlay's device, by which the probes know its files.
    overlay: u32,
    id_base: u32,
}

#[derive(Debug)]
struct Tmpfs {
    prefix: String,
    root: File,
    device: u32,
    entries: HashMap<Vec<u8>, Seen>,
}

/// An entry by which a later change shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Its own times change with what is in it.
    Directory {
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Other {
        inode: u64,
        size: i64,
        changed: (i64, i64),
    },
    /// Something else is mounted over it: what is beneath cannot be reached from inside.
    MountPoint,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Compared {
    pub visibility: Visibility,
    /// One line each, bounded.
    pub unexplained: Vec<String>,
    pub omitted: u64,
}

impl Before {
    /// Looks at a held sandbox. `upper` is the overlay's writable directory.
    pub fn look(inside: &Inside, upper: &Path, id_base: u32) -> io::Result<Before> {
        let tmpfs = inside.tmpfs.iter().map(|(name, root)| {
            let (prefix, root) = (format!("/{name}"), root.try_clone()?);
            Ok(Tmpfs { entries: entries(&root, &prefix)?, device: inside::device(&root)?, prefix, root })
        });
        let upper = open::directory(upper)?;
        let mut attributes = HashMap::new();
        note_attributes(&upper, "", id_base, &mut attributes)?;
        for (name, root) in &inside.tmpfs {
            note_attributes(root, &format!("/{name}"), id_base, &mut attributes)?;
        }
        Ok(Before {
            attributes,
            tmpfs: tmpfs.collect::<io::Result<_>>()?,
            contents: contents(&upper)?,
            upper: entries(&upper, "")?,
            overlay: inside::device(&inside.root)?,
            id_base,
        })
    }

    /// Tells the ledger what stood there, as far as the image does not have it.
    pub fn introduce(&self, rootfs: &Rootfs, ledger: &mut Ledger) {
        for (path, seen) in self.upper.iter().filter(|(path, _)| rootfs.entry(path).is_none()) {
            match seen {
                Seen::Directory { .. } => ledger.stood_directory(path),
                Seen::Other { .. } => ledger.stood_file(path),
                Seen::MountPoint => {}
            }
        }
    }

    /// Asks the ledger about everything that is different now. No task of the sandbox may be left.
    pub fn compare(&self, upper: &Path, rootfs: &Rootfs, ledger: &Ledger) -> io::Result<Compared> {
        let mut comparison = Comparison { before: self, rootfs, ledger, compared: Compared::default() };
        comparison.place(&open::directory(upper)?, "", &self.upper, self.overlay)?;
        for tmpfs in &self.tmpfs {
            comparison.place(&tmpfs.root, &tmpfs.prefix, &tmpfs.entries, tmpfs.device)?;
        }
        Ok(comparison.compared)
    }
}

fn entries(root: &File, prefix: &str) -> io::Result<HashMap<Vec<u8>, Seen>> {
    let device = fstat(root)?.st_dev;
    let mut entries = HashMap::new();
    walk(root, prefix, &mut |entry| {
        let seen = if entry.stat.st_dev == device { seen(entry.stat) } else { Seen::MountPoint };
        entries.insert(entry.path.to_vec(), seen);
        Ok(())
    })?;
    Ok(entries)
}

/// Files and directories that stand there keep what they have, so that it is no change.
fn note_attributes(
    root: &File,
    prefix: &str,
    base: u32,
    all: &mut HashMap<Vec<u8>, Attributes>,
) -> io::Result<()> {
    let device = fstat(root)?.st_dev;
    walk(root, prefix, &mut |entry| {
        if matches!(entry.kind(), SFlag::S_IFREG | SFlag::S_IFDIR) && entry.stat.st_dev == device {
            all.insert(entry.path.to_vec(), attributes::of(&entry.open()?, base)?);
        }
        Ok(())
    })?;
    Ok(())
}

/// Hashes the plain files: those that the sandbox supplies, which are few and small.
fn contents(root: &File) -> io::Result<HashMap<Vec<u8>, [u8; 32]>> {
    let mut contents = HashMap::new();
    walk(root, "", &mut |entry| {
        if entry.kind() == SFlag::S_IFREG
            && let Some(digest) = sha256(&mut entry.open()?)
        {
            contents.insert(entry.path.to_vec(), digest);
        }
        Ok(())
    })?;
    Ok(contents)
}

fn seen(stat: &FileStat) -> Seen {
    match kind(stat) {
        SFlag::S_IFDIR => Seen::Directory { mode: stat.st_mode, uid: stat.st_uid, gid: stat.st_gid },
        _ => Seen::Other {
            inode: stat.st_ino,
            size: stat.st_size,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        },
    }
}

/// The text of a link never changes, and tmpfs gives no number twice (fs/inode.c, `get_next_ino`): this is the
/// link that stood there, with another owner.
fn is_same_link(before: Option<&Seen>, stat: &FileStat) -> bool {
    matches!(before, Some(Seen::Other { inode, size, .. }) if (*inode, *size) == (stat.st_ino, stat.st_size))
}

struct Comparison<'c> {
    before: &'c Before,
    rootfs: &'c Rootfs,
    ledger: &'c Ledger,
    compared: Compared,
}

impl Comparison<'_> {
    /// Compares one place; `device` is how the probes know its files.
    fn place(
        &mut self,
        root: &File,
        prefix: &str,
        before: &HashMap<Vec<u8>, Seen>,
        device: u32,
    ) -> io::Result<()> {
        let mut met = HashSet::new();
        let left_out = walk(root, prefix, &mut |entry| {
            if let Some((path, then)) = before.get_key_value(entry.path) {
                met.insert(path.as_slice());
                if *then == Seen::MountPoint {
                    return Ok(());
                }
                if *then == seen(entry.stat) {
                    // A directory's attributes leave its mode and owner as they are.
                    let is_directory = matches!(then, Seen::Directory { .. });
                    return if is_directory { self.xattrs(entry) } else { Ok(()) };
                }
            }
            self.entry(entry, before.get(entry.path), device)
        })?;
        for path in before.keys().filter(|path| !left_out.cut && !met.contains(path.as_slice())) {
            self.count(path, "gone", self.is_gone(path));
        }
        for path in &left_out.deep {
            self.count(path, "deeper than is looked at", false);
        }
        if left_out.cut {
            self.count(prefix.as_bytes(), "more entries than are looked at", false);
        }
        Ok(())
    }

    /// Where a directory was moved or removed, so was what stood in it.
    fn is_gone(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        let mut names = ends.filter(|end| *end > 0).chain([path.len()]).map(|end| &path[..end]);
        names.any(|name| self.ledger.explain(name, &Found::Gone) == Answer::Explained)
    }

    fn entry(&mut self, entry: &Entry<'_>, before: Option<&Seen>, device: u32) -> io::Result<()> {
        let lower = if device == self.before.overlay { self.rootfs.entry(entry.path) } else { None };
        let lower = lower.map(|file| Ok::<_, io::Error>((fstat(&file)?, file))).transpose()?;
        let same_kind = lower.as_ref().filter(|(stat, _)| kind(stat) == entry.kind());
        match entry.kind() {
            SFlag::S_IFCHR if entry.stat.st_rdev == 0 => self.ask(entry, "gone", &Found::Gone),
            SFlag::S_IFDIR => {
                self.directory(entry, before, same_kind)?;
                self.xattrs(entry)?;
            }
            SFlag::S_IFLNK if device != self.before.overlay && is_same_link(before, entry.stat) => {
                self.ask(entry, "attributes", &Found::Attributes);
            }
            SFlag::S_IFLNK => self.link(entry, same_kind)?,
            SFlag::S_IFREG => {
                self.regular(entry, same_kind, device)?;
                self.xattrs(entry)?;
            }
            _ if same_kind.is_some() => self.ask(entry, "attributes", &Found::Attributes),
            _ => self.node(entry)?,
        }
        Ok(())
    }

    fn link(&mut self, entry: &Entry<'_>, lower: Option<&(FileStat, File)>) -> io::Result<()> {
        let text = readlinkat(entry.directory, entry.name)?;
        if let Some((_, lower)) = lower
            && readlinkat(lower, "")? == text
        {
            self.ask(entry, "attributes", &Found::Attributes);
            return Ok(());
        }
        let explained = match self.ledger.explain(entry.path, &Found::Link(text.as_bytes())) {
            Answer::Explained => true,
            Answer::Unexplained => false,
            Answer::IfFrom(source) => match self.rootfs.entry(&source) {
                Some(lower) => readlinkat(lower, "").is_ok_and(|first| first == text),
                None => false,
            },
        };
        self.count(entry.path, "link", explained);
        Ok(())
    }

    /// A FIFO, socket or device.
    fn node(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let explained = match self.ledger.explain(entry.path, &Found::Node) {
            Answer::Explained => true,
            Answer::Unexplained => false,
            Answer::IfFrom(source) => match self.rootfs.entry(&source) {
                Some(lower) => kind(&fstat(lower)?) == entry.kind(),
                None => false,
            },
        };
        self.count(entry.path, "node", explained);
        Ok(())
    }

    /// A directory is copied up for whatever changes in it; that alone is no change of its own.
    fn directory(
        &mut self,
        entry: &Entry<'_>,
        before: Option<&Seen>,
        lower: Option<&(FileStat, File)>,
    ) -> io::Result<()> {
        let merged = match lower {
            Some((stat, _)) if !is_opaque(entry)? => Some(stat),
            _ => None,
        };
        match (merged, before) {
            (Some(lower), _) if self.same_attributes(entry.stat, lower) => {}
            (None, None | Some(Seen::Other { .. })) => self.ask(entry, "directory", &Found::Directory),
            _ => self.ask(entry, "attributes", &Found::Attributes),
        }
        Ok(())
    }

    /// On disk, the upper layer has the run's ids and the image's layers theirs.
    fn same_attributes(&self, upper: &FileStat, lower: &FileStat) -> bool {
        let shifted = |id: u32| id.wrapping_sub(LAYER_ID_BASE).wrapping_add(self.before.id_base);
        upper.st_mode == lower.st_mode
            && upper.st_uid == shifted(lower.st_uid)
            && upper.st_gid == shifted(lower.st_gid)
    }

    fn regular(
        &mut self,
        entry: &Entry<'_>,
        lower: Option<&(FileStat, File)>,
        device: u32,
    ) -> io::Result<()> {
        if lower.is_some() && self.is_copy(entry, entry.path)?.is_some_and(|(same, _)| same) {
            self.ask(entry, "attributes", &Found::Attributes);
            return Ok(());
        }
        if self.stood(entry, entry.path, device)? {
            self.ask(entry, "attributes", &Found::Attributes);
            return Ok(());
        }
        let inode = |number| Inode { device, number };
        let mut inodes = vec![inode(entry.stat.st_ino)];
        inodes.extend(lower.map(|(stat, _)| inode(stat.st_ino)));
        let explained = match self.ledger.explain(entry.path, &Found::Content(&inodes)) {
            Answer::Explained => true,
            Answer::Unexplained => false,
            Answer::IfFrom(source) if self.stood(entry, &source, device)? => true,
            Answer::IfFrom(source) => self
                .is_copy(entry, &source)?
                .is_some_and(|(same, number)| same || self.ledger.is_written(inode(number))),
        };
        self.count(entry.path, "content", explained);
        Ok(())
    }

    /// Whether it is the very file that stood at `path` before the start, with what was in it.
    fn stood(&self, entry: &Entry<'_>, path: &[u8], device: u32) -> io::Result<bool> {
        let same = matches!(self.before.upper.get(path), Some(Seen::Other { inode, size, .. })
            if device == self.before.overlay && *inode == entry.stat.st_ino && *size == entry.stat.st_size);
        let digest = self.before.contents.get(path).filter(|_| same);
        Ok(digest.is_some() && sha256(&mut entry.open()?) == digest.copied())
    }

    /// File capabilities, access lists and other extended attributes: where they differ from what stood there,
    /// that is a change of its own.
    fn xattrs(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let now = attributes::of(&entry.open()?, self.before.id_base)?;
        let then = match self.before.attributes.get(entry.path) {
            Some(stood) => stood.clone(),
            None => self.of_image(entry.path)?,
        };
        if now == then {
            return Ok(());
        }
        let (others, before) = (attributes::without_lists(&now), attributes::without_lists(&then));
        let explained = match self.ledger.explain(entry.path, &Found::Xattrs) {
            Answer::Explained => true,
            Answer::Unexplained => others == before && self.may_have_list(entry),
            Answer::IfFrom(source) => {
                let first = self.of_image(&source)?;
                now == first || (others == attributes::without_lists(&first) && self.may_have_list(entry))
            }
        };
        self.count(entry.path, "extended attributes", explained);
        Ok(())
    }

    /// An access list that nobody set: chmod(2) changes what it permits, and a directory hands down its own.
    fn may_have_list(&self, entry: &Entry<'_>) -> bool {
        let end = entry.path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.ledger.explain(entry.path, &Found::AccessList) == Answer::Explained
            || attributes::hands_down(entry.directory)
            || self.ledger.explain(&entry.path[..end], &Found::Xattrs) == Answer::Explained
    }

    fn of_image(&self, path: &[u8]) -> io::Result<Attributes> {
        let file = self.rootfs.open_file(path).map(|(_, file)| file);
        match file.or_else(|| self.rootfs.open_directory(path)) {
            Some(lower) => attributes::of(&lower, LAYER_ID_BASE),
            None => Ok(Attributes::new()),
        }
    }

    /// Whether the file has the bytes of the image's file at `path`, and that one's number; `None` where
    /// the image has no file there.
    fn is_copy(&self, entry: &Entry<'_>, path: &[u8]) -> io::Result<Option<(bool, u64)>> {
        let Some((_, lower)) = self.rootfs.open_file(path) else { return Ok(None) };
        let metadata = lower.metadata()?;
        let same =
            i64::try_from(metadata.size()) == Ok(entry.stat.st_size) && same_bytes(entry.open()?, lower)?;
        Ok(Some((same, metadata.ino())))
    }

    fn ask(&mut self, entry: &Entry<'_>, what: &str, found: &Found<'_>) {
        self.count(entry.path, what, self.ledger.explain(entry.path, found) == Answer::Explained);
    }

    fn count(&mut self, path: &[u8], what: &str, explained: bool) {
        let Compared { visibility, unexplained, omitted } = &mut self.compared;
        visibility.all += 1;
        if explained {
            visibility.explained += 1;
        } else if unexplained.len() < UNEXPLAINED_MAX {
            unexplained.push(format!("{what}: {}", escape::short_text(path, SHOWN_MAX)));
        } else {
            *omitted += 1;
        }
    }
}

/// The overlay's mark on a directory that replaces one below it (fs/overlayfs/namei.c,
/// `ovl_lookup_single`).
fn is_opaque(entry: &Entry<'_>) -> io::Result<bool> {
    let mark = xattr::get(entry.open()?, c"user.overlay.opaque")?;
    Ok(mark.as_deref() == Some(b"y"))
}

fn same_bytes(mut one: File, mut other: File) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = one.read(&mut left)?;
        if length == 0 {
            return Ok(other.read(&mut right[..1])? == 0);
        }
        match other.read_exact(&mut right[..length]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if left[..length] != right[..length] {
            return Ok(false);
        }
    }
}
