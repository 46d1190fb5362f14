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

use std::collections::{BTreeMap, HashMap};

use super::{ImageEntry, Provenance};
use crate::record::PathArgument;

/// As in the kernel (include/linux/namei.h, `MAXSYMLINKS`).
const LINKS_MAX: u32 = 40;
/// Bytes of names and targets that are remembered of the run, and how many.
const BYTES_MAX: usize = 16 << 20;
const CHANGES_MAX: usize = 1 << 15;
/// Answers of the image that are kept.
const CACHED_MAX: usize = 1 << 16;

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

/// Every symbolic link of the run that differs from the image, and every directory that was moved.
#[derive(Default)]
pub(super) struct Names {
    changes: BTreeMap<Vec<u8>, Change>,
    bytes: usize,
    image: HashMap<Vec<u8>, ImageEntry>,
    /// Changes that there was no room for.
    pub forgotten: u64,
    doubted: bool,
}

/// What stands at a name, where that is not what the image has there. It holds for everything below
/// it that has no change of its own.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    Link(Vec<u8>),
    /// Nothing of the image.
    Fresh,
    /// What the image has at another place.
    From(Vec<u8>),
}

impl Names {
    /// The kernel's own file systems lie over whatever the image has there.
    pub(super) fn new() -> Names {
        let mut names = Names::default();
        for mount in [&b"/proc"[..], b"/dev", b"/sys"] {
            names.insert(mount.to_vec(), Change::Fresh);
        }
        for (link, target) in [
            (&b"/dev/fd"[..], &b"/proc/self/fd"[..]),
            (b"/dev/stdin", b"/proc/self/fd/0"),
            (b"/dev/stdout", b"/proc/self/fd/1"),
            (b"/dev/stderr", b"/proc/self/fd/2"),
            (b"/dev/ptmx", b"pts/ptmx"),
            (b"/dev/core", b"/proc/kcore"),
        ] {
            names.insert(link.to_vec(), Change::Link(target.to_vec()));
        }
        names
    }

