//! Mailboxes that anybody may open and that are empty: POP3 (RFC 1939) and IMAP (RFC 3501).

use super::lines::{Line, Lines, split};
use super::{Dialogue, Turn};

pub struct Pop {
    lines: Lines,
    /// Lines of a log-in that are to come (RFC 5034).
    secrets: u8,
}

impl Pop {
    pub fn new() -> Pop {
        Pop { lines: Lines::new(), secrets: 0 }
    }

    fn auth(&mut self, rest: &[u8], turn: &mut Turn) {
        let (mechanism, first) = split(rest);
        let all = if mechanism.eq_ignore_ascii_case(b"LOGIN") { 2 } else { 1 };
        self.secrets = all - u8::from(!first.is_empty());
        turn.say(if self.secrets > 0 { "+ \r\n" } else { "+OK Logged in.\r\n" });
    }

    fn secret(&mut self, line: &Line, turn: &mut Turn) {
        turn.command(b"AUTH", &line.text, line.size);
        self.secrets -= 1;
        turn.say(if self.secrets > 0 { "+ \r\n" } else { "+OK Logged in.\r\n" });
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
            if turn.close || turn.start_tls {
                break;
            }
            if self.secrets > 0 {
                self.secret(&line, turn);
                continue;
            }
            let (verb, rest) = line.verb();
            turn.command(&verb, rest, line.size);
            match verb.as_slice() {
                b"STAT" => turn.say("+OK 0 0\r\n"),
                b"LIST" | b"UIDL" if rest.is_empty() => turn.say("+OK 0 messages:\r\n.\r\n"),
                b"CAPA" => turn.say("+OK\r\nUSER\r\nUIDL\r\nSASL PLAIN LOGIN\r\nSTLS\r\n.\r\n"),
                b"STLS" => {
                    turn.say("+OK Begin TLS negotiation now.\r\n");
                    turn.start_tls = true;
                }
                b"AUTH" if rest.is_empty() => turn.say("+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n"),
                b"AUTH" => self.auth(rest, turn),
                b"USER" | b"PASS" | b"NOOP" | b"RSET" | b"APOP" => turn.say("+OK\r\n"),
                b"QUIT" => {
                    turn.say("+OK Logging out.\r\n");
                    turn.close = true;
                }
                _ => turn.say("-ERR Unknown command.\r\n"),
            }
        }
        if turn.start_tls {
            self.lines = Lines::new();
        }
    }
}

pub struct Imap {
    lines: Lines,
    /// A text that the last line said the length of (RFC 3501, 4.3), while it comes.
    literal: Option<Literal>,
    /// The tag of a log-in whose secret is the next line (RFC 3501, 6.2.2).
    login: Option<Vec<u8>>,
}

impl Imap {
    pub fn new() -> Imap {
        Imap { lines: Lines::new(), literal: None, login: None }
    }

    fn line(&mut self, line: &Line, turn: &mut Turn) {
        if let Some(tag) = self.login.take() {
            turn.command(b"AUTHENTICATE", &line.text, line.size);
            return completed(&tag, turn);
        }
        self.literal = Literal::after(&line.text);
        match &self.literal {
            Some(literal) => {
                let (_, rest) = split(&line.text);
                let (verb, rest) = split(rest);
                turn.command(&verb.to_ascii_uppercase(), rest, line.size);
                turn.say(if literal.is_waited_for { "+ Ready for literal data\r\n" } else { "" });
            }
            None => self.login = imap(line, turn),
        }
    }
}

/// Of a text, so much is told.
const LITERAL_KEPT: usize = 8 << 10;

struct Literal {
    tag: Vec<u8>,
    size: u64,
    /// Bytes that are to come.
    left: u64,
    kept: Vec<u8>,
    /// The client sends it when it is told to.
    is_waited_for: bool,
}

impl Literal {
    /// `{12}` at the end of a line, or `{12+}` (RFC 7888).
    fn after(line: &[u8]) -> Option<Literal> {
        let begin = memchr::memrchr(b'{', line)?;
        let number = line[begin + 1..].strip_suffix(b"}")?;
        let bare = number.strip_suffix(b"+").unwrap_or(number);
        let size = std::str::from_utf8(bare).ok()?.parse().ok()?;
        let tag = split(line).0.to_vec();
        Some(Literal { tag, size, left: size, kept: Vec::new(), is_waited_for: bare == number })
    }

    /// Takes what belongs to it, and gives the rest.
    fn take<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let length = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (text, rest) = bytes.split_at(length);
        let room = LITERAL_KEPT - self.kept.len();
        self.kept.extend(&text[..length.min(room)]);
        self.left -= length as u64;
        rest
    }
}

/// Every command begins with a tag, and its answer too. Gives the tag of a log-in that goes on.
fn imap(line: &Line, turn: &mut Turn) -> Option<Vec<u8>> {
    let (tag, rest) = split(&line.text);
    let (verb, rest) = split(rest);
    let verb = verb.to_ascii_uppercase();
    turn.command(&verb, rest, line.size);
    match verb.as_slice() {
        b"CAPABILITY" => turn.say("* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n"),
        b"STARTTLS" => turn.start_tls = true,
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
        b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] Dovecot ready.\r\n".to_vec()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        let mut bytes = bytes;
        while !turn.close && !turn.start_tls {
            if let Some(literal) = &mut self.literal {
                bytes = literal.take(bytes);
                if literal.left > 0 {
                    break;
                }
                turn.command(b"LITERAL", &literal.kept, literal.size);
            }
            let Some(line) = self.lines.next(&mut bytes) else { break };
            match self.literal.take() {
                // What follows the text ends the command, or has another.
                Some(ended) => match Literal::after(&line.text) {
                    Some(next) => {
                        turn.say(if next.is_waited_for { "+ Ready for literal data\r\n" } else { "" });
                        self.literal = Some(Literal { tag: ended.tag, ..next });
                    }
                    None => completed(&ended.tag, turn),
                },
                None if line.text.is_empty() => {}
                None => self.line(&line, turn),
            }
        }
        if turn.start_tls {
            self.lines = Lines::new();
        }
    }
}
