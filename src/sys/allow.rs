//! A seccomp filter that lets through a short list of system calls and kills for any other: for our
//! own processes that parse hostile bytes. The workload's filter is another matter.
#![allow(unsafe_code)] // prctl(PR_SET_SECCOMP) has no safe wrapper in the crates in use.

use std::io;

/// What unpacking a layer takes, besides memory and the end of the process.
pub const UNPACKING: [libc::c_long; 26] = [
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
    libc::SYS_fsetxattr,
    libc::SYS_getrandom,
    libc::SYS_fstatfs,
];

/// What serving on sockets that are already open takes.
pub const SERVING: [libc::c_long; 30] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_create1,
    libc::SYS_eventfd2,
    libc::SYS_poll,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_sched_yield,
];

/// What calling at a port takes.
pub const VISITING: [libc::c_long; 13] = [
    libc::SYS_close,
    // The language looks at a descriptor before it closes it, in builds with debug assertions.
    libc::SYS_fcntl,
    libc::SYS_restart_syscall,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_getsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_poll,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
];

/// What the C library and the language's runtime do by themselves.
const RUNTIME: [libc::c_long; 13] = [
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The low half of the first argument.
const ARGUMENT: u32 = 16;

/// From now on, this process may make only these calls, and sockets of the internet's families only. It can
/// not be taken back.
pub fn only(calls: &[libc::c_long]) -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    let mut filter = program(calls);
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: `program` and the `filter` it points to live until the call returns, `len` is the
    // filter's length; the kernel checks and copies it (seccomp_prepare_filter).
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn program(calls: &[libc::c_long]) -> Vec<libc::sock_filter> {
    let load = |at| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    let answer = |value| instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    let equal = |value, then, or| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, then, or);
    let mut program =
        vec![load(ARCH), equal(AUDIT_ARCH, 1, 0), answer(libc::SECCOMP_RET_KILL_PROCESS), load(NUMBER)];
    for &call in calls.iter().chain(&RUNTIME) {
        match call {
            libc::SYS_socket => program.extend([
                equal(call as u32, 0, 5),
                load(ARGUMENT),
                equal(libc::AF_INET as u32, 1, 0),
                equal(libc::AF_INET6 as u32, 0, 1),
                answer(libc::SECCOMP_RET_ALLOW),
                answer(libc::SECCOMP_RET_KILL_PROCESS),
            ]),
            _ => program.extend([equal(call as u32, 0, 1), answer(libc::SECCOMP_RET_ALLOW)]),
        }
    }
    program.push(answer(libc::SECCOMP_RET_KILL_PROCESS));
    program
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
