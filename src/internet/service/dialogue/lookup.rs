//! Servers that are asked one line and answer with one text: whois (RFC 3912), finger (RFC 1288), gopher
//! (RFC 1436); and those of a few words more: a dictionary (RFC 2229), rsync's and Subversion's daemons,
//! news (RFC 3977), a remote screen (RFC 6143).

use super::lines::{Line, Lines};
use super::{Dialogue, Turn};

/// Of what was asked, so much comes back.
const ECHO_MAX: usize = 64;

/// What a server says, as far as it depends on nothing but the port.
pub struct Lookup {
    kind: Kind,
    lines: Lines,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Whois,
    Finger,
    Gopher,
    Dict,
    Rsync,
    News,
    Svn,
    Screen,
}

impl Lookup {
    /// `None`: nobody of these is at this port.
    pub fn at(port: u16) -> Option<Lookup> {
        let kind = match port {
            43 => Kind::Whois,
            79 => Kind::Finger,
            70 => Kind::Gopher,
            119 => Kind::News,
            873 => Kind::Rsync,
            2628 => Kind::Dict,
            3690 => Kind::Svn,
            5900..=5909 => Kind::Screen,
            _ => return None,
        };
        Some(Lookup { kind, lines: Lines::new() })
    }

    fn line(&self, line: &Line, turn: &mut Turn) {
        let asked = String::from_utf8_lossy(&line.text[..line.text.len().min(ECHO_MAX)]).into_owned();
        match self.kind {
            Kind::Whois => {
                turn.command(b"QUERY", &line.text, line.size);
                turn.say(&format!("Domain Name: {asked}\r\nRegistrar: Example Registrar\r\n"));
                turn.say("Creation Date: 2019-03-04T10:11:12Z\r\nDomain Status: ok\r\n");
                turn.close = true;
            }
            Kind::Finger => {
                turn.command(b"QUERY", &line.text, line.size);
                turn.say(&format!("Login: {asked}\r\nNever logged in.\r\nNo mail.\r\nNo Plan.\r\n"));
                turn.close = true;
            }
            Kind::Gopher => {
                turn.command(b"QUERY", &line.text, line.size);
                turn.say("iWelcome\t\terror.host\t1\r\n.\r\n");
                turn.close = true;
            }
            Kind::Dict => words(line, turn, dict),
            Kind::News => words(line, turn, news),
            Kind::Rsync => rsync(line, turn),
            Kind::Screen => {
                turn.command(b"VERSION", &line.text, line.size);
                // One kind of security: none.
                turn.say.extend([1, 1]);
            }
            // What it says is not in lines.
            Kind::Svn => {}
        }
    }

    /// Everybody is told that he may not.
    fn svn(bytes: &[u8], turn: &mut Turn) {
        turn.command(b"HELLO", bytes, bytes.len() as u64);
        turn.say("( failure ( ( 170001 20:Authorization failed 0: 0 ) ) ) ");
        turn.close = true;
    }
}

fn words(line: &Line, turn: &mut Turn, answer: fn(&[u8]) -> &'static str) {
    let (verb, rest) = line.verb();
    if verb.is_empty() {
        return;
    }
    turn.command(&verb, rest, line.size);
    turn.close = verb == b"QUIT";
    turn.say(answer(&verb));
}

fn dict(verb: &[u8]) -> &'static str {
    match verb {
        b"QUIT" => "221 bye\r\n",
        b"CLIENT" | b"OPTION" => "250 ok\r\n",
        b"SHOW" => "110 1 databases present\r\nweb \"Words\"\r\n.\r\n250 ok\r\n",
        b"AUTH" => "230 Authentication successful\r\n",
        _ => "552 no match\r\n",
    }
}

fn news(verb: &[u8]) -> &'static str {
    match verb {
        b"QUIT" => "205 closing connection\r\n",
        b"CAPABILITIES" => "101 Capability list:\r\nVERSION 2\r\nREADER\r\nAUTHINFO USER\r\n.\r\n",
        b"MODE" => "200 posting allowed\r\n",
        b"AUTHINFO" => "281 authentication accepted\r\n",
        b"LIST" => "215 list follows\r\n.\r\n",
        b"GROUP" => "211 0 0 0 group\r\n",
        _ => "500 unknown command\r\n",
    }
}

/// The client's version, then the module; nobody here speaks what comes after.
fn rsync(line: &Line, turn: &mut Turn) {
    match line.text.as_slice() {
        text if text.starts_with(b"@RSYNCD: ") => turn.command(b"HELLO", text, line.size),
        b"" | b"#list" => {
            turn.command(b"LIST", b"", line.size);
            turn.say("data           \tfiles\n@RSYNCD: EXIT\n");
            turn.close = true;
        }
        module => {
            turn.command(b"MODULE", module, line.size);
            turn.say("@ERROR: max connections (4) reached -- try again later\n");
            turn.close = true;
        }
    }
}

impl Dialogue for Lookup {
    fn service(&self) -> &'static str {
        match self.kind {
            Kind::Whois => "whois",
            Kind::Finger => "finger",
            Kind::Gopher => "gopher",
            Kind::Dict => "dict",
            Kind::Rsync => "rsync",
            Kind::News => "nntp",
            Kind::Svn => "svn",
            Kind::Screen => "vnc",
        }
    }

    fn greet(&mut self) -> Vec<u8> {
        let greeting: &[u8] = match self.kind {
            Kind::Whois | Kind::Finger | Kind::Gopher => b"",
            Kind::Dict => b"220 dict.server dictd 1.13 <auth.mime> <1@dict.server>\r\n",
            Kind::Rsync => b"@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n",
            Kind::News => b"200 news server ready, posting allowed\r\n",
            Kind::Svn => b"( success ( 2 2 ( ) ( edit-pipeline svndiff1 absent-entries depth ) ) ) ",
            Kind::Screen => b"RFB 003.008\n",
        };
        greeting.to_vec()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        if self.kind == Kind::Svn {
            return Lookup::svn(bytes, turn);
        }
        let mut bytes = bytes;
        while let Some(line) = self.lines.next(&mut bytes) {
            if !turn.close {
                self.line(&line, turn);
            }
        }
    }
}
