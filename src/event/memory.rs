//! Memory that can be run.

use super::{Call, File};

/// What was done with memory.
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryAct {
    /// A region was mapped executable.
    Map(Region),
    /// A region that was there before was made executable.
    Protect(Region),
    /// memfd_create(2): a file without a name in any directory. Its name is the call's text.
    Memfd(Call),
    /// memfd_secret(2).
    SecretMemfd(Call),
    /// userfaultfd(2).
    UserFault(Call),
}

/// A region of memory that became executable, or was to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    pub size: u64,
    /// It is writable as well.
    pub write: bool,
    /// Something was written into it before, as the kernel's own pages tell.
    pub written: bool,
    /// What is mapped; `None` for anonymous memory.
    pub file: Option<File>,
}
