//! What a user, or a job in a queue, names as an image.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use lazaret::image::{Place, Reference};

pub fn check(bytes: &[u8]) {
    let text = OsStr::from_bytes(bytes);
    match Reference::parse(text) {
        Ok(reference) => {
            assert_eq!(reference.text, text, "it is kept as it was typed");
            let (path, tag) = match &reference.place {
                Place::Layout { directory, tag } => (directory, tag.as_deref()),
                Place::Archive { file, tag } => (file, tag.as_deref()),
                Place::Tree { root } => (root, None),
                #[allow(unreachable_patterns)] // transports that come later
                _ => return,
            };
            assert!(!path.as_os_str().is_empty() && tag != Some(""), "{reference:?}");
            assert!(!path.as_os_str().as_bytes().contains(&0), "{reference:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
