//! A PostgreSQL server that lets everybody in and has nothing (frontend/backend protocol 3.0).

use super::packet::{Packet, Packets, text};
use super::{Dialogue, Turn};

const VERSION: u32 = 196_608;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;
/// Ready, outside a transaction.
const READY: &[u8] = b"Z\0\0\0\x05I";

pub struct Postgres {
    packets: Packets,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The first packets have no kind.
    Start,
    Password,
    In,
}

/// A start-up packet or a wish for encryption: its length and a code of the protocol.
pub fn is_begun(first: &[u8]) -> bool {
    let word = |at: usize| Some(u32::from_be_bytes(*first.get(at..)?.first_chunk()?));
    let length = word(0).is_some_and(|length| (8..10_000).contains(&length));
    length && word(4).is_some_and(|code| [VERSION, TLS, GSS, CANCEL].contains(&code))
}

impl Postgres {
    pub fn new() -> Postgres {
        Postgres { packets: Packets::default(), state: State::Start }
    }

    fn start(&mut self, packet: &Packet, turn: &mut Turn) {
        let code = packet.body.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        match code {
            TLS => {
                turn.say("S");
                turn.start_tls = true;
            }
            GSS => turn.say("N"),
            VERSION => {
                turn.command(b"START", &words(&packet.body[4..]), packet.size);
                // The password in the clear.
                turn.say.extend(message(b'R', &3u32.to_be_bytes()));
                self.state = State::Password;
            }
            _ => turn.close = true,
        }
    }

    fn password(&mut self, packet: &Packet, turn: &mut Turn) {
        turn.command(b"PASS", text(&packet.body).0, packet.size);
        turn.say.extend(message(b'R', &0u32.to_be_bytes()));
        for setting in ["server_version\x0015.6\0", "client_encoding\0UTF8\0", "DateStyle\0ISO, MDY\0"] {
            turn.say.extend(message(b'S', setting.as_bytes()));
        }
        turn.say.extend(message(b'K', &[0, 0, 0x10, 0x2a, 0x5b, 0x1c, 0x77, 0x03]));
        turn.say.extend(READY);
        self.state = State::In;
    }

    /// Queries of both kinds come to nothing, well.
    fn query(&mut self, packet: &Packet, turn: &mut Turn) {
        let body = packet.body.as_slice();
        match packet.head[0] {
            b'Q' => {
                turn.command(b"QUERY", text(body).0, packet.size);
                turn.say.extend(message(b'C', b"SELECT 0\0"));
                turn.say.extend(READY);
            }
            b'P' => {
                turn.command(b"QUERY", text(text(body).1).0, packet.size);
                turn.say.extend(message(b'1', b""));
            }
            b'B' => turn.say.extend(message(b'2', b"")),
            b'D' => turn.say.extend(message(b'n', b"")),
            b'E' => turn.say.extend(message(b'C', b"SELECT 0\0")),
            b'C' => turn.say.extend(message(b'3', b"")),
            b'S' => turn.say.extend(READY),
            b'X' => turn.close = true,
            _ => {}
        }
    }
}

/// Names and values of the start, with a space between them.
fn words(body: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = body.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    words.join(&b' ')
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend(body);
    message
}

impl Dialogue for Postgres {
    fn service(&self) -> &'static str {
        "postgres"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        loop {
            let kind = usize::from(self.state != State::Start);
            // The length counts itself.
            let measure = |head: &[u8]| {
                let length = u32::from_be_bytes(*head.get(kind..)?.first_chunk()?);
                Some(u64::from(length.saturating_sub(4)))
            };
            let Some(packet) = self.packets.next(&mut bytes, measure) else { return };
            match self.state {
                State::Start => self.start(&packet, turn),
                State::Password => self.password(&packet, turn),
                State::In => self.query(&packet, turn),
            }
            if turn.close || turn.start_tls {
                return;
            }
        }
    }
}
