//! Extended attributes that a program can set, in a form in which the run's and the image's can be compared.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;

use crate::sys::xattr;

pub type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// include/uapi/linux/posix_acl_xattr.h
const DEFAULT_LIST: &std::ffi::CStr = c"system.posix_acl_default";
const LISTS: &[u8] = b"system.posix_acl_";
/// Tags of include/uapi/linux/posix_acl.h whose entry names somebody.
const ACL_USER: u16 = 2;
const ACL_GROUP: u16 = 8;

/// Those of a file or directory: of capabilities those that they permit, whatever the user namespace they are
/// written for; of access lists the ids as the image sees them, whose root is `base` on disk. What the kernel
/// itself or a file system gives (labels, an overlay's own) is left out.
pub fn of(file: impl AsFd, base: u32) -> io::Result<Attributes> {
    let mut all = Attributes::new();
    for name in xattr::list(&file)? {
        let text = name.to_bytes();
        let is_told = text == b"security.capability"
            || is_list(text)
            || (text.starts_with(b"user.") && !text.starts_with(b"user.overlay."))
            || (text.starts_with(b"trusted.") && !text.starts_with(b"trusted.overlay."));
        if is_told && let Some(mut value) = xattr::get(&file, &name)? {
            if text == b"security.capability" {
                // struct vfs_ns_cap_data: revision and flags, the sets, the root's id.
                value = value.get(4..20).unwrap_or_default().to_vec();
            } else if is_list(text) {
                shift(&mut value, base);
            }
            all.insert(text.to_vec(), value);
        }
    }
    Ok(all)
}

/// True of a directory that hands an access list down to what is made in it.
pub fn hands_down(directory: impl AsFd) -> bool {
    xattr::get(directory, DEFAULT_LIST).is_ok_and(|list| list.is_some())
}

/// The same without access lists.
pub fn without_lists(all: &Attributes) -> Attributes {
    all.iter().filter(|(name, _)| !is_list(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn is_list(name: &[u8]) -> bool {
    name.starts_with(LISTS)
}

/// A version, then entries of tag, permissions and id: two, two and four bytes, little-endian.
fn shift(list: &mut [u8], base: u32) {
    let entries = list.get_mut(4..).unwrap_or_default();
    for entry in entries.chunks_exact_mut(8) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        if tag == ACL_USER || tag == ACL_GROUP {
            let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            entry[4..].copy_from_slice(&id.wrapping_sub(base).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_an_access_list_are_those_that_the_image_sees() {
        let list = |id: u32| {
            let id = id.to_le_bytes();
            [&[2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 6, 0][..], &id, &[8, 0, 4, 0], &id].concat()
        };
        let mut shifted = list(100_033);
        shift(&mut shifted, 100_000);
        assert_eq!(shifted, list(33));
        let mut short = vec![2, 0, 0];
        shift(&mut short, 1);
        assert_eq!(short, [2, 0, 0]);
    }
}
