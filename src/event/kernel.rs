//! What is asked of the kernel itself, and of what separates the sandbox from it.

use super::{Bytes, Call};

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
    /// An operation was handed to io_uring that has no event of its own.
    Ring {
        /// Its name, or `operation_N` where the number has none.
        operation: Bytes,
        /// The paths it names.
        paths: Vec<Bytes>,
    },
}
