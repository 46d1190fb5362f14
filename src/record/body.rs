//! What a task did: a variant for each kind of act that the probes tell.

use super::{
    Call, Capabilities, Credentials, KernelFile, KernelSocket, Mapping, PathArgument, Sockaddr, Task,
};

/// What the task did. `result` is the system call's return value: negative errno where it failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A program began to run.
    Exec {
        /// The file that runs (`mm->exe_file`): an interpreter, for scripts.
        exe: KernelFile,
        /// `bprm->filename`: the name passed to execve(2); `/dev/fd/N` forms for execveat(2).
        asked: Vec<u8>,
        /// `bprm->interp` where it differs from `asked`: the interpreter of a script.
        interpreter: Vec<u8>,
        /// From `mm->arg_start`: NUL-separated.
        argv: Vec<u8>,
        /// From `mm->env_start`: NUL-separated.
        env: Vec<u8>,
        cwd: Vec<u8>,
        comm: Vec<u8>,
        tty: bool,
        /// Of the new program.
        capabilities: Capabilities,
    },
    /// An execve(2) or execveat(2) that failed; the name is the program's string, unverified.
    ExecFailed {
        asked: Vec<u8>,
        result: i64,
    },
    /// A new process (not a thread). `child` is what `sched_process_fork` shows of it.
    Fork {
        child: Task,
    },
    /// The last thread of a process ended. `status` is `task->exit_code`, as in wait(2).
    Exit {
        status: u32,
    },
    /// open(2), openat(2), openat2(2), creat(2), also through io_uring, that succeeded.
    Open {
        file: KernelFile,
        flags: u32,
        created: bool,
        /// The string as it stood when the call had returned; `None` where it was unreadable, where there
        /// is none, or where the kernel's own objects show that it leads to the file.
        passed: Option<PathArgument>,
    },
    /// One that failed; the path is the program's string, unverified. With `-EINPROGRESS` it was
    /// handed to io_uring, and whether it succeeded is not known.
    OpenFailed {
        path: PathArgument,
        flags: u32,
        result: i64,
    },
    /// `flags` as of renameat2(2).
    Rename {
        from: PathArgument,
        to: PathArgument,
        flags: u32,
        result: i64,
    },
    /// `flags` as of linkat(2).
    Link {
        from: PathArgument,
        to: PathArgument,
        flags: u32,
        result: i64,
    },
    Symlink {
        target: Vec<u8>,
        path: PathArgument,
        result: i64,
    },
    /// unlink(2), unlinkat(2), rmdir(2).
    Unlink {
        path: PathArgument,
        directory: bool,
        result: i64,
    },
    Mkdir {
        path: PathArgument,
        result: i64,
    },
    /// chmod(2), fchmodat(2) by name.
    Chmod {
        path: PathArgument,
        mode: u32,
        result: i64,
    },
    /// fchmod(2): the kernel's own file.
    FileChmod {
        file: KernelFile,
        mode: u32,
        result: i64,
    },
    /// Any other change of a file.
    Change {
        target: Target,
        change: Change,
        result: i64,
    },
    /// `local` of this, [`Body::Send`], [`Body::Accept`] and [`Body::Query`] is the socket's own address, by
    /// the kernel; empty where it has none yet.
    Connect {
        socket: KernelSocket,
        local: Sockaddr,
        remote: Sockaddr,
        result: i64,
    },
    Bind {
        socket: KernelSocket,
        local: Sockaddr,
        result: i64,
    },
    Listen {
        socket: KernelSocket,
        local: Sockaddr,
        result: i64,
    },
    /// A datagram to an address of its own.
    Send {
        socket: KernelSocket,
        local: Sockaddr,
        remote: Sockaddr,
        result: i64,
    },
    /// socket(2) that gave one: family, kind and protocol as they were asked for.
    Socket {
        socket: KernelSocket,
    },
    /// accept(2), accept4(2) that gave a connection.
    Accept {
        socket: KernelSocket,
        local: Sockaddr,
        remote: Sockaddr,
    },
    /// A datagram to port 53, by any call that sends: its first bytes.
    Query {
        socket: KernelSocket,
        local: Sockaddr,
        server: Sockaddr,
        payload: Vec<u8>,
        result: i64,
    },
    /// A TCP connection ended, or (at the end of the run) what went between two ends without one. The task
    /// is the one that opened or took it, or first sent, as it was then.
    Flow {
        socket: KernelSocket,
        local: Sockaddr,
        remote: Sockaddr,
        /// Bytes, without those that were sent again.
        sent: u64,
        received: u64,
    },
    /// The address that a call took is not the one that stood where the program passed it, when the call
    /// had returned.
    Mismatch {
        call: Addressed,
        socket: KernelSocket,
        passed: Sockaddr,
        actual: Sockaddr,
        result: i64,
    },
    /// A connect that did not block came to its end: made, or ended by an errno. The task is the one that
    /// began it.
    Settled {
        socket: KernelSocket,
        local: Sockaddr,
        remote: Sockaddr,
        error: Option<i32>,
    },
    /// setsockopt(2) of an option of note, by its numbers. `value`: its first eight bytes, or four.
    SocketOption {
        socket: KernelSocket,
        level: u32,
        name: u32,
        value: u64,
        result: i64,
    },
    /// A call asked for a capability (`CAP_*`) that was not there; what came of it is not told.
    Incapable {
        capability: u32,
        number: u32,
        compat: bool,
    },
    /// A request of io_uring bound a socket to this address: the record of the request itself came before.
    Source {
        socket: KernelSocket,
        local: Sockaddr,
        /// Empty where it has no fixed peer.
        remote: Sockaddr,
    },
    /// A descriptor was copied onto 0, 1 or 2 (dup2, dup3, fcntl(F_DUPFD), or dup and open reusing
    /// the number), or a connection got one of these numbers itself.
    Dup {
        onto: u32,
        source: DupSource,
    },
    /// A call that failed with EPERM, EACCES or ENOSYS and has no record kind of its own.
    Denied {
        number: u32,
        compat: bool,
        args: [u64; 6],
        result: i64,
        /// The capability that it asked for and did not have, where the kernel tells (`CAP_*`).
        capability: Option<u32>,
        /// A filter or a tracer of the image's own answered it, perhaps with success.
        barred: bool,
    },
    /// A name that was another one when its call returned than when it began; their first parts.
    Rewritten {
        number: u32,
        compat: bool,
        before: Vec<u8>,
        after: Vec<u8>,
        result: i64,
    },
    /// Memory became executable, or was to. What an ordinary loader maps from the image is left out.
    Mapping {
        mapping: Mapping,
        result: i64,
    },
    /// A call of note; the kinds say what it is about.
    Call {
        about: About,
        call: Call,
        result: i64,
    },
    /// The credentials of the task changed, or a change failed (then `after` is what they are).
    Ids {
        number: u32,
        compat: bool,
        /// `None` where nothing was seen of the task before.
        before: Option<Credentials>,
        after: Credentials,
        result: i64,
    },
    /// A signal from one process to another.
    Signal {
        signal: u32,
        target: SignalTarget,
        /// `si_code`.
        code: i32,
        result: i64,
    },
    /// A task of the sandbox was put into another cgroup, by itself or another task of the sandbox.
    Moved {
        pid: u32,
        start: u64,
        /// 0 is the v2 tree.
        hierarchy: u32,
        /// From the root of that hierarchy.
        cgroup: Vec<u8>,
    },
    /// A request handed to io_uring that has no kind of its own. The paths are the kernel's own copies
    /// of what was passed; how it ends is not seen.
    Ring {
        opcode: u32,
        fd: i32,
        paths: [Vec<u8>; 2],
    },
    /// Bytes that are no record: an unknown kind, a length that does not fit.
    Unreadable {
        kind: u16,
        reason: &'static str,
    },
}

