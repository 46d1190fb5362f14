//! Names of io_uring's operations by number (`enum io_uring_op`, include/uapi/linux/io_uring.h of Linux
//! 6.16).

pub(super) fn name(opcode: u32) -> Option<&'static str> {
    NAMES.get(usize::try_from(opcode).ok()?).copied()
}

/// Operations that change where names lead: renameat, unlinkat, symlinkat, linkat.
pub(super) fn moves_names(opcode: u32) -> bool {
    matches!(opcode, 35 | 36 | 38 | 39)
}

#[rustfmt::skip]
const NAMES: &[&str] = &[
    "nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove",
    "sync_file_range", "sendmsg", "recvmsg", "timeout", "timeout_remove", "accept", "async_cancel",
    "link_timeout", "connect", "fallocate", "openat", "close", "files_update", "statx", "read", "write",
    "fadvise", "madvise", "send", "recv", "openat2", "epoll_ctl", "splice", "provide_buffers",
    "remove_buffers", "tee", "shutdown", "renameat", "unlinkat", "mkdirat", "symlinkat", "linkat",
    "msg_ring", "fsetxattr", "setxattr", "fgetxattr", "getxattr", "socket", "uring_cmd", "send_zc",
    "sendmsg_zc", "read_multishot", "waitid", "futex_wait", "futex_wake", "futex_waitv", "fixed_fd_install",
    "ftruncate", "bind", "listen", "recv_zc", "epoll_wait", "readv_fixed", "writev_fixed", "pipe",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_header() {
        for (opcode, expected) in
            [(0, "nop"), (9, "sendmsg"), (18, "openat"), (28, "openat2"), (39, "linkat"), (45, "socket")]
        {
            assert_eq!(name(opcode), Some(expected));
        }
        assert_eq!(name(1000), None);
    }
}
