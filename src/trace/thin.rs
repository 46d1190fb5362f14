//! The kernel's types without those that no probe asks for.
//!
//! The loader's library makes a value of each of the kernel's 150,000 types, and compares their names with
//! every type that the probes name: more time than the kernel needs to verify the probes. Ids stay as they
//! are, because the kernel knows types by them: what is left out becomes a declaration without a name.
//!
//! Kept is what the object's own types have the names of, and all that lies in them: what a pointer leads to
//! does not (a walk from one object to the next is a read for each, with a name of its own).
//!
//! Format: Documentation/bpf/btf.rst, elf(5).

use std::collections::HashSet;

use super::btf::{extra, word};

/// A declaration without a name: `BTF_KIND_FWD`.
const NOTHING: [u32; 3] = [0, 7 << 24, 0];

/// Where one type stands in the bytes.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    end: usize,
}

/// The sections of types and strings, and each type's place, by id (the first is void).
struct Types<'b> {
    btf: &'b [u8],
    strings: &'b [u8],
    places: Vec<Place>,
}

/// The names of all types in the BTF of an object file; `None` if it has none.
pub fn names(object: &[u8]) -> Option<HashSet<&[u8]>> {
    let types = Types::read(section(object, b".BTF")?)?;
    let names = types.places.iter().filter_map(|place| types.name(*place));
    Some(names.filter(|name| !name.is_empty()).map(essence).collect())
}

/// The same types with the same ids, only those named and what lies in them whole; `None` if the bytes are no
/// BTF.
pub fn thin(btf: &[u8], wanted: &HashSet<&[u8]>) -> Option<Vec<u8>> {
    let types = Types::read(btf)?;
    let kept = types.kept(wanted)?;
    let mut body = Vec::with_capacity(types.places.len() * 12);
    for (place, kept) in types.places.iter().zip(&kept).skip(1) {
        match kept {
            true => body.extend_from_slice(btf.get(place.at..place.end)?),
            false => body.extend(NOTHING.iter().flat_map(|word| word.to_ne_bytes())),
        }
    }
    let header = word(btf, 4)? as usize;
    let mut thin = btf.get(..header)?.to_vec();
    let lengths = [0, body.len(), body.len(), types.strings.len()];
    for (field, length) in thin.get_mut(8..24)?.chunks_exact_mut(4).zip(lengths) {
        field.copy_from_slice(&u32::try_from(length).ok()?.to_ne_bytes());
    }
    thin.extend_from_slice(&body);
    thin.extend_from_slice(types.strings);
    Some(thin)
}

/// What stands before a flavour: `name___flavour` is another version of `name`.
fn essence(name: &[u8]) -> &[u8] {
    let flavour = name.windows(3).position(|three| three == b"___");
    &name[..flavour.unwrap_or(name.len())]
}

impl<'b> Types<'b> {
    fn read(btf: &'b [u8]) -> Option<Types<'b>> {
        let header = word(btf, 4)? as usize;
        let [types_at, types_length, strings_at, strings_length] =
            [8, 12, 16, 20].map(|at| word(btf, at).map(|word| word as usize));
        let mut at = header.checked_add(types_at?)?;
        let end = at.checked_add(types_length?)?;
        let strings_at = header.checked_add(strings_at?)?;
        let strings = btf.get(strings_at..strings_at.checked_add(strings_length?)?)?;
        let mut places = vec![Place { at, end: at }];
        while at < end {
            let info = word(btf, at + 4)?;
            let length = 12 + extra((info >> 24) & 0x1f, (info & 0xffff) as usize)?;
            places.push(Place { at, end: at + length });
            at += length;
        }
        (at == end && end <= btf.len()).then_some(Types { btf, strings, places })
    }

    fn name(&self, place: Place) -> Option<&'b [u8]> {
        let name = self.strings.get(word(self.btf, place.at)? as usize..)?;
        Some(&name[..memchr::memchr(0, name)?])
    }

    /// Which types are kept, by id.
    fn kept(&self, wanted: &HashSet<&[u8]>) -> Option<Vec<bool>> {
        let mut kept = vec![false; self.places.len()];
        let mut waiting = Vec::new();
        for (id, place) in self.places.iter().enumerate().skip(1) {
            // struct, union, enum, typedef, enum64: what is asked for by its name.
            if matches!(self.kind(*place)?, 4 | 5 | 6 | 8 | 19) && wanted.contains(self.name(*place)?) {
                waiting.push(id as u32);
            }
        }
        while let Some(id) = waiting.pop() {
            let Some(first @ false) = kept.get_mut(id as usize) else { continue };
            *first = true;
            self.inside(*self.places.get(id as usize)?, &mut waiting)?;
        }
        Some(kept)
    }

