//! Whoever waits at the other end of a reverse shell: it is recognised by its prompt, and asked who it is,
//! as the one who opened it would. Then nothing more.

use super::{Dialogue, Turn};

/// What is typed at a prompt, one at a time.
const COMMANDS: [&str; 2] = ["id\n", "uname -a\n"];

pub struct Shell {
    typed: usize,
}

/// A prompt, or what a shell without a terminal complains of.
pub fn is_begun(first: &[u8]) -> bool {
    const COMPLAINTS: [&[u8]; 3] =
        [b"bash: cannot set terminal", b"bash: no job control", b"/bin/sh: 0: can't access tty"];
    is_prompt(first) || COMPLAINTS.iter().any(|text| first.starts_with(text))
}

fn is_prompt(bytes: &[u8]) -> bool {
    const PROMPT_MAX: usize = 128;
    let line = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let ends = line.ends_with(b"$ ") || line.ends_with(b"# ");
    ends && line.len() <= PROMPT_MAX && line.iter().all(|byte| matches!(byte, 0x1b | 0x07 | 0x20..=0x7e))
}

impl Shell {
    pub fn new() -> Shell {
        Shell { typed: 0 }
    }

    /// Types the next command; gives it back. Empty: there is no more.
    pub(super) fn type_next(&mut self) -> &'static str {
        let command = COMMANDS.get(self.typed).copied().unwrap_or_default();
        self.typed += 1;
        command
    }
}

impl Dialogue for Shell {
    fn service(&self) -> &'static str {
        "shell"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        if is_prompt(bytes) {
            turn.say(self.type_next());
        }
    }

    /// Others write to the same stream, and their words may have come behind the prompt.
    fn prompt(&mut self) -> &'static str {
        self.type_next()
    }
}
