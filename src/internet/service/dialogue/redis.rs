//! A Redis server without a password (RESP, protocol version 2): a usual way in, so that everything that
//! is tried on it is said to have worked.

use super::lines::{Lines, split};
use super::{Dialogue, Turn};
use crate::internet::testimony::BODY_MAX;

/// Of a command, so many words are kept.
const WORDS_MAX: u64 = 64;

pub struct Redis {
    lines: Lines,
    state: State,
}

enum State {
    /// A command begins.
    Idle,
    /// The length of the next word is to come.
    Word(Command),
    /// So many bytes of it and of its end are to come.
    Bytes(Command, u64),
}

/// A command that is not complete.
#[derive(Default)]
struct Command {
    words_left: u64,
    words: Vec<Vec<u8>>,
    /// Bytes that are kept, and bytes that came.
    kept: usize,
    size: u64,
}

/// `*3\r\n$…`, as clients send it.
pub fn is_begun(first: &[u8]) -> bool {
    let Some(rest) = first.strip_prefix(b"*") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=4).contains(&digits) && rest[digits..].starts_with(b"\r\n$")
}

impl Redis {
    pub fn new() -> Redis {
        Redis { lines: Lines::new(), state: State::Idle }
    }

    /// Takes a step over what came; `false`: more must come.
    fn step(&mut self, bytes: &mut &[u8], turn: &mut Turn) -> bool {
        if let State::Bytes(command, left) = &mut self.state {
            let taken = (bytes.len() as u64).min(*left) as usize;
            command.keep(&bytes[..taken], *left);
            *left -= taken as u64;
            *bytes = &bytes[taken..];
            if *left > 0 {
                return false;
            }
            let command = std::mem::take(command);
            self.state = command.next(turn);
            return true;
        }
        let Some(line) = self.lines.next(bytes) else { return false };
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Word(mut command) => {
                command.size += line.size;
                match number(&line.text, b'$') {
                    Some(length) => {
                        command.words.extend((command.words.len() < WORDS_MAX as usize).then(Vec::new));
                        State::Bytes(command, length.saturating_add(2))
                    }
                    None => fault(turn),
                }
            }
            _ => begin(&line.text, line.size, turn),
        };
        true
    }
}

/// A command as an array, or all on one line.
fn begin(text: &[u8], size: u64, turn: &mut Turn) -> State {
    match number(text, b'*') {
        Some(0) => State::Idle,
        Some(words) => State::Word(Command { words_left: words, size, ..Command::default() }),
        None if text.starts_with(b"*") => fault(turn),
        None if text.is_empty() => State::Idle,
        None => {
            let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let words: Vec<Vec<u8>> = words.take(WORDS_MAX as usize).map(<[u8]>::to_vec).collect();
            Command { words, size, ..Command::default() }.done(turn);
            State::Idle
        }
    }
}

/// What is no protocol ends the connection, as Redis does.
fn fault(turn: &mut Turn) -> State {
    turn.say("-ERR Protocol error\r\n");
    turn.close = true;
    State::Idle
}

/// The number behind a mark.
fn number(text: &[u8], mark: u8) -> Option<u64> {
    let (first, digits) = text.split_first()?;
    let digits = std::str::from_utf8(digits).ok().filter(|_| *first == mark)?;
    // No word of Redis is longer (proto-max-bulk-len).
    digits.parse().ok().filter(|number| *number <= 512 << 20)
}

impl Command {
    /// Adds to the last word; the last two bytes of what is left are its end.
    fn keep(&mut self, bytes: &[u8], left: u64) {
        self.size += bytes.len() as u64;
        let text = (bytes.len() as u64).min(left.saturating_sub(2)) as usize;
        let room = BODY_MAX.saturating_sub(self.kept);
        let taken = &bytes[..text.min(room)];
        self.kept += taken.len();
        if let Some(word) = self.words.last_mut() {
            word.extend(taken);
        }
    }

    fn next(mut self, turn: &mut Turn) -> State {
        self.words_left -= 1;
        match self.words_left {
            0 => {
                self.done(turn);
                State::Idle
            }
            _ => State::Word(self),
        }
    }

    fn done(self, turn: &mut Turn) {
        let Some((verb, words)) = self.words.split_first() else { return };
        let verb = verb.to_ascii_uppercase();
        turn.command(&verb, &words.join(&b' '), self.size);
        answer(&verb, words, turn);
    }
}

fn answer(verb: &[u8], words: &[Vec<u8>], turn: &mut Turn) {
    match verb {
        b"PING" => turn.say("+PONG\r\n"),
        b"QUIT" => {
            turn.say("+OK\r\n");
            turn.close = true;
        }
        b"INFO" => {
            let info = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux 6.1.0-25-amd64 x86_64\r\n\
                        # Replication\r\nrole:master\r\nconnected_slaves:0\r\n";
            turn.say(&format!("${}\r\n{info}\r\n", info.len()));
        }
        b"CONFIG" if words.first().is_some_and(|word| word.eq_ignore_ascii_case(b"GET")) => {
            config(words, turn)
        }
        b"HELLO" => turn.say("-ERR unknown command 'HELLO'\r\n"),
        b"ECHO" => {
            let text = words.first().map_or(&b""[..], |word| split(word).0);
            turn.say(&format!("${}\r\n", text.len()));
            turn.say.extend(text);
            turn.say("\r\n");
        }
        b"GET" | b"HGET" | b"LPOP" | b"RPOP" | b"GETSET" => turn.say("$-1\r\n"),
        b"KEYS" | b"COMMAND" | b"LRANGE" | b"SMEMBERS" | b"HGETALL" | b"MGET" | b"SUBSCRIBE" => {
            turn.say("*0\r\n")
        }
        b"SCAN" => turn.say("*2\r\n$1\r\n0\r\n*0\r\n"),
        b"DBSIZE" | b"EXISTS" | b"DEL" | b"TTL" => turn.say(":0\r\n"),
        b"LPUSH" | b"RPUSH" | b"SADD" | b"HSET" | b"INCR" | b"EXPIRE" | b"PUBLISH" => turn.say(":1\r\n"),
        b"EVAL" | b"EVALSHA" => turn.say("$-1\r\n"),
        _ => turn.say("+OK\r\n"),
    }
}

fn config(words: &[Vec<u8>], turn: &mut Turn) {
    match words.get(1).map(|word| word.to_ascii_lowercase()).as_deref() {
        Some(b"dir") => turn.say("*2\r\n$3\r\ndir\r\n$14\r\n/var/lib/redis\r\n"),
        Some(b"dbfilename") => turn.say("*2\r\n$10\r\ndbfilename\r\n$8\r\ndump.rdb\r\n"),
        _ => turn.say("*0\r\n"),
    }
}

impl Dialogue for Redis {
    fn service(&self) -> &'static str {
        "redis"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        while !turn.close && self.step(&mut bytes, turn) {}
    }
}
