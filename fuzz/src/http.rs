//! What a client sends in a stream: mostly HTTP/1, but whatever it is, it is recognised by its bytes.

use super::world;

pub fn check(bytes: &[u8]) {
    world::converse(bytes);
}
