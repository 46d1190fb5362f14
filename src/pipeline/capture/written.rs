//! Keeps what was written in the run and is deleted again, and what is mapped as code.
//!
//! The kernel tells of every file of the sandbox that was written, when it is closed; from then until it is
//! asked, it holds on to the file itself, whatever becomes of its name. The last of them are held open here,
//! a bounded number and size: one that loses its last name is read and put away before it is let go. So is
//! one that somebody maps as code (a library that was dropped, which no exec shows).
//!
//! Programs and scripts have room of their own, so that what a compiler leaves behind does not push them out.
//! What a flood makes the kernel drop is counted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::keep::{Bounds, Keeper};
use super::{Tally, inode_number, name_inside};
use crate::event::{self, Bytes, Inode, Kept, Why};
use crate::pipeline::inside::{Inside, device};
use crate::sys::fanotify::{Group, Question};
use crate::sys::open;

/// What is kept of programs and scripts, and of everything else.
const PROGRAMS: Bounds = Bounds { bytes: 256 << 20, files: 256 };
const OTHERS: Bounds = Bounds { bytes: 32 << 20, files: 128 };
/// Files that are held open, of each, and their bytes together.
const HELD_MAX: usize = 96;
const HELD_BYTES: u64 = 128 << 20;
/// Larger ones are not held.
const FILE_MAX: u64 = 64 << 20;
/// What waits to be told, or to be looked for.
const WAITING_MAX: usize = 1024;
/// Events are taken in bundles: this long after the first, in milliseconds.
const BUNDLE: u16 = 20;
/// How often the held ones are looked at, in milliseconds.
const TURN: u16 = 500;

/// What was kept, and who wrote or mapped it.
#[derive(Debug)]
pub struct Found {
    pub pid: u32,
    pub kept: Kept,
}

/// Files that were written, held until they are deleted. Dropped: let go.
#[derive(Debug)]
pub struct Written {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    bell: EventFd,
    over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    found: Vec<Found>,
    wanted: Vec<Wanted>,
    tally: Tally,
    missed: u64,
}

/// A file that is mapped as code.
#[derive(Debug)]
struct Wanted {
    pid: u32,
    inode: Inode,
    path: Bytes,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// Begins to hold what is written in the sandbox. `files` is the directory that takes the contents.
    pub fn start(inside: &Inside, files: &OwnedFd) -> io::Result<Written> {
        let group = Group::of_writes()?;
        let mut places =
            vec![Place { prefix: "", device: device(&inside.root)?, root: inside.root.try_clone()? }];
        for (prefix, root) in &inside.tmpfs {
            places.push(Place { prefix, device: device(root)?, root: root.try_clone()? });
        }
        for place in &places {
            group.watch_writes(place.root.as_fd())?;
        }
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let shared = Arc::new(Shared { bell, over: AtomicBool::new(false), state: Mutex::default() });
        let keeper = |bounds, draft| Ok::<_, io::Error>(Keeper::drafting(files.try_clone()?, bounds, draft));
        let listener = Listener {
            group,
            places,
            held: [VecDeque::new(), VecDeque::new()],
            bytes: 0,
            keepers: [keeper(OTHERS, ".other")?, keeper(PROGRAMS, ".program")?],
            mapped: HashSet::new(),
            gone: HashMap::new(),
            omitted: 0,
            shared: shared.clone(),
        };
        let thread = std::thread::Builder::new().name("written".into()).spawn(move || listener.listen())?;
        Ok(Written { shared, thread: Some(thread) })
    }

    /// A process mapped a file of the run as code: its content is to be kept.
    pub fn want(&self, pid: u32, file: &event::File) {
        let Some(inode) = file.inode else { return };
        let mut state = self.shared.state();
        if state.wanted.len() < WAITING_MAX {
            state.wanted.push(Wanted { pid, inode, path: file.path.clone() });
            let _ = self.shared.bell.write(1);
        } else {
            state.missed += 1;
        }
    }

    /// What was kept since it was asked last.
    pub fn take(&self) -> Vec<Found> {
        std::mem::take(&mut self.shared.state().found)
    }