impl Body {
    /// What the call returned, of those that can fail.
    pub fn result(&self) -> Option<i64> {
        match self {
            Body::ExecFailed { result, .. }
            | Body::OpenFailed { result, .. }
            | Body::Rename { result, .. }
            | Body::Link { result, .. }
            | Body::Symlink { result, .. }
            | Body::Unlink { result, .. }
            | Body::Mkdir { result, .. }
            | Body::Chmod { result, .. }
            | Body::FileChmod { result, .. }
            | Body::Change { result, .. }
            | Body::Connect { result, .. }
            | Body::Bind { result, .. }
            | Body::Listen { result, .. }
            | Body::Send { result, .. }
            | Body::Query { result, .. }
            | Body::Mismatch { result, .. }
            | Body::SocketOption { result, .. }
            | Body::Rewritten { result, .. }
            | Body::Denied { result, .. }
            | Body::Mapping { result, .. }
            | Body::Call { result, .. }
            | Body::Ids { result, .. }
            | Body::Signal { result, .. } => Some(*result),
            _ => None,
        }
    }
}

/// A call that takes an address, which the kernel then holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressed {
    Connect,
    Bind,
    /// Of a datagram.
    Send,
}

/// What a change was asked of.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// `keep`: a link at its end is itself what is changed.
    Name {
        path: PathArgument,
        keep: bool,
    },
    File(KernelFile),
}

/// What was to be changed of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Truncate {
        length: u64,
    },
    /// Ids as they were passed; `u32::MAX`: as it was.
    Chown {
        uid: u32,
        gid: u32,
    },
    /// Nanoseconds since 1970; `None`: left, or set to the present, which is `now` (in whole seconds).
    Times {
        modified: Option<i64>,
        now: i64,
    },
    SetXattr {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    RemoveXattr {
        name: Vec<u8>,
    },
    Mknod {
        mode: u32,
        device: u64,
    },
    /// `FS_*_FL`; with `extended` `FS_XFLAG_*`.
    SetFlags {
        flags: u32,
        extended: bool,
    },
    /// Filled from another descriptor.
    Copy,
    /// Mapped shared and writable: what is written into the memory is written into it.
    Map,
}

/// What a [`Body::Call`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Memory,
    Process,
    Kernel,
    /// The first call of this process through the 32-bit entry, whatever it is.
    Compat,
}

/// Whom a signal was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalTarget {
    /// The kernel's own: thread group, and start time of its leader.
    Process { pid: u32, start: u64 },
    /// The call's argument, as the sender's pid namespace counts (negative: a group; -1: everybody).
    Asked(i32),
}

/// What a descriptor that was copied leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum DupSource {
    /// `copied`: else the connection was opened at this number, which was free.
    Socket {
        socket: KernelSocket,
        remote: Sockaddr,
        copied: bool,
    },
    File(KernelFile),
}
