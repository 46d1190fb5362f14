//! System calls that are told as such: by name, registers, and the strings among their arguments.

use super::{Bytes, Target};

/// A system call of note.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// The name in the kernel's table, or `syscall_N` where the number has none; `x32_NAME` for the
    /// numbers of the x32 ABI.
    pub call: Bytes,
    pub number: u32,
    /// Made through the 32-bit entry (`int 0x80`), with the numbers of i386.
    pub compat: bool,
    /// The six argument registers, as they stood when the call returned.
    pub args: [u64; 6],
    /// Of clone, clone3 and unshare: the flags. Of bpf: the type of the program or map. Of a call that passes
    /// descriptors: the first one's number. Else 0.
    pub detail: u64,
    /// Strings among the arguments, in their order: the program's words, read when the call returned.
    pub texts: Vec<Bytes>,
    /// The process that it is aimed at.
    pub target: Option<Target>,
    /// The capability that it asked for and did not have (`CAP_*` by number), where the kernel tells.
    pub capability: Option<u8>,
    /// The kernel did not tell `capability`: it is what the call asks for, which was refused with EPERM.
    pub inferred: bool,
    /// The sandbox's own filter (seccomp) refused it: the kernel was never asked. False where one of the
    /// image's own did.
    pub filtered: bool,
    /// A filter or a tracer of the image's own answered it, perhaps with success: nothing was done.
    pub own_filter: bool,
}
