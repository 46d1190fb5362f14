//! An SSH server that lets everybody in (RFC 4252 to 4254): who comes shows its passwords, what it was told
//! to run, and what it sends. No file is really taken or given.
//!
//! Its answers depend on fresh chance, as its keys must; what it reports does not.

#[cfg(test)]
pub(super) mod client;
pub(super) mod exchange;
mod packet;
mod sftp;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::super::git;
use super::git::Git;
use super::lines::{Line, Lines};
use super::{Dialogue, Turn, telnet};
use crate::bait::Sighting;
use crate::internet::world::World;
use exchange::{Exchange, KEXINIT, string, take};
use packet::{Broken, Packets};
use sftp::Sftp;

const VERSION: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3";
/// Channels of one connection; what is left of one is told, in pieces of so many bytes, so often.
const CHANNELS_MAX: usize = 64;
const PIECE: usize = 4 << 10;
const PIECES_MAX: usize = 64;
/// What the other side may send before it is told that it may send more; and at most in one packet.
const WINDOW: u32 = 2 << 20;
const PACKET: u32 = 32 << 10;

pub struct Ssh {
    seed: [u8; 32],
    lines: Lines,
    state: State,
    heard: Packets,
    said: Packets,
    /// Baits with which one can log in, and what of them is shown.
    keys: Vec<(String, String, Vec<u8>)>,
    /// The user who logs in.
    user: Vec<u8>,
    channels: Vec<Channel>,
    pieces: usize,
    now: u64,
    /// The client asked for the second version of git's protocol.
    is_second: bool,
}

enum State {
    Version,
    /// The client's version.
    Hello(Vec<u8>),
    Exchange(Exchange),
    /// Our keys are in use; the client's are from its next word on.
    Agreed(packet::Seal),
    In,
    Over,
}

/// One stream inside.
#[derive(Default)]
struct Channel {
    /// The client's number of it.
    theirs: u32,
    program: Program,
    /// What came and was not told.
    kept: Vec<u8>,
}

/// What runs in a channel.
#[derive(Default)]
enum Program {
    #[default]
    None,
    /// It reads what it is sent.
    Reader,
    /// Someone types, as at a terminal.
    Shell(Lines),
    Sftp(Sftp),
    Git(Git),
}

impl Ssh {
    pub fn new(world: &World) -> Ssh {
        // The host's key is the same for the whole run, and of this run alone.
        let seed =
            Sha256::new().chain_update(&world.hostname).chain_update(world.now.to_be_bytes()).finalize();
        Ssh {
            seed: seed.into(),
            lines: Lines::new(),
            state: State::Version,
            heard: Packets::new(),
            said: Packets::new(),
            keys: world.baits.ssh_keys(),
            user: Vec::new(),
            channels: Vec::new(),
            pieces: 0,
            now: world.now,
            is_second: false,
        }
    }

    fn say(&mut self, turn: &mut Turn, parts: &[&[u8]]) {
        turn.say.extend(self.said.pack(&parts.concat()));
    }

    fn packet(&mut self, payload: &[u8], turn: &mut Turn) -> Option<()> {
        let (kind, rest) = payload.split_first()?;
        let mut rest = rest;
        match (std::mem::replace(&mut self.state, State::Over), *kind) {
            // Disconnect, ignore, unimplemented, debug.
            (_, 1) => turn.close = true,
            (state, 2..=4) => self.state = state,
            (State::Hello(version), KEXINIT) => self.begin(version, payload, turn)?,
            (State::Exchange(exchange), 30) => {
                let agreed = exchange.agree(&self.seed, take(&mut rest)?)?;
                let [from, to] = agreed.seals;
                self.say(turn, &[&agreed.reply]);
                self.say(turn, &[&[21]]);
                self.said.seal(to);
                self.state = State::Agreed(from);
            }
            (State::Agreed(seal), 21) => {
                self.heard.seal(seal);
                self.state = State::In;
            }
            (State::In, kind) => {
                self.state = State::In;
                self.inside(kind, rest, turn)?;
            }
            _ => turn.close = true,
        }
        Some(())
    }

