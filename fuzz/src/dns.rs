//! The question in a datagram that a program sends.

use lazaret::normalise::dns;

pub fn check(bytes: &[u8]) {
    if let Some(question) = dns::question(bytes) {
        let name = &question.name;
        // 255 bytes on the wire, each of which may be written as two.
        assert!(name.len() < 510, "{}", name.len());
        assert!(!name.iter().any(u8::is_ascii_uppercase));
        // A name that is longer than its question was read from somewhere else.
        assert!(name.len() <= 2 * bytes.len());
    }
}
