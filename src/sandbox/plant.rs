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

/// How a plant comes to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Made where nothing stands; owned by the program's user, or by root where it lies outside a home and
    /// everyone may read it.
    New,
    /// Added at the end of a file that the image has, which keeps owner and mode; left out where it has
    /// none.
    Append,
}

/// No plan has more plants; their bytes are bounded with the order that carries them.
pub(super) const PLANTS_MAX: usize = 256;

/// What became of one plant. One below the home of a user that has several is planted in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Its place in the plan.
    pub plant: usize,
    /// Where it stands, as the kernel has it: links followed, `~` replaced. Where it does not: where it
    /// was to.
    pub path: Vec<u8>,
    /// Its number in the sandbox's root file system; 0 where it does not stand.
    pub inode: u64,
    /// Why it does not stand; 0 where it does. `EEXIST`: the image has something there. `ENOENT`: there is
    /// nothing to append to, or no home. `EXDEV`: the place lies on another file system, or leads through /proc.
    pub errno: i32,
}

impl Planted {
    /// It lies where it should.
    pub fn stands(&self) -> bool {
        self.errno == 0
    }
}
