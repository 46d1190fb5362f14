//! What acts are about, as the kernel holds it: files, sockets, memory, credentials; and what a program passed.

/// A `struct file` of the kernel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelFile {
    /// Absolute path from the root of the *sandbox* (not of a later chroot), without trailing slash.
    /// For files without a name: what the dentry says (`memfd:x`, `pipe:`).
    pub path: Vec<u8>,
    /// `s_dev` of the superblock.
    pub device: u32,
    pub inode: u64,
    /// `i_mode`: file type and permissions.
    pub mode: u16,
    /// `s_magic` of the superblock: tells proc, sysfs, tmpfs, overlay apart.
    pub magic: u64,
    /// Link count of the inode is 0: deleted, or never linked.
    pub unlinked: bool,
    /// The overlay holds it in its upper layer; `None` where the kernel's types do not tell.
    pub upper: Option<bool>,
}

/// A socket of the kernel. Addresses are in wire form: family in host order, port in network order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelSocket {
    pub family: u16,
    /// `SOCK_STREAM`, `SOCK_DGRAM`, …
    pub kind: u16,
    /// `IPPROTO_*`; 0 where the family has none.
    pub protocol: u16,
}

/// A `struct sockaddr` of any family, in the bytes that were passed; may be empty.
pub type Sockaddr = Vec<u8>;

/// A region of memory, from the kernel's own `vm_area_struct` where `known`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    pub address: u64,
    pub size: u64,
    /// `PROT_*` as asked for.
    pub protection: u32,
    /// `MAP_*`; of mmap(2).
    pub flags: u32,
    /// The region was there before (mprotect(2)).
    pub protect: bool,
    /// The region has pages of its own: something was written into it.
    pub written: bool,
    pub known: bool,
    /// What is mapped; `None` for anonymous memory.
    pub file: Option<KernelFile>,
}

/// Capability sets, bit N for capability N (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub effective: u64,
    pub permitted: u64,
}

/// What `struct cred` says. Ids are those of the initial namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub suid: u32,
    pub sgid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    pub capabilities: Capabilities,
}

/// A path argument of a system call: a string of the program's, and what it is relative to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathArgument {
    /// The string as it was passed; may be relative, or empty (AT_EMPTY_PATH).
    pub text: Vec<u8>,
    /// The directory that a relative string starts from, by the kernel's own dentry; empty where
    /// `text` is absolute.
    pub base: Vec<u8>,
    /// The kernel's own path of the file behind the descriptor that `text` begins with
    /// (`/proc/self/fd/N`, `/dev/fd/N`); empty where it does not.
    pub link: Vec<u8>,
    /// The task's root directory, from the sandbox's root; empty where they are the same.
    pub root: Vec<u8>,
    /// The task's working directory, of calls that changed something; else empty.
    pub cwd: Vec<u8>,
    /// The string could not be read (its page was not present).
    pub unreadable: bool,
}

/// A call by its registers, and the strings among its arguments (the program's, unverified).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    pub number: u32,
    pub compat: bool,
    pub args: [u64; 6],
    /// Of clone, clone3 and unshare, the flags; of bpf(2), the type of the program or map.
    pub detail: u64,
    /// Of a call on a pidfd: the process, by its id in the initial namespace.
    pub target: Option<u32>,
    pub capability: Option<u32>,
    pub texts: [Vec<u8>; 3],
    /// A string could not be read.
    pub unreadable: bool,
    /// A filter or a tracer of the image's own answered it: the kernel was never asked.
    pub barred: bool,
}
