//! An MQTT broker (versions 3.1, 3.1.1 and 5) that takes every log-in and every message and sends none.

use super::packet::{Packet, Packets};
use super::{Dialogue, Turn};

pub struct Mqtt {
    packets: Packets,
    /// The version that the client speaks.
    version: u8,
}

/// CONNECT with the protocol's name.
pub fn is_begun(first: &[u8]) -> bool {
    let named = |name: &[u8]| first.get(2..).is_some_and(|rest| rest.starts_with(name));
    first.first() == Some(&0x10) && (named(b"\0\x04MQTT") || named(b"\0\x06MQIsdp"))
}

impl Mqtt {
    pub fn new() -> Mqtt {
        Mqtt { packets: Packets::default(), version: 4 }
    }

    fn packet(&mut self, packet: &Packet, turn: &mut Turn) {
        let kind = packet.head[0] >> 4;
        let body = packet.body.as_slice();
        // Identifiers stand at the beginning, or behind the topic; version 5 has properties in most packets.
        let id = |at: usize| body.get(at..at + 2).map_or([0, 0], |id| [id[0], id[1]]);
        let none: &[u8] = if self.version >= 5 { &[0] } else { &[] };
        let ack = |kind: u8, parts: &[&[u8]]| {
            let parts = parts.concat();
            [&[kind, parts.len() as u8][..], &parts].concat()
        };
        let topic = || 2 + usize::from(u16::from_be_bytes(id(0)));
        match kind {
            1 => {
                self.connect(body, packet.size, turn);
                let none: &[u8] = if self.version >= 5 { &[0] } else { &[] };
                turn.say.extend(ack(0x20, &[&[0, 0], none]));
            }
            3 => {
                turn.command(
                    b"PUBLISH",
                    &published(body, packet.head[0] & 6 != 0, self.version),
                    packet.size,
                );
                match packet.head[0] & 6 {
                    2 => turn.say.extend(ack(0x40, &[&id(topic())])),
                    4 => turn.say.extend(ack(0x50, &[&id(topic())])),
                    _ => {}
                }
            }
            6 => turn.say.extend(ack(0x70, &[&id(0)])),
            8 => {
                turn.command(b"SUBSCRIBE", &words(body.get(2..).unwrap_or_default()), packet.size);
                turn.say.extend(ack(0x90, &[&id(0), none, &[0]]));
            }
            10 => {
                turn.command(b"UNSUBSCRIBE", &words(body.get(2..).unwrap_or_default()), packet.size);
                let done: &[u8] = if self.version >= 5 { &[0] } else { &[] };
                turn.say.extend(ack(0xb0, &[&id(0), none, done]));
            }
            12 => {
                turn.command(b"PINGREQ", b"", packet.size);
                turn.say.extend([0xd0, 0]);
            }
            14 => {
                turn.command(b"DISCONNECT", b"", packet.size);
                turn.close = true;
            }
            _ => turn.command(b"PACKET", body, packet.size),
        }
    }

    /// Protocol, version, flags, keep-alive; then the client's name, its last will, user and password.
    fn connect(&mut self, body: &[u8], size: u64, turn: &mut Turn) {
        let mut rest = body;
        text(&mut rest);
        let [version, flags, _, _, after @ ..] = rest else { return turn.command(b"CONNECT", body, size) };
        self.version = *version;
        let mut rest = after;
        properties(&mut rest, self.version);
        let name = text(&mut rest).unwrap_or_default();
        turn.command(b"CONNECT", name, size);
        if flags & 0x04 != 0 {
            properties(&mut rest, self.version);
            let will = [text(&mut rest).unwrap_or_default(), text(&mut rest).unwrap_or_default()].join(&b' ');
            turn.command(b"WILL", &will, will.len() as u64);
        }
        let user = if flags & 0x80 != 0 { text(&mut rest) } else { None };
        let password = if flags & 0x40 != 0 { text(&mut rest) } else { None };
        if user.is_some() || password.is_some() {
            let login = [user.unwrap_or_default(), password.unwrap_or_default()].join(&b' ');
            turn.command(b"LOGIN", &login, login.len() as u64);
        }
    }
}

/// A text with its length in front.
fn text<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    *bytes = rest;
    Some(text)
}

/// Passes over what version 5 has more.
fn properties(bytes: &mut &[u8], version: u8) {
    // One byte of length is enough for what a client says of itself; a longer one hides what follows.
    if version >= 5
        && let Some((length, rest)) = bytes.split_first()
    {
        *bytes = rest.get(usize::from(*length)..).unwrap_or_default();
    }
}

/// The topic and the message.
fn published(body: &[u8], has_id: bool, version: u8) -> Vec<u8> {
    let mut rest = body;
    let Some(topic) = text(&mut rest) else { return body.to_vec() };
    rest = if has_id { rest.get(2..).unwrap_or_default() } else { rest };
    properties(&mut rest, version);
    [topic, rest].join(&b' ')
}

/// What of it can be read.
fn words(bytes: &[u8]) -> Vec<u8> {
    let printable = |byte: &u8| (0x21..0x7f).contains(byte);
    bytes.split(|byte| !printable(byte)).filter(|run| !run.is_empty()).collect::<Vec<_>>().join(&b' ')
}

/// Seven bits in each byte, least first, at most four bytes.
fn length(head: &[u8]) -> Option<u64> {
    let bytes = head.get(1..)?;
    let last = bytes.last()?;
    let whole = last & 0x80 == 0 || bytes.len() == 4;
    let value = |(place, byte): (usize, &u8)| u64::from(byte & 0x7f) << (7 * place);
    whole.then(|| bytes.iter().enumerate().map(value).sum())
}

impl Dialogue for Mqtt {
    fn service(&self) -> &'static str {
        "mqtt"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        while let Some(found) = self.packets.next(&mut bytes, length) {
            self.packet(&found, turn);
            if turn.close {
                return;
            }
        }
    }
}
