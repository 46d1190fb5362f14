//! Readers of files: what was done to them, where they come from, which the kernel's objects are.

use crate::event::{File, FileAct, FileChange, FileKind, Inode, OpenMode, Origin};
use crate::rule::capability;
use crate::rule::field::Visit;
use crate::rule::subject::{Subject, origin_name};

pub fn origin(origin: Origin) -> &'static [u8] {
    origin_name(origin).as_bytes()
}

pub fn layer(origin: Origin) -> Option<u64> {
    match origin {
        Origin::Layer(number) => Some(number.into()),
        _ => None,
    }
}

pub fn file_actions(s: Subject<'_>, visit: Visit<'_>) -> bool {
    let name: &[u8] = match s.file_act() {
        None => return false,
        Some(FileAct::Open { mode, .. }) => return open_actions(*mode, visit),
        Some(FileAct::Rename { .. } | FileAct::Exchange { .. }) => b"rename",
        Some(FileAct::Link { .. }) => b"link",
        Some(FileAct::Symlink { .. }) => b"symlink",
        Some(FileAct::Unlink { .. }) => b"unlink",
        Some(FileAct::Mkdir { .. }) => b"mkdir",
        Some(FileAct::Chmod { .. }) => b"chmod",
        Some(FileAct::Rmdir { .. }) => b"rmdir",
        Some(FileAct::Change { change, .. }) => change_action(change),
    };
    visit(name)
}

fn change_action(change: &FileChange) -> &'static [u8] {
    match change {
        FileChange::Truncate { .. } => b"truncate",
        FileChange::Chown { .. } => b"chown",
        FileChange::Times { .. } => b"times",
        FileChange::SetXattr { .. } => b"setxattr",
        FileChange::RemoveXattr { .. } => b"removexattr",
        FileChange::Mknod { .. } => b"mknod",
        FileChange::SetFlags { .. } => b"setflags",
        FileChange::Copy => b"copy",
        FileChange::Map => b"map",
    }
}

pub fn file_change(s: Subject<'_>) -> Option<&FileChange> {
    match s.file_act()? {
        FileAct::Change { change, .. } => Some(change),
        _ => None,
    }
}

pub fn owner(s: Subject<'_>) -> Option<(Option<u32>, Option<u32>)> {
    match file_change(s)? {
        FileChange::Chown { uid, gid } => Some((*uid, *gid)),
        _ => None,
    }
}

pub fn times(s: Subject<'_>) -> Option<(Option<i64>, u64)> {
    match file_change(s)? {
        FileChange::Times { modified, behind } => Some((*modified, *behind)),
        _ => None,
    }
}

pub fn xattr(s: Subject<'_>) -> Option<&[u8]> {
    match file_change(s)? {
        FileChange::SetXattr { name, .. } | FileChange::RemoveXattr { name } => Some(name),
        _ => None,
    }
}

pub fn xattr_value(s: Subject<'_>) -> Option<&[u8]> {
    match file_change(s)? {
        FileChange::SetXattr { value, .. } => Some(value),
        _ => None,
    }
}

pub fn file_capabilities(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match file_change(s) {
        Some(FileChange::SetXattr { capabilities, .. }) => {
            capability::names(*capabilities).any(|name| visit(name.as_bytes()))
        }
        _ => false,
    }
}

/// Immutable, append-only.
pub fn file_flags(s: Subject<'_>) -> Option<(bool, bool)> {
    match file_change(s)? {
        FileChange::SetFlags { immutable, append_only } => Some((*immutable, *append_only)),
        _ => None,
    }
}

/// `O_TRUNC` changes the file even where it is opened for reading only.
pub fn open_actions(mode: OpenMode, visit: Visit<'_>) -> bool {
    visit(b"open")
        || (mode.read && visit(b"read"))
        || ((mode.write || mode.truncate) && visit(b"write"))
        || (mode.created && visit(b"create"))
}

pub fn open_mode(s: Subject<'_>) -> Option<OpenMode> {
    match s.file_act()? {
        FileAct::Open { mode, .. } => Some(*mode),
        _ => None,
    }
}

pub fn new_mode(s: Subject<'_>) -> Option<u32> {
    match s.file_act()? {
        FileAct::Chmod { mode, .. } => Some(*mode),
        FileAct::Open { mode, .. } if mode.created => Some(mode.permissions.into()),
        _ => None,
    }
}

pub fn symlink_target(s: Subject<'_>) -> Option<&[u8]> {
    match s.file_act()? {
        FileAct::Symlink { target, .. } => Some(target),
        _ => None,
    }
}

pub fn file_kind(kind: FileKind) -> &'static [u8] {
    match kind {
        FileKind::Regular => b"regular",
        FileKind::Directory => b"directory",
        FileKind::Link => b"link",
        FileKind::Socket => b"socket",
        FileKind::Fifo => b"fifo",
        FileKind::CharDevice => b"char_device",
        FileKind::BlockDevice => b"block_device",
        FileKind::Unknown => b"unknown",
    }
}

/// By inode where both are known; an unlink may know the path only.
pub fn is_own_exe(s: Subject<'_>) -> Option<bool> {
    let (exe, file) = (s.exe()?, s.file()?);
    let same = |own: &File| match (own.inode, file.inode) {
        (Some(own), Some(other)) => own == other,
        _ => own.path == file.path,
    };
    Some(same(&exe.file) || exe.script.as_ref().is_some_and(same))
}

/// What a new name adds to the old one.
pub fn suffix_added(s: Subject<'_>) -> Option<&[u8]> {
    let added = s.file()?.path.strip_prefix(&*s.from()?.path)?;
    (!added.is_empty() && !added.contains(&b'/')).then_some(added)
}

/// The inode of the file that an act is about, where the kernel told it.
pub fn file_inode(subject: Subject<'_>) -> Option<Vec<u8>> {
    let moved = subject.from().and_then(|file| file.inode);
    subject.file()?.inode.or(moved).map(inode_text)
}

/// The inodes of the executable and of its script.
pub fn exe_inodes(subject: Subject<'_>, visit: Visit<'_>) -> bool {
    running(subject).filter_map(|file| file.inode).any(|inode| visit(&inode_text(inode)))
}

/// Of them, those that no image layer holds.
pub fn exe_written_inodes(subject: Subject<'_>, visit: Visit<'_>) -> bool {
    let written = running(subject).filter(|file| file.origin == Origin::Written);
    written.filter_map(|file| file.inode).any(|inode| visit(&inode_text(inode)))
}

fn running<'a>(subject: Subject<'a>) -> impl Iterator<Item = &'a File> {
    let files = subject.exe().map(|exe| [Some(&exe.file), exe.script.as_ref()]);
    files.into_iter().flatten().flatten()
}

fn inode_text(inode: Inode) -> Vec<u8> {
    format!("{}:{}", inode.device, inode.number).into_bytes()
}