    fn kind(&self, place: Place) -> Option<u32> {
        Some((word(self.btf, place.at.checked_add(4)?)? >> 24) & 0x1f)
    }

    /// The types that lie in one, or that it is another name of.
    fn inside(&self, place: Place, types: &mut Vec<u32>) -> Option<()> {
        // The void has no place of its own.
        if place.at == place.end {
            return Some(());
        }
        match self.kind(place)? {
            3 => types.extend([word(self.btf, place.at + 12)?, word(self.btf, place.at + 16)?]),
            4 | 5 => {
                for at in (place.at + 12..place.end).step_by(12) {
                    types.push(word(self.btf, at + 4)?);
                }
            }
            8..=11 | 18 => types.push(word(self.btf, place.at + 8)?),
            _ => {}
        }
        Some(())
    }
}

/// A section of a 64-bit object file by its name.
fn section<'o>(object: &'o [u8], name: &[u8]) -> Option<&'o [u8]> {
    let table = long(object, 0x28)?;
    let (size, count) = (short(object, 0x3a)?, short(object, 0x3c)?);
    let head = |index: usize| object.get(table.checked_add(index * size)?..);
    let content = |head: &[u8]| {
        let at = long(head, 0x18)?;
        object.get(at..at.checked_add(long(head, 0x20)?)?)
    };
    let names = content(head(short(object, 0x3e)?)?)?;
    (0..count).filter_map(head).find_map(|head| {
        let found = names.get(word(head, 0)? as usize..)?.strip_prefix(name)?;
        (found.first() == Some(&0)).then(|| content(head))?
    })
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?).into())
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    usize::try_from(u64::from_ne_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct one { struct two in; struct three *to; }`, and the three behind it, with its number.
    const ONE: [u32; 9] = [1, 4 << 24 | 2, 16, 0, 2, 0, 0, 3, 64];
    const TWO: [u32; 6] = [5, 4 << 24 | 1, 8, 0, 5, 0];
    const POINTER: [u32; 3] = [0, 2 << 24, 4];
    const THREE: [u32; 6] = [9, 4 << 24 | 1, 8, 0, 5, 0];
    const NUMBER: [u32; 4] = [15, 1 << 24, 8, 64];
    const STRINGS: &[u8] = b"\0one\0two\0three\0number\0";

    fn btf(types: &[&[u32]]) -> Vec<u8> {
        let types: Vec<u8> = types.concat().iter().flat_map(|word| word.to_ne_bytes()).collect();
        let (types_length, strings) = (types.len() as u32, STRINGS.len() as u32);
        let header = [0x0001_eb9f, 24, 0, types_length, types_length, strings];
        let mut btf: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        btf.extend_from_slice(&types);
        btf.extend_from_slice(STRINGS);
        btf
    }

    #[test]
    fn thin_keeps_what_is_named_and_what_lies_in_it_but_not_what_a_pointer_leads_to() {
        let whole = btf(&[&ONE, &TWO, &POINTER, &THREE, &NUMBER]);
        let check = |name: &[u8], expected: &[&[u32]]| {
            assert_eq!(thin(&whole, &HashSet::from([name])), Some(btf(expected)));
        };
        check(b"one", &[&ONE, &TWO, &POINTER, &NOTHING, &NUMBER]);
        check(b"three", &[&NOTHING, &NOTHING, &NOTHING, &THREE, &NUMBER]);
        check(b"thre", &[NOTHING.as_slice(); 5]);
        // Numbers are nobody's name.
        check(b"number", &[NOTHING.as_slice(); 5]);
    }

    #[test]
    fn thin_refuses_cut_types() {
        let whole = btf(&[&ONE, &TWO, &POINTER, &THREE, &NUMBER]);
        for length in 0..whole.len() {
            assert_eq!(thin(&whole[..length], &HashSet::from([&b"one"[..]])), None, "{length}");
        }
    }

    #[test]
    fn the_object_names_what_its_probes_read() {
        let names = names(super::super::probes::OBJECT).unwrap();
        for name in ["task_struct", "dentry", "io_kiocb"] {
            assert!(names.contains(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn another_version_of_a_type_has_its_name() {
        assert_eq!(essence(b"cred___old"), b"cred");
        assert_eq!(essence(b"cred__"), b"cred__");
    }
}
