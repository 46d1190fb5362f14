//! Mailboxes that anybody may open and that are empty: POP3 (RFC 1939) and IMAP (RFC 3501).

use super::lines::{Line, Lines, split};
use super::{Dialogue, Turn};

pub struct Pop {
    lines: Lines,
}

impl Pop {
    pub fn new() -> Pop {
        Pop { lines: Lines::new() }
    }
}

impl Dialogue for Pop {
    fn service(&self) -> &'static str {
        "pop3"
    }

    fn greet(&mut self) -> Vec<u8> {
        b"+OK Dovecot ready.\r\n".to_vec()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        for line in self.lines.take(bytes) {
            if turn.close {
                return;
            }
            let (verb, rest) = line.verb();
            turn.command(&verb, rest, line.size);
            match verb.as_slice() {
                b"STAT" => turn.say("+OK 0 0\r\n"),
                b"LIST" | b"UIDL" if rest.is_empty() => turn.say("+OK 0 messages:\r\n.\r\n"),
                b"CAPA" => turn.say("+OK\r\nUSER\r\nUIDL\r\n.\r\n"),
                b"USER" | b"PASS" | b"NOOP" | b"RSET" | b"APOP" => turn.say("+OK\r\n"),
                b"QUIT" => {
                    turn.say("+OK Logging out.\r\n");
                    turn.close = true;
                }
                _ => turn.say("-ERR Unknown command.\r\n"),
            }
        }
    }
}

pub struct Imap {
    lines: Lines,
    /// The tag of a log-in whose secret is the next line (RFC 3501, 6.2.2).
    login: Option<Vec<u8>>,
}

impl Imap {
    pub fn new() -> Imap {
        Imap { lines: Lines::new(), login: None }
    }
}

/// Every command begins with a tag, and its answer too. Gives the tag of a log-in that goes on.
fn imap(line: &Line, turn: &mut Turn) -> Option<Vec<u8>> {
    let (tag, rest) = split(&line.text);
    let (verb, rest) = split(rest);
    let verb = verb.to_ascii_uppercase();
    turn.command(&verb, rest, line.size);
    match verb.as_slice() {
        b"CAPABILITY" => turn.say("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"),
        b"SELECT" | b"EXAMINE" => {
            turn.say("* FLAGS (\\Seen)\r\n* 0 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1]\r\n")
        }
        b"LIST" | b"LSUB" => turn.say("* LIST (\\HasNoChildren) \"/\" INBOX\r\n"),
        // The secret may stand in the same line (RFC 4959).
        b"AUTHENTICATE" if split(rest).1.is_empty() => {
            turn.say("+ \r\n");
            return Some(tag.to_vec());
        }
        b"SEARCH" => turn.say("* SEARCH\r\n"),
        b"LOGOUT" => {
            turn.say("* BYE Logging out\r\n");
            turn.close = true;
        }
        _ => {}
    }
    completed(tag, turn);
    None
}

fn completed(tag: &[u8], turn: &mut Turn) {
    turn.say.extend(&tag[..tag.len().min(32)]);
    turn.say(" OK completed.\r\n");
}

impl Dialogue for Imap {
    fn service(&self) -> &'static str {
        "imap"
    }

    fn greet(&mut self) -> Vec<u8> {
        b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] Dovecot ready.\r\n".to_vec()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        for line in self.lines.take(bytes) {
            if turn.close {
                return;
            }
            match self.login.take() {
                Some(tag) => {
                    turn.command(b"AUTHENTICATE", &line.text, line.size);
                    completed(&tag, turn);
                }
                None => self.login = imap(&line, turn),
            }
        }
    }
}
