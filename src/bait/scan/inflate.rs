//! Finds compressed parts in a stream and reads them: gzip, zlib, and the members of a ZIP archive.
//!
//! A part is begun where its first bytes are those of the format, and left where it turns out to be none,
//! at its end, or where it grows far beyond what went in: a bomb is not read to its end.

use flate2::{Decompress, FlushDecompress, Status};

use super::decode::BREAK;

/// Bytes that come out at once.
const STEP: usize = 8 << 10;

/// The compressed parts of one stream.
#[derive(Debug, Default)]
pub(super) struct Inflater {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// The last bytes, as far as a part could have begun in them.
    #[default]
    Outside,
    /// The first bytes of a part.
    Begun(Vec<u8>),
    /// Of a ZIP member's name and extra field, so many bytes are still to come.
    Name(usize),
    Inside(Decompress),
}

/// What the first bytes of a part say.
enum Head {
    Short,
    None,
    Part(Decompress),
    Name(usize),
}

impl Inflater {
    /// Takes the next bytes; adds what was compressed in them to `read`. `room`: so much may come of it.
    pub fn feed(&mut self, mut bytes: &[u8], read: &mut Vec<u8>, room: &mut u64) {
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Outside => self.look(bytes),
                State::Begun(_) => self.begin(bytes, read, room),
                State::Name(left) => {
                    let rest = &bytes[bytes.len().min(*left)..];
                    *left -= bytes.len() - rest.len();
                    if *left == 0 {
                        self.state = State::Inside(Decompress::new(false));
                    }
                    rest
                }
                State::Inside(part) => {
                    let (rest, over) = take(part, bytes, read, room);
                    if over {
                        read.push(BREAK);
                        self.state = State::Outside;
                    }
                    rest
                }
            };
        }
    }

    /// Goes on to where a part could begin.
    fn look<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match memchr::memchr3(0x1f, 0x78, b'P', bytes) {
            Some(place) => {
                self.state = State::Begun(Vec::new());
                &bytes[place..]
            }
            None => &[],
        }
    }

    /// Collects first bytes until they say what begins. Where nothing does, all but the first are looked
    /// at again.
    fn begin<'b>(&mut self, bytes: &'b [u8], read: &mut Vec<u8>, room: &mut u64) -> &'b [u8] {
        let State::Begun(first) = &mut self.state else { return bytes };
        first.push(bytes[0]);
        match head(first) {
            Head::Short => {}
            Head::Name(0) => self.state = State::Inside(Decompress::new(false)),
            Head::Name(length) => self.state = State::Name(length),
            Head::Part(part) => {
                let first = std::mem::take(first);
                self.state = State::Inside(part);
                self.feed(&first, read, room);
            }
            Head::None => {
                // At most thirty bytes, each of which is looked at again thirty times at most.
                let again = first.split_off(1);
                self.state = State::Outside;
                self.feed(&again, read, room);
            }
        }
        &bytes[1..]
    }
}

/// Reads on in a part; gives what is left, and whether the part is over: at its end, because it is not of
/// the format after all, or because there is no room for more of it.
fn take<'b>(
    part: &mut Decompress,
    mut bytes: &'b [u8],
    read: &mut Vec<u8>,
    room: &mut u64,
) -> (&'b [u8], bool) {
    let mut out = [0; STEP];
    loop {
        let before = (part.total_in(), part.total_out());
        let status = part.decompress(bytes, &mut out, FlushDecompress::None);
        let taken = (part.total_in() - before.0) as usize;
        let given = (part.total_out() - before.1) as usize;
        bytes = &bytes[taken.min(bytes.len())..];
        read.extend(&out[..given.min(STEP)]);
        let fits = given as u64 <= *room;
        *room = room.saturating_sub(given as u64);
        match status {
            Ok(Status::Ok | Status::BufError) if fits && given == STEP => {}
            Ok(Status::Ok | Status::BufError) if fits && bytes.is_empty() => return (bytes, false),
            // What was read of it counts.
            _ => return (bytes, true),
        }
    }
}

/// RFC 1952, 2.3.1; RFC 1950, 2.2; APPNOTE.TXT, 4.3.7.
fn head(first: &[u8]) -> Head {
    const ZIP: usize = 30;
    match first {
        [0x1f] | [0x1f, 0x8b] | [0x78] => Head::Short,
        [0x1f, 0x8b, 8] => Head::Part(Decompress::new_gzip(15)),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda] => Head::Part(Decompress::new(true)),
        [b'P', ..] if first.len() <= 4 && b"PK\x03\x04".starts_with(first) => Head::Short,
        [b'P', b'K', 3, 4, ..] if first.len() < ZIP => Head::Short,
        // Method 8; others are stored as they are, or not read.
        [b'P', b'K', 3, 4, _, _, _, _, 8, 0, ..] => {
            let length = |at: usize| usize::from(u16::from_le_bytes([first[at], first[at + 1]]));
            Head::Name(length(26) + length(28))
        }
        _ => Head::None,
    }
}
