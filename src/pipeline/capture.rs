//! Keeps what is executed, at the moment before it runs.
//!
//! The kernel asks before a file of the sandbox is opened for execution, and the task waits for the
//! answer. Until then the file is read: its sha256 goes to whoever decodes the exec, its content into
//! the run directory. So a program that removes or replaces itself at once is known all the same.
//!
//! The answer is always yes, and comes from a thread of its own: the loop of the run may be reading
//! records, and must never wait for a file. The thread takes no lock that it holds while it reads, it
//! reads a bounded number of bytes, and when it ends, however it ends, the kernel lets everybody go on.
//! A waiting task can be frozen and killed, so a hold or the end of a run cannot hang on it.
//!
//! What the image's layers hold is not read here: it cannot change, and [`super::provenance`] finds it.
//! Such a file is not asked about again until it is written to; one that is changed through a mapping
//! alone then runs unasked, is known as written, has no hash, and is counted for that.
//! Out of reach: memory files, which lie on no file system that can be watched; and what is written and
//! deleted without being executed, which [`Written`] keeps.

mod book;
mod keep;
mod written;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, fstatfs};
use nix::time::{ClockId, clock_gettime};

use super::inside::{Inside, device, kernel_device};
use crate::event::{Bytes, Inode};
use crate::sandbox;
use crate::sys::fanotify::{Group, Question};

pub use book::{Book, Captured, Key, Tally};
pub use keep::{Bounds, Keeper, sha256};
pub use written::{Found, Written};

/// A running capture. Dropped: ended, and nobody waits any more.
#[derive(Debug)]
pub struct Capture {
    pid: u32,
    book: Arc<Book>,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Begins to be asked about every execution in the sandbox whose init is `pid`. `files` is the
    /// directory that takes the contents, within `bounds`; `upper` the overlay's writable one. The sandbox
    /// must be held.
    pub fn start(
        pid: u32,
        inside: &Inside,
        upper: &Path,
        files: OwnedFd,
        bounds: Bounds,
    ) -> io::Result<Capture> {
        let group = Group::new()?;
        group.watch(inside.root.as_fd())?;
        for (_, tmpfs) in &inside.tmpfs {
            group.watch(tmpfs.as_fd())?;
        }
        let metadata = upper.metadata()?;
        let tmpfs: io::Result<_> =
            inside.tmpfs.iter().map(|(prefix, root)| Ok((device(root)?, *prefix))).collect();
        let book = Arc::new(Book::default());
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let listener = Listener {
            group,
            overlay: device(&inside.root)?,
            tmpfs: tmpfs?,
            since: (metadata.ctime(), metadata.ctime_nsec()),
            keeper: Keeper::new(files, bounds),
            book: book.clone(),
        };
        let (book_end, stop_end) = (book.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("capture".into()).spawn(move || {
            if listener.listen(&stop_end).is_err() {
                book_end.fail();
            }
        })?;
        Ok(Capture { pid, book, stop, thread: Some(thread) })
    }

    /// True if it is asked about what this sandbox executes.
    pub fn watches(&self, target: &sandbox::Target) -> bool {
        target.pid == self.pid && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// What was captured so far, for whoever decodes the execs.
    pub fn book(&self) -> Arc<Book> {
        self.book.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // An event counter that is full stops the thread as well.
        let _ = self.stop.write(1);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            self.book.fail();
        }
    }
}

/// Why executed files cannot be kept on this host; `None` where they can.
pub fn refused() -> Option<String> {
    let tried = Group::new().and_then(|group| group.watch(File::open("/")?.as_fd()));
    tried.err().map(|error| error.to_string())
}

/// `CLOCK_BOOTTIME` in nanoseconds: the clock of the records.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
    time.map_or(0, |time| time.as_nanos() as u64)
}

/// What the thread owns.
struct Listener {
    group: Group,
    /// The overlay's device.
    overlay: u32,
    /// Devices of the others, and where they lie.
    tmpfs: HashMap<u32, &'static str>,
    /// Change time of the writable layer before the start: what was changed later was changed by the run.
    since: (i64, i64),
    keeper: Keeper,
    book: Arc<Book>,
}

impl Listener {
    /// Answers until it is told to stop.
    fn listen(mut self, stop: &EventFd) -> io::Result<()> {
        loop {
            let mut ears = [self.group.as_fd(), stop.as_fd()].map(|ear| PollFd::new(ear, PollFlags::POLLIN));
            match poll(&mut ears, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                result => result?,
            };
            if ears[1].any().unwrap_or(true) {
                return Ok(());
            }
            let asked = match self.group.read() {
                // The kernel could not open one file for us; it has refused that execution itself.
                Err(_) => {
                    self.book.miss();
                    continue;
                }
                Ok(asked) => asked,
            };
            if asked.overflowed {
                self.book.miss();
            }
            for question in asked.questions {
                self.look(&question);
                self.group.allow(&question)?;
            }
        }
    }

    /// Reads the file, if it was made or changed in this run.
    fn look(&mut self, question: &Question) {
        let file = &question.file;
        let look = || -> io::Result<_> {
            let metadata = file.metadata()?;
            let kind = fstatfs(file)?.filesystem_type();
            Ok((metadata, kind, inode_number(file)?))
        };
        let Ok((metadata, kind, number)) = look() else {
            return self.book.miss();
        };
        let on_overlay = kind == FsType(OVERLAYFS_SUPER_MAGIC.0);
        if on_overlay && (metadata.ctime(), metadata.ctime_nsec()) < self.since {
            // Where the kernel does not take it, the next question is answered as quickly.
            let _ = self.group.ignore(file.as_fd());
            return;
        }
        let device = if on_overlay { self.overlay } else { kernel_device(metadata.dev()) };
        let sha256 = self.keeper.keep(file, on_overlay);
        let key = Key { pid: question.pid, inode: Inode { device, number } };
        let path = name_inside(file, self.tmpfs.get(&device).unwrap_or(&""));
        let captured = Captured { time: now(), key, sha256, path, size: metadata.size() };
        self.book.enter(captured, self.keeper.tally);
    }
}

/// A file's last name, as the sandbox knows it; `prefix`: where its file system lies. Where the sandbox's
/// mounts are gone by now, the kernel tells it from the root of its file system.
fn name_inside(file: &File, prefix: &str) -> Bytes {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let path = link.map(|path| path.into_os_string().into_vec()).unwrap_or_default();
    let name = path.strip_suffix(b" (deleted)").unwrap_or(&path);
    let is_whole = name.strip_prefix(b"/").is_some_and(|name| name.starts_with(prefix.as_bytes()));
    if is_whole { name.into() } else { [b"/", prefix.as_bytes(), name].concat().into() }
}

/// The inode's number as the probes see it (`i_ino`): for a file of the overlay that was copied up,
/// fstat(2) has another one (fs/overlayfs/inode.c). Since Linux 5.14 fdinfo tells (fs/proc/fd.c,
/// `seq_show`).
fn inode_number(file: &File) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let field = text.lines().find_map(|line| line.strip_prefix("ino:"));
    field.and_then(|field| field.trim().parse().ok()).ok_or(io::ErrorKind::Unsupported.into())
}
