//! What is asked of the kernel itself, and of what separates the sandbox from it.

use super::{Bytes, Call};

/// What was asked of the kernel itself, or done to what separates the sandbox from it.
#[derive(Clone, Debug, PartialEq)]
pub enum KernelAct {
    /// Namespaces, mounts, modules, BPF, keys, io_uring, …: a call that was not refused.
    Call(Call),
    /// The first call of a process through the 32-bit entry, whatever it is.
    Compat(Call),
    /// A process was put into another cgroup.
    Moved {
        /// Number of the hierarchy, 0 for the v2 tree.
        hierarchy: u32,
        /// From the root of that hierarchy.
        cgroup: Bytes,
    },
    /// The call asked for a capability and did not have it ([`Call::capability`]); whether it was refused
    /// for that, its own event tells.
    Incapable(Call),
    /// What a call took is not what stood where the program passed it, when the call had returned: another
    /// thread rewrote it meanwhile.
    Mismatch(Mismatch),
    /// An operation was handed to io_uring that has no event of its own.
    Ring {
        /// Its name, or `operation_N` where the number has none.
        operation: Bytes,
        /// The paths it names.
        paths: Vec<Bytes>,
    },
}

/// The two sides of an argument that was rewritten during the call.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Name of the call: `open`, `connect`, `bind`, `send`, or of one on names (`rename`, `unlinkat`, …).
    pub call: Bytes,
    /// What stood in the program's memory: where the path leads, or `address:port`; of a call on names the
    /// name when it began.
    pub passed: Bytes,
    /// What the kernel took: the path of its own file, the address of its own socket or packet; of a call on
    /// names the name when it returned.
    pub taken: Bytes,
    /// True: `taken` is the kernel's own. False: which of the two it took is not known.
    pub verified: bool,
}
