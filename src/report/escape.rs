//! Makes text of bytes that an attacker chose.
//!
//! [`text`] is lossless and used in every document (event log, report): a byte string that is valid
//! UTF-8 and has no U+FFFD stands as it is; otherwise every byte that belongs to no valid character,
//! and every byte of a U+FFFD, is written as U+FFFD followed by two lower-case hexadecimal digits:
//! `a\xffb` is `a�ffb`. In such text U+FFFD therefore always begins an escape, and [`bytes`] gives
//! back exactly the bytes that were written. Control characters are left to JSON.

use std::borrow::Cow;
use std::fmt::Write;

/// Begins an escaped byte: U+FFFD, what a decoder would have put in place of the byte.
pub const LEAD: char = char::REPLACEMENT_CHARACTER;

/// Writes any bytes as text, so that [`bytes`] can read them back.
pub fn text(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(plain) if !has_lead(raw) => Cow::Borrowed(plain),
        _ => Cow::Owned(escape_bytes(raw)),
    }
}

/// Reads what [`text`] wrote; `None` where a U+FFFD is not followed by two lower-case digits.
pub fn bytes(text: &str) -> Option<Cow<'_, [u8]>> {
    if !has_lead(text.as_bytes()) {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut pieces = text.split(LEAD);
    let mut raw = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.as_bytes().split_at_checked(2)?;
        raw.push(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?);
        raw.extend_from_slice(rest);
    }
    Some(Cow::Owned(raw))
}

fn has_lead(raw: &[u8]) -> bool {
    raw.contains(&0xef) && raw.windows(3).any(|window| window == [0xef, 0xbf, 0xbd])
}

fn escape_bytes(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len() + 16);
    for chunk in raw.utf8_chunks() {
        for (index, plain) in chunk.valid().split(LEAD).enumerate() {
            if index > 0 {
                push_bytes(&mut text, LEAD.to_string().as_bytes());
            }
            text.push_str(plain);
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

fn push_bytes(text: &mut String, raw: &[u8]) {
    for byte in raw {
        // Writing to a String cannot fail.
        let _ = write!(text, "{LEAD}{byte:02x}");
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_escapes_only_what_is_no_text() {
        check(b"/usr/bin/caf\xc3\xa9", "/usr/bin/caf\u{e9}");
        check(b"a\xffb", "a\u{fffd}ffb");
        check(b"a\0b\x1b[2J\n", "a\0b\x1b[2J\n");
        check("\u{fffd}".as_bytes(), "\u{fffd}ef\u{fffd}bf\u{fffd}bd");
        check("\u{fffd}41".as_bytes(), "\u{fffd}ef\u{fffd}bf\u{fffd}bd41");
        check(b"\xed\xa0\x80", "\u{fffd}ed\u{fffd}a0\u{fffd}80");
        check(b"\xef\xbf", "\u{fffd}ef\u{fffd}bf");
        check(b"", "");
    }

    fn check(raw: &[u8], expected: &str) {
        assert_eq!(text(raw), expected);
        assert_eq!(bytes(expected).as_deref(), Some(raw));
    }

    #[test]
    fn any_bytes_come_back() {
        let alphabet = [0, b'a', b'4', b'f', 0xef, 0xbf, 0xbd, 0xff, 0xc3, 0xa9, 0x80, b'\n'];
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut raw = Vec::new();
            for _ in 0..step(&mut state) % 12 {
                raw.push(alphabet[step(&mut state) as usize % alphabet.len()]);
            }
            assert_eq!(bytes(&text(&raw)).as_deref(), Some(raw.as_slice()), "{raw:?}");
        }
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&text(&every)).as_deref(), Some(every.as_slice()));
    }

    /// A linear congruential generator (Knuth's constants), so that a failure can be repeated.
    fn step(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn a_lone_lead_is_refused() {
        for text in
            ["\u{fffd}", "\u{fffd}4", "\u{fffd}FF", "\u{fffd}g0", "\u{fffd}\u{fffd}41", "\u{fffd}4\u{e9}"]
        {
            assert_eq!(bytes(text), None, "{text:?}");
        }
    }
}
