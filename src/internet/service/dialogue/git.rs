//! git's own daemon (gitprotocol-pack(5)): the same repositories as over HTTP, for reading.

use super::super::git;
use super::{Dialogue, Turn};

/// Of a question, so much is kept: whoever asks for more is not answered.
const QUESTION_MAX: usize = 64 << 10;

pub struct Git {
    now: u64,
    kept: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// What is wanted comes first.
    Start,
    /// In this version.
    Asked { is_second: bool },
}

pub fn is_begun(first: &[u8]) -> bool {
    let word = first.get(4..).unwrap_or_default();
    first.iter().take(4).all(u8::is_ascii_hexdigit)
        && [&b"git-upload-pack "[..], b"git-receive-pack ", b"git-upload-archive "]
            .iter()
            .any(|it| word.starts_with(it))
}

impl Git {
    pub fn new(now: u64) -> Git {
        Git { now, kept: Vec::new(), state: State::Start }
    }

    /// One that was asked by other means.
    pub fn asked(now: u64, is_second: bool) -> Git {
        Git { now, kept: Vec::new(), state: State::Asked { is_second } }
    }

    /// `git-upload-pack /path\0host=name\0\0version=2\0`.
    fn start(&mut self, turn: &mut Turn) {
        let Some(length) = self.kept.first_chunk::<4>() else { return };
        let length = std::str::from_utf8(length).ok().and_then(|it| usize::from_str_radix(it, 16).ok());
        let Some(length) = length.filter(|length| *length > 4) else {
            turn.close = true;
            return;
        };
        if self.kept.len() < length {
            return;
        }
        let line: Vec<u8> = self.kept.drain(..length).skip(4).collect();
        let words: Vec<&[u8]> =
            line.split(|byte| matches!(byte, 0 | b'\n')).filter(|it| !it.is_empty()).collect();
        let is_second = words.contains(&&b"version=2"[..]);
        let (verb, rest) = super::lines::split(words.first().copied().unwrap_or_default());
        let text = [&[rest], words.get(1..).unwrap_or_default()].concat().join(&b' ');
        turn.command(verb, &text, length as u64);
        match verb {
            b"git-upload-pack" => turn.say.extend(git::advertise(self.now, is_second)),
            _ => {
                turn.say.extend(git::refuse("access denied or repository not exported"));
                turn.close = true;
            }
        }
        self.state = State::Asked { is_second };
    }

    /// A question ends with a flush, or in the first version with `done`.
    fn question(&mut self, is_second: bool, turn: &mut Turn) {
        let ends = |end: &[u8]| self.kept.ends_with(end);
        if self.kept == git::FLUSH {
            turn.close = true;
        } else if ends(git::FLUSH) && is_second || ends(b"0009done\n") || ends(b"0008done") {
            let wanted = git::wanted(&self.kept);
            turn.command(b"FETCH", &wanted, self.kept.len() as u64);
            turn.say.extend(git::answer_to(self.now, is_second, &self.kept));
            self.kept.clear();
            turn.close = !is_second;
        }
    }
}

impl Dialogue for Git {
    fn service(&self) -> &'static str {
        "git"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        // Byte by byte: a question's end may lie anywhere in a piece.
        for byte in bytes {
            if turn.close || self.kept.len() >= QUESTION_MAX {
                return;
            }
            self.kept.push(*byte);
            match self.state {
                State::Start => self.start(turn),
                State::Asked { is_second } => self.question(is_second, turn),
            }
        }
    }
}
