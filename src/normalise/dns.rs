//! The question in a DNS message (RFC 1035, section 4).
//!
//! The bytes are the program's: a message may be cut, lie about its lengths, or be something else
//! altogether. Then there is no question, which is itself worth telling of a datagram to port 53.

use crate::event::Question;

const HEADER: usize = 12;
/// Labels with their lengths, the root included (section 2.3.4).
const NAME_MAX: usize = 255;
const LABEL_MAX: u8 = 63;

/// The first question. `None` where the bytes are no query, or the question is not whole.
pub fn question(message: &[u8]) -> Option<Question> {
    let (header, body) = message.split_at_checked(HEADER)?;
    let is_answer = header[2] & 0x80 != 0;
    let questions = u16::from_be_bytes([header[4], header[5]]);
    if is_answer || questions == 0 {
        return None;
    }
    let (name, rest) = name(body)?;
    let [high, low, _, _, ..] = rest else { return None };
    Some(Question { name: name.into(), kind: u16::from_be_bytes([*high, *low]) })
}

/// A name, and what follows it. A pointer (section 4.1.4) has nothing to point back to in a first
/// question.
fn name(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut name = Vec::new();
    let mut rest = bytes;
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            return Some((name, after));
        }
        if length > LABEL_MAX || bytes.len() - after.len() + usize::from(length) >= NAME_MAX {
            return None;
        }
        let (label, after) = after.split_at_checked(length.into())?;
        if !name.is_empty() {
            name.push(b'.');
        }
        push_label(&mut name, label);
        rest = after;
    }
}

/// Names are compared without regard to case (section 2.3.3), so that capitals could hide one.
fn push_label(name: &mut Vec<u8>, label: &[u8]) {
    for byte in label {
        if matches!(byte, b'.' | b'\\') {
            name.push(b'\\');
        }
        name.push(byte.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(flags: u8, questions: u8, body: &[u8]) -> Vec<u8> {
        [&[1, 2, flags, 0, 0, questions, 0, 0, 0, 0, 0, 0], body].concat()
    }

    fn check(message: &[u8], expected: Option<(&str, u16)>) {
        let found = question(message);
        let found = found.map(|it| (String::from_utf8_lossy(&it.name).into_owned(), it.kind));
        assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)), "{message:?}");
    }

    #[test]
    fn the_question_of_a_query_is_read_in_lower_case() {
        check(&message(1, 1, b"\x07ExamPle\x03oRg\0\0\x1c\0\x01"), Some(("example.org", 28)));
        check(&message(1, 1, b"\0\0\x02\0\x01"), Some(("", 2)));
        check(&message(0, 2, b"\x01a\0\0\x10\0\x01more"), Some(("a", 16)));
        check(&message(0, 1, b"\x03a.b\x02\\c\0\0\x01\0\x01"), Some(("a\\.b.\\\\c", 1)));
    }

    #[test]
    fn what_is_no_whole_question_is_none() {
        check(b"", None);
        check(b"hello, this is no question", None);
        check(&message(0x80, 1, b"\x01a\0\0\x01\0\x01"), None);
        check(&message(0, 0, b"\x01a\0\0\x01\0\x01"), None);
        check(&message(0, 1, b"\x01a"), None);
        check(&message(0, 1, b"\x05a"), None);
        check(&message(0, 1, b"\x01a\0\0\x01\0"), None);
        check(&message(0, 1, b"\xc0\x0c\0\x01\0\x01"), None);
        check(&message(0, 1, &[&b"\x3f"[..], &[b'a'; 63]].concat().repeat(5)), None);
    }

    #[test]
    fn no_message_makes_it_panic() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for length in 0..4_000_usize {
            let bytes: Vec<u8> = (0..length % 300)
                .map(|at| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    if at < HEADER { u8::from(at == 5) } else { random as u8 % 70 }
                })
                .collect();
            if let Some(question) = question(&bytes) {
                assert!(question.name.len() < 2 * NAME_MAX);
            }
        }
    }
}
