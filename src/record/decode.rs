//! Bytes of one record → what they say. Total: every length is checked, nothing is trusted.
//!
//! Files and sockets, which several kinds share, are here; the kinds stand in [`super::process`],
//! [`super::open`], [`super::names`], [`super::socket`], [`super::memory`], [`super::call`], [`super::ids`]
//! and [`super::signal`], as their probes do in ebpf/.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::wire::{self, Head, kind};
use super::{
    Body, KernelFile, KernelSocket, PathArgument, Task, call, change, ids, memory, names, open, process,
    signal, socket,
};

/// What the bytes of one record turned out to be.
pub enum Message {
    /// Complete by itself.
    Act {
        head: Head,
        body: Body,
    },
    /// Its argument vector and environment are in pieces.
    Exec {
        head: Head,
        body: Body,
        layout: wire::Exec,
    },
    Piece {
        piece: wire::Piece,
        bytes: Vec<u8>,
    },
    Fold {
        head: Head,
        fold: wire::Fold,
    },
}

/// Why bytes are no record.
pub type Reason = &'static str;

pub fn decode(bytes: &[u8]) -> Result<Message, (u16, Reason)> {
    let (head, rest) = Head::read_from_prefix(bytes).map_err(|_| (0, "shorter than the head of a record"))?;
    if head.size as usize != bytes.len() {
        return Err((head.kind, "its size is not that of its bytes"));
    }
    let mut cursor = Cursor { rest };
    let message = message(head, &mut cursor).map_err(|reason| (head.kind, reason))?;
    if !cursor.rest.is_empty() {
        return Err((head.kind, "bytes are left over"));
    }
    Ok(message)
}

fn message(head: Head, cursor: &mut Cursor<'_>) -> Result<Message, Reason> {
    let body = match head.kind {
        kind::EXEC => {
            let layout: wire::Exec = cursor.fixed()?;
            return Ok(Message::Exec { head, body: process::exec(&layout, cursor)?, layout });
        }
        kind::PIECE => {
            let piece: wire::Piece = cursor.fixed()?;
            let bytes = cursor.text(piece.length)?;
            return Ok(Message::Piece { piece, bytes });
        }
        kind::FOLD => return Ok(Message::Fold { head, fold: cursor.fixed()? }),
        kind::EXEC_FAILED => process::exec_failed(cursor)?,
        kind::FORK => process::fork(cursor)?,
        kind::EXIT => process::exit(cursor)?,
        kind::DUP => process::dup(cursor)?,
        kind::DENIED => process::denied(head.flags, cursor)?,
        kind::OPEN => open::open(cursor)?,
        kind::OPEN_FAILED => open::open_failed(cursor)?,
        kind::RENAME..=kind::CHMOD => names::names(head.kind, cursor)?,
        kind::FILE_CHMOD => names::file_chmod(cursor)?,
        kind::CHANGE => change::change(cursor)?,
        kind::CONNECT..=kind::SEND | kind::SOCKET | kind::ACCEPT => socket::endpoint(head.kind, cursor)?,
        kind::QUERY => socket::query(cursor)?,
        kind::MAPPING => memory::mapping(cursor)?,
        kind::MEMORY_CALL..=kind::COMPAT_CALL => call::call(&head, cursor)?,
        kind::MOVED => call::moved(cursor)?,
        kind::RING => call::ring(cursor)?,
        kind::IDS => ids::ids(&head, cursor)?,
        kind::SIGNAL => signal::signal(cursor)?,
        kind::FLOW => socket::flow(cursor)?,
        kind::REWRITTEN => names::rewritten(head.flags, cursor)?,
        kind::MISMATCH => socket::mismatch(cursor)?,
        kind::STATE => socket::state(cursor)?,
        kind::OPTION => socket::option(cursor)?,
        kind::CAPABILITY => call::capability(&head, cursor)?,
        kind::SOURCE => socket::source(cursor)?,
        _ => return Err("unknown kind"),
    };
    Ok(Message::Act { head, body })
}

pub fn task(head: &Head) -> Task {
    Task {
        pid: head.pid,
        tid: head.tid,
        start: head.start,
        inner_pid: head.inner_pid,
        uid: head.uid,
        gid: head.gid,
        euid: head.euid,
        egid: head.egid,
    }
}

/// What is left of a record: fixed parts and texts are taken from its front.
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    pub fn fixed<T: FromBytes + KnownLayout + Immutable>(&mut self) -> Result<T, Reason> {
        let (value, rest) =
            T::read_from_prefix(self.rest).map_err(|_| "shorter than the body of its kind")?;
        self.rest = rest;
        Ok(value)
    }

    pub fn text(&mut self, length: u16) -> Result<Vec<u8>, Reason> {
        let (text, rest) =
            self.rest.split_at_checked(length.into()).ok_or("a text reaches beyond the record")?;
        self.rest = rest;
        Ok(text.to_vec())
    }

    pub fn file(&mut self, file: &wire::File) -> Result<KernelFile, Reason> {
        let mut path = self.text(file.path)?;
        if path.is_empty() {
            path = nameless(file.magic);
        }
        Ok(KernelFile {
            path,
            device: file.device,
            inode: file.inode,
            mode: file.mode,
            magic: file.magic,
            unlinked: file.links == 0,
            upper: match file.upper {
                0 => None,
                side => Some(side == 2),
            },
        })
    }

    /// Its place (root and working directory) stands further behind, and is the caller's to add.
    pub fn argument(&mut self, argument: &wire::Argument) -> Result<PathArgument, Reason> {
        Ok(PathArgument {
            text: self.text(argument.text)?,
            base: self.text(argument.base)?,
            link: self.text(argument.link)?,
            unreadable: argument.unreadable != 0,
            ..PathArgument::default()
        })
    }
}

pub fn kernel_socket(socket: &wire::Socket) -> KernelSocket {
    KernelSocket { family: socket.family, kind: socket.kind, protocol: socket.protocol }
}

/// Pipes and sockets have no name at all; their superblock says what they are
/// (include/uapi/linux/magic.h).
fn nameless(magic: u64) -> Vec<u8> {
    match magic {
        0x5049_5045 => b"pipe:".to_vec(),
        0x534f_434b => b"socket:".to_vec(),
        _ => Vec::new(),
    }
}
