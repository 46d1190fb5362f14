//! A MySQL server that lets everybody in and has nothing (client/server protocol, version 10).

use super::packet::{Packet, Packets, text};
use super::{Dialogue, Turn};

/// Long passwords, the new protocol, transactions, log-in by plugin; database at log-in.
const ABILITIES: u32 = 0x0008_a20f;
const SCRAMBLE: (&[u8; 8], &[u8; 12]) = (b"k3!vQz7p", b"Wn5)dR2xT9b;");
const PLUGIN: &[u8] = b"mysql_native_password\0";

pub struct MySql {
    packets: Packets,
    is_in: bool,
}

impl MySql {
    pub fn new() -> MySql {
        MySql { packets: Packets::default(), is_in: false }
    }

    fn packet(&mut self, packet: &Packet, turn: &mut Turn) {
        let next = packet.head[3].wrapping_add(1);
        if !self.is_in {
            self.is_in = true;
            turn.command(b"LOGIN", user(&packet.body), packet.size);
            return turn.say.extend(frame(next, OK));
        }
        let (code, rest) = packet.body.split_first().map_or((0, &[][..]), |(code, rest)| (*code, rest));
        // The codes of commands: 1 quit, 2 database, 3 query, 14 ping.
        let verb: &[u8] = match code {
            1 => b"QUIT",
            2 => b"USE",
            3 => b"QUERY",
            14 => b"PING",
            _ => b"COMMAND",
        };
        turn.command(verb, rest, packet.size);
        match code {
            1 => turn.close = true,
            _ => turn.say.extend(frame(next, OK)),
        }
    }
}

/// No row was touched, none inserted; autocommit; no warning.
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

fn frame(number: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u32).to_le_bytes()[..3].to_vec();
    frame.push(number);
    frame.extend(body);
    frame
}

/// Behind abilities, packet size, character set and filler stands the user's name.
fn user(body: &[u8]) -> &[u8] {
    text(body.get(32..).unwrap_or_default()).0
}

impl Dialogue for MySql {
    fn service(&self) -> &'static str {
        "mysql"
    }

    fn greet(&mut self) -> Vec<u8> {
        let [low, high] = [ABILITIES as u16, (ABILITIES >> 16) as u16].map(u16::to_le_bytes);
        let mut body = b"\x0a8.0.36\0\x0b\0\0\0".to_vec();
        body.extend(SCRAMBLE.0);
        body.push(0);
        body.extend(low);
        // Character set utf8mb4, status autocommit.
        body.extend([0x2d, 2, 0]);
        body.extend(high);
        body.push(21);
        body.extend([0; 10]);
        body.extend(SCRAMBLE.1);
        body.push(0);
        body.extend(PLUGIN);
        frame(0, &body)
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        let measure = |head: &[u8]| {
            let head: &[u8; 4] = head.first_chunk()?;
            Some(u64::from(u32::from_le_bytes([head[0], head[1], head[2], 0])))
        };
        while let Some(packet) = self.packets.next(&mut bytes, measure) {
            self.packet(&packet, turn);
            if turn.close {
                return;
            }
        }
    }
}
