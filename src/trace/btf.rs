//! Finds a name in the kernel's types, to learn what a program can attach to; and where a member of a
//! module's structure lies.
//!
//! Format: Documentation/bpf/btf.rst. Not here: relocation, which is the loader's, and knows no modules.

/// `BTF_KIND_*` of what programs attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Typedef = 8,
    Function = 12,
}

/// The id of the type of this kind and name; `None` if there is none, or the bytes are no BTF.
pub fn find(btf: &[u8], kind: Kind, name: &str) -> Option<u32> {
    let (types, strings) = parts(btf)?;
    let mut at = 0;
    let mut id = 0;
    while at < types.len() {
        id += 1;
        let name_at = word(types, at)? as usize;
        let info = word(types, at + 4)?;
        let found = (info >> 24) & 0x1f;
        if found == kind as u32 && is_named(strings, name_at, name) {
            return Some(id);
        }
        at += 12 + extra(found, (info & 0xffff) as usize)?;
    }
    None
}

/// Bytes from the beginning of the structure to its member, in the types of a module, which continue those of
/// the kernel (`base`); `None` if there is no such member, or the bytes are no BTF.
pub fn member_at(base: &[u8], module: &[u8], structure: &str, member: &str) -> Option<u32> {
    const STRUCT: u32 = 4;
    let (_, known) = parts(base)?;
    let (types, strings) = parts(module)?;
    let is = |name_at: u32, name: &str| match (name_at as usize).checked_sub(known.len()) {
        Some(at) => is_named(strings, at, name),
        None => is_named(known, name_at as usize, name),
    };
    let mut at = 0;
    while at < types.len() {
        let info = word(types, at + 4)?;
        let (kind, members) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        let end = at.checked_add(12)?.checked_add(extra(kind, members)?)?;
        if kind == STRUCT && is(word(types, at)?, structure) {
            let found = types
                .get(at + 12..end)?
                .chunks(12)
                .find(|one| word(one, 0).is_some_and(|name| is(name, member)))?;
            // Where a structure has bit fields, the upper byte is the width.
            let bits = word(found, 8)?;
            return Some(if info >> 31 == 1 { bits & 0xff_ffff } else { bits } / 8);
        }
        at = end;
    }
    None
}

/// Types, and the strings that name them.
fn parts(btf: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = word(btf, 4)? as usize;
    let types_at = header.checked_add(word(btf, 8)? as usize)?;
    let types_end = types_at.checked_add(word(btf, 12)? as usize)?;
    let strings_at = header.checked_add(word(btf, 16)? as usize)?;
    let strings_end = strings_at.checked_add(word(btf, 20)? as usize)?;
    Some((btf.get(types_at..types_end)?, btf.get(strings_at..strings_end)?))
}

/// Bytes that follow the common part of a type with this many members.
pub(super) fn extra(kind: u32, members: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,                // int, var, decl_tag
        3 => 12,                         // array
        4 | 5 | 15 | 19 => 12 * members, // struct, union, datasec, enum64
        6 | 13 => 8 * members,           // enum, func_proto
        2 | 7..=12 | 16 | 18 => 0,       // pointers, qualifiers, functions, floats, tags
        _ => return None,
    })
}

fn is_named(strings: &[u8], at: usize, name: &str) -> bool {
    strings
        .get(at..)
        .and_then(|rest| rest.strip_prefix(name.as_bytes()))
        .is_some_and(|rest| rest.first() == Some(&0))
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, one typedef and one function, and their names.
    fn sample() -> Vec<u8> {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut btf: Vec<u8> = words(&[0x0001_eb9f, 24, 0, 24, 24, 11]);
        btf.extend::<Vec<u8>>(words(&[1, 8 << 24, 0, 5, 12 << 24, 1]));
        btf.extend_from_slice(b"\0one\0three\0");
        btf
    }

    #[test]
    fn find_tells_kinds_and_names_apart() {
        for (kind, name, expected) in [
            (Kind::Typedef, "one", Some(1)),
            (Kind::Function, "one", None),
            (Kind::Function, "three", Some(2)),
            (Kind::Function, "thre", None),
        ] {
            assert_eq!(find(&sample(), kind, name), expected, "{kind:?} {name}");
        }
    }

    #[test]
    fn a_member_of_a_module_is_found_by_names_of_either_side() {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        // A typedef to pass over, and a struct `new` of two members: `three`, named by the kernel, and `up`.
        let types = [12, 8 << 24, 0, 12, 4 << 24 | 2, 64, 5, 1, 0, 16, 1, 192];
        let mut module: Vec<u8> = words(&[0x0001_eb9f, 24, 0, 48, 48, 8]);
        module.extend::<Vec<u8>>(words(&types));
        module.extend_from_slice(b"\0new\0up\0");
        let check = |structure, member, expected| {
            assert_eq!(member_at(&sample(), &module, structure, member), expected, "{structure}.{member}");
        };
        check("new", "three", Some(0));
        check("new", "up", Some(24));
        check("new", "one", None);
        check("old", "up", None);
        for length in 0..module.len() {
            assert_eq!(member_at(&sample(), &module[..length], "new", "up"), None);
        }
    }

    #[test]
    fn find_refuses_cut_types() {
        for length in 0..sample().len() - 11 {
            assert_eq!(find(&sample()[..length], Kind::Function, "three"), None);
        }
    }
}
