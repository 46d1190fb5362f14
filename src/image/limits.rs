//! How much of an image is too much.

/// Bounds on what an image may ask for. What goes beyond the first three is a bomb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all layers together, decompressed.
    pub unpacked_bytes: u64,
    /// Decompressed bytes per compressed byte of one layer, judged once it has [`Self::RATIO_FROM`]
    /// bytes: real layers stay below 30, and gzip can reach 1032.
    pub ratio: u64,
    /// Entries of all layers together.
    pub entries: u64,
    /// Bytes of a member name or link target.
    pub path: usize,
    pub layers: usize,
}

impl Limits {
    /// Small layers may be mostly zeros: a database's preallocated file is.
    pub const RATIO_FROM: u64 = 64 << 20;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { unpacked_bytes: 32 << 30, ratio: 100, entries: 2_000_000, path: 4095, layers: 127 }
    }
}
