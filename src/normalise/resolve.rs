//! Where the string of a system call leads: a walk as the kernel's, over the links that are known.
//!
//! The kernel shows the object that an open gave, but of a rename, link or unlink only the string
//! that was passed. Its walk is done again here: from a directory that is the kernel's own, over the
//! image's symbolic links and those that were made, moved and removed in the run up to that record.
//! Nobody is asked about the present state of the sandbox, so a later change of a link cannot lie.
//!
//! What such a walk cannot know makes [`Resolved::sure`] false: another process's descriptors, a chain of
//! links without end, links that were forgotten for want of room. That the string itself was the one
//! that the kernel read is not known either: [`crate::event::File::verified`] stays false.

mod names;

pub(super) use names::Names;

use super::{ImageEntry, Provenance};
use crate::record::PathArgument;

/// As in the kernel (include/linux/namei.h, `MAXSYMLINKS`).
const LINKS_MAX: u32 = 40;

/// A string, walked to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resolved {
    /// From the sandbox's root; no link, `.` or `..` in it, as far as is known.
    pub path: Vec<u8>,
    pub sure: bool,
    /// Not sure, because it is what some process has as a standard stream.
    pub stream: bool,
}

/// What to do with a link at the very end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

impl Names {
    /// Walks to where an argument leads. `pid`: the process's own, as it sees it itself.
    pub(super) fn resolve(
        &mut self,
        argument: &PathArgument,
        last: Last,
        pid: u32,
        image: &mut dyn Provenance,
    ) -> Resolved {
        let root = trimmed(&argument.root);
        let start = if argument.text.first() == Some(&b'/') { root } else { trimmed(&argument.base) };
        let (at, todo) = (start.to_vec(), Vec::new());
        let mut walk = Walk { argument, root, pid, at, todo, links: 0, sure: true, stream: false };
        walk.push(&argument.text);
        while let Some(name) = walk.todo.pop() {
            walk.step(&name, last, self, image);
        }
        let path = if walk.at.is_empty() { b"/".to_vec() } else { walk.at };
        Resolved { path, sure: walk.sure, stream: walk.stream }
    }
}

/// One walk, under way.
struct Walk<'a> {
    argument: &'a PathArgument,
    root: &'a [u8],
    pid: u32,
    /// The path so far; empty at the sandbox's root.
    at: Vec<u8>,
    /// Names that are still to be walked, the next one last.
    todo: Vec<Vec<u8>>,
    links: u32,
    sure: bool,
    stream: bool,
}

impl Walk<'_> {
    fn push(&mut self, path: &[u8]) {
        let names = path.split(|&byte| byte == b'/').rev().filter(|name| !matches!(name, [] | [b'.']));
        self.todo.extend(names.map(<[u8]>::to_vec));
    }

    fn step(&mut self, name: &[u8], last: Last, names: &mut Names, image: &mut dyn Provenance) {
        if name == b".." {
            self.up();
            return;
        }
        let next = [&self.at, &b"/"[..], name].concat();
        if self.todo.is_empty() && last == Last::Keep {
            self.at = next;
            return;
        }
        match self.magic(&next) {
            Magic::None => {}
            Magic::Leads(to) => return self.at = to,
            Magic::Nameless => return self.at = next,
            Magic::Unknown => {
                self.sure = false;
                self.stream = self.todo.is_empty() && matches!(name, b"0" | b"1" | b"2");
                return self.at = next;
            }
        }
        match names.look(&next, image) {
            ImageEntry::Link(target) if self.links < LINKS_MAX => self.follow(&target),
            ImageEntry::Link(_) => (self.sure, self.at) = (false, next),
            ImageEntry::Absent | ImageEntry::Directory | ImageEntry::Other => self.at = next,
        }
    }

    /// A task cannot climb out of its root directory (fs/namei.c, `follow_dotdot`).
    fn up(&mut self) {
        if self.at != self.root {
            let end = self.at.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            self.at.truncate(end);
        }
    }

    fn follow(&mut self, target: &[u8]) {
        self.links += 1;
        if target.first() == Some(&b'/') {
            self.at = self.root.to_vec();
        }
        self.push(target);
    }

    /// The links of /proc that lead to objects and not to names (fs/proc/base.c, `proc_pid_link_*`).
    fn magic(&self, path: &[u8]) -> Magic {
        let Some(rest) = path.strip_prefix(b"/proc/") else { return Magic::None };
        let mut names = rest.split(|&byte| byte == b'/');
        let Some(own) = names.next().and_then(|owner| self.is_own(owner)) else { return Magic::None };
        let mut names: Vec<_> = names.collect();
        if names.first() == Some(&&b"task"[..]) && names.len() > 2 {
            names.drain(..2);
        }
        let known =
            |path: &[u8]| if path.is_empty() { Magic::Unknown } else { Magic::Leads(trimmed(path).to_vec()) };
        match names[..] {
            [b"root"] if own => Magic::Leads(self.root.to_vec()),
            // What another process has as its root is not known, except of those that never changed it.
            [b"root"] => Magic::Leads(Vec::new()),
            [b"cwd"] if own => known(&self.argument.cwd),
            [b"fd", number] if own && self.names_descriptor(number) => self.descriptor(),
            [b"cwd" | b"exe"] | [b"fd" | b"map_files", _] => Magic::Unknown,
            _ => Magic::None,
        }
    }

    /// Where the kernel said that the descriptor leads. It gives pipes and sockets no name; nothing lies below them.
    fn descriptor(&self) -> Magic {
        match trimmed(&self.argument.link) {
            [] if self.todo.is_empty() => Magic::Nameless,
            [] => Magic::Unknown,
            link => Magic::Leads(link.to_vec()),
        }
    }

    /// Whose directory below /proc it is; `None` where it is no process's.
    fn is_own(&self, owner: &[u8]) -> Option<bool> {
        match owner {
            b"self" | b"thread-self" => Some(true),
            number => Some(number_of(number)? == self.pid),
        }
    }

    /// The string itself names this descriptor, so that the kernel was asked where it leads.
    fn names_descriptor(&self, number: &[u8]) -> bool {
        let own = format!("/proc/{}/fd/", self.pid);
        let prefixes = [&b"/proc/self/fd/"[..], b"/proc/thread-self/fd/", b"/dev/fd/", own.as_bytes()];
        let streams = [&b"/dev/stdin"[..], b"/dev/stdout", b"/dev/stderr"];
        let stream = streams.iter().position(|stream| self.argument.text == *stream);
        let descriptor = prefixes.iter().find_map(|prefix| self.argument.text.strip_prefix(*prefix));
        match (stream, descriptor) {
            (Some(stream), _) => number_of(number).is_some_and(|number| number as usize == stream),
            (None, Some(rest)) => rest.split(|&byte| byte == b'/').next() == Some(number),
            (None, None) => false,
        }
    }
}

enum Magic {
    None,
    Leads(Vec<u8>),
    /// To a pipe or socket: the name ends here.
    Nameless,
    Unknown,
}

fn number_of(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Without a slash at its end: the root is empty.
fn trimmed(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

#[cfg(test)]
mod tests;
