//! Extended attributes by descriptor: fgetxattr(2), flistxattr(2), fsetxattr(2).
#![allow(unsafe_code)] // libc has only the raw calls, and no crate in use wraps them.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The kernel's own bound (XATTR_SIZE_MAX, XATTR_LIST_MAX).
const MAX: usize = 65536;

/// Sets an extended attribute of an open file (fsetxattr(2)).
pub fn set(file: impl AsFd, name: &CStr, value: &[u8]) -> io::Result<()> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; name is NUL-terminated; value is readable for
    // the length passed; the kernel keeps none of them.
    let result = unsafe { libc::fsetxattr(fd, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `None` where the file has no such attribute, or its file system no attributes at all.
pub fn get(file: impl AsFd, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; MAX];
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: as in `set`; value is writable for the length passed.
    let size = unsafe { libc::fgetxattr(fd, name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match usize::try_from(size) {
        Ok(size) => {
            value.truncate(size);
            Ok(Some(value))
        }
        Err(_) => absent(None),
    }
}

/// The names, in the file system's order.
pub fn list(file: impl AsFd) -> io::Result<Vec<CString>> {
    let mut names = vec![0; MAX];
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: as in `get`.
    let size = unsafe { libc::flistxattr(fd, names.as_mut_ptr().cast(), names.len()) };
    let Ok(size) = usize::try_from(size) else { return absent(Vec::new()) };
    names.truncate(size);
    Ok(names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|n| CString::new(n).ok())
        .collect())
}

fn absent<T>(nothing: T) -> io::Result<T> {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENODATA | libc::EOPNOTSUPP) => Ok(nothing),
        _ => Err(error),
    }
}
