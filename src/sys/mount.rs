//! The mount calls that work on descriptors: fsopen(2), open_tree(2), mount_setattr(2), move_mount(2).
//!
//! Not here: which trees are mounted where. See `sandbox`.
#![allow(unsafe_code)] // Neither std nor nix wraps these calls.

use std::ffi::CStr;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::NixPath;

/// include/uapi/linux/mount.h
const FSOPEN_CLOEXEC: libc::c_uint = 1;

/// Asks for a file system by its name, so that the kernel loads the module that has it; fails with ENODEV
/// where there is none. Nothing is mounted.
pub fn know(file_system: &CStr) -> io::Result<()> {
    // SAFETY: the name is a NUL-terminated string that outlives the call; the kernel only reads it.
    let result = unsafe { libc::syscall(libc::SYS_fsopen, file_system.as_ptr(), FSOPEN_CLOEXEC) };
    owned(result).map(drop)
}

/// Clones the mount that `path` lies on, rooted at `path`, detached from every namespace. Submounts are
/// left behind.
pub fn clone_tree(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    let result = path.with_nix_path(|path: &CStr| {
        // SAFETY: `path` is a NUL-terminated string that outlives the call; the kernel only reads it.
        unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) }
    })?;
    owned(result)
}

/// Makes a detached mount read-only, without devices, and shifts its ids through `user_namespace`: an id
/// on disk is looked up as an inner id of that namespace.
pub fn set_idmap(tree: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP | libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: user_namespace.as_raw_fd() as u64,
    };
    // SAFETY: both descriptors are open for the call; the path is an empty NUL-terminated string, and the
    // kernel reads exactly the size we pass from `attributes`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result).map(drop)
}

/// Attaches a detached mount at `target`.
pub fn attach_tree(tree: impl AsFd, target: &Path) -> io::Result<()> {
    let tree = tree.as_fd();
    let result = target.with_nix_path(|target: &CStr| {
        // SAFETY: `tree` is open for the call, both paths are NUL-terminated and only read.
        unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                tree.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_FDCWD,
                target.as_ptr(),
                libc::MOVE_MOUNT_F_EMPTY_PATH,
            )
        }
    })?;
    check(result).map(drop)
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel just gave us this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_long) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}
