//! A mail server that takes every log-in and every mail (RFC 5321, RFC 4954).

use super::lines::{Line, Lines, split};
use super::{Dialogue, Turn};
use crate::internet::testimony::BODY_MAX;
use crate::internet::world::World;

pub struct Smtp {
    name: &'static str,
    lines: Lines,
    state: State,
    /// TLS was agreed on: whoever drives the dialogue goes on inside it.
    secure: bool,
}

enum State {
    Command,
    /// The next line belongs to a log-in.
    Answer(Secret),
    /// The mail so far, and its size.
    Mail(Vec<u8>, u64),
}

#[derive(Clone, Copy)]
enum Secret {
    Plain,
    User,
    Password,
}

impl Smtp {
    pub fn new(_: &World) -> Smtp {
        Smtp { name: "mail", lines: Lines::new(), state: State::Command, secure: false }
    }

    fn command(&mut self, line: &Line, turn: &mut Turn) {
        let (verb, rest) = line.verb();
        turn.command(&verb, rest, line.size);
        match verb.as_slice() {
            b"EHLO" | b"LHLO" => turn.say(&self.abilities()),
            b"HELO" => turn.say(&format!("250 {}\r\n", self.name)),
            b"STARTTLS" if !self.secure => {
                turn.say("220 2.0.0 Ready to start TLS\r\n");
                self.secure = true;
                turn.start_tls = true;
            }
            b"AUTH" => self.auth(rest, turn),
            b"MAIL" | b"RCPT" => turn.say("250 2.1.0 Ok\r\n"),
            b"DATA" => {
                turn.say("354 End data with <CR><LF>.<CR><LF>\r\n");
                self.state = State::Mail(Vec::new(), 0);
            }
            b"RSET" | b"NOOP" => turn.say("250 2.0.0 Ok\r\n"),
            b"VRFY" | b"EXPN" => turn.say("252 2.0.0 Ok\r\n"),
            b"HELP" => turn.say("214 2.0.0 https://www.rfc-editor.org/rfc/rfc5321\r\n"),
            b"QUIT" => {
                turn.say("221 2.0.0 Bye\r\n");
                turn.close = true;
            }
            _ => turn.say("502 5.5.2 Error: command not recognized\r\n"),
        }
    }

    fn abilities(&self) -> String {
        let tls = if self.secure { "" } else { "250-STARTTLS\r\n" };
        format!(
            "250-{}\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n{tls}250-AUTH PLAIN LOGIN\r\n250-8BITMIME\r\n\
             250 SMTPUTF8\r\n",
            self.name
        )
    }

    fn auth(&mut self, rest: &[u8], turn: &mut Turn) {
        let (mechanism, first) = split(rest);
        let next = match (mechanism.to_ascii_uppercase().as_slice(), first.is_empty()) {
            (b"PLAIN", true) => State::Answer(Secret::Plain),
            (b"LOGIN", true) => State::Answer(Secret::User),
            (b"LOGIN", false) => State::Answer(Secret::Password),
            (b"PLAIN", false) => State::Command,
            _ => return turn.say("504 5.5.4 Unrecognized authentication type\r\n"),
        };
        turn.say(match &next {
            State::Answer(Secret::User) => "334 VXNlcm5hbWU6\r\n",
            State::Answer(Secret::Password) => "334 UGFzc3dvcmQ6\r\n",
            State::Answer(Secret::Plain) => "334 \r\n",
            _ => "235 2.7.0 Authentication successful\r\n",
        });
        self.state = next;
    }

    /// A line of a log-in, in base64 as it was sent.
    fn answer(&mut self, secret: Secret, line: &Line, turn: &mut Turn) {
        turn.command(b"AUTH", &line.text, line.size);
        self.state = State::Command;
        match secret {
            _ if line.text == b"*" => turn.say("501 5.7.0 Authentication aborted\r\n"),
            Secret::User => {
                turn.say("334 UGFzc3dvcmQ6\r\n");
                self.state = State::Answer(Secret::Password);
            }
            Secret::Plain | Secret::Password => turn.say("235 2.7.0 Authentication successful\r\n"),
        }
    }

    /// The mail grows by a line, or is over. `None`: it goes on.
    fn mail(kept: &mut Vec<u8>, size: &mut u64, line: &Line) -> Option<(Vec<u8>, u64)> {
        if line.text == b"." {
            return Some((std::mem::take(kept), *size));
        }
        // A dot at the beginning was doubled (RFC 5321, 4.5.2).
        let text = line.text.strip_prefix(b".").unwrap_or(&line.text);
        let room = BODY_MAX.saturating_sub(kept.len());
        let whole = [text, b"\r\n"].concat();
        kept.extend(&whole[..whole.len().min(room)]);
        *size = size.saturating_add(line.size);
        None
    }
}

impl Dialogue for Smtp {
    fn service(&self) -> &'static str {
        "smtp"
    }

    fn greet(&mut self) -> Vec<u8> {
        format!("220 {} ESMTP Postfix\r\n", self.name).into_bytes()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        let was_secure = self.secure;
        while let Some(line) = self.lines.next(&mut bytes) {
            match &mut self.state {
                State::Command if line.text.is_empty() => {}
                State::Command => self.command(&line, turn),
                State::Answer(secret) => {
                    let secret = *secret;
                    self.answer(secret, &line, turn);
                }
                State::Mail(kept, size) => {
                    if let Some((mail, size)) = Smtp::mail(kept, size, &line) {
                        turn.command(b"DATA", &mail, size);
                        turn.say("250 2.0.0 Ok: queued as 4WbV7k2rXzz9sRk\r\n");
                        self.state = State::Command;
                    }
                }
            }
            if turn.close || self.secure != was_secure {
                // What follows in the clear after STARTTLS must not be taken as said inside (RFC 3207, 4.2).
                self.lines = Lines::new();
                return;
            }
        }
    }
}
