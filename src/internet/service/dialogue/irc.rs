//! An IRC server (RFC 2812): everybody is welcome, every channel exists, and nobody else is there.

use super::lines::{Line, Lines};
use super::{Dialogue, Turn};
use crate::internet::service::request::cut;
use crate::internet::world::World;

const NAME_MAX: usize = 64;
const SERVER: &str = "irc.network";

pub struct Irc {
    lines: Lines,
    nick: String,
    has_user: bool,
    welcomed: bool,
}

/// `USER name mode unused :real name`, which no other protocol has.
pub fn is_begun(first: &[u8]) -> bool {
    let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"USER ") && line.split(|byte| *byte == b' ').count() >= 5
}

impl Irc {
    pub fn new(_: &World) -> Irc {
        Irc { lines: Lines::new(), nick: String::new(), has_user: false, welcomed: false }
    }

    fn command(&mut self, line: &Line, turn: &mut Turn) {
        let (verb, rest) = line.verb();
        turn.command(&verb, rest, line.size);
        let rest = String::from_utf8_lossy(rest).into_owned();
        let first = word(&rest);
        match verb.as_slice() {
            b"NICK" => self.nick = first.to_owned(),
            b"USER" => self.has_user = true,
            b"CAP" if rest.to_ascii_uppercase().starts_with("LS") => {
                turn.say(&format!(":{SERVER} CAP * LS :\r\n"));
            }
            b"CAP" if rest.to_ascii_uppercase().starts_with("REQ") => {
                turn.say(&format!(":{SERVER} CAP * NAK :\r\n"));
            }
            b"PING" => turn.say(&format!(
                ":{SERVER} PONG {SERVER} :{}\r\n",
                cut(rest.trim_start_matches(':'), NAME_MAX)
            )),
            b"JOIN" => self.join(first, turn),
            b"PART" => turn.say(&format!(":{0}!{0}@host PART {first}\r\n", self.nick)),
            b"WHO" => turn.say(&format!(":{SERVER} 315 {} {first} :End of WHO list\r\n", self.nick)),
            b"MODE" => turn.say(&format!(":{SERVER} 324 {} {first} +nt\r\n", self.nick)),
            b"QUIT" => {
                turn.say("ERROR :Closing Link\r\n");
                turn.close = true;
            }
            _ => {}
        }
        if !self.welcomed && self.has_user && !self.nick.is_empty() {
            self.welcomed = true;
            self.welcome(turn);
        }
    }

    fn welcome(&self, turn: &mut Turn) {
        let nick = &self.nick;
        turn.say(&format!(
            ":{SERVER} 001 {nick} :Welcome to the network {nick}\r\n\
             :{SERVER} 002 {nick} :Your host is {SERVER}, running version InspIRCd-3\r\n\
             :{SERVER} 003 {nick} :This server was created recently\r\n\
             :{SERVER} 004 {nick} {SERVER} InspIRCd-3 iosw biklmnopstv\r\n\
             :{SERVER} 375 {nick} :- {SERVER} Message of the day -\r\n\
             :{SERVER} 376 {nick} :End of message of the day.\r\n"
        ));
    }

    fn join(&self, channel: &str, turn: &mut Turn) {
        let nick = &self.nick;
        turn.say(&format!(
            ":{nick}!{nick}@host JOIN {channel}\r\n:{SERVER} 332 {nick} {channel} :welcome\r\n\
             :{SERVER} 353 {nick} = {channel} :{nick} @op\r\n:{SERVER} 366 {nick} {channel} :End of /NAMES list.\r\n"
        ));
    }
}

/// The first word, without a colon, bounded.
fn word(rest: &str) -> &str {
    cut(rest.split(' ').next().unwrap_or_default().trim_start_matches(':'), NAME_MAX)
}

impl Dialogue for Irc {
    fn service(&self) -> &'static str {
        "irc"
    }

    fn greet(&mut self) -> Vec<u8> {
        format!(":{SERVER} NOTICE * :*** Looking up your hostname...\r\n").into_bytes()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        for line in self.lines.take(bytes) {
            if !turn.close {
                self.command(&line, turn);
            }
        }
    }
}
