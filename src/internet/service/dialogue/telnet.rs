//! A telnet log-in that takes every password, and a prompt behind it that knows what bots type.

use super::lines::Lines;
use super::{Dialogue, Turn};
use crate::internet::service::request::cut;
use crate::internet::world::World;

pub(super) const PROMPT: &str = "# ";
/// Of what a command prints, so many bytes.
const ECHO_MAX: usize = 256;

pub struct Telnet {
    name: String,
    lines: Lines,
    state: State,
    option: Wish,
}

#[derive(Clone, Copy)]
enum State {
    User,
    Password,
    Prompt,
}

/// Where in a wish for an option we are (RFC 854): IAC, verb, option; or in a longer one (RFC 855).
#[derive(Clone, Copy)]
enum Wish {
    None,
    Begun,
    Option,
    Long,
    LongEnds,
}

impl Telnet {
    pub fn new(_: &World) -> Telnet {
        Telnet { name: "device".into(), lines: Lines::new(), state: State::User, option: Wish::None }
    }

    /// What is text: wishes are passed over.
    fn text(&mut self, bytes: &[u8]) -> Vec<u8> {
        const IAC: u8 = 255;
        let mut text = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.option = match (self.option, byte) {
                (Wish::None, IAC) => Wish::Begun,
                (Wish::None, 0) => Wish::None,
                (Wish::None, _) => {
                    text.push(byte);
                    Wish::None
                }
                (Wish::Begun, 250) => Wish::Long,
                (Wish::Begun, 251..=254) => Wish::Option,
                (Wish::Begun | Wish::Option, _) => Wish::None,
                (Wish::Long, IAC) => Wish::LongEnds,
                (Wish::LongEnds, 240) => Wish::None,
                (Wish::Long | Wish::LongEnds, _) => Wish::Long,
            };
        }
        text
    }

    fn line(&mut self, text: &[u8], size: u64, turn: &mut Turn) {
        match self.state {
            State::User => {
                turn.command(b"USER", text, size);
                turn.say("Password: ");
                self.state = State::Password;
            }
            State::Password => {
                turn.command(b"PASS", text, size);
                turn.say("\r\n\r\nBusyBox v1.36.1 (2024-03-19) built-in shell (ash)\r\n\r\n# ");
                self.state = State::Prompt;
            }
            State::Prompt => {
                turn.command(b"RUN", text, size);
                turn.say(&format!("{}{PROMPT}", output(&String::from_utf8_lossy(text))));
                turn.close = matches!(text, b"exit" | b"logout" | b"quit");
            }
        }
    }
}

/// What the commands print with which bots look whether this is a shell of BusyBox.
pub(super) fn output(command: &str) -> String {
    let command = cut(command, ECHO_MAX);
    let applet = command.rsplit([';', '|', '&']).next().unwrap_or_default().trim();
    let applet = applet.strip_prefix("/bin/busybox ").or_else(|| applet.strip_prefix("busybox "));
    match applet.and_then(|rest| rest.split_whitespace().next()) {
        Some(name) if name.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            format!("{name}: applet not found\r\n")
        }
        _ => match command.strip_prefix("echo ") {
            Some(text) => format!("{}\r\n", text.trim_start_matches("-e ").trim_matches(['\'', '"'])),
            None if command.trim() == "id" => "uid=0(root) gid=0(root)\r\n".to_owned(),
            None => String::new(),
        },
    }
}

impl Dialogue for Telnet {
    fn service(&self) -> &'static str {
        "telnet"
    }

    fn greet(&mut self) -> Vec<u8> {
        format!("\r\n{} login: ", self.name).into_bytes()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        let text = self.text(bytes);
        // A terminal may end its lines with a return alone, or with one and a zero.
        let text: Vec<u8> = text.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect();
        for line in self.lines.take(&text) {
            if !turn.close {
                self.line(&line.text, line.size, turn);
            }
        }
    }
}