    /// Looks a last time, and lets go of everything.
    pub fn finish(&mut self) -> Vec<Found> {
        self.shared.over.store(true, Ordering::Release);
        // An event counter that is full stops the thread as well.
        let _ = self.shared.bell.write(1);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            self.shared.state().missed += 1;
        }
        self.take()
    }

    /// What is kept so far.
    pub fn tally(&self) -> Tally {
        self.shared.state().tally
    }

    /// Files that went by unseen, or there was no room for.
    pub fn missed(&self) -> u64 {
        self.shared.state().missed
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A file system of the sandbox that can be written to.
struct Place {
    prefix: &'static str,
    device: u32,
    root: File,
}

/// A file that was written, and still has a name.
struct Held {
    file: File,
    inode: Inode,
    pid: u32,
    size: u64,
}

struct Listener {
    group: Group,
    places: Vec<Place>,
    /// Others, programs; the oldest first.
    held: [VecDeque<Held>; 2],
    bytes: u64,
    keepers: [Keeper; 2],
    mapped: HashSet<Inode>,
    /// What was kept already, and lost its name since.
    gone: HashMap<Inode, Kept>,
    omitted: u64,
    shared: Arc<Shared>,
}

impl Listener {
    fn listen(mut self) {
        loop {
            let is_idle = self.held.iter().all(VecDeque::is_empty);
            let turn = if is_idle { PollTimeout::NONE } else { PollTimeout::from(TURN) };
            wait(&[self.group.as_fd(), self.shared.bell.as_fd()], turn);
            if !self.shared.over.load(Ordering::Acquire) {
                wait(&[self.shared.bell.as_fd()], PollTimeout::from(BUNDLE));
            }
            let _ = self.shared.bell.read();
            let over = self.shared.over.load(Ordering::Acquire);
            self.read_all();
            self.look_for_wanted();
            self.look_again();
            let tallies = self.keepers.each_ref().map(|keeper| keeper.tally);
            let mut state = self.shared.state();
            state.tally = Tally {
                files: tallies[0].files + tallies[1].files,
                bytes: tallies[0].bytes + tallies[1].bytes,
                omitted: self.omitted + tallies[0].omitted + tallies[1].omitted,
            };
            if over {
                return;
            }
        }
    }

    fn read_all(&mut self) {
        loop {
            let Ok(asked) = self.group.read() else {
                // One file could not be opened for us.
                self.shared.state().missed += 1;
                continue;
            };
            self.shared.state().missed += u64::from(asked.overflowed);
            if asked.questions.is_empty() {
                return;
            }
            for Question { file, pid } in asked.questions {
                self.hold(file, pid);
            }
        }
    }

    fn hold(&mut self, file: File, pid: u32) {
        let look = || Ok::<_, io::Error>((file.metadata()?, self.inode(&file)?));
        let Ok((metadata, inode)) = look() else { return };
        if !metadata.is_file() || metadata.size() == 0 {
            return;
        }
        let (kind, size) = (usize::from(is_program(&file)), metadata.size());
        if let Some(at) = self.held[kind].iter().position(|held| held.inode == inode) {
            self.let_go(kind, at);
        }
        let held = Held { file, inode, pid, size };
        if metadata.nlink() == 0 {
            self.keep(kind, &held, held.pid, Why::Deleted);
        } else if size <= FILE_MAX {
            self.bytes += size;
            self.held[kind].push_back(held);
        }
        while self.held[kind].len() > HELD_MAX {
            self.let_go(kind, 0);
        }
        while self.bytes > HELD_BYTES {
            let longer = usize::from(self.held[1].len() > self.held[0].len());
            self.let_go(longer, 0);
        }
    }

    fn let_go(&mut self, kind: usize, at: usize) {
        if let Some(held) = self.held[kind].remove(at) {
            self.bytes -= held.size;
        }
    }

    /// Those that have lost their last name.
    fn look_again(&mut self) {
        for kind in [0, 1] {
            let is_deleted = |held: &Held| held.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
            while let Some(at) = self.held[kind].iter().position(is_deleted) {
                if let Some(held) = self.held[kind].remove(at) {
                    self.bytes -= held.size;
                    self.keep(kind, &held, held.pid, Why::Deleted);
                }
            }
        }
    }

    fn look_for_wanted(&mut self) {
        let wanted = std::mem::take(&mut self.shared.state().wanted);
        for Wanted { pid, inode, path } in wanted {
            if !self.mapped.insert(inode) {
                continue;
            }
            let all = self.held.iter().flatten();
            let held = all.into_iter().find(|held| held.inode == inode);
            let file = held.and_then(|held| held.file.try_clone().ok()).or_else(|| self.open(inode, &path));
            let gone = self.gone.get(&inode).filter(|_| file.is_none()).cloned();
            match file {
                None if let Some(kept) = gone => self.tell(pid, Kept { why: Why::Mapped, ..kept }),
                Some(file) => self.keep(1, &Held { file, inode, pid, size: 0 }, pid, Why::Mapped),
                None => self.shared.state().missed += 1,
            }
        }
    }

    /// The file of this number, if it still stands at this path.
    fn open(&self, inode: Inode, path: &[u8]) -> Option<File> {
        let place = self.places.iter().find(|place| place.device == inode.device)?;
        let path = path.strip_prefix(b"/")?.strip_prefix(place.prefix.as_bytes())?;
        let path = Path::new(std::ffi::OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)));
        let file = open::regular_beneath(&place.root, path).ok()?;
        (inode_number(&file).ok()? == inode.number).then_some(file)
    }

    fn keep(&mut self, kind: usize, held: &Held, pid: u32, why: Why) {
        if self.keepers[kind].is_full() {
            self.omitted += 1;
            return;
        }
        let Some(sha256) = self.keepers[kind].keep(&held.file, false) else {
            self.omitted += 1;
            return;
        };
        let size = held.file.metadata().map_or(0, |metadata| metadata.size());
        let kept = Kept { path: self.name_of(held), sha256, size, why };
        if self.gone.len() < WAITING_MAX {
            self.gone.insert(held.inode, kept.clone());
        }
        self.tell(pid, kept);
    }

    fn name_of(&self, held: &Held) -> Bytes {
        let place = self.places.iter().find(|place| place.device == held.inode.device);
        name_inside(&held.file, place.map_or("", |place| place.prefix))
    }

    fn tell(&self, pid: u32, kept: Kept) {
        let mut state = self.shared.state();
        if state.found.len() < WAITING_MAX {
            state.found.push(Found { pid, kept });
        } else {
            state.missed += 1;
        }
    }

    fn inode(&self, file: &File) -> io::Result<Inode> {
        let number = inode_number(file)?;
        // A file of the overlay may show the device of its layer: by the mount, which is the same as of its
        // directories (fs/proc/fd.c shows its id, and not the device).
        let shown = super::super::inside::kernel_device(file.metadata()?.dev());
        let place = self.places.iter().skip(1).find(|place| place.device == shown);
        Ok(Inode { device: place.unwrap_or(&self.places[0]).device, number })
    }
}

