//! Frames of an HTTP/2 client, after its preface.

use super::world;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn check(bytes: &[u8]) {
    world::converse(&[PREFACE, bytes].concat());
}
