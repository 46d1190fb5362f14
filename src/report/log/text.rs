//! Bytes and digests as JSON strings; see [`escape`] for the scheme.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserializer, Serializer};

use crate::event::Bytes;
use crate::report::escape;

pub fn serialize<S: Serializer>(raw: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&escape::text(raw))
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    from.deserialize_str(TextVisitor)
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Bytes;

    fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
        to.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        match escape::bytes(text) {
            Some(Cow::Borrowed(raw)) => Ok(raw.into()),
            Some(Cow::Owned(raw)) => Ok(raw.into()),
            None => Err(E::custom("U+FFFD is not followed by two lower-case hexadecimal digits")),
        }
    }
}

/// Lists of byte strings: argument vectors, environments.
pub mod arguments {
    use super::{Bytes, Deserializer, Error, SerializeSeq, Serializer, TextVisitor, Visitor, escape, fmt};
    use serde::de::DeserializeSeed;

    use crate::report::log::LIST_MAX;

    pub fn serialize<S: Serializer>(list: &[Bytes], to: S) -> Result<S::Ok, S::Error> {
        let mut sequence = to.serialize_seq(Some(list.len()))?;
        for raw in list {
            sequence.serialize_element(&*escape::text(raw))?;
        }
        sequence.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Bytes>, D::Error> {
        from.deserialize_seq(ListVisitor)
    }

    struct ListVisitor;

    impl<'de> Visitor<'de> for ListVisitor {
        type Value = Vec<Bytes>;

        fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
            to.write_str("a list of strings")
        }

        fn visit_seq<A: super::SeqAccess<'de>>(self, mut from: A) -> Result<Vec<Bytes>, A::Error> {
            let mut list = Vec::new();
            while let Some(raw) = from.next_element_seed(TextVisitor)? {
                if list.len() == LIST_MAX {
                    return Err(A::Error::custom(format!("has more than {LIST_MAX} entries")));
                }
                list.push(raw);
            }
            Ok(list)
        }
    }

    impl<'de> DeserializeSeed<'de> for TextVisitor {
        type Value = Bytes;

        fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Bytes, D::Error> {
            from.deserialize_str(self)
        }
    }
}

/// A sha256 as 64 lower-case hexadecimal digits.
pub mod digest {
    use super::{Deserializer, Error, Serializer};
    use serde::{Deserialize, Serialize};

    pub fn serialize<S: Serializer>(sum: &Option<[u8; 32]>, to: S) -> Result<S::Ok, S::Error> {
        sum.as_ref().map(hex).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
        let Some(digits) = Option::<String>::deserialize(from)? else { return Ok(None) };
        parse(&digits).map(Some).ok_or_else(|| D::Error::custom("not 64 lower-case hexadecimal digits"))
    }

    pub fn hex(sum: &[u8; 32]) -> String {
        sum.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
    }

    fn digit(value: u8) -> char {
        char::from_digit(u32::from(value), 16).unwrap_or('?')
    }

    pub fn parse(digits: &str) -> Option<[u8; 32]> {
        let canonical = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.as_bytes().iter().all(canonical) {
            return None;
        }
        let mut sum = [0; 32];
        for (index, byte) in sum.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(sum)
    }
}

/// The same of a sum that is always there.
pub mod plain_digest {
    use super::{Deserializer, Error, Serializer, digest};
    use serde::{Deserialize, Serialize};

    pub fn serialize<S: Serializer>(sum: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        digest::hex(sum).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let digits = String::deserialize(from)?;
        digest::parse(&digits).ok_or_else(|| D::Error::custom("not 64 lower-case hexadecimal digits"))
    }
}
