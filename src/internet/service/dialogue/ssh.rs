//! The first words of an SSH server (RFC 4253): the client says what it is and what it can, and that is
//! all there is to learn without keys.

use super::lines::Lines;
use super::{Dialogue, Turn};

/// A key exchange is a few hundred bytes to two kilobytes.
const EXCHANGE_MAX: usize = 4 << 10;

pub struct Ssh {
    lines: Lines,
    state: State,
}

enum State {
    Banner,
    /// What came of the first packet.
    Exchange(Vec<u8>),
    Over,
}

impl Ssh {
    pub fn new() -> Ssh {
        Ssh { lines: Lines::new(), state: State::Banner }
    }
}

impl Dialogue for Ssh {
    fn service(&self) -> &'static str {
        "ssh"
    }

    fn greet(&mut self) -> Vec<u8> {
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".to_vec()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        if let State::Banner = self.state {
            let Some(line) = self.lines.next(&mut bytes) else { return };
            turn.command(b"BANNER", &line.text, line.size);
            self.state = State::Exchange(Vec::new());
        }
        if let State::Exchange(kept) = &mut self.state {
            let room = EXCHANGE_MAX - kept.len();
            kept.extend(&bytes[..bytes.len().min(room)]);
            let Some(end) = end(kept) else { return };
            turn.command(b"KEXINIT", &kept[..end], end as u64);
            turn.close = true;
            self.state = State::Over;
        }
    }
}

/// Where the first packet ends, if it has come, or is none.
fn end(kept: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(*kept.first_chunk()?) as usize;
    match length.checked_add(4) {
        Some(end) if end <= EXCHANGE_MAX => (kept.len() >= end).then_some(end),
        _ => Some(kept.len()),
    }
}
