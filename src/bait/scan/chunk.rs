//! The parts of a secret by which it is known again.
//!
//! A part is long enough to stand nowhere else, and parts lie so close that a piece cut out of the secret
//! holds one. What all secrets of a kind have in common, as the first letters of a token, is no part.

use crate::bait::key;

/// Letters of a part.
const LENGTH: usize = 24;
/// From the begin of one part to the next: a cut of `LENGTH + STEP` letters holds one.
const STEP: usize = 8;
/// As above, in secrets of more than [`LONG`] letters.
const LONG_STEP: usize = 24;
const LONG: usize = 256;
/// Less is no secret.
const LEAST: usize = 12;

/// What every secret of a kind begins with.
const COMMON: [&str; 8] = [
    "MDoEEPgAAAAAAAAAAAAAAAAAAAEwFAYIKoZIhvcNAwcECI",
    "IQoJb3JpZ2luX2VjE",
    "xprv9s21ZrQH143K",
    "pypi-AgEIcHlwaS5vcmcCJ",
    "ya29.c.b0A",
    "$2y$10$",
    "hvs.",
    "0.AX",
];

/// The parts of a secret, without what [`dropped`] drops.
pub(super) fn chunks(secret: &str) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    for line in telling(secret) {
        let line: Vec<u8> = line.bytes().filter(|byte| !dropped(*byte)).collect();
        cut(&line, &mut chunks);
    }
    chunks
}

/// Letters that are passed over, in secrets as in what is sent: what wraps lines, pads, quotes, or fills
/// every other byte of UTF-16.
pub(super) fn dropped(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0 | b'=' | b'\\')
}

fn telling(secret: &str) -> Vec<String> {
    if secret.starts_with("-----BEGIN OPENSSH") {
        return vec![key::telling_part(secret)];
    }
    if secret.starts_with("-----BEGIN") {
        // The first line says what kind of key it is.
        return secret.lines().skip(2).filter(|line| !line.starts_with('-')).map(str::to_owned).collect();
    }
    if let (true, Some((_, signature))) = (secret.starts_with("eyJ"), secret.rsplit_once('.')) {
        return vec![signature.to_owned()];
    }
    let bare = |line: &str| {
        let common = COMMON.iter().find_map(|common| line.strip_prefix(common));
        common.unwrap_or(line).to_owned()
    };
    secret.lines().map(bare).collect()
}

fn cut(line: &[u8], chunks: &mut Vec<Vec<u8>>) {
    if line.len() <= LENGTH {
        chunks.extend((line.len() >= LEAST).then(|| line.to_vec()));
        return;
    }
    let step = if line.len() > LONG { LONG_STEP } else { STEP };
    let last = line.len() - LENGTH;
    let begins = (0..last).step_by(step).chain([last]);
    chunks.extend(begins.map(|begin| line[begin..begin + LENGTH].to_vec()));
}
