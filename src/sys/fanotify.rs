//! fanotify(7): being asked before a file is opened for execution, and told when one was written, with a
//! descriptor of that file.
//!
//! A task that asks waits, and can be killed while it does. Dropping the [`Group`] allows whatever
//! still waits (fs/notify/fanotify/fanotify_user.c, `fanotify_release`), so that nothing hangs on a
//! listener that is gone.
#![allow(unsafe_code)] // libc has only the raw calls, and nix is built without them here.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::fanotify_event_metadata as Metadata;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Questions that one read takes.
const BATCH: usize = 64;

/// A listener for executions.
#[derive(Debug)]
pub struct Group(File);

/// One file that is about to be executed.
#[derive(Debug)]
pub struct Question {
    /// The file, open for reading.
    pub file: File,
    /// Thread group of the task that waits, in the listener's pid namespace.
    pub pid: u32,
}

/// What the kernel handed over.
#[derive(Debug, Default)]
pub struct Asked {
    pub questions: Vec<Question>,
    /// Questions that could not be kept: the kernel answered them itself, with yes.
    pub overflowed: bool,
}

/// `struct fanotify_event_metadata` of uapi/linux/fanotify.h, in a form that can be read from bytes.
#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout)]
struct Head {
    length: u32,
    version: u8,
    reserved: u8,
    head_length: u16,
    mask: u64,
    fd: i32,
    pid: i32,
}

const _: () = assert!(size_of::<Head>() == size_of::<Metadata>());

impl Group {
    /// Asks for CAP_SYS_ADMIN in the initial user namespace.
    pub fn new() -> io::Result<Group> {
        let flags = libc::FAN_CLASS_CONTENT
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_UNLIMITED_QUEUE
            | libc::FAN_UNLIMITED_MARKS;
        let opened = libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: takes two numbers.
        let fd = unsafe { libc::fanotify_init(flags, opened as libc::c_uint) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor; nothing else owns it.
        Ok(Group(unsafe { File::from_raw_fd(fd) }))
    }

    /// One that is told of files after they were written, and answers nothing. What the kernel cannot keep
    /// until it is read (16,384 events by default) shows as an overflow.
    pub fn of_writes() -> io::Result<Group> {
        let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let opened = libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: takes two numbers.
        let fd = unsafe { libc::fanotify_init(flags, opened as libc::c_uint) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor; nothing else owns it.
        Ok(Group(unsafe { File::from_raw_fd(fd) }))
    }

    /// From now on every closing of a file of this file system that was open for writing is told.
    pub fn watch_writes(&self, directory: BorrowedFd<'_>) -> io::Result<()> {
        let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM;
        self.mark(flags, libc::FAN_CLOSE_WRITE, directory)
    }

    /// From now on every execution of a file of this file system is asked about, through whichever
    /// mount and from whichever namespace it is opened. `directory` is any place on it.
    pub fn watch(&self, directory: BorrowedFd<'_>) -> io::Result<()> {
        self.mark(libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM, libc::FAN_OPEN_EXEC_PERM, directory)
    }

    /// Asks no more about this file, until something is written to it. A write through a mapping does not
    /// count (mm/ tells fsnotify of none).
    pub fn ignore(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        // Evictable (Linux 5.19): the file's inode need not be kept in memory for it.
        let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_IGNORED_MASK | libc::FAN_MARK_EVICTABLE;
        self.mark(flags, libc::FAN_OPEN_EXEC_PERM, file)
    }

    fn mark(&self, flags: libc::c_uint, mask: u64, object: BorrowedFd<'_>) -> io::Result<()> {
        let (group, object) = (self.0.as_raw_fd(), object.as_raw_fd());
        // SAFETY: both descriptors are borrowed for the call; a null path means `object` itself.
        let result = unsafe { libc::fanotify_mark(group, flags, mask, object, std::ptr::null()) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The questions that wait; does not block.
    pub fn read(&self) -> io::Result<Asked> {
        let mut bytes = [0; BATCH * size_of::<Head>()];
        let length = match io::Read::read(&mut &self.0, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Asked::default()),
            result => result?,
        };
        let mut asked = Asked::default();
        let mut rest = &bytes[..length];
        while let Ok((head, _)) = Head::read_from_prefix(rest) {
            // SAFETY: a descriptor that the kernel put into an event is the reader's, once.
            let file = (head.fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(head.fd as RawFd) });
            match file {
                Some(file) => {
                    asked.questions.push(Question { file: file.into(), pid: head.pid as u32 });
                }
                None => asked.overflowed |= head.mask & libc::FAN_Q_OVERFLOW != 0,
            }
            let step = (head.length as usize).max(size_of::<Head>());
            rest = rest.get(step..).unwrap_or_default();
        }
        Ok(asked)
    }

    /// Lets the task that asked go on.
    pub fn allow(&self, question: &Question) -> io::Result<()> {
        let mut answer = [0; 8];
        answer[..4].copy_from_slice(&question.file.as_raw_fd().to_ne_bytes());
        answer[4..].copy_from_slice(&libc::FAN_ALLOW.to_ne_bytes());
        io::Write::write_all(&mut &self.0, &answer)
    }
}

impl AsFd for Group {
    /// Readable when a question waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
