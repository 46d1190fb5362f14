//! A memcached server (protocol.txt, text commands) that keeps nothing.

use super::lines::{Line, Lines};
use super::{Dialogue, Turn};

pub struct Memcached {
    lines: Lines,
    /// Bytes of a value, and its end, that are to come; whether its end is answered.
    value: u64,
    quiet: bool,
}

impl Memcached {
    pub fn new() -> Memcached {
        Memcached { lines: Lines::new(), value: 0, quiet: false }
    }

    fn command(&mut self, line: &Line, turn: &mut Turn) {
        let (verb, rest) = line.verb();
        turn.command(&verb, rest, line.size);
        match verb.as_slice() {
            b"SET" | b"ADD" | b"REPLACE" | b"APPEND" | b"PREPEND" | b"CAS" => self.store(rest, turn),
            b"GET" | b"GETS" => turn.say("END\r\n"),
            b"DELETE" | b"INCR" | b"DECR" | b"TOUCH" => turn.say("NOT_FOUND\r\n"),
            b"STATS" => turn.say("STAT pid 1\r\nSTAT version 1.6.18\r\nSTAT curr_items 0\r\nEND\r\n"),
            b"VERSION" => turn.say("VERSION 1.6.18\r\n"),
            b"FLUSH_ALL" | b"VERBOSITY" => turn.say("OK\r\n"),
            b"QUIT" => turn.close = true,
            _ => turn.say("ERROR\r\n"),
        }
    }

    /// `key flags time bytes [noreply]`.
    fn store(&mut self, rest: &[u8], turn: &mut Turn) {
        let mut words = rest.split(|byte| *byte == b' ').skip(3);
        let length = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u32>().ok());
        match length {
            Some(length) => {
                self.value = u64::from(length) + 2;
                self.quiet = words.any(|word| word == b"noreply");
            }
            None => turn.say("CLIENT_ERROR bad command line format\r\n"),
        }
    }
}

impl Dialogue for Memcached {
    fn service(&self) -> &'static str {
        "memcached"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        while !turn.close {
            if self.value > 0 {
                let taken = (bytes.len() as u64).min(self.value);
                bytes = &bytes[taken as usize..];
                self.value -= taken;
                if self.value > 0 {
                    return;
                }
                turn.say(if self.quiet { "" } else { "STORED\r\n" });
            }
            let Some(line) = self.lines.next(&mut bytes) else { return };
            if !line.text.is_empty() {
                self.command(&line, turn);
            }
        }
    }
}