    fn begin(&mut self, version: Vec<u8>, hello: &[u8], turn: &mut Turn) -> Option<()> {
        let lists = exchange::lists(hello)?;
        // Exchanges, host keys, ciphers: what a client is known by.
        turn.command(b"KEXINIT", &lists[..3].join(&b';'), hello.len() as u64);
        let ours = exchange::hello()?;
        self.say(turn, &[&ours]);
        self.state =
            State::Exchange(Exchange { versions: [version, VERSION.into()], hellos: [hello.to_vec(), ours] });
        Some(())
    }

    fn inside(&mut self, kind: u8, mut rest: &[u8], turn: &mut Turn) -> Option<()> {
        match kind {
            // A service is asked for.
            5 => {
                let name = string(take(&mut rest)?);
                self.say(turn, &[&[6], &name]);
            }
            50 => self.log_in(rest, turn)?,
            61 => self.answered(rest, turn)?,
            80 => self.wish(rest, turn)?,
            90 => self.open(rest, turn)?,
            94 => self.data(rest, turn)?,
            // The end of data, and of a channel.
            96 | 97 => {
                let channel = self.channel(&mut rest)?;
                self.tell(channel, turn);
                if kind == 96 && !matches!(self.channels[channel].program, Program::None) {
                    self.finish(channel, turn);
                }
                if kind == 97 {
                    let theirs = self.channels[channel].theirs.to_be_bytes();
                    self.say(turn, &[&[97], &theirs]);
                }
            }
            98 => self.request(rest, turn)?,
            // More may be sent; new keys are not to be had.
            93 | 95 | 99 | 100 => {}
            KEXINIT => turn.close = true,
            _ => {}
        }
        Some(())
    }

    /// RFC 4252, 5.
    fn log_in(&mut self, mut rest: &[u8], turn: &mut Turn) -> Option<()> {
        let user = take(&mut rest)?.to_vec();
        take(&mut rest)?;
        let method = take(&mut rest)?;
        self.user.clone_from(&user);
        match method {
            b"password" => {
                let password = take(&mut rest.get(1..)?)?;
                self.shown(b"LOGIN", &[&user[..], b" ", password].concat(), turn);
                self.say(turn, &[&[52]]);
            }
            b"publickey" => {
                let (signed, mut rest) = rest.split_first()?;
                let (algorithm, key) = (take(&mut rest)?, take(&mut rest)?);
                if *signed == 0 {
                    self.say(turn, &[&[60], &string(algorithm), &string(key)]);
                } else {
                    let text = [&user[..], b" ", algorithm, b" ", STANDARD.encode(key).as_bytes()].concat();
                    self.shown(b"KEY", &text, turn);
                    let bait = self.keys.iter().find(|(.., blob)| blob == key);
                    turn.used.extend(bait.map(|(name, field, _)| Sighting {
                        name: name.clone(),
                        field: field.clone(),
                        encoding: "signature".into(),
                    }));
                    self.say(turn, &[&[52]]);
                }
            }
            // One question: the password, which is not shown.
            b"keyboard-interactive" => {
                let (none, ask) = (string(b""), string(b"Password: "));
                self.say(turn, &[&[60], &none, &none, &none, &1u32.to_be_bytes(), &ask, &[0]]);
            }
            _ => self.say(turn, &[&[51], &string(b"publickey,password,keyboard-interactive"), &[0]]),
        }
        Some(())
    }

    fn answered(&mut self, rest: &[u8], turn: &mut Turn) -> Option<()> {
        let password = take(&mut rest.get(4..)?).unwrap_or_default();
        self.shown(b"LOGIN", &[&self.user[..], b" ", password].concat(), turn);
        self.say(turn, &[&[52]]);
        Some(())
    }

    fn shown(&self, verb: &[u8], text: &[u8], turn: &mut Turn) {
        turn.command(verb, text, text.len() as u64);
    }

    /// RFC 4254, 4: a port to listen at is granted, and nobody comes to it.
    fn wish(&mut self, mut rest: &[u8], turn: &mut Turn) -> Option<()> {
        let name = take(&mut rest)?;
        let (wants_answer, mut rest) = rest.split_first()?;
        let is_port = name == b"tcpip-forward";
        if is_port {
            let host = take(&mut rest)?;
            let port = u32::from_be_bytes(*rest.first_chunk()?);
            self.shown(b"LISTEN", &[host, b":", port.to_string().as_bytes()].concat(), turn);
        }
        if *wants_answer != 0 {
            self.say(turn, &[&[if is_port { 81 } else { 82 }]]);
        }
        Some(())
    }

