//! Files, and what is done to them.

use super::Bytes;

/// A file as the kernel knows it, with the name it had at that moment.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Absolute, as seen from the container's root. Bytes: the image chose them.
    pub path: Bytes,
    /// True: the path was read from the kernel's own file. False: it is the string that the program
    /// passed, walked over the links of the image and of the run; another thread may have changed the
    /// string meanwhile.
    pub verified: bool,
    pub inode: Option<Inode>,
    pub kind: FileKind,
    pub origin: Origin,
    /// The bait that was planted as this file, by name.
    pub bait: Option<Bytes>,
}

/// What makes a file the same file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode {
    /// The superblock's device number, as the kernel holds it (`s_dev`).
    pub device: u32,
    pub number: u64,
}

/// What a file is, by its mode (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    Regular,
    Directory,
    Link,
    Socket,
    Fifo,
    CharDevice,
    BlockDevice,
    Unknown,
}

/// Where a file came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It stands unchanged as this layer of the image has it, counted from 0 at the bottom.
    Layer(u16),
    /// It was made or changed during the run.
    Written,
    /// It lives in memory only (memfd_create(2)).
    Memfd,
    /// The sandbox supplied it: /etc/hosts, /etc/hostname, /etc/resolv.conf, and what it planted.
    Supplied,
    /// A kernel file system: /proc, /sys, /dev.
    Kernel,
    Unknown,
}

/// What was done to a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileAct {
    Open {
        file: File,
        mode: OpenMode,
    },
    Rename {
        from: File,
        to: File,
    },
    /// Two names were swapped (renameat2(2), RENAME_EXCHANGE).
    Exchange {
        from: File,
        to: File,
    },
    Link {
        from: File,
        to: File,
    },
    /// `target` is the text of the new symbolic link.
    Symlink {
        target: Bytes,
        file: File,
    },
    Unlink {
        file: File,
    },
    /// An empty directory was removed.
    Rmdir {
        file: File,
    },
    Mkdir {
        file: File,
    },
    /// `mode` are the permission bits asked for, with set-id and sticky (07777).
    Chmod {
        file: File,
        mode: u32,
    },
    Change {
        file: File,
        change: FileChange,
    },
}

/// What else is changed of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileChange {
    /// Its length was set (truncate(2), ftruncate(2)).
    Truncate {
        length: u64,
    },
    /// As the process passed the ids; `None`: left as it was.
    Chown {
        uid: Option<u32>,
        gid: Option<u32>,
    },
    /// `modified`: seconds since 1970, `None` where it was left or set to the present. `behind`: by how many
    /// seconds that lies before the present; 0 where it does not.
    Times {
        modified: Option<i64>,
        behind: u64,
    },
    /// An extended attribute; its value up to a bound. `capabilities`: those that `security.capability`
    /// permits, as a set of bits; 0 of any other attribute.
    SetXattr {
        name: Bytes,
        value: Bytes,
        capabilities: u64,
    },
    RemoveXattr {
        name: Bytes,
    },
    /// Made by mknod(2): a FIFO, a socket, a device, or a plain file ([`File::kind`]).
    Mknod {
        device: u64,
    },
    /// The flags that keep even root from changing it (FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR).
    SetFlags {
        immutable: bool,
        append_only: bool,
    },
    /// Filled by the kernel from another descriptor (sendfile, splice, copy_file_range).
    Copy,
    /// Mapped shared and writable (mmap): what is written into the memory is written into it.
    Map,
}

/// How a file was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMode {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    pub truncate: bool,
    /// The file did not exist before (the kernel's `FMODE_CREATED`).
    pub created: bool,
    /// Permission bits of a file that it made, with set-id and sticky (07777); else 0.
    pub permissions: u16,
}
