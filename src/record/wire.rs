//! The layout of ebpf/wire.h, on this side. One struct per C struct, the same names without `lz_`.
//!
//! A test compares offsets and sizes with the types that the object itself carries.

use zerocopy::{FromBytes, Immutable, KnownLayout};

/// `lz_head.flags`
pub const CUT: u16 = 1;
/// The call came through the 32-bit entry.
pub const COMPAT: u16 = 2;
/// A filter or tracer of the image's own answered the call.
pub const BARRED: u16 = 4;
/// `lz_head.slot` of a record that is not remembered for folding.
pub const NO_SLOT: u16 = 0xffff;

/// `enum lz_kind`
pub mod kind {
    pub const EXEC: u16 = 1;
    pub const EXEC_FAILED: u16 = 2;
    pub const FORK: u16 = 3;
    pub const EXIT: u16 = 4;
    pub const OPEN: u16 = 5;
    pub const OPEN_FAILED: u16 = 6;
    pub const RENAME: u16 = 7;
    pub const LINK: u16 = 8;
    pub const SYMLINK: u16 = 9;
    pub const UNLINK: u16 = 10;
    pub const MKDIR: u16 = 11;
    pub const CHMOD: u16 = 12;
    pub const FILE_CHMOD: u16 = 13;
    pub const CONNECT: u16 = 14;
    pub const BIND: u16 = 15;
    pub const LISTEN: u16 = 16;
    pub const SEND: u16 = 17;
    pub const DUP: u16 = 18;
    pub const DENIED: u16 = 19;
    pub const PIECE: u16 = 20;
    pub const FOLD: u16 = 21;
    pub const MISMATCH: u16 = 22;
    pub const STATE: u16 = 23;
    pub const OPTION: u16 = 24;
    pub const CAPABILITY: u16 = 25;
    pub const REWRITTEN: u16 = 26;
    pub const MAPPING: u16 = 40;
    pub const MEMORY_CALL: u16 = 41;
    pub const PROCESS_CALL: u16 = 42;
    pub const KERNEL_CALL: u16 = 43;
    pub const COMPAT_CALL: u16 = 44;
    pub const IDS: u16 = 45;
    pub const SIGNAL: u16 = 46;
    pub const MOVED: u16 = 47;
    pub const RING: u16 = 48;
    pub const CHANGE: u16 = 60;
    pub const SOCKET: u16 = 61;
    pub const ACCEPT: u16 = 62;
    pub const QUERY: u16 = 63;
    pub const FLOW: u16 = 64;
    pub const SOURCE: u16 = 65;
}

/// The ring that a kind travels in (`is_critical` of ebpf/task.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ring {
    Critical,
    Bulk,
}

impl Ring {
    /// Both.
    pub const ALL: [Ring; 2] = [Ring::Critical, Ring::Bulk];

    /// The ring that records of this kind take.
    pub fn of(kind: u16) -> Ring {
        match kind {
            ..=kind::EXIT | kind::CONNECT..=kind::DENIED | kind::IDS | kind::MOVED => Ring::Critical,
            kind::SOCKET..=kind::SOURCE | kind::MISMATCH | kind::STATE => Ring::Critical,
            _ => Ring::Bulk,
        }
    }
}

/// Declares structs of the wire and a table of their layouts, so that none escapes the test.
macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident = $c:literal { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, KnownLayout)]
            pub struct $name { $(pub $field: $type,)* }
        )*

        /// Every struct: its C name, its size, and its fields with their offsets and sizes.
        pub const LAYOUTS: &[Layout] = &[$(
            Layout {
                name: $c,
                size: size_of::<$name>(),
                fields: &[$((
                    stringify!($field),
                    std::mem::offset_of!($name, $field),
                    size_of::<$type>(),
                ),)*],
            },
        )*];
    };
}

/// How a struct of the wire lies in memory.
#[derive(Debug)]
pub struct Layout {
    pub name: &'static str,
    pub size: usize,
    pub fields: &'static [(&'static str, usize, usize)],
}