fn wait(ears: &[std::os::fd::BorrowedFd<'_>], time: PollTimeout) {
    let mut ears: Vec<_> = ears.iter().map(|ear| PollFd::new(*ear, PollFlags::POLLIN)).collect();
    // Interrupted: then a turn too soon.
    let _ = poll(&mut ears, time);
}

/// A script, or an ELF file that can be run or loaded (ET_EXEC, ET_DYN).
fn is_program(file: &File) -> bool {
    let mut head = [0; 18];
    let length = file.read_at(&mut head, 0).unwrap_or(0);
    head[..length].starts_with(b"#!")
        || (head.starts_with(b"\x7fELF") && length == head.len() && matches!(head[16], 2 | 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_what_can_be_loaded_are_programs() {
        let directory = tempfile::tempdir().unwrap();
        let check = |bytes: &[u8], expected: bool| {
            let path = directory.path().join("file");
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(is_program(&File::open(&path).unwrap()), expected, "{bytes:?}");
        };
        let elf = |kind: u8| [&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"[..], &[kind, 0]].concat();
        check(b"#!/bin/sh\n", true);
        check(&elf(2), true);
        check(&elf(3), true);
        // An object file, and the beginning of one.
        check(&elf(1), false);
        check(&elf(3)[..17], false);
        check(b"echo x\n", false);
        check(b"", false);
    }
}
