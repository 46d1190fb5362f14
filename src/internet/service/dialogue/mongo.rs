//! A MongoDB server that has nothing and takes everything but a log-in, which nobody can let in who does
//! not know the password (wire protocol: OP_QUERY and OP_MSG; BSON 1.1).

use super::packet::{Packet, Packets};
use super::{Dialogue, Turn};

const REPLY: u32 = 1;
const QUERY: u32 = 2004;
const MESSAGE: u32 = 2013;
const HEADER: usize = 16;
/// BSON's kinds of elements.
const DOUBLE: u8 = 1;
const TEXT: u8 = 2;
const ARRAY: u8 = 4;
const FLAG: u8 = 8;
const NUMBER: u8 = 16;

pub struct Mongo {
    packets: Packets,
    answers: u32,
}

/// A header with the code of a question.
pub fn is_begun(first: &[u8]) -> bool {
    let word = |at: usize| Some(u32::from_le_bytes(*first.get(at..)?.first_chunk()?));
    word(0).is_some_and(|length| (26..1 << 20).contains(&length))
        && word(8) == Some(0)
        && word(12).is_some_and(|code| [QUERY, MESSAGE].contains(&code))
}

impl Mongo {
    pub fn new() -> Mongo {
        Mongo { packets: Packets::default(), answers: 0 }
    }

    fn packet(&mut self, packet: &Packet, turn: &mut Turn) {
        let word = |at: usize| {
            packet.head.get(at..).and_then(|it| it.first_chunk()).copied().map(u32::from_le_bytes)
        };
        let (number, code) = (word(4).unwrap_or(0), word(12).unwrap_or(0));
        let document = match code {
            // Flags, the kind of the section.
            MESSAGE => packet.body.get(5..),
            // Flags, the collection's name, how many to pass over and to return.
            QUERY => packet.body.get(4..).and_then(|it| it.get(memchr::memchr(0, it)? + 9..)),
            _ => None,
        };
        let Some(document) = document.filter(|it| it.len() > 5) else {
            turn.close = true;
            return;
        };
        let name = name(document);
        turn.command(&name, &words(document), packet.size);
        self.answers += 1;
        turn.say.extend(frame(self.answers, number, code, &answer(&name)));
    }
}

/// Of the first element, which names the command.
fn name(document: &[u8]) -> Vec<u8> {
    const NAME_MAX: usize = 64;
    let name = document[5..].split(|byte| *byte == 0).next().unwrap_or_default();
    name[..name.len().min(NAME_MAX)].to_vec()
}

/// What of it can be read: names and texts, in their order.
fn words(document: &[u8]) -> Vec<u8> {
    let printable = |byte: &u8| (0x20..0x7f).contains(byte);
    let runs = document.split(|byte| !printable(byte)).filter(|run| run.len() > 1);
    runs.collect::<Vec<_>>().join(&b' ')
}

fn answer(name: &[u8]) -> Vec<u8> {
    let ok = element(DOUBLE, "ok", &1f64.to_le_bytes());
    let empty = |field: &str| element(ARRAY, field, &document(&[]));
    match name {
        b"hello" | b"isMaster" | b"ismaster" => document(&[
            element(FLAG, "ismaster", &[1]),
            element(FLAG, "isWritablePrimary", &[1]),
            element(NUMBER, "maxBsonObjectSize", &(16u32 << 20).to_le_bytes()),
            element(NUMBER, "maxMessageSizeBytes", &48_000_000u32.to_le_bytes()),
            element(NUMBER, "maxWriteBatchSize", &100_000u32.to_le_bytes()),
            element(NUMBER, "minWireVersion", &0u32.to_le_bytes()),
            element(NUMBER, "maxWireVersion", &17u32.to_le_bytes()),
            ok,
        ]),
        b"saslStart" | b"saslContinue" | b"authenticate" => document(&[
            element(DOUBLE, "ok", &0f64.to_le_bytes()),
            element(TEXT, "errmsg", b"\x17\0\0\0Authentication failed.\0"),
            element(NUMBER, "code", &18u32.to_le_bytes()),
        ]),
        b"listDatabases" => document(&[empty("databases"), ok]),
        b"find" | b"aggregate" | b"listCollections" | b"listIndexes" => {
            let cursor = document(&[
                element(18, "id", &[0; 8]),
                element(TEXT, "ns", b"\x04\0\0\0a.b\0"),
                empty("firstBatch"),
            ]);
            document(&[element(3, "cursor", &cursor), ok])
        }
        _ => document(&[element(NUMBER, "n", &1u32.to_le_bytes()), ok]),
    }
}

fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind][..], name.as_bytes(), &[0], value].concat()
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let body = elements.concat();
    let length = (body.len() as u32 + 5).to_le_bytes();
    [&length[..], &body, &[0]].concat()
}

/// The answer to message `to`, in the form in which that one came.
fn frame(number: u32, to: u32, code: u32, document: &[u8]) -> Vec<u8> {
    let (code, head) = match code {
        // No flag, no cursor, from the first on, one document.
        QUERY => (REPLY, [&[0; 16][..], &1u32.to_le_bytes()].concat()),
        _ => (MESSAGE, vec![0; 5]),
    };
    let length = (HEADER + head.len() + document.len()) as u32;
    let words: Vec<u8> = [length, number, to, code].into_iter().flat_map(u32::to_le_bytes).collect();
    [&words[..], &head, document].concat()
}

impl Dialogue for Mongo {
    fn service(&self) -> &'static str {
        "mongodb"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, mut bytes: &[u8], turn: &mut Turn) {
        let measure = |head: &[u8]| {
            let head: &[u8; HEADER] = head.first_chunk()?;
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            Some(u64::from(length).saturating_sub(HEADER as u64))
        };
        while let Some(packet) = self.packets.next(&mut bytes, measure) {
            self.packet(&packet, turn);
            if turn.close {
                return;
            }
        }
    }
}
