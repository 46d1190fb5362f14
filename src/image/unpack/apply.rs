//! Applies a layer's entries to the tree in the making, as container engines do.
//!
//! The tree is the overlay of the parents (or, for the bottom layer, the bare directory), so that
//! what an entry replaces, hides or links to may lie in a layer below. Order of each file's making:
//! data, owner (takes set-id bits away), mode, attributes (an owner change drops capabilities),
//! times. A directory's time is set at the end, since its entries still change it.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstatat, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, mkfifoat, symlinkat, unlinkat};

use super::super::tar::{Entry, Kind};
use super::root::{Fault, Root, as_path};
use super::{Bounds, Tally, whiteout};
use crate::sys::{remove, xattr};

pub struct Applier {
    pub(super) root: Root,
    /// The layer's own directory under the overlay; `None` for the bottom layer.
    pub(super) upper: Option<OwnedFd>,
    /// Files of lower layers that a hard link brought up: present in `upper`, but not this layer's.
    pub(super) brought_up: HashSet<Vec<u8>>,
    bounds: Bounds,
    times: Vec<(Vec<u8>, TimeSpec)>,
    pub tally: Tally,
}

impl Applier {
    pub fn new(root: OwnedFd, upper: Option<OwnedFd>, bounds: Bounds) -> Applier {
        Applier {
            root: Root::new(root),
            upper,
            brought_up: HashSet::new(),
            bounds,
            times: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// False: the image has more entries than it may.
    pub fn count(&mut self) -> bool {
        self.tally.entries += 1;
        self.tally.entries <= self.bounds.entries
    }

    /// Makes one entry; its data is read from `data`.
    pub fn entry(&mut self, entry: &Entry, data: impl Read) -> Result<(), EntryError> {
        let path = clean(&entry.path, self.bounds.path)?;
        if entry.link.len() > self.bounds.path {
            return Err(broken("its link target is longer than the limit"));
        }
        let Some((parent, name)) = split(&path) else { return self.top(entry) };
        if let Some(hidden) = name.strip_prefix(b".wh.") {
            return Ok(whiteout::apply(self, parent, hidden)?);
        }
        let directory = self.root.make_directory(parent)?;
        match entry.kind {
            Kind::Directory => self.directory(entry, &path, &directory, name),
            Kind::File => self.file(entry, &directory, name, data),
            Kind::Symlink => self.symlink(entry, &directory, name),
            Kind::HardLink => self.hard_link(entry, &path, &directory, name),
            Kind::Fifo => self.fifo(entry, &directory, name),
            Kind::Device => {
                self.tally.devices += 1;
                Ok(self.remove(&directory, name)?)
            }
        }
    }

    /// Sets the directories' times, the last thing to do.
    pub fn finish(mut self) -> Result<Tally, Fault> {
        for (path, time) in std::mem::take(&mut self.times) {
            let Some((parent, name)) = split(&path) else {
                utimensat(self.root.fd(), ".", &time, &time, UtimensatFlags::FollowSymlink)?;
                continue;
            };
            // It may have been replaced since; then it has its own time, or none.
            let Ok(Some(directory)) = self.root.directory(parent) else { continue };
            match utimensat(&*directory, as_path(name), &time, &time, UtimensatFlags::NoFollowSymlink) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(self.tally)
    }

    /// The root directory itself, which a layer may describe.
    fn top(&mut self, entry: &Entry) -> Result<(), EntryError> {
        if entry.kind != Kind::Directory {
            return Err(broken("the root is not a directory in it"));
        }
        let root = openat(self.root.fd(), ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        self.describe(entry, &root)?;
        self.times.push((Vec::new(), time(entry)));
        Ok(())
    }

    fn directory(
        &mut self,
        entry: &Entry,
        path: &[u8],
        parent: &OwnedFd,
        name: &[u8],
    ) -> Result<(), EntryError> {
        let mode = Mode::from_bits_truncate(0o700);
        if let Err(errno) = mkdirat(parent, as_path(name), mode) {
            if errno != Errno::EEXIST {
                return Err(errno.into());
            }
            if !is_directory(parent, name)? {
                self.remove(parent, name)?;
                mkdirat(parent, as_path(name), mode)?;
            }
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        self.describe(entry, &openat(parent, as_path(name), flags, Mode::empty())?)?;
        self.times.push((path.to_vec(), time(entry)));
        Ok(())
    }

    fn file(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &[u8],
        mut data: impl Read,
    ) -> Result<(), EntryError> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let create = || openat(parent, as_path(name), flags, Mode::from_bits_truncate(0o600));
        let mut file = File::from(self.replacing(parent, name, create)?);
        let copied = copy(&mut data, &mut file)?;
        if copied != entry.size {
            return Err(broken("the stream ends within it"));
        }
        self.describe(entry, &file)?;
        Ok(futimens(&file, &time(entry), &time(entry))?)
    }

    fn symlink(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<(), EntryError> {
        if entry.link.is_empty() || entry.link.contains(&0) {
            return Err(broken("its link target is empty or contains a NUL byte"));
        }
        self.replacing(parent, name, || symlinkat(as_path(&entry.link), parent, as_path(name)))?;
        self.own(entry, parent, name)?;
        // Linux has no attributes of the user's on links; others would need a path.
        self.tally.attributes += entry.xattrs.len() as u64;
        self.set_time(entry, parent, name)
    }

    fn fifo(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<(), EntryError> {
        let mode = Mode::from_bits_truncate(0o600);
        self.replacing(parent, name, || mkfifoat(parent, as_path(name), mode))?;
        self.own(entry, parent, name)?;
        let mode = Mode::from_bits_truncate(entry.mode);
        fchmodat(parent, as_path(name), mode, nix::sys::stat::FchmodatFlags::FollowSymlink)?;
        self.tally.attributes += entry.xattrs.len() as u64;
        self.set_time(entry, parent, name)
    }

    fn hard_link(
        &mut self,
        entry: &Entry,
        path: &[u8],
        parent: &OwnedFd,
        name: &[u8],
    ) -> Result<(), EntryError> {
        let target = clean(&entry.link, self.bounds.path).map_err(|error| match error {
            EntryError::Fault(Fault::Escapes(_)) => {
                EntryError::Fault(Fault::Escapes("it is a hard link to something outside the root".into()))
            }
            other => other,
        })?;
        let missing = || broken("it is a hard link to something that does not exist");
        let (target_parent, target_name) = split(&target).ok_or_else(missing)?;
        let directory = self.root.directory(target_parent)?.ok_or_else(missing)?;
        if fstatat(&*directory, as_path(target_name), AtFlags::AT_SYMLINK_NOFOLLOW).is_err() {
            return Err(missing());
        }
        if is_directory(&directory, target_name)? {
            return Err(broken("it is a hard link to a directory"));
        }
        if self.root.resolve(path)? == self.root.resolve(&target)? {
            return Ok(());
        }
        whiteout::note_link(self, &target)?;
        let link = || linkat(&*directory, as_path(target_name), parent, as_path(name), AtFlags::empty());
        Ok(self.replacing(parent, name, link)?)
    }

    /// Does what fails where the name is taken; then removes what has it, and does it again.
    fn replacing<T>(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        make: impl Fn() -> nix::Result<T>,
    ) -> Result<T, Fault> {
        match make() {
            Err(Errno::EEXIST) => {
                self.remove(parent, name)?;
                Ok(make()?)
            }
            result => Ok(result?),
        }
    }

    /// Removes whatever has this name.
    pub(super) fn remove(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<(), Fault> {
        self.root.forget();
        match unlinkat(parent, as_path(name), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR) => Ok(remove::directory(parent, name)?),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Owner, mode and attributes of an open file or directory.
    fn describe(&mut self, entry: &Entry, file: impl AsFd) -> Result<(), EntryError> {
        let (uid, gid) = owner(entry)?;
        fchown(&file, Some(uid), Some(gid))?;
        fchmod(&file, Mode::from_bits_truncate(entry.mode))?;
        for (name, value) in &entry.xattrs {
            self.attribute(&file, name, value)?;
        }
        Ok(())
    }

    fn attribute(&mut self, file: impl AsFd, name: &[u8], value: &[u8]) -> Result<(), EntryError> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let reserved = [&b"trusted."[..], b"user.overlay.", b"system.overlay."];
        if reserved.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(Fault::Forged(shown).into());
        }
        // Labels of security modules (SELinux, IMA) would speak to the host, not to the image; some
        // kernels let a user namespace write them.
        let kept = name.starts_with(b"user.")
            || name.starts_with(b"system.posix_acl_")
            || name == b"security.capability";
        if !kept {
            self.tally.attributes += 1;
            return Ok(());
        }
        let name = CString::new(name).map_err(|_| broken("an attribute's name contains a NUL byte"))?;
        match xattr::set(file, &name, value).map_err(|error| error.raw_os_error()) {
            Ok(()) => Ok(()),
            Err(Some(libc::EPERM | libc::EOPNOTSUPP | libc::EACCES)) => {
                self.tally.attributes += 1;
                Ok(())
            }
            Err(Some(libc::EINVAL | libc::ERANGE | libc::E2BIG)) => {
                Err(broken(&format!("its attribute {shown:?} has a value that the kernel refuses")))
            }
            Err(errno) => Err(Fault::Os(Errno::from_raw(errno.unwrap_or(libc::EIO))).into()),
        }
    }

    fn own(&self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<(), EntryError> {
        let (uid, gid) = owner(entry)?;
        Ok(fchownat(parent, as_path(name), Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    fn set_time(&self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<(), EntryError> {
        let time = time(entry);
        Ok(utimensat(parent, as_path(name), &time, &time, UtimensatFlags::NoFollowSymlink)?)
    }
}

#[derive(Debug)]
pub enum EntryError {
    Fault(Fault),
    /// Reading the data failed; the stream knows why.
    Data(io::Error),
}

impl<T: Into<Fault>> From<T> for EntryError {
    fn from(fault: T) -> EntryError {
        EntryError::Fault(fault.into())
    }
}

fn broken(rule: &str) -> EntryError {
    EntryError::Fault(Fault::Broken(rule.to_owned()))
}

/// Components without `.`, empty ones and leading slashes. Whoever writes `..` means to climb.
pub(super) fn clean(path: &[u8], max: usize) -> Result<Vec<u8>, EntryError> {
    if path.len() > max {
        return Err(broken("its name is longer than the limit"));
    }
    if path.contains(&0) {
        return Err(broken("its name contains a NUL byte"));
    }
    let parts: Vec<_> =
        path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return Err(Fault::Escapes("its path climbs with \"..\"".to_owned()).into());
    }
    Ok(parts.join(&b'/'))
}

/// Parent and last component; `None` for the root itself.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => Some((&path[..slash], &path[slash + 1..])),
        None if path.is_empty() => None,
        None => Some((b"", path)),
    }
}

pub(super) fn is_directory(parent: &OwnedFd, name: &[u8]) -> Result<bool, Fault> {
    let stat = fstatat(parent, as_path(name), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

fn owner(entry: &Entry) -> Result<(Uid, Gid), EntryError> {
    let id = |id: u64| u32::try_from(id).ok().filter(|&id| id < super::super::LAYER_ID_COUNT);
    match (id(entry.uid), id(entry.gid)) {
        (Some(uid), Some(gid)) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
        _ => Err(broken(&format!("its owner {}:{} is above 65535", entry.uid, entry.gid))),
    }
}

fn time(entry: &Entry) -> TimeSpec {
    TimeSpec::new(entry.mtime.0, entry.mtime.1.into())
}

fn copy(data: &mut impl Read, file: &mut File) -> Result<u64, EntryError> {
    let mut buffer = [0; 64 * 1024];
    let mut copied = 0;
    loop {
        let got = match data.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(EntryError::Data(error)),
        };
        let written = io::Write::write_all(file, &buffer[..got]);
        written.map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            EntryError::Fault(Fault::Os(Errno::from_raw(errno)))
        })?;
        copied += got as u64;
    }
}
