//! The stream of a layer: everything before names are resolved.

use std::io::Read;

use lazaret::image::tar::{Entries, Kind};

const PATH_MAX: usize = 4095;
const BLOCK: usize = 512;

pub fn check(bytes: &[u8]) {
    let mut tar = Entries::new(bytes, PATH_MAX);
    let (mut members, mut read) = (0, 0);
    while let Ok(Some(entry)) = tar.advance() {
        members += 1;
        assert!(members * BLOCK <= bytes.len(), "each member takes a block");
        assert!(entry.mode <= 0o7777 && entry.mtime.1 < 1_000_000_000, "{entry:?}");
        assert!(entry.kind == Kind::File || entry.size == 0, "{entry:?}");
        let words: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(entry.path.len() + entry.link.len() + words <= 2 * bytes.len(), "{entry:?}");
        // Every other member is read, the rest is skipped.
        if members % 2 == 0 {
            let mut data = Vec::new();
            if tar.read_to_end(&mut data).is_err() {
                return;
            }
            assert_eq!(data.len() as u64, entry.size);
            read += data.len();
        }
    }
    assert!(read <= bytes.len());
}
