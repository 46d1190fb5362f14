//! Files that lie in the sandbox before the image's first program runs: decoys, and the certificate of
//! the world's authority.
//!
//! Init writes them inside the finished cage, as the cage's root, before any code of the image runs: a
//! link of the image leads to another place of the image at worst. Nothing that the image ships is
//! replaced.

/// One such file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Absolute, or below the home of the program's user: `~/.ssh/id_ed25519`. Missing directories are
    /// made, owned as the file.
    pub path: Vec<u8>,
    pub content: Vec<u8>,
    /// Permission bits, 0777.
    pub mode: u32,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Made where nothing stands, and owned by the program's user.
    New,
    /// Added at the end of a file that the image has, which keeps owner and mode; left out where it has
    /// none.
    Append,
}
