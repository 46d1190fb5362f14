//! How much of the disk a run uses, measured a little at a time while it runs.
//!
//! The tree is the workload's: any depth (beyond what a path can name), any names, changed while it is
//! looked at. A walk goes through descriptors and short paths below them, follows no link, and holds one
//! name for each directory still to be seen. Files that have no name any more are found where they are
//! held open, in /proc of the run's tasks. What is only mapped, or on its way through a socket, is missed:
//! for that the caller keeps an eye on the file system's free room ([`room`]).

use std::cell::OnceCell;
use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs::{self, ReadDir};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, SFlag, fstatat};
use nix::sys::statvfs::statvfs;

/// Names in a path that is opened at once: as many of the longest ones as PATH_MAX takes.
const STRIDE: u32 = 15;
/// No path of an honest program reaches deeper (PATH_MAX names of one letter); each [`STRIDE`] levels hold
/// a descriptor.
const DEPTH_MAX: u32 = 4096;
const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How much of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    pub bytes: u64,
    pub entries: u64,
}

/// What the file system at `path` still takes.
pub fn room(path: &Path) -> io::Result<DiskUse> {
    let free = statvfs(path)?;
    // Some file systems make inodes as they need them, and say that they have none.
    let entries = if free.files() == 0 { u64::MAX } else { free.files_available() };
    Ok(DiskUse { bytes: free.blocks_available() * free.fragment_size(), entries })
}

/// A measurement that goes on from call to call, and begins again when it is through.
#[derive(Debug)]
pub struct DiskMeter {
    top: PathBuf,
    left: Vec<Rc<Node>>,
    /// Files with several names, or several descriptors.
    seen: HashSet<(u64, u64)>,
    tasks: Tasks,
    found: DiskUse,
    walking: bool,
}

/// A directory that was found.
#[derive(Debug)]
struct Node {
    /// `None` for the top.
    parent: Option<Rc<Node>>,
    name: Box<CStr>,
    depth: u32,
    /// Held by every [`STRIDE`]th level, while something below is still to be seen.
    open: OnceCell<OwnedFd>,
}

impl Drop for Node {
    /// Level by level: a tree as deep as its maker liked would run out of stack.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(node) = next {
            next = Rc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

/// The run's tasks whose descriptors are still to be looked at.
#[derive(Debug, Default)]
struct Tasks {
    pids: Vec<i32>,
    descriptors: Option<ReadDir>,
    /// Devices that the files of the overlay say they are on.
    devices: Vec<u64>,
}

impl DiskMeter {
    /// A meter of the tree below `top`, which has measured nothing yet.
    pub fn new(top: PathBuf) -> DiskMeter {
        DiskMeter {
            top,
            left: Vec::new(),
            seen: HashSet::new(),
            tasks: Tasks::default(),
            found: DiskUse::default(),
            walking: false,
        }
    }

    /// True while a walk is not through.
    pub fn is_walking(&self) -> bool {
        self.walking
    }

    /// Goes on, or begins, until the walk is through, more than `bound` is found, or it is `until`.
    /// `pids` are those of the run; gives what this walk has found so far.
    pub fn measure(&mut self, bound: DiskUse, until: Instant, pids: impl FnOnce() -> Vec<i32>) -> DiskUse {
        if !self.walking {
            self.begin(pids());
        }
        while self.walking && self.found.bytes <= bound.bytes && self.found.entries <= bound.entries {
            if Instant::now() >= until {
                break;
            }
            self.step(bound);
        }
        self.found
    }

    fn begin(&mut self, pids: Vec<i32>) {
        self.found = DiskUse::default();
        self.seen.clear();
        let device = |path: PathBuf| fs::metadata(path).ok().map(|metadata| metadata.dev());
        let root = pids.first().and_then(|pid| device(format!("/proc/{pid}/root").into()));
        let devices = root.into_iter().chain(device(self.top.clone())).collect();
        self.tasks = Tasks { pids, descriptors: None, devices };
        let top = Node { parent: None, name: c"".into(), depth: 0, open: OnceCell::new() };
        self.left = vec![Rc::new(top)];
        self.walking = true;
    }

    /// One directory, or a few descriptors.
    fn step(&mut self, bound: DiskUse) {
        if let Some(node) = self.left.pop() {
            if node.depth > DEPTH_MAX {
                self.found.entries = u64::MAX;
                return;
            }
            // What is gone or replaced, the next walk sees as it is then.
            let _ = self.open(&node).and_then(|directory| self.look_into(node, directory, bound));
        } else {
            self.walking = self.look_at_task();
        }
    }

    fn open(&self, node: &Rc<Node>) -> nix::Result<OwnedFd> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = node;
        let anchor = loop {
            let Some(parent) = &at.parent else { break at.open.get() };
            names.push(at.name.to_bytes());
            if let Some(open) = parent.open.get() {
                break Some(open);
            }
            at = parent;
        };
        names.reverse();
        let path = names.join(&b'/');
        match anchor {
            Some(anchor) => {
                let resolve = ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_SYMLINKS
                    | ResolveFlag::RESOLVE_NO_XDEV;
                openat2(anchor, OsStr::from_bytes(&path), OpenHow::new().flags(DIRECTORY).resolve(resolve))
            }
            None => openat2(AT_FDCWD, self.top.as_path(), OpenHow::new().flags(DIRECTORY)),
        }
    }

