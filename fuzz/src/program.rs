//! The head of the image's program, as far as it is read before it runs.

use lazaret::sandbox::reader;

pub fn check(bytes: &[u8]) {
    reader::program(bytes);
}
