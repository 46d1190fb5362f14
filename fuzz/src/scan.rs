//! Looking for the secrets of baits in what is sent: the sample chooses every byte.

use std::sync::OnceLock;

use lazaret::bait::{Baits, Scanner};

/// The first byte says how the rest is cut. However it is cut, the same is found, and nothing is told
/// twice; as a name it does no harm.
pub fn check(input: &[u8]) {
    static SCANNER: OnceLock<Scanner> = OnceLock::new();
    let scanner = SCANNER.get_or_init(|| Scanner::new(&Baits::new([7; 32])));
    let Some((size, bytes)) = input.split_first() else { return };
    let found = |size: usize| {
        let mut scan = scanner.scan();
        let sightings = bytes.chunks(size).flat_map(|piece| scan.feed(piece));
        let mut found: Vec<_> = sightings.map(|seen| (seen.name, seen.field)).collect();
        found.sort();
        found
    };
    let whole = found(bytes.len().max(1));
    assert!(whole.windows(2).all(|pair| pair[0] != pair[1]), "told twice");
    assert_eq!(found(usize::from(*size).max(1)), whole);
    scanner.name(bytes);
}