    fn look_into(&mut self, node: Rc<Node>, directory: OwnedFd, bound: DiskUse) -> nix::Result<()> {
        if node.depth.is_multiple_of(STRIDE) {
            let _ = node.open.set(directory.try_clone().map_err(|_| Errno::EMFILE)?);
        }
        let mut directory = Dir::from_fd(directory)?;
        let own = directory.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
        for entry in directory.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = fstatat(&own, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
            self.count(&stat);
            if self.found.entries > bound.entries {
                return Ok(());
            }
            if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR {
                let (parent, depth) = (Some(node.clone()), node.depth + 1);
                self.left.push(Rc::new(Node { parent, name: name.into(), depth, open: OnceCell::new() }));
            }
        }
        Ok(())
    }

    fn count(&mut self, stat: &FileStat) {
        self.found.entries += 1;
        if stat.st_nlink == 1 || self.seen.insert((stat.st_dev, stat.st_ino)) {
            self.found.bytes = self.found.bytes.saturating_add(stat.st_blocks.unsigned_abs() * 512);
        }
    }

    /// Some of the descriptors of one task; false when all were seen.
    fn look_at_task(&mut self) -> bool {
        const TURN: usize = 64;
        let Some(descriptors) = &mut self.tasks.descriptors else {
            let Some(pid) = self.tasks.pids.pop() else { return false };
            self.tasks.descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok();
            return true;
        };
        let some: Vec<_> = descriptors.by_ref().take(TURN).flatten().map(|entry| entry.path()).collect();
        if some.is_empty() {
            self.tasks.descriptors = None;
        }
        // Through the link to the open file; nothing is opened.
        for file in some.into_iter().filter_map(|path| fs::metadata(path).ok()) {
            let nameless = file.is_file() && file.nlink() == 0 && self.tasks.devices.contains(&file.dev());
            if nameless && self.seen.insert((file.dev(), file.ino())) {
                self.found.entries += 1;
                self.found.bytes = self.found.bytes.saturating_add(file.blocks() * 512);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::Duration;

    const ALL: DiskUse = DiskUse { bytes: u64::MAX, entries: u64::MAX };

    fn measure(meter: &mut DiskMeter, bound: DiskUse, pids: &[i32]) -> DiskUse {
        meter.measure(bound, Instant::now() + Duration::from_secs(60), || pids.to_vec())
    }

    #[test]
    fn all_is_counted_once_and_no_link_followed() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("t");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), vec![1; 100_000]).unwrap();
        fs::hard_link(top.join("a/b/file"), top.join("again")).unwrap();
        std::os::unix::fs::symlink("/usr", top.join("link")).unwrap();
        let mut meter = DiskMeter::new(top);
        let found = measure(&mut meter, ALL, &[]);
        assert!(found.entries == 5 && (100_000..190_000).contains(&found.bytes), "{found:?}");
        assert!(!meter.is_walking());
        assert_eq!(measure(&mut meter, ALL, &[]), found, "a second walk");
        assert_eq!(measure(&mut meter, DiskUse { entries: 1, ..ALL }, &[]).entries, 2);
        let mut none = DiskMeter::new(directory.path().join("none"));
        assert_eq!(measure(&mut none, ALL, &[]), DiskUse::default());
    }

    #[test]
    fn a_walk_goes_on_where_it_stopped() {
        let directory = tempfile::tempdir().unwrap();
        for i in 0..50 {
            fs::create_dir_all(directory.path().join(format!("{i}/x/y"))).unwrap();
        }
        let mut meter = DiskMeter::new(directory.path().to_owned());
        assert_eq!(meter.measure(ALL, Instant::now(), Vec::new).entries, 0);
        assert!(meter.is_walking());
        assert_eq!(measure(&mut meter, ALL, &[]).entries, 150);
    }

    #[test]
    fn what_lies_deeper_than_any_path_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut at = File::open(directory.path()).unwrap();
        let name = "d".repeat(200);
        for _ in 0..100 {
            nix::sys::stat::mkdirat(&at, name.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
            let next = nix::fcntl::openat(&at, name.as_str(), DIRECTORY, nix::sys::stat::Mode::empty());
            at = File::from(next.unwrap());
        }
        let file =
            nix::fcntl::openat(&at, "f", OFlag::O_CREAT | OFlag::O_WRONLY, nix::sys::stat::Mode::S_IRWXU);
        io::Write::write_all(&mut File::from(file.unwrap()), &[1; 50_000]).unwrap();
        let found = measure(&mut DiskMeter::new(directory.path().to_owned()), ALL, &[]);
        assert!(found.entries == 101 && found.bytes >= 50_000, "{found:?}");
        crate::sandbox::remove::remove_tree(directory.path()).unwrap();
    }

    #[test]
    fn files_without_a_name_are_found_where_they_are_open() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile_in(directory.path()).unwrap();
        io::Write::write_all(&mut file, &[1; 60_000]).unwrap();
        let found =
            measure(&mut DiskMeter::new(directory.path().to_owned()), ALL, &[nix::unistd::getpid().as_raw()]);
        assert!(found.entries == 1 && found.bytes >= 60_000, "{found:?}");
    }
}
