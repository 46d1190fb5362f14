//! The user that an image's configuration names, in the image's own passwd and group.

use lazaret::sandbox::reader;

/// Three texts, parted by NULs.
pub fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (text, passwd, group) = (part(), part(), part());
    reader::user(&String::from_utf8_lossy(text), passwd, group);
}
