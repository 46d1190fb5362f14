//! A directory (LDAP, RFC 4511) that lets everybody in and finds nothing. Also what a program asks that was
//! made to load something from a directory.

use super::packet::{Packet, Packets};
use super::{Dialogue, Turn};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
/// Requests (RFC 4511, 4.2 and on): application-wide tags.
const BIND: u8 = 0x60;
const UNBIND: u8 = 0x42;
const SEARCH: u8 = 0x63;
const MODIFY: u8 = 0x66;
const ADD: u8 = 0x68;
const DELETE: u8 = 0x4a;
const RENAME: u8 = 0x6c;
const COMPARE: u8 = 0x6e;
const EXTENDED: u8 = 0x77;
/// The name and password in the clear: [0] of `AuthenticationChoice`.
const SIMPLE: u8 = 0x80;
/// RFC 4511, 4.14.1.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

pub struct Ldap {
    packets: Packets,
}

/// A message with a number and a request that comes first.
pub fn is_begun(first: &[u8]) -> bool {
    let mut rest = first;
    let Some((SEQUENCE, _)) = head(&mut rest) else { return false };
    item(&mut rest).is_some_and(|(kind, number)| kind == INTEGER && number.len() <= 4)
        && rest.first().is_some_and(|kind| [BIND, SEARCH, EXTENDED].contains(kind))
}

impl Ldap {
    pub fn new() -> Ldap {
        Ldap { packets: Packets::default() }
    }
}

/// Tag and length of what comes next (X.690, 8.1), which are taken off.
fn head(bytes: &mut &[u8]) -> Option<(u8, usize)> {
    let [kind, first, rest @ ..] = *bytes else { return None };
    let (length, rest) = match *first {
        short @ ..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f)).filter(|_| long <= 0x84)?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
    };
    *bytes = rest;
    Some((*kind, length))
}

/// An item; of one that was cut, what is there.
fn item<'b>(bytes: &mut &'b [u8]) -> Option<(u8, &'b [u8])> {
    let (kind, length) = head(bytes)?;
    let (content, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    Some((kind, content))
}

/// Of a message's body, once its head is whole.
fn measure(bytes: &[u8]) -> Option<u64> {
    // An endless form does not exist here (RFC 4511, 5.1): the message is empty, and then refused.
    if bytes.get(1).is_some_and(|first| *first > 0x84 || *first == 0x80) {
        return Some(0);
    }
    let mut rest = bytes;
    let (_, length) = head(&mut rest)?;
    Some(length as u64)
}

fn message(packet: &Packet, turn: &mut Turn) {
    let mut body = packet.body.as_slice();
    let number = item(&mut body).filter(|(kind, number)| *kind == INTEGER && number.len() <= 4);
    let request = item(&mut body);
    let (Some((_, number)), Some((kind, content)), SEQUENCE) = (number, request, packet.head[0]) else {
        turn.close = true;
        return;
    };
    let (verb, text, answer): (&[u8], Vec<u8>, Option<u8>) = match kind {
        BIND => (b"LOGIN", login(content), Some(0x61)),
        SEARCH => (b"SEARCH", search(content), Some(0x65)),
        MODIFY => (b"MODIFY", first(content), Some(0x67)),
        ADD => (b"ADD", first(content), Some(0x69)),
        DELETE => (b"DELETE", content.to_vec(), Some(0x6b)),
        RENAME => (b"RENAME", first(content), Some(0x6d)),
        COMPARE => (b"COMPARE", first(content), Some(0x6f)),
        EXTENDED => (b"EXTENDED", first(content), Some(0x78)),
        UNBIND => (b"UNBIND", Vec::new(), None),
        _ => (b"OTHER", Vec::new(), None),
    };
    turn.command(verb, &text, packet.size);
    turn.close = kind == UNBIND;
    turn.start_tls = kind == EXTENDED && text == START_TLS;
    if let Some(answer) = answer {
        turn.say.extend(result(number, answer));
    }
}

/// Success, no name, no words.
fn result(number: &[u8], kind: u8) -> Vec<u8> {
    const RESULT: [u8; 7] = [10, 1, 0, OCTETS, 0, OCTETS, 0];
    let body = [&[INTEGER, number.len() as u8][..], number, &[kind, RESULT.len() as u8], &RESULT].concat();
    [&[SEQUENCE, body.len() as u8][..], &body].concat()
}

/// Whoever it is, and the password where it comes in the clear.
fn login(mut content: &[u8]) -> Vec<u8> {
    let _version = item(&mut content);
    let name = item(&mut content).map_or(&[][..], |(_, name)| name);
    match item(&mut content) {
        Some((SIMPLE, password)) => [name, b" ", password].concat(),
        Some((_, mut other)) => {
            [name, b" ", item(&mut other).map_or(&[][..], |(_, mechanism)| mechanism)].concat()
        }
        None => name.to_vec(),
    }
}

/// The base, and the texts of the filter and of what is asked for.
fn search(mut content: &[u8]) -> Vec<u8> {
    let base = item(&mut content).map_or(&[][..], |(_, base)| base);
    let mut text = base.to_vec();
    for _ in 0..5 {
        item(&mut content);
    }
    texts(content, &mut text, 0);
    text
}

fn texts(mut content: &[u8], to: &mut Vec<u8>, depth: usize) {
    /// Filters in filters.
    const DEPTH_MAX: usize = 16;
    while let Some((kind, inner)) = item(&mut content) {
        match kind & 0x20 {
            0 if !inner.is_empty() => to.extend([b" ", inner].concat()),
            0x20 if depth < DEPTH_MAX => texts(inner, to, depth + 1),
            _ => {}
        }
    }
}

fn first(mut content: &[u8]) -> Vec<u8> {
    item(&mut content).map(|(_, first)| first.to_vec()).unwrap_or_default()
}

impl Dialogue for Ldap {
    fn service(&self) -> &'static str {
        "ldap"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        while let Some(packet) = self.packets.next(&mut bytes, measure) {
            message(&packet, turn);
            if turn.close || turn.start_tls {
                return;
            }
        }
    }
}