    /// Links were forgotten, or made by a way whose end is not seen: a walk may go astray.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.forgotten > 0 || self.doubted
    }

    /// Names were handed to io_uring to be made or moved: whether they were is not seen.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }

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

    pub(super) fn made_link(&mut self, path: &[u8], target: &[u8]) {
        self.insert(path.to_vec(), Change::Link(target.to_vec()));
    }

    /// A second name for the same file: of interest only where that is a link.
    pub(super) fn linked(&mut self, from: &[u8], to: &[u8], image: &mut dyn Provenance) {
        if let ImageEntry::Link(target) = self.look(from, image) {
            self.made_link(to, &target);
        }
    }

    pub(super) fn removed(&mut self, path: &[u8], image: &mut dyn Provenance) {
        self.take_below(path);
        if self.look(path, image).leads() {
            self.insert(path.to_vec(), Change::Fresh);
        }
    }

    pub(super) fn renamed(&mut self, from: &[u8], to: &[u8], image: &mut dyn Provenance) {
        let moved = self.take(from, image);
        drop(self.take(to, image));
        self.put(to, moved, image);
    }

    /// renameat2(2) with RENAME_EXCHANGE.
    pub(super) fn exchanged(&mut self, one: &[u8], other: &[u8], image: &mut dyn Provenance) {
        let (first, second) = (self.take(one, image), self.take(other, image));
        self.put(one, second, image);
        self.put(other, first, image);
    }

    /// Takes away what stands at a name and below it, by the rest of the name.
    fn take(&mut self, path: &[u8], image: &mut dyn Provenance) -> Vec<(Vec<u8>, Change)> {
        let entry = self.look(path, image);
        let origin = self.origin(path);
        let mut taken = self.take_below(path);
        if !taken.iter().any(|(rest, _)| rest.is_empty()) {
            match (entry, origin) {
                (ImageEntry::Link(target), _) => taken.push((Vec::new(), Change::Link(target))),
                (ImageEntry::Directory, Some(origin)) => taken.push((Vec::new(), Change::From(origin))),
                _ => {}
            }
        }
        // Without its own change, the name shows the image again: not any more.
        if self.look(path, image).leads() {
            self.insert(path.to_vec(), Change::Fresh);
        }
        taken
    }

    fn put(&mut self, path: &[u8], taken: Vec<(Vec<u8>, Change)>, image: &mut dyn Provenance) {
        if !taken.iter().any(|(rest, _)| rest.is_empty()) && self.look(path, image).leads() {
            self.insert(path.to_vec(), Change::Fresh);
        }
        for (rest, change) in taken {
            self.insert([path, &rest].concat(), change);
        }
    }

    fn take_below(&mut self, path: &[u8]) -> Vec<(Vec<u8>, Change)> {
        let from = self.changes.range(path.to_vec()..);
        let below = |name: &[u8]| name.strip_prefix(path).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
        // Names such as `path-1` sort between `path` and `path/x`.
        let names: Vec<_> = from
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(path))
            .filter(|name| below(name))
            .cloned()
            .collect();
        let taken =
            names.into_iter().filter_map(|name| Some((name[path.len()..].to_vec(), self.remove(&name)?)));
        taken.collect()
    }

    fn insert(&mut self, path: Vec<u8>, change: Change) {
        let cost = cost(&path, &change);
        self.remove(&path);
        if self.changes.len() >= CHANGES_MAX || self.bytes + cost > BYTES_MAX {
            self.forgotten += 1;
            return;
        }
        self.bytes += cost;
        self.changes.insert(path, change);
    }

    fn remove(&mut self, path: &[u8]) -> Option<Change> {
        let change = self.changes.remove(path)?;
        self.bytes -= cost(path, &change);
        Some(change)
    }

    /// What stands at a path that has no link in it.
    fn look(&mut self, path: &[u8], image: &mut dyn Provenance) -> ImageEntry {
        if let Some(Change::Link(target)) = self.changes.get(path) {
            return ImageEntry::Link(target.clone());
        }
        match self.origin(path) {
            Some(origin) => self.in_image(origin, image),
            None => ImageEntry::Absent,
        }
    }

    /// Where the image has what stands at a path; `None` where nothing of it does.
    fn origin(&self, path: &[u8]) -> Option<Vec<u8>> {
        let ends = (0..=path.len()).rev().filter(|&at| at == path.len() || path[at] == b'/');
        for end in ends {
            match self.changes.get(&path[..end]) {
                None => {}
                Some(Change::From(origin)) => return Some([origin, &path[end..]].concat()),
                Some(Change::Link(_) | Change::Fresh) => return None,
            }
        }
        Some(path.to_vec())
    }

    fn in_image(&mut self, path: Vec<u8>, image: &mut dyn Provenance) -> ImageEntry {
        if let Some(entry) = self.image.get(&path) {
            return entry.clone();
        }
        let entry = image.entry_at(&path);
        if self.image.len() >= CACHED_MAX {
            self.image.clear();
        }
        self.image.insert(path, entry.clone());
        entry
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

impl ImageEntry {
    /// Other names may lead through it.
    fn leads(&self) -> bool {
        matches!(self, ImageEntry::Link(_) | ImageEntry::Directory)
    }
}

fn cost(path: &[u8], change: &Change) -> usize {
    let target = match change {
        Change::Link(target) | Change::From(target) => target.len(),
        Change::Fresh => 0,
    };
    path.len() + target
}

fn number_of(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Without a slash at its end: the root is empty.
fn trimmed(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::File;

    /// `/lib -> usr/lib`, `/etc -> real/etc` and so on.
    struct Image;

    impl Provenance for Image {
        fn layer_of(&mut self, _: &[u8]) -> Option<u16> {
            None
        }
        fn entry_at(&mut self, path: &[u8]) -> ImageEntry {
            match path {
                b"/bin" => ImageEntry::Link(b"usr/bin".to_vec()),
                b"/var/run" => ImageEntry::Link(b"/run".to_vec()),
                b"/opt/up" => ImageEntry::Link(b"../etc".to_vec()),
                b"/opt/loop" => ImageEntry::Link(b"loop".to_vec()),
                b"/jail/etc" => ImageEntry::Link(b"/secret".to_vec()),
                b"" | b"/etc" | b"/usr" | b"/usr/bin" | b"/var" | b"/run" | b"/opt" | b"/jail" | b"/tmp" => {
                    ImageEntry::Directory
                }
                b"/etc/passwd" => ImageEntry::Other,
                _ => ImageEntry::Absent,
            }
        }
        fn digest_of(&mut self, _: &File, _: crate::normalise::Start) -> Option<[u8; 32]> {
            None
        }
    }

    fn argument(text: &str, base: &str) -> PathArgument {
        PathArgument {
            text: text.into(),
            base: base.into(),
            cwd: b"/home".to_vec(),
            ..PathArgument::default()
        }
    }

    fn check_of(names: &mut Names, argument: &PathArgument, last: Last, expected: &str) {
        let resolved = names.resolve(argument, last, 7, &mut Image);
        let sure = if resolved.sure { "" } else { "?" };
        let shown = format!("{}{sure}", String::from_utf8_lossy(&resolved.path));
        assert_eq!(shown, expected, "{}", argument);
    }

    fn check(names: &mut Names, text: &str, expected: &str) {
        check_of(names, &argument(text, "/tmp"), Last::Keep, expected);
    }

    #[test]
    fn links_of_the_image_are_followed_on_the_way_and_kept_at_the_end() {
        let names = &mut Names::new();
        for (text, expected) in [
            ("/bin/sh", "/usr/bin/sh"),
            ("/bin", "/bin"),
            ("/bin/", "/bin"),
            ("/var/run/x/../y", "/run/y"),
            ("/var/run/../x", "/x"),
            ("/opt/up/cron.d/j", "/etc/cron.d/j"),
            ("/opt/loop/x", "/opt/loop/x?"),
            ("../../..//etc/./passwd", "/etc/passwd"),
            ("", "/tmp"),
        ] {
            check(names, text, expected);
        }
        check_of(names, &argument("/bin", ""), Last::Follow, "/usr/bin");
    }

    #[test]
    fn the_magic_links_of_proc_lead_where_the_kernel_said() {
        let names = &mut Names::new();
        for (text, expected) in [
            ("/proc/self/root/etc/x", "/etc/x"),
            ("/proc/thread-self/root/etc/x", "/etc/x"),
            ("/proc/7/task/9/root/etc/x", "/etc/x"),
            ("/proc/1/root/etc/x", "/etc/x"),
            ("/proc/self/cwd/x", "/home/x"),
            ("/proc/7/cwd/x", "/home/x"),
            ("/proc/8/cwd/x", "/proc/8/cwd/x?"),
            ("/proc/self/fd/5/x", "/proc/self/fd/5/x?"),
            ("/proc/sys/kernel/x", "/proc/sys/kernel/x"),
        ] {
            check(names, text, expected);
        }
        for text in ["/proc/self/fd/5/x", "/dev/fd/5/x", "/proc/thread-self/fd/5/x", "/proc/7/fd/5/x"] {
            let link = b"/etc/cron.d".to_vec();
            check_of(names, &PathArgument { link, ..argument(text, "") }, Last::Keep, "/etc/cron.d/x");
        }
        let stream = PathArgument { link: b"/srv/log".to_vec(), ..argument("/dev/stdout", "") };
        check_of(names, &stream, Last::Follow, "/srv/log");
    }

    #[test]
    fn what_a_standard_stream_leads_to_is_no_name() {
        let names = &mut Names::new();
        names.made_link(b"/var/log/access.log", b"/dev/stdout");
        for (text, expected, stream) in [
            ("/dev/stdout", "/proc/self/fd/1", false),
            ("/proc/self/fd/9", "/proc/self/fd/9", false),
            ("/dev/fd/9/x", "/proc/self/fd/9/x?", false),
            ("/var/log/access.log", "/proc/self/fd/1?", true),
            ("/var/log/access.log/x", "/proc/self/fd/1/x?", false),
            ("/proc/8/fd/2", "/proc/8/fd/2?", true),
            ("/proc/8/fd/3", "/proc/8/fd/3?", false),
            ("/proc/8/cwd", "/proc/8/cwd?", false),
        ] {
            check_of(names, &argument(text, ""), Last::Follow, expected);
            let resolved = names.resolve(&argument(text, ""), Last::Follow, 7, &mut Image);
            assert_eq!(resolved.stream, stream, "{text}");
        }
    }

    #[test]
    fn a_chroot_is_the_root_of_strings_links_and_climbing() {
        let names = &mut Names::new();
        for (text, expected) in [
            ("/x", "/jail/x"),
            ("/../../x", "/jail/x"),
            ("/etc/x", "/jail/secret/x"),
            ("/proc/self/root/x", "/jail/proc/self/root/x"),
        ] {
            check_of(
                names,
                &PathArgument { root: b"/jail".to_vec(), ..argument(text, "") },
                Last::Keep,
                expected,
            );
        }
    }

    #[test]
    fn links_of_the_run_are_followed_wherever_they_are_moved() {
        let names = &mut Names::new();
        names.made_link(b"/tmp/a/e", b"/etc");
        names.made_link(b"/tmp/a-b", b"/usr");
        check(names, "a/e/cron.d/j", "/etc/cron.d/j");
        names.renamed(b"/tmp/a", b"/tmp/z", &mut Image);
        check(names, "z/e/j", "/etc/j");
        check(names, "a/e/j", "/tmp/a/e/j");
        check(names, "a-b/j", "/usr/j");
        names.linked(b"/tmp/z/e", b"/tmp/hard", &mut Image);
        check(names, "hard/j", "/etc/j");
        names.removed(b"/tmp/z/e", &mut Image);
        check(names, "z/e/j", "/tmp/z/e/j");
        names.made_link(b"/tmp/one", b"/run");
        names.exchanged(b"/tmp/one", b"/tmp/hard", &mut Image);
        check(names, "one/j", "/etc/j");
        check(names, "hard/j", "/run/j");
    }

    #[test]
    fn a_directory_of_the_image_takes_its_links_along() {
        let names = &mut Names::new();
        names.renamed(b"/opt", b"/tmp/opt", &mut Image);
        check(names, "opt/up/j", "/tmp/etc/j");
        check(names, "/opt/up/j", "/opt/up/j");
        names.renamed(b"/tmp/opt", b"/var/deep", &mut Image);
        check(names, "/var/deep/up/j", "/var/etc/j");
        names.renamed(b"/var/deep", b"/opt", &mut Image);
        check(names, "/opt/up/j", "/etc/j");
        names.removed(b"/opt/up", &mut Image);
        check(names, "/opt/up/j", "/opt/up/j");
        names.renamed(b"/bin", b"/tmp/bin", &mut Image);
        check(names, "/tmp/bin/sh", "/tmp/usr/bin/sh");
        check(names, "/bin/sh", "/bin/sh");
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let names = &mut Names::new();
        for number in 0..CHANGES_MAX {
            names.made_link(format!("/tmp/{number}").as_bytes(), b"x");
        }
        assert!(names.forgotten > 0);
        let before = names.forgotten;
        names.removed(b"/tmp/1", &mut Image);
        names.made_link(b"/tmp/1", b"y");
        assert_eq!(names.forgotten, before);
    }
}
