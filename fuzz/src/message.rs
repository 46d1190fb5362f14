//! What helper, init and unpacker say to the runner, and what the runner says to the helper.

use lazaret::image::read_replies;
use lazaret::sandbox::reader;

pub fn check(bytes: &[u8]) {
    reader::message(bytes);
    reader::order(bytes);
    read_replies(bytes);
}
