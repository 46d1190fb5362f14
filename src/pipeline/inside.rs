//! The sandbox's own file systems, reached from outside through its init.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::{major, minor};

use crate::sandbox::Target;
use crate::sys::{open, process};

/// What the sandbox can write to besides the overlay, below its root.
const WRITABLE: [&str; 2] = ["dev", "dev/shm"];

/// Open directories of a held sandbox: nothing of the image runs yet, so nothing moves.
#[derive(Debug)]
pub struct Inside {
    /// The overlay.
    pub root: File,
    /// Each tmpfs, with its path inside.
    pub tmpfs: Vec<(&'static str, File)>,
}

impl Inside {
    /// Fails where init is gone, or a place is not what it should be.
    pub fn open(target: &Target) -> io::Result<Inside> {
        let root = open::directory(Path::new(&format!("/proc/{}/root", target.pid)))?;
        // The number could have been another's by then.
        if process::pid_of(target.pidfd.as_fd())? != Some(target.pid) {
            return Err(io::Error::other("the sandbox's init is gone"));
        }
        let tmpfs = WRITABLE.into_iter().map(|name| Ok((name, directory(&root, name)?)));
        Ok(Inside { tmpfs: tmpfs.collect::<io::Result<_>>()?, root })
    }
}

fn directory(root: &File, name: &str) -> io::Result<File> {
    // Not O_PATH: fanotify_mark(2) takes none.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    Ok(open::beneath(root, Path::new(name), flags, resolve)?.into())
}

/// The device of a file, as the kernel holds it (include/linux/kdev_t.h, `MKDEV`). Of an overlay, ask a
/// directory: other files may show the device of their layer (fs/overlayfs/inode.c, `ovl_map_dev_ino`).
pub fn device(file: &File) -> io::Result<u32> {
    Ok(kernel_device(file.metadata()?.dev()))
}

pub fn kernel_device(number: u64) -> u32 {
    (major(number) << 20 | minor(number)) as u32
}

/// The cgroups of a process by the number of their hierarchy (cgroups(7), /proc/PID/cgroup).
pub fn groups(pid: u32) -> Vec<(u32, Vec<u8>)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let group = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let number = parts.next()?.parse().ok()?;
        Some((number, parts.nth(1)?.as_bytes().to_vec()))
    };
    text.lines().filter_map(group).collect()
}
