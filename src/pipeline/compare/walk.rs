//! Walks a tree that an attacker made: by descriptors, through no link, in bounded room.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

/// How deep: one descriptor each. A name of one byte each, a path that the kernel takes can be four
/// times as deep; what is deeper is named, not entered.
const DEPTH_MAX: usize = 512;
/// How many entries.
const ENTRIES_MAX: u64 = 1 << 20;

/// One entry of the tree.
pub struct Entry<'w> {
    /// Absolute, below the prefix that the walk was given.
    pub path: &'w [u8],
    pub directory: BorrowedFd<'w>,
    pub name: &'w CStr,
    pub stat: &'w FileStat,
}

impl Entry<'_> {
    pub fn kind(&self) -> SFlag {
        kind(self.stat)
    }

    /// Opens it for reading; it must be a file or a directory.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        Ok(openat(self.directory, self.name, flags, Mode::empty())?.into())
    }
}

/// What the walk did not look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Directories that were not entered.
    pub deep: Vec<Vec<u8>>,
    /// There were more entries than are looked at.
    pub cut: bool,
}

struct Level {
    directory: OwnedFd,
    names: Vec<CString>,
    /// Bytes of the path up to this directory.
    length: usize,
}

/// Visits everything below `root`, parents first, on its own file system. `prefix` is its path.
pub fn walk(
    root: &File,
    prefix: &str,
    visit: &mut dyn FnMut(&Entry<'_>) -> io::Result<()>,
) -> io::Result<LeftOut> {
    let device = fstat(root)?.st_dev;
    let mut path = prefix.as_bytes().to_vec();
    let mut levels = vec![level(root.try_clone()?.into(), path.len())?];
    let (mut left_out, mut entries) = (LeftOut::default(), 0);
    while let depth @ 1.. = levels.len() {
        let at = &mut levels[depth - 1];
        path.truncate(at.length);
        let Some(name) = at.names.pop() else {
            levels.pop();
            continue;
        };
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        entries += 1;
        if entries > ENTRIES_MAX {
            left_out.cut = true;
            break;
        }
        let stat = fstatat(&at.directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        visit(&Entry { path: &path, directory: at.directory.as_fd(), name: &name, stat: &stat })?;
        if kind(&stat) == SFlag::S_IFDIR && stat.st_dev == device {
            if depth >= DEPTH_MAX {
                left_out.deep.push(path.clone());
                continue;
            }
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let directory = openat(&at.directory, name.as_c_str(), flags, Mode::empty())?;
            levels.push(level(directory, path.len())?);
        }
    }
    Ok(left_out)
}

fn level(directory: OwnedFd, length: usize) -> io::Result<Level> {
    let mut listing =
        Dir::openat(&directory, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    // One more than all, so that the walk notices.
    for entry in listing.iter().take(ENTRIES_MAX as usize + 3) {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(Level { directory, names, length })
}

pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn paths(root: &std::path::Path) -> (Vec<String>, LeftOut) {
        let mut paths = Vec::new();
        let left_out = walk(&File::open(root).unwrap(), "/p", &mut |entry| {
            paths.push(String::from_utf8_lossy(entry.path).into_owned());
            Ok(())
        });
        paths.sort();
        (paths, left_out.unwrap())
    }

    #[test]
    fn everything_is_visited_once_and_no_link_is_followed() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("a/b")).unwrap();
        std::fs::write(base.path().join("a/b/f"), "x").unwrap();
        symlink("/usr", base.path().join("l")).unwrap();
        symlink("l", base.path().join("a/l")).unwrap();
        let expected = ["/p/a", "/p/a/b", "/p/a/b/f", "/p/a/l", "/p/l"];
        assert_eq!(paths(base.path()), (expected.map(str::to_owned).to_vec(), LeftOut::default()));
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_walked_to_the_bound_and_named() {
        let base = tempfile::tempdir().unwrap();
        let name = CString::new("d".repeat(200)).unwrap();
        let mut at: OwnedFd = File::open(base.path()).unwrap().into();
        for _ in 0..DEPTH_MAX + 10 {
            nix::sys::stat::mkdirat(&at, name.as_c_str(), Mode::S_IRWXU).unwrap();
            at = openat(&at, name.as_c_str(), OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        let (paths, left_out) = paths(base.path());
        assert_eq!((paths.len(), left_out.deep.len(), left_out.cut), (DEPTH_MAX, 1, false));
        let parent = std::fs::File::open(base.path().parent().unwrap()).unwrap();
        crate::sys::remove::directory(&parent, base.path().file_name().unwrap().as_encoded_bytes()).unwrap();
    }
}
