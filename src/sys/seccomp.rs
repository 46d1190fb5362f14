//! Loads a seccomp filter. What it allows is decided in `sandbox`.
#![allow(unsafe_code)] // seccomp(2) takes a pointer to the program.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// One instruction of classic BPF (linux/filter.h), in the kernel's own layout.
pub type Instruction = libc::sock_filter;

/// Loads `program` for the calling thread and all that it starts. Without no_new_privs this needs
/// CAP_SYS_ADMIN in the thread's user namespace.
pub fn load(program: &[Instruction]) -> io::Result<()> {
    set(program, 0).map(drop)
}

/// The same, and gives the descriptor at which the calls that the program answers with
/// `SECCOMP_RET_USER_NOTIF` are heard (see [`super::notify`]). It is closed on exec.
pub fn load_heard(program: &[Instruction]) -> io::Result<OwnedFd> {
    let descriptor = set(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
    // SAFETY: with this flag the call returns a descriptor that the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}

fn set(program: &[Instruction], flags: libc::c_ulong) -> io::Result<libc::c_long> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: `program` points to `length` instructions that live until the call returns; the kernel
    // copies and checks them, and writes nothing.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
