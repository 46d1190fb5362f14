//! Removing a tree that someone else laid out, however deep: neither the stack nor the descriptors
//! grow with its depth (the standard library's `remove_dir_all` needs a descriptor per level).

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Removes the directory `name` and all below it. No link is followed. The way back up is `..`; that
/// it leads to where we came from is checked, since a process that is about to die might still move
/// directories about.
pub fn directory(parent: impl AsFd, name: &[u8]) -> nix::Result<()> {
    let mut here = enter(&parent, name)?;
    let mut levels = vec![Level::new(&parent, name.to_vec(), &here)?];
    while let Some(level) = levels.last_mut() {
        if let Some(next) = level.subdirectories.pop() {
            let below = enter(&here, &next)?;
            levels.push(Level::new(&here, next, &below)?);
            here = below;
        } else if let Some(level) = levels.pop() {
            here = enter(&here, b"..")?;
            if identity(&here)? != level.parent {
                return Err(Errno::ESTALE);
            }
            unlinkat(&here, as_path(&level.name), UnlinkatFlags::RemoveDir)?;
        }
    }
    Ok(())
}

/// Names in a directory, and which of them are directories.
pub fn children(directory: impl AsFd) -> nix::Result<Vec<(Vec<u8>, bool)>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut listing = Dir::from_fd(openat(&directory, ".", flags, Mode::empty())?)?;
    let mut found = Vec::new();
    for entry in listing.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let is_directory = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            None => {
                let stat = fstatat(&directory, as_path(name), AtFlags::AT_SYMLINK_NOFOLLOW)?;
                SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
            }
        };
        found.push((name.to_vec(), is_directory));
    }
    Ok(found)
}

/// A directory on the way down, with the directories in it still to be removed.
struct Level {
    name: Vec<u8>,
    parent: (u64, u64),
    subdirectories: Vec<Vec<u8>>,
}

impl Level {
    /// Removes what is not a directory.
    fn new(parent: impl AsFd, name: Vec<u8>, here: &OwnedFd) -> nix::Result<Level> {
        let mut subdirectories = Vec::new();
        for (name, is_directory) in children(here)? {
            match is_directory {
                true => subdirectories.push(name),
                false => unlinkat(here, as_path(&name), UnlinkatFlags::NoRemoveDir)?,
            }
        }
        Ok(Level { name, parent: identity(parent)?, subdirectories })
    }
}

fn identity(directory: impl AsFd) -> nix::Result<(u64, u64)> {
    fstat(directory).map(|stat| (stat.st_dev, stat.st_ino))
}

fn enter(directory: impl AsFd, name: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(directory, as_path(name), flags, Mode::empty())
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::mkdirat;

    use super::*;

    #[test]
    fn a_tree_goes_however_deep_and_what_it_links_to_stays() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("kept"), "x").unwrap();
        let top = place.path().join("top");
        fs::create_dir_all(top.join("side/a")).unwrap();
        fs::write(top.join("side/a/file"), "x").unwrap();
        symlink("..", top.join("side/link")).unwrap();
        let mut here = enter(nix::fcntl::AT_FDCWD, top.as_os_str().as_bytes()).unwrap();
        for _ in 0..3000 {
            mkdirat(&here, "d", Mode::from_bits_truncate(0o700)).unwrap();
            here = enter(&here, b"d").unwrap();
        }
        let parent = fs::File::open(place.path()).unwrap();
        directory(&parent, b"top").unwrap();
        assert!(!top.exists());
        assert!(place.path().join("kept").exists());
        assert_eq!(directory(&parent, b"top"), Err(Errno::ENOENT));
    }
}
