//! Protocols that are known and not spoken here: the first message is told, with what of it can be read
//! (names of users, shares, clients), and the connection ends, so that nobody waits for an answer.

use super::{Dialogue, Turn};

/// Of a first message, so much is looked at.
const MESSAGE_MAX: usize = 1 << 10;
/// Shorter runs of letters are chance.
const WORD_MIN: usize = 3;

pub struct Knock {
    service: &'static str,
    heard: bool,
}

type Test = fn(&[u8]) -> bool;

/// By the first bytes, on any port.
const KNOWN: [(&str, Test); 5] = [
    ("bittorrent", |first| first.starts_with(b"\x13BitTorrent protocol")),
    // A request to connect (X.224, 13.3) in a packet of RFC 1006; the user's name comes in a cookie.
    ("rdp", |first| first.starts_with(&[3, 0]) && first.get(5) == Some(&0xe0)),
    ("rtsp", |first| {
        first.split(|byte| *byte == b'\r').next().is_some_and(|line| line.ends_with(b" RTSP/1.0"))
    }),
    ("sip", |first| {
        first.split(|byte| *byte == b'\r').next().is_some_and(|line| line.ends_with(b" SIP/2.0"))
    }),
    ("smb", |first| first.first() == Some(&0) && matches!(first.get(4..8), Some(b"\xffSMB" | b"\xfeSMB"))),
];

impl Knock {
    pub fn by_first(first: &[u8]) -> Option<Knock> {
        let known = KNOWN.into_iter().find(|(_, is_it)| is_it(first));
        known.map(|(service, _)| Knock { service, heard: false })
    }

    /// Where the first bytes say little.
    pub fn at(port: u16) -> Option<Knock> {
        let service = match port {
            139 | 445 => "smb",
            1433 => "mssql",
            1521 => "oracle",
            3389 => "rdp",
            9042 => "cassandra",
            9092 => "kafka",
            _ => return None,
        };
        Some(Knock { service, heard: false })
    }
}

/// Runs of letters, also of two bytes each.
fn words(bytes: &[u8]) -> Vec<u8> {
    let narrow: Vec<u8> =
        match bytes.windows(2).filter(|pair| pair[0].is_ascii_graphic() && pair[1] == 0).count() {
            wide if wide > bytes.len() / 8 => bytes.iter().copied().filter(|byte| *byte != 0).collect(),
            _ => bytes.to_vec(),
        };
    let runs = narrow.split(|byte| !matches!(byte, 0x20..=0x7e)).filter(|run| run.len() >= WORD_MIN);
    runs.collect::<Vec<_>>().join(&b' ')
}

impl Dialogue for Knock {
    fn service(&self) -> &'static str {
        self.service
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        if !self.heard {
            self.heard = true;
            let text = words(&bytes[..bytes.len().min(MESSAGE_MAX)]);
            turn.command(b"HELLO", &text, bytes.len() as u64);
        }
        turn.close = true;
    }
}
