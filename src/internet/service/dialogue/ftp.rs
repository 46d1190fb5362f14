//! An FTP server (RFC 959, RFC 2428). Data goes over a port of the world's own, where everything is taken
//! and a file is given to who waits for one.

use super::lines::{Line, Lines};
use super::{Dialogue, Turn};
use crate::internet::world::World;

/// Where data connections go: any address of the world, this port.
pub const DATA: u16 = 50_021;

pub struct Ftp {
    lines: Lines,
    gateway: std::net::Ipv4Addr,
    /// The client waits for us to connect to it, which the world cannot.
    active: bool,
}

impl Ftp {
    pub fn new(world: &World) -> Ftp {
        Ftp { lines: Lines::new(), gateway: world.gateway.0, active: false }
    }

    fn command(&mut self, line: &Line, turn: &mut Turn) {
        let (verb, rest) = line.verb();
        turn.command(&verb, rest, line.size);
        let answer = match verb.as_slice() {
            b"USER" => "331 Please specify the password.",
            b"PASS" | b"ACCT" => "230 Login successful.",
            b"SYST" => "215 UNIX Type: L8",
            b"FEAT" => {
                "211-Features:\r\n AUTH TLS\r\n EPSV\r\n PASV\r\n PBSZ\r\n PROT\r\n SIZE\r\n UTF8\r\n211 End"
            }
            b"PWD" | b"XPWD" => "257 \"/\" is the current directory",
            b"CWD" | b"CDUP" | b"DELE" | b"RMD" | b"RNTO" => "250 Requested file action okay.",
            b"MKD" => "257 Directory created.",
            b"RNFR" | b"REST" => "350 Ready.",
            b"TYPE" | b"MODE" | b"STRU" | b"OPTS" | b"NOOP" | b"SITE" | b"ALLO" | b"PBSZ" | b"PROT" => {
                "200 Command okay."
            }
            b"SIZE" => "213 3",
            b"MDTM" => "213 20240319150518",
            b"AUTH" if [&b"TLS"[..], b"TLS-C", b"SSL"].iter().any(|it| rest.eq_ignore_ascii_case(it)) => {
                turn.start_tls = true;
                "234 Proceed with negotiation."
            }
            b"AUTH" => "504 Unknown security mechanism.",
            b"ABOR" => "226 Closing data connection.",
            b"PASV" | b"EPSV" => return self.passive(&verb, turn),
            b"PORT" | b"EPRT" => {
                self.active = true;
                "200 PORT command successful."
            }
            b"LIST" | b"NLST" | b"MLSD" | b"RETR" | b"STOR" | b"STOU" | b"APPE" => {
                return self.transfer(turn);
            }
            b"QUIT" => {
                turn.close = true;
                "221 Goodbye."
            }
            _ => "500 Unknown command.",
        };
        turn.say(&format!("{answer}\r\n"));
    }

    fn passive(&mut self, verb: &[u8], turn: &mut Turn) {
        self.active = false;
        let [high, low] = DATA.to_be_bytes();
        let address = self.gateway.to_string().replace('.', ",");
        turn.say(&match verb {
            b"PASV" => format!("227 Entering Passive Mode ({address},{high},{low}).\r\n"),
            _ => format!("229 Entering Extended Passive Mode (|||{DATA}|)\r\n"),
        });
    }

    fn transfer(&mut self, turn: &mut Turn) {
        match self.active {
            true => turn.say("425 Failed to establish connection.\r\n"),
            false => turn.say("150 Ok to send data.\r\n226 Transfer complete.\r\n"),
        }
    }
}

impl Dialogue for Ftp {
    fn service(&self) -> &'static str {
        "ftp"
    }

    fn greet(&mut self) -> Vec<u8> {
        b"220 (vsFTPd 3.0.5)\r\n".to_vec()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        for line in self.lines.take(bytes) {
            if !turn.close && !turn.start_tls {
                self.command(&line, turn);
            }
        }
        if turn.start_tls {
            // What follows in the clear does not count inside (RFC 4217, 4).
            self.lines = Lines::new();
        }
    }
}

/// A data connection: who waits gets a file, who sends is heard.
pub struct Listing;

impl Dialogue for Listing {
    fn service(&self) -> &'static str {
        "ftp-data"
    }

    fn greet(&mut self) -> Vec<u8> {
        b"ok\n".to_vec()
    }

    fn ends_with_greeting(&self) -> bool {
        true
    }

    fn hear(&mut self, _: &[u8], _: &mut Turn) {}
}
