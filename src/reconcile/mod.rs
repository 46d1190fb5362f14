//! Whether the events of a run explain what the run left behind.
//!
//! A [`Ledger`] hears every event as it passes. Afterwards it is asked about each name that is new,
//! changed or gone: was there an act of the right kind on that very name? What was done by a route that
//! nobody watches has no entry, and shows.
//!
//! A name carries its acts with it: renaming a directory moves the acts of everything below it. Acts are
//! remembered for as long as the name is, even if a later act undid them, because two processes that
//! work on one name at once may be recorded in the other order. For contents that is not enough: the
//! file that stands there must be one that the kernel was seen to open for writing.
//!
//! Bounded: what there is no room for is counted, and will not be explained.
//!
//! Not here: what is on disk (`pipeline`), and where a program's string led ([`crate::normalise`]).

#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashSet;

use crate::event::{
    Act, Endpoint, Event, File, FileAct, FileChange, FileKind, Inode, NetAct, NetAction, OpenMode, Outcome,
};
use tree::{Node, Tree};

/// Written files that are remembered one by one.
const WRITTEN_MAX: usize = 1 << 18;

/// Everything that was done to names and contents.
#[derive(Debug, Default)]
pub struct Ledger {
    tree: Tree,
    written: HashSet<Inode>,
    forgotten: u64,
}

/// Something that stands at a name after the run and did not before, or differs from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// The name is gone.
    Gone,
    /// Only attributes differ, or nothing but the place where the bytes lie.
    Attributes,
    Directory,
    /// A symbolic link with this text.
    Link(&'a [u8]),
    /// A file with new content; the numbers by which the kernel may have known it.
    Content(&'a [Inode]),
    /// A FIFO, socket or device.
    Node,
    /// Other extended attributes than what stood there before.
    Xattrs,
    /// Another access list, which the permission bits are part of.
    AccessList,
}

/// What the ledger makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Explained,
    Unexplained,
    /// Explained if it is what the image has at this path, or what stood there before the first event, or a
    /// file that was opened there for writing: from there it was moved or linked.
    IfFrom(Vec<u8>),
}

impl Ledger {
    /// Tells of a directory that stood there before the first event and is not the image's.
    pub fn stood_directory(&mut self, path: &[u8]) {
        self.tree.change(path, |node| node.made = true);
    }

    /// Tells of a file, likewise: where its bytes are found again, that is where they come from.
    pub fn stood_file(&mut self, path: &[u8]) {
        self.tree.change(path, |node| (node.named, node.source) = (true, Some(Box::from(path))));
    }

    /// Takes in one event, in the order of the recording.
    pub fn observe(&mut self, event: &Event) {
        match (&event.act, event.outcome) {
            (Act::File(act), Outcome::Done) => self.file(act),
            (Act::Net(act), Outcome::Done) => self.bound(act),
            _ => {}
        }
    }

    /// Names and files that there was no room for.
    pub fn forgotten(&self) -> u64 {
        self.forgotten + self.tree.forgotten()
    }

    /// True if the kernel was seen to open this file for writing.
    pub fn is_written(&self, inode: Inode) -> bool {
        self.written.contains(&inode)
    }

    /// Whether an act of the right kind was seen at `path` (absolute, without links).
    pub fn explain(&self, path: &[u8], found: &Found<'_>) -> Answer {
        let Some(node) = self.tree.find(path) else { return Answer::Unexplained };
        let explained = match found {
            Found::Gone => node.removed,
            Found::Attributes => node.attributes || node.written || node.named || node.is_fresh(),
            Found::Directory => node.made,
            Found::Link(text) => node.link.as_deref() == Some(*text),
            Found::Node => node.special,
            Found::Xattrs => node.xattrs,
            Found::AccessList => node.xattrs || node.attributes,
            Found::Content(inodes) => (node.written || node.named) && self.is_one_written(node, inodes),
        };
        let may_be_moved = !matches!(found, Found::Gone | Found::Attributes | Found::Directory) && node.named;
        match (explained, &node.source) {
            (true, _) => Answer::Explained,
            (false, Some(source)) if may_be_moved => Answer::IfFrom(source.to_vec()),
            (false, _) => Answer::Unexplained,
        }
    }

    fn is_one_written(&self, node: &Node, inodes: &[Inode]) -> bool {
        node.unconfirmed || inodes.iter().any(|inode| self.is_written(*inode))
    }

    fn opened(&mut self, file: &File, mode: OpenMode) {
        if !(mode.write || mode.created || mode.truncate) {
            return;
        }
        if !file.verified {
            // Handed to io_uring: it may have been opened or made.
            self.tree.change(&file.path, |node| (node.written, node.unconfirmed) = (true, true));
        } else if file.kind == FileKind::Regular {
            self.wrote(file);
            self.tree.change(&file.path, |node| node.written = true);
        }
    }

    fn wrote(&mut self, file: &File) {
        let Some(inode) = file.inode else { return };
        if self.written.len() < WRITTEN_MAX {
            self.written.insert(inode);
        } else if !self.written.contains(&inode) {
            self.forgotten += 1;
        }
    }

    fn file(&mut self, act: &FileAct) {
        match act {
            FileAct::Open { file, mode } => self.opened(file, *mode),
            FileAct::Rename { from, to } => self.tree.rename(&from.path, &to.path),
            FileAct::Exchange { from, to } => self.tree.exchange(&from.path, &to.path),
            FileAct::Link { from, to } => self.tree.link(&from.path, &to.path),
            FileAct::Symlink { target, file } => {
                self.tree.change(&file.path, |node| node.link = Some(Box::from(&target[..])));
            }
            FileAct::Unlink { file } | FileAct::Rmdir { file } => {
                self.tree.change(&file.path, |node| node.removed = true);
            }
            FileAct::Mkdir { file } => self.tree.change(&file.path, |node| node.made = true),
            FileAct::Chmod { file, .. } => self.tree.change(&file.path, |node| node.attributes = true),
            FileAct::Change { file, change } => self.changed(file, change),
        }
    }

    fn changed(&mut self, file: &File, change: &FileChange) {
        self.tree.change(&file.path, |node| match change {
            FileChange::Mknod { .. } if file.kind == FileKind::Regular => {
                (node.written, node.unconfirmed) = (true, true);
            }
            FileChange::Mknod { .. } => node.special = true,
            // By name, it needs no open, and no number of the file is known.
            FileChange::Truncate { .. } => (node.written, node.unconfirmed) = (true, true),
            FileChange::SetXattr { .. } | FileChange::RemoveXattr { .. } => {
                (node.attributes, node.xattrs) = (true, true);
            }
            FileChange::Chown { .. } | FileChange::Times { .. } | FileChange::SetFlags { .. } => {
                node.attributes = true;
            }
            // Into a descriptor that was opened for writing.
            FileChange::Copy | FileChange::Map => {}
        });
    }

    /// A socket of the unix family appears at the path it is bound to. One bound to a relative path cannot
    /// be placed.
    fn bound(&mut self, act: &NetAct) {
        if let (NetAction::Bind, Some(Endpoint::Unix(path))) = (act.action, &act.local)
            && path.first() == Some(&b'/')
        {
            self.tree.change(path, |node| node.special = true);
        }
    }
}
