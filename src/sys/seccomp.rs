//! Loads a seccomp filter. What it allows is decided in `sandbox`.
#![allow(unsafe_code)] // seccomp(2) takes a pointer to the program.

use std::io;

/// One instruction of classic BPF (linux/filter.h), in the kernel's own layout.
pub type Instruction = libc::sock_filter;

/// Loads `program` for the calling thread and all that it starts. Without no_new_privs this needs
/// CAP_SYS_ADMIN in the thread's user namespace.
pub fn load(program: &[Instruction]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: `program` points to `length` instructions that live until the call returns; the kernel
    // copies and checks them, and writes nothing.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