    fn open(&mut self, mut rest: &[u8], turn: &mut Turn) -> Option<()> {
        let kind = take(&mut rest)?;
        let theirs = u32::from_be_bytes(*rest.first_chunk()?);
        if self.channels.len() >= CHANNELS_MAX {
            // Resource shortage.
            self.say(turn, &[&[92], &theirs.to_be_bytes(), &4u32.to_be_bytes(), &string(b""), &string(b"")]);
            return Some(());
        }
        if kind == b"direct-tcpip" {
            let mut rest = rest.get(12..)?;
            let host = take(&mut rest)?;
            let port = u32::from_be_bytes(*rest.first_chunk()?);
            self.shown(b"FORWARD", &[host, b":", port.to_string().as_bytes()].concat(), turn);
        }
        let ours = self.channels.len() as u32;
        self.channels.push(Channel { theirs, ..Channel::default() });
        let numbers = [theirs, ours, WINDOW, PACKET].map(u32::to_be_bytes).concat();
        self.say(turn, &[&[91], &numbers]);
        Some(())
    }

    /// Our number of a channel, which is taken off.
    fn channel(&self, rest: &mut &[u8]) -> Option<usize> {
        let (number, after) = rest.split_first_chunk()?;
        *rest = after;
        Some(u32::from_be_bytes(*number) as usize).filter(|number| *number < self.channels.len())
    }

    fn request(&mut self, mut rest: &[u8], turn: &mut Turn) -> Option<()> {
        let channel = self.channel(&mut rest)?;
        let theirs = self.channels[channel].theirs.to_be_bytes();
        let kind = take(&mut rest)?;
        let (wants_answer, mut rest) = rest.split_first()?;
        let is_sftp = kind == b"subsystem" && rest == string(b"sftp");
        let granted = is_sftp || !matches!(kind, b"subsystem" | b"x11-req" | b"auth-agent-req@openssh.com");
        if *wants_answer != 0 {
            self.say(turn, &[&[if granted { 99 } else { 100 }], &theirs]);
        }
        match kind {
            b"exec" => self.run(channel, take(&mut rest)?, turn),
            b"subsystem" => {
                self.shown(b"SUBSYSTEM", take(&mut rest)?, turn);
                if is_sftp {
                    self.channels[channel].program = Program::Sftp(Sftp::default());
                }
            }
            b"env" => {
                let (name, value) = (take(&mut rest)?, take(&mut rest)?);
                self.shown(b"ENV", &[name, b"=", value].concat(), turn);
                self.is_second |= name == b"GIT_PROTOCOL" && value == b"version=2";
            }
            b"shell" => {
                self.channels[channel].program = Program::Shell(Lines::new());
                self.print(channel, telnet::PROMPT.as_bytes(), turn);
            }
            _ => {}
        }
        Some(())
    }

    /// A command is told, answered where bots look at the answer, and over; who copies a file waits for our
    /// word.
    fn run(&mut self, channel: usize, command: &[u8], turn: &mut Turn) {
        self.shown(b"RUN", command, turn);
        self.channels[channel].program = Program::Reader;
        if command.starts_with(b"scp ") {
            return self.print(channel, &[0], turn);
        }
        if command.starts_with(b"git-upload-pack ") {
            self.channels[channel].program = Program::Git(Git::asked(self.now, self.is_second));
            return self.print(channel, &git::advertise(self.now, self.is_second), turn);
        }
        let output = telnet::output(&String::from_utf8_lossy(command)).replace('\r', "");
        self.print(channel, output.as_bytes(), turn);
        if !is_reader(command) {
            self.finish(channel, turn);
        }
    }

    fn finish(&mut self, channel: usize, turn: &mut Turn) {
        let theirs = self.channels[channel].theirs.to_be_bytes();
        self.say(turn, &[&[98], &theirs, &string(b"exit-status"), &[0], &[0; 4]]);
        self.say(turn, &[&[96], &theirs]);
        self.say(turn, &[&[97], &theirs]);
        self.channels[channel].program = Program::None;
    }

