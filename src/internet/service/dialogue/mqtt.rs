//! An MQTT broker (version 3.1.1) that takes every message and sends none.

use super::packet::{Packet, Packets};
use super::{Dialogue, Turn};

pub struct Mqtt {
    packets: Packets,
}

/// CONNECT with the protocol's name.
pub fn is_begun(first: &[u8]) -> bool {
    first.first() == Some(&0x10) && first.get(2..8).is_some_and(|name| name.starts_with(b"\0\x04MQTT"))
}

impl Mqtt {
    pub fn new() -> Mqtt {
        Mqtt { packets: Packets::default() }
    }
}

/// Seven bits in each byte, least first, at most four bytes.
fn length(head: &[u8]) -> Option<u64> {
    let bytes = head.get(1..)?;
    let last = bytes.last()?;
    let whole = last & 0x80 == 0 || bytes.len() == 4;
    let value = |(place, byte): (usize, &u8)| u64::from(byte & 0x7f) << (7 * place);
    whole.then(|| bytes.iter().enumerate().map(value).sum())
}

fn packet(packet: &Packet, turn: &mut Turn) {
    let kind = packet.head[0] >> 4;
    let verb: &[u8] = match kind {
        1 => b"CONNECT",
        3 => b"PUBLISH",
        8 => b"SUBSCRIBE",
        10 => b"UNSUBSCRIBE",
        12 => b"PINGREQ",
        14 => b"DISCONNECT",
        _ => b"PACKET",
    };
    turn.command(verb, &packet.body, packet.size);
    // Identifiers stand at the beginning, or behind the topic.
    let id = |at: usize| packet.body.get(at..at + 2).map_or([0, 0], |id| [id[0], id[1]]);
    match kind {
        1 => turn.say.extend([0x20, 2, 0, 0]),
        3 if packet.head[0] & 0x06 == 0x02 => {
            let topic = usize::from(u16::from_be_bytes(id(0)));
            turn.say.extend([&[0x40, 2][..], &id(2 + topic)].concat());
        }
        8 => turn.say.extend([&[0x90, 3][..], &id(0), &[0]].concat()),
        10 => turn.say.extend([&[0xb0, 2][..], &id(0)].concat()),
        12 => turn.say.extend([0xd0, 0]),
        14 => turn.close = true,
        _ => {}
    }
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
            packet(&found, turn);
            if turn.close {
                return;
            }
        }
    }
}
