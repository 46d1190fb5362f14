//! Removes a directory tree that a hostile program made: any depth, any names, with two descriptors.
//!
//! Recursion would run out of stack or descriptors on a tree a million levels deep. Instead every
//! directory found is emptied one level, and its own directories are renamed up to the top.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, RenameFlags, ResolveFlag, openat2, renameat2};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Removes the directory at `path` and everything below. One that is not there is no error. Links are
/// removed, never followed; a mount below ends it with an error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let mut top = match Dir::open(path, DIRECTORY, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        result => result?,
    };
    let mut moved = 0;
    loop {
        let directories = unlink_files(&mut top)?;
        if directories.is_empty() {
            break;
        }
        for name in directories {
            lift(&top, &name, &mut moved)?;
            unlinkat(top.as_fd(), name.as_c_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
    std::fs::remove_dir(path)
}

/// Empties the directory `name` of `top`: its directories go up to `top`, under new names.
fn lift(top: &Dir, name: &CStr, moved: &mut u64) -> io::Result<()> {
    // Something that was mounted here is not ours to empty: EXDEV.
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let opened = openat2(top.as_fd(), name, OpenHow::new().flags(DIRECTORY).resolve(resolve))?;
    let mut directory = Dir::from_fd(opened)?;
    for inner in unlink_files(&mut directory)? {
        loop {
            *moved += 1;
            let outer = CString::new(format!("{moved:x}"))?;
            let (from, to) = (directory.as_fd(), top.as_fd());
            match renameat2(from, inner.as_c_str(), to, outer.as_c_str(), RenameFlags::RENAME_NOREPLACE) {
                Err(Errno::EEXIST) => {}
                result => break result?,
            }
        }
    }
    Ok(())
}

/// Unlinks what is no directory; gives back the directories' names.
fn unlink_files(directory: &mut Dir) -> io::Result<Vec<CString>> {
    let mut entries = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            entries.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    let mut directories = Vec::new();
    for (name, kind) in entries {
        if is_directory(directory, &name, kind)? {
            directories.push(name);
        } else {
            unlinkat(directory.as_fd(), name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
        }
    }
    Ok(directories)
}

fn is_directory(parent: &Dir, name: &CStr, kind: Option<Type>) -> io::Result<bool> {
    if let Some(kind) = kind {
        return Ok(kind == Type::Directory);
    }
    let stat = fstatat(parent.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::mkdirat;

    #[test]
    fn a_tree_deeper_than_any_path_goes() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("t");
        std::fs::create_dir(&top).unwrap();
        let mut at = Dir::open(&top, DIRECTORY, Mode::empty()).unwrap();
        let long = CString::new("d".repeat(200)).unwrap();
        for _ in 0..50 {
            for name in [long.as_c_str(), c"1", c"2"] {
                mkdirat(at.as_fd(), name, Mode::from_bits_truncate(0o700)).unwrap();
            }
            at = Dir::openat(at.as_fd(), long.as_c_str(), DIRECTORY, Mode::empty()).unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (top, other) = (directory.path().join("t"), directory.path().join("other"));
        for path in [&top, &other] {
            std::fs::create_dir(path).unwrap();
        }
        std::fs::write(other.join("kept"), "").unwrap();
        std::os::unix::fs::symlink(&other, top.join("link")).unwrap();
        remove_tree(&top).unwrap();
        assert!(other.join("kept").exists());
        remove_tree(&top).unwrap();
        std::os::unix::fs::symlink(&other, &top).unwrap();
        assert!(remove_tree(&top).is_err());
        assert!(other.join("kept").exists());
    }
}
