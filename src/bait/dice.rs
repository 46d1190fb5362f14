//! Chance that can be repeated: everything of a bait follows from the run's seed and the bait's own name,
//! so that what one bait is made of never depends on another.

use sha2::{Digest, Sha256};

pub(super) const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(super) const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(super) const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
pub(super) const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub(super) const BASE64_URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub(super) const CRYPT: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(super) const HEX: &[u8] = b"0123456789abcdef";

/// SHA-256 in counter mode.
pub(super) struct Dice {
    key: [u8; 32],
    counter: u64,
    left: Vec<u8>,
}

impl Dice {
    pub fn new(seed: &[u8; 32], label: &str) -> Dice {
        let key = Sha256::new().chain_update(seed).chain_update(label).finalize().into();
        Dice { key, counter: 0, left: Vec::new() }
    }

    pub fn byte(&mut self) -> u8 {
        if self.left.is_empty() {
            let block = Sha256::new().chain_update(self.key).chain_update(self.counter.to_le_bytes());
            self.left = block.finalize().to_vec();
            self.counter += 1;
        }
        self.left.pop().unwrap_or_default()
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    /// Letters of an alphabet, each as likely as any other.
    pub fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        let fair = 256 - 256 % alphabet.len();
        let mut letter = || loop {
            let byte = usize::from(self.byte());
            if byte < fair {
                return char::from(alphabet[byte % alphabet.len()]);
            }
        };
        (0..length).map(|_| letter()).collect()
    }
}
