//! Makes text of bytes that an attacker chose.
//!
//! [`text`] is lossless and used in every document (event log, report): a byte string that is valid
//! UTF-8 and has no U+FFFD stands as it is; otherwise every byte that belongs to no valid character,
//! and every byte of a U+FFFD, is written as U+FFFD followed by two lower-case hexadecimal digits:
//! `a\xffb` is `a�ffb`. In such text U+FFFD therefore always begins an escape, and [`bytes`] gives
//! back exactly the bytes that were written. Control characters are left to JSON.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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

/// As [`text`], and no longer than `max` bytes (at least 64): the middle of a longer one is cut out,
/// and the number of its bytes stands in its place.
pub fn short_text(raw: &[u8], max: usize) -> String {
    cut(&text(raw), max)
}

/// Cuts the middle out of a text that is longer than `max` bytes (at least 64).
pub fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let keep = max.saturating_sub(CUT_ROOM);
    let head = floor_boundary(text, keep * 2 / 3);
    let tail = floor_boundary(text, text.len() - (keep - keep * 2 / 3) + 3).max(head);
    let left_out = tail - head;
    format!("{}…[{left_out} bytes]…{}", &text[..head], &text[tail..])
}

/// Room for the mark in the middle: two ellipses, brackets, and a number of up to 20 digits.
const CUT_ROOM: usize = 40;

/// The nearest character boundary at or below `at` that does not split an escaped byte.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = text.floor_char_boundary(at.min(text.len()));
    // U+FFFD takes three bytes, its digits two: step back in front of one that begins just before.
    for back in 0..LEAD.len_utf8() {
        let before = text.floor_char_boundary(at.saturating_sub(back));
        if text[..before].ends_with(LEAD) {
            at = before - LEAD.len_utf8();
            break;
        }
    }
    at
}

/// Makes text safe to print on one line of a terminal: what moves the cursor, changes colours,
/// reorders, hides or looks like a space is written as an escape (`\n`, `\x1b`, `\u{202e}`). For eyes
/// only: a backslash of the text itself looks the same. Escaped bytes of [`text`] become `\xff`.
pub fn terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            LEAD => match escaped_byte(rest.as_str()) {
                Some(digits) => {
                    safe.push_str("\\x");
                    safe.push_str(digits);
                    rest = rest.as_str()[2..].chars();
                }
                None => safe.push(LEAD),
            },
            plain if is_plain(plain) => safe.push(plain),
            other => push_escape(&mut safe, other),
        }
    }
    safe
}

/// Makes JSON safe to print: an equal document in which what [`terminal`] would escape is written as
/// `\uXXXX`. Outside strings JSON has nothing to escape but line breaks, which stay.
pub fn json(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for character in document.chars() {
        if character == '\n' || character == LEAD || is_plain(character) {
            safe.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    safe
}

/// Columns that a text takes on a terminal, once [`terminal`] has made it safe.
pub fn columns(safe: &str) -> usize {
    safe.width()
}

fn escaped_byte(rest: &str) -> Option<&str> {
    let digits = rest.get(..2)?;
    digits.bytes().all(|digit| hex_digit(digit).is_some()).then_some(digits)
}

/// True for what takes room on the screen and shows itself. Combining marks and invisible characters
/// have no width; blank ones other than the space could pass for it.
fn is_plain(character: char) -> bool {
    const BLANK: [char; 6] = ['\u{ad}', '\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
    match character {
        ' ' => true,
        other if other.is_whitespace() || other.is_control() => false,
        other => other.width().unwrap_or(0) > 0 && !BLANK.contains(&other) && !is_reordering(other),
    }
}

/// Bidirectional controls (Unicode 16, UAX #9 table 4).
fn is_reordering(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_escape(safe: &mut String, character: char) {
    let _ = match character {
        '\n' => write!(safe, "\\n"),
        '\r' => write!(safe, "\\r"),
        '\t' => write!(safe, "\\t"),
        low if u32::from(low) < 0x80 => write!(safe, "\\x{:02x}", u32::from(low)),
        other => write!(safe, "\\u{{{:x}}}", u32::from(other)),
    };
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
    fn nothing_that_steers_a_terminal_survives() {
        let check = |hostile: &str, expected: &str| assert_eq!(terminal(hostile), expected);
        check("\u{1b}[2J\u{7}", r"\x1b[2J\x07");
        check("a\nb\r\t", r"a\nb\r\t");
        check("\u{202e}txt.exe\u{2066}", r"\u{202e}txt.exe\u{2066}");
        check("\u{9b}31m\u{7f}", r"\u{9b}31m\x7f");
        check(
            "\u{2028}\u{200b}\u{feff}\u{a0}\u{3164}\u{e0041}",
            r"\u{2028}\u{200b}\u{feff}\u{a0}\u{3164}\u{e0041}",
        );
        check("e\u{301}", r"e\u{301}");
        check(r"C:\n", r"C:\n");
        check("\u{fffd}ff\u{fffd}1b", r"\xff\x1b");
        check("caf\u{e9} \u{4e2d}", "caf\u{e9} \u{4e2d}");
    }

    #[test]
    fn json_stays_equal_and_prints_safely() {
        let hostile = "\u{9b}2J\u{7f}\u{202e}\u{e0041}\u{1b}\n\t\u{fffd}ff caf\u{e9} \u{1f980} \u{301}";
        let document = serde_json::to_string_pretty(&serde_json::json!({ hostile: [hostile, 1.5] })).unwrap();
        let safe = json(&document);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&safe), value(&document));
        assert!(!safe.chars().any(|c| c != '\n' && (c.is_control() || is_reordering(c))), "{safe}");
        assert!(safe.contains("caf\u{e9} \u{1f980}"), "what shows itself stays");
    }

    #[test]
    fn any_text_takes_one_line_and_the_columns_that_were_counted() {
        for code in 0..=0x10ffff {
            let Some(character) = char::from_u32(code) else { continue };
            let safe = terminal(&character.to_string());
            assert!(!safe.chars().any(|c| c.is_control() || is_reordering(c)), "{code:x}");
            assert!(columns(&safe) > 0, "{code:x}");
        }
    }

    #[test]
    fn a_long_text_is_cut_in_the_middle_and_says_by_how_much() {
        let long = "a".repeat(500) + &"z".repeat(500);
        let short = cut(&long, 100);
        assert!(short.len() <= 100 && short.starts_with("aaaa") && short.ends_with("zzzz"), "{short}");
        let kept = short.matches(['a', 'z']).count();
        assert!(short.contains(&format!("…[{} bytes]…", 1000 - kept)), "{short}");
        assert_eq!(cut("short", 64), "short");
    }

    #[test]
    fn a_cut_splits_neither_characters_nor_escaped_bytes() {
        for pad in 0..10 {
            for raw in [vec![0xff; 400], "\u{4e2d}\u{1f980}".repeat(80).into_bytes()] {
                let raw = [vec![b'a'; pad], raw].concat();
                let short = short_text(&raw, 120);
                assert!(short.len() <= 120, "{} bytes", short.len());
                let (head, rest) = short.split_once("…[").unwrap();
                let tail = rest.split_once("]…").unwrap().1;
                assert!(bytes(head).is_some() && bytes(tail).is_some(), "{short}");
            }
        }
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