    fn print(&mut self, channel: usize, text: &[u8], turn: &mut Turn) {
        if !text.is_empty() {
            let theirs = self.channels[channel].theirs.to_be_bytes();
            self.say(turn, &[&[94], &theirs, &string(text)]);
        }
    }

    fn data(&mut self, mut rest: &[u8], turn: &mut Turn) -> Option<()> {
        let channel = self.channel(&mut rest)?;
        let data = take(&mut rest)?.to_vec();
        let theirs = self.channels[channel].theirs.to_be_bytes();
        self.say(turn, &[&[93], &theirs, &(data.len() as u32).to_be_bytes()]);
        match &mut self.channels[channel].program {
            Program::Shell(lines) => {
                let returns = |byte: &u8| if *byte == b'\r' { b'\n' } else { *byte };
                let lines = lines.take(&data.iter().map(returns).collect::<Vec<u8>>());
                self.typed(channel, &lines, turn);
                return Some(());
            }
            Program::Sftp(sftp) => {
                let said = sftp.hear(&data, turn);
                self.print(channel, &said, turn);
                return Some(());
            }
            Program::Git(git) => {
                let mut inner = Turn::default();
                git.hear(&data, &mut inner);
                self.gave(channel, inner, turn);
                return Some(());
            }
            Program::None | Program::Reader => {}
        }
        self.channels[channel].kept.extend(&data);
        // scp: after a file's name, and after its end.
        if data.last().is_some_and(|byte| matches!(byte, b'\n' | 0)) {
            self.print(channel, &[0], turn);
        }
        if self.channels[channel].kept.len() >= PIECE {
            self.tell(channel, turn);
        }
        Some(())
    }

    /// What git says goes through the channel.
    fn gave(&mut self, channel: usize, mut inner: Turn, turn: &mut Turn) {
        turn.commands.append(&mut inner.commands);
        for piece in inner.say.chunks(PACKET as usize / 2) {
            self.print(channel, piece, turn);
        }
        if inner.close {
            self.finish(channel, turn);
        }
    }

    fn typed(&mut self, channel: usize, lines: &[Line], turn: &mut Turn) {
        for line in lines {
            self.shown(b"RUN", &line.text, turn);
            let output = telnet::output(&String::from_utf8_lossy(&line.text));
            self.print(channel, [output.as_bytes(), telnet::PROMPT.as_bytes()].concat().as_slice(), turn);
            if matches!(line.text.as_slice(), b"exit" | b"logout") {
                return self.finish(channel, turn);
            }
        }
    }

    /// What came in a channel.
    fn tell(&mut self, channel: usize, turn: &mut Turn) {
        if let Program::Sftp(sftp) = &mut self.channels[channel].program {
            sftp.tell(turn);
        }
        let kept = std::mem::take(&mut self.channels[channel].kept);
        if !kept.is_empty() && self.pieces < PIECES_MAX {
            self.pieces += 1;
            turn.command(b"DATA", &kept, kept.len() as u64);
        }
    }
}

/// Commands that read to the end of what they are sent.
fn is_reader(command: &[u8]) -> bool {
    let reads = [&b"cat >"[..], b"cat>", b"tee ", b"tar x", b"tar -x", b"dd of=", b"sh -s", b"bash -s"];
    reads.iter().any(|word| command.windows(word.len()).any(|part| part == *word))
}

impl Dialogue for Ssh {
    fn service(&self) -> &'static str {
        "ssh"
    }

    fn greet(&mut self) -> Vec<u8> {
        format!("{VERSION}\r\n").into_bytes()
    }

    fn is_sealed(&self) -> bool {
        true
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        if let State::Version = self.state {
            let Some(line) = self.lines.next(&mut bytes) else { return };
            turn.command(b"BANNER", &line.text, line.size);
            self.state = State::Hello(line.text);
        }
        self.heard.feed(bytes);
        while !turn.close {
            match self.heard.next() {
                Ok(Some(payload)) => turn.close |= self.packet(&payload, turn).is_none(),
                Ok(None) => return,
                Err(Broken) => turn.close = true,
            }
        }
    }
}