wire! {
    Head = "lz_head" {
        size: u32, kind: u16, flags: u16, time: u64, start: u64, pid: u32, tid: u32, inner_pid: u32,
        uid: u32, gid: u32, euid: u32, egid: u32, cpu: u16, slot: u16,
    }
    File = "lz_file" {
        inode: u64, magic: u64, device: u32, links: u32, mode: u16, path: u16, upper: u8, pad: [u8; 3],
    }
    Argument = "lz_argument" { text: u16, base: u16, link: u16, unreadable: u8, pad: u8, }
    Socket = "lz_socket" { family: u16, kind: u16, protocol: u16, address: u16, }
    Exec = "lz_exec" {
        exe: File, pieces: u64, argv_size: u32, env_size: u32, argv_sent: u32, env_sent: u32,
        asked: u16, interpreter: u16, cwd: u16, tty: u8, pad: u8, comm: [u8; 16],
        effective: u64, permitted: u64,
    }
    ExecFailed = "lz_exec_failed" { result: i64, asked: Argument, }
    Fork = "lz_fork" {
        start: u64, pid: u32, tid: u32, inner_pid: u32, uid: u32, gid: u32, euid: u32, egid: u32,
        pad: u32,
    }
    Exit = "lz_exit" { status: u32, pad: u32, }
    Open = "lz_open" { file: File, flags: u32, root: u16, created: u8, pad: u8, path: Argument, }
    OpenFailed = "lz_open_failed" { result: i64, flags: u32, root: u16, pad: u16, path: Argument, }
    Names = "lz_names" {
        result: i64, mode: u32, root: u16, cwd: u16, first: Argument, second: Argument,
    }
    FileChmod = "lz_file_chmod" { file: File, result: i64, mode: u32, pad: u32, }
    /// Other changes of a file: by name, or by descriptor; then there is no path.
    Change = "lz_change" {
        file: File, result: i64, numbers: [u64; 2], what: u32, root: u16, cwd: u16, name: u16, value: u16,
        by_name: u8, keep: u8, pad: [u8; 2], path: Argument,
    }
    Endpoint = "lz_endpoint" { result: i64, socket: Socket, local: [u8; 28], pad: [u8; 4], }
    /// A datagram to port 53: the server's address, then its bytes.
    Query = "lz_query" { result: i64, socket: Socket, payload: u16, pad: u16, local: [u8; 28], }
    /// A TCP connection that ended; the head is that of the process that opened or took it.
    Flow = "lz_flow" { sent: u64, received: u64, socket: Socket, local: [u8; 28], remote: [u8; 28], }
    /// A call that took another address than the one that stands where the program passed it.
    Mismatch = "lz_mismatch" {
        result: i64, kind: u32, pad: u32, socket: Socket, passed: [u8; 28], actual: [u8; 28],
    }
    /// How a connect that did not block ended.
    State = "lz_state" {
        state: u32, error: u32, socket: Socket, local: [u8; 28], remote: [u8; 28],
    }
    SocketOption = "lz_option" { result: i64, value: u64, level: u32, name: u32, socket: Socket, }
    Capability = "lz_capability" { capability: u32, number: u32, }
    /// A name that was another one when its call returned than when it began.
    Rewritten = "lz_rewritten" { result: i64, number: u32, index: u32, before: u16, after: u16, pad: u32, }
    Dup = "lz_dup" { onto: u32, is_socket: u32, socket: Socket, file: File, }
    Denied = "lz_denied" { result: i64, args: [u64; 6], number: u32, capability: u32, }
    /// A part of an argument vector or environment; it comes before the exec that names it.
    Piece = "lz_piece" { pieces: u64, offset: u32, length: u16, is_env: u8, pad: u8, }
    /// That many more acts like the record that this thread last sent with the same slot.
    Fold = "lz_fold" { first: u64, count: u64, }
    /// Memory that became executable.
    Mapping = "lz_mapping" {
        result: i64, address: u64, size: u64, file: File, protection: u32, flags: u32, protect: u8,
        has_file: u8, written: u8, known: u8, pad: [u8; 4],
    }
    Call = "lz_call" {
        result: i64, args: [u64; 6], detail: u64, target_start: u64, target_pid: u32, number: u32,
        capability: u32, texts: [u16; 3], unreadable: u8, pad: u8,
    }
    Cred = "lz_cred" {
        uid: u32, gid: u32, euid: u32, egid: u32, suid: u32, sgid: u32, fsuid: u32, fsgid: u32,
        effective: u64, permitted: u64,
    }
    Ids = "lz_ids" { result: i64, before: Cred, after: Cred, number: u32, known: u32, }
    Signal = "lz_signal" {
        result: i64, target_start: u64, target_pid: u32, signal: u32, asked: i32, code: i32,
    }
    Moved = "lz_moved" { start: u64, pid: u32, hierarchy: u32, path: u16, pad: [u8; 6], }
    /// A request handed to io_uring that has no kind of its own.
    UringOperation = "lz_ring" { opcode: u32, fd: i32, first: u16, second: u16, pad: u32, }
}
