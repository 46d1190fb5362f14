//! The other end of a protocol that nobody knows: what it is told is kept as the stream.
//!
//! A program that runs what it is sent has no greeting that gives it away: it connects and waits, or says
//! who it is and waits. So one that falls silent is sent what someone who holds such a program would type
//! first; only a shell answers that with what the command prints. One that has sent bytes that are no text
//! is not disturbed, since nobody types at it.

use super::shell::Shell;
use super::{Dialogue, Turn};

/// More than this is no word of greeting.
const GREETING_MAX: usize = 1024;

pub struct Stranger {
    /// Bytes heard so far.
    heard: usize,
    is_text: bool,
    shell: Option<Shell>,
    /// It was sent a command, and the answer shows that it ran.
    ran: bool,
}

impl Stranger {
    pub fn new() -> Stranger {
        Stranger { heard: 0, is_text: true, shell: None, ran: false }
    }
}

impl Dialogue for Stranger {
    fn service(&self) -> &'static str {
        if self.ran { "shell" } else { "raw" }
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        self.heard += bytes.len();
        self.is_text &= bytes.iter().all(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | 0x1b | 0x20..=0x7e));
        let Some(shell) = &mut self.shell else { return };
        if !self.ran && holds_identity(bytes) {
            self.ran = true;
            turn.say(shell.type_next());
        }
    }

    fn prompt(&mut self) -> &'static str {
        if self.shell.is_some() || !self.is_text || self.heard > GREETING_MAX {
            return "";
        }
        self.shell.insert(Shell::new()).type_next()
    }
}

/// What id(1) prints: `uid=0(root) gid=…`.
fn holds_identity(bytes: &[u8]) -> bool {
    bytes.windows(4).enumerate().any(|(at, word)| {
        let rest = &bytes[at + 4..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        word == b"uid=" && digits > 0 && matches!(rest.get(digits), Some(b'(' | b' '))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(greeting: &[u8], answer: &[u8], expected: (&str, &str)) {
        let mut stranger = Stranger::new();
        stranger.hear(greeting, &mut Turn::default());
        let typed = stranger.prompt();
        let mut turn = Turn::default();
        stranger.hear(answer, &mut turn);
        assert_eq!((typed, stranger.service()), expected, "{:?}", String::from_utf8_lossy(greeting));
        assert_eq!(stranger.prompt(), "");
    }

    #[test]
    fn one_that_runs_what_it_is_sent_is_a_shell() {
        check(b"", b"uid=0(root) gid=0(root) groups=0(root)\n", ("id\n", "shell"));
        check(b"bot 7 online\n", b"[out] uid=1000 gid=1000\n$ ", ("id\n", "shell"));
        check(b"hello\n", b"unknown command: id\n", ("id\n", "raw"));
        check(b"hello\n", b"uid=?", ("id\n", "raw"));
        check(&[0, 0, 1, 0x80], b"uid=0(root)", ("", "raw"));
        check(&[b'x'; GREETING_MAX + 1], b"", ("", "raw"));
    }
}
