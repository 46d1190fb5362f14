//! What stands at a name, where the run made it another thing than the image has there.
//!
//! Only symbolic links and what leads to them are kept: links that were made or linked, names that were taken
//! away, directories that were moved. All within bounds; a change that finds no room is counted.

use std::collections::{BTreeMap, HashMap};

use crate::normalise::{ImageEntry, Provenance};

/// Bytes of names and targets that are remembered of the run, and how many.
const BYTES_MAX: usize = 16 << 20;
pub(super) const CHANGES_MAX: usize = 1 << 15;
/// Answers of the image that are kept.
const CACHED_MAX: usize = 1 << 16;

/// Every symbolic link of the run that differs from the image, and every directory that was moved.
#[derive(Default)]
pub struct Names {
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
    pub fn new() -> Names {
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
    pub fn is_in_doubt(&self) -> bool {
        self.forgotten > 0 || self.doubted
    }

    /// Names were handed to io_uring to be made or moved: whether they were is not seen.
    pub fn doubt(&mut self) {
        self.doubted = true;
    }

    pub fn made_link(&mut self, path: &[u8], target: &[u8]) {
        self.insert(path.to_vec(), Change::Link(target.to_vec()));
    }

    /// A second name for the same file: of interest only where that is a link.
    pub fn linked(&mut self, from: &[u8], to: &[u8], image: &mut dyn Provenance) {
        if let ImageEntry::Link(target) = self.look(from, image) {
            self.made_link(to, &target);
        }
    }

    pub fn removed(&mut self, path: &[u8], image: &mut dyn Provenance) {
        self.take_below(path);
        if self.look(path, image).leads() {
            self.insert(path.to_vec(), Change::Fresh);
        }
    }

    pub fn renamed(&mut self, from: &[u8], to: &[u8], image: &mut dyn Provenance) {
        let moved = self.take(from, image);
        drop(self.take(to, image));
        self.put(to, moved, image);
    }

    /// renameat2(2) with RENAME_EXCHANGE.
    pub fn exchanged(&mut self, one: &[u8], other: &[u8], image: &mut dyn Provenance) {
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
    pub(super) fn look(&mut self, path: &[u8], image: &mut dyn Provenance) -> ImageEntry {
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
