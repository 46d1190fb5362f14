//! A message broker (AMQP 0-9-1) that lets everybody in, has every queue and loses what it is sent.

use super::packet::{Packet, Packets};
use super::{Dialogue, Turn};

const HELLO: &[u8] = b"AMQP\0\0\x09\x01";
/// Kinds of frames.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;

pub struct Amqp {
    packets: Packets,
    /// Bytes of the hello that have come.
    hello: usize,
}

pub fn is_begun(first: &[u8]) -> bool {
    first.starts_with(b"AMQP")
}

impl Amqp {
    pub fn new() -> Amqp {
        Amqp { packets: Packets::default(), hello: 0 }
    }

    /// Takes the hello off. False: it is another one, and ours was said.
    fn greeted<'b>(&mut self, bytes: &'b [u8], turn: &mut Turn) -> Option<&'b [u8]> {
        let (hello, rest) = bytes.split_at(bytes.len().min(HELLO.len() - self.hello));
        if !HELLO[self.hello..].starts_with(hello) {
            turn.say.extend(HELLO);
            turn.close = true;
            return None;
        }
        self.hello += hello.len();
        if self.hello == HELLO.len() && !hello.is_empty() {
            // connection.start: version, no properties, ways to log in, languages.
            let start = [&[0, 9, 0, 0, 0, 0][..], &long(b"PLAIN"), &long(b"en_US")].concat();
            turn.say.extend(frame(0, (10, 10), &start));
        }
        Some(rest)
    }

    fn packet(packet: &Packet, turn: &mut Turn) {
        let body = packet.body.strip_suffix(&[FRAME_END]).unwrap_or(&packet.body);
        let channel = u16::from_be_bytes([packet.head[1], packet.head[2]]);
        match packet.head[0] {
            METHOD => method(channel, body, packet.size, turn),
            BODY => turn.command(b"MESSAGE", body, packet.size),
            HEADER => {}
            HEARTBEAT => turn.say.extend([HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END]),
            _ => turn.close = true,
        }
    }
}

/// Class and method, and what is answered.
fn method(channel: u16, body: &[u8], size: u64, turn: &mut Turn) {
    let Some(([a, b, c, d], arguments)) = body.split_first_chunk() else { return };
    let which = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    let (verb, answer): (&[u8], Option<Vec<u8>>) = match which {
        // Channels, bytes in a frame, seconds between heartbeats.
        (10, 11) => (b"LOGIN", Some([&[7, 0xff][..], &(128u32 << 10).to_be_bytes(), &[0, 60]].concat())),
        (10, 31) => (b"TUNE", None),
        (10, 40) => (b"OPEN", Some(vec![0])),
        (10, 50) => (b"CLOSE", Some(Vec::new())),
        (20, 10) => (b"CHANNEL", Some(vec![0; 4])),
        (20, 40) => (b"CHANNEL-CLOSE", Some(Vec::new())),
        (40, 10) => (b"EXCHANGE", Some(Vec::new())),
        // The queue's name, messages, consumers.
        (50, 10) => (b"QUEUE", Some([short(arguments, 2), &[0; 8][..]].concat())),
        (50, 20) => (b"BIND", Some(Vec::new())),
        (60, 10) => (b"QOS", Some(Vec::new())),
        (60, 20) => (b"CONSUME", Some(b"\x03tag".to_vec())),
        (60, 40) => (b"PUBLISH", None),
        (60, 70) => (b"GET", Some(b"\0".to_vec())),
        (85, 10) => (b"CONFIRM", Some(Vec::new())),
        _ => (b"METHOD", None),
    };
    turn.command(verb, &words(if which == (10, 11) { login(arguments) } else { arguments }), size);
    turn.close = which == (10, 50);
    if let Some(answer) = answer {
        // The next method answers; "tune" comes after a log-in, "empty" after a get.
        let answers = match which {
            (10, 11) => (10, 30),
            (60, 70) => (60, 72),
            (class, method) => (class, method + 1),
        };
        turn.say.extend(frame(channel, answers, &answer));
    }
}

/// A log-in without what the client tells of itself: the way, and the words.
fn login(arguments: &[u8]) -> &[u8] {
    let length = arguments.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    length.checked_add(4).and_then(|at| arguments.get(at..)).unwrap_or_default()
}

/// What of it can be read.
fn words(bytes: &[u8]) -> Vec<u8> {
    let printable = |byte: &u8| (0x21..0x7f).contains(byte);
    bytes.split(|byte| !printable(byte)).filter(|run| !run.is_empty()).collect::<Vec<_>>().join(&b' ')
}

/// A short text with its length, at a place.
fn short(bytes: &[u8], at: usize) -> &[u8] {
    let length = bytes.get(at).map_or(0, |length| usize::from(*length));
    bytes.get(at..at + 1 + length).unwrap_or(&[0])
}

fn long(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

fn frame(channel: u16, (class, method): (u16, u16), arguments: &[u8]) -> Vec<u8> {
    let mut frame = vec![METHOD];
    frame.extend(channel.to_be_bytes());
    frame.extend((arguments.len() as u32 + 4).to_be_bytes());
    frame.extend([class, method].into_iter().flat_map(u16::to_be_bytes));
    frame.extend(arguments);
    frame.push(FRAME_END);
    frame
}

impl Dialogue for Amqp {
    fn service(&self) -> &'static str {
        "amqp"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        let Some(mut bytes) = self.greeted(bytes, turn) else { return };
        // The end of a frame stands behind what its length counts.
        let measure = |head: &[u8]| {
            let head: &[u8; 7] = head.first_chunk()?;
            Some(u64::from(u32::from_be_bytes([head[3], head[4], head[5], head[6]])) + 1)
        };
        while let Some(packet) = self.packets.next(&mut bytes, measure) {
            Amqp::packet(&packet, turn);
            if turn.close {
                return;
            }
        }
    }
}
