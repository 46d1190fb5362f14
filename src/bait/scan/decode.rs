//! Reads runs of letters as what they would mean in base64, base32 and hexadecimal.
//!
//! Where a run begins is not where the encoded text began: an ordinary letter in front of it shifts
//! everything. So a run is read from each place where a group of letters could begin at once. Runs too
//! short to hold a part of a secret are not read at all.

/// Stands between what two runs mean, so that nothing is found across; no secret has it.
pub(super) const BREAK: u8 = 1;

/// How an encoding writes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Base64,
    Base32,
    Hex,
}

/// What a byte means to a run.
enum Letter {
    Value(u32),
    /// Neither a letter nor an end.
    Skipped,
    /// As in `0x41`: the nought before was none.
    Retracts,
    End,
}

impl Coding {
    pub const ALL: [Coding; 3] = [Coding::Base64, Coding::Hex, Coding::Base32];

    pub fn name(self) -> &'static str {
        match self {
            Coding::Base64 => "base64",
            Coding::Base32 => "base32",
            Coding::Hex => "hex",
        }
    }

    /// Bits of a letter.
    fn bits(self) -> u32 {
        match self {
            Coding::Base64 => 6,
            Coding::Base32 => 5,
            Coding::Hex => 4,
        }
    }

    /// Letters after which bytes and letters begin together again.
    pub fn group(self) -> usize {
        match self {
            Coding::Base64 => 4,
            Coding::Base32 => 8,
            Coding::Hex => 2,
        }
    }

    /// Fewer letters hold no part of a secret.
    fn least(self) -> usize {
        match self {
            Coding::Base64 => 16,
            Coding::Base32 => 20,
            Coding::Hex => 24,
        }
    }

    fn letter(self, byte: u8) -> Letter {
        let value = |value: u8| Letter::Value(value.into());
        match (self, byte) {
            (Coding::Base64, b'A'..=b'Z') => value(byte - b'A'),
            (Coding::Base64, b'a'..=b'z') => value(byte - b'a' + 26),
            (Coding::Base64, b'0'..=b'9') => value(byte - b'0' + 52),
            (Coding::Base64, b'+' | b'-') => value(62),
            (Coding::Base64, b'/' | b'_') => value(63),
            (Coding::Base32, b'A'..=b'Z') => value(byte - b'A'),
            (Coding::Base32, b'a'..=b'z') => value(byte - b'a'),
            (Coding::Base32, b'2'..=b'7') => value(byte - b'2' + 26),
            (Coding::Hex, b'0'..=b'9') => value(byte - b'0'),
            (Coding::Hex, b'a'..=b'f') => value(byte - b'a' + 10),
            (Coding::Hex, b'A'..=b'F') => value(byte - b'A' + 10),
            (Coding::Hex, b'x' | b'X') => Letter::Retracts,
            (Coding::Hex, b' ' | b'\t' | b':' | b',' | b'-') => Letter::Skipped,
            (_, b'\r' | b'\n') => Letter::Skipped,
            _ => Letter::End,
        }
    }
}

/// The run that a stream is in.
#[derive(Debug)]
pub(super) struct Run {
    coding: Coding,
    /// The first letters, until there are enough of them.
    waiting: Vec<u32>,
    /// Letters read, of those that were enough.
    count: usize,
    bits: u32,
}

impl Run {
    pub fn new(coding: Coding) -> Run {
        Run { coding, waiting: Vec::new(), count: 0, bits: 0 }
    }

    pub fn name(&self) -> &'static str {
        self.coding.name()
    }

    /// Reads on. What comes of it is added to `read`, one for each place where a group could begin.
    pub fn feed(&mut self, bytes: impl Iterator<Item = u8>, read: &mut [Vec<u8>]) {
        for byte in bytes {
            match self.coding.letter(byte) {
                Letter::Value(value) if self.count > 0 => self.take(value, read),
                Letter::Value(value) => self.wait(value, read),
                Letter::Skipped => {}
                Letter::Retracts => self.retract(),
                Letter::End => self.end(read),
            }
        }
    }

    fn wait(&mut self, value: u32, read: &mut [Vec<u8>]) {
        self.waiting.push(value);
        if self.waiting.len() == self.coding.least() {
            for value in std::mem::take(&mut self.waiting) {
                self.take(value, read);
            }
        }
    }

    fn take(&mut self, value: u32, read: &mut [Vec<u8>]) {
        let (width, group) = (self.coding.bits(), self.coding.group());
        self.bits = self.bits << width | value;
        for (begin, read) in read.iter_mut().enumerate().take(self.count + 1) {
            // Letters of this reading so far, with this one: in the last group, and the bits over.
            let letters = (self.count - begin) % group + 1;
            let over = letters as u32 * width % 8;
            if over < width && letters as u32 * width >= 8 {
                read.push((self.bits >> over) as u8);
            }
        }
        self.count += 1;
    }

    fn retract(&mut self) {
        if self.waiting.last() == Some(&0) {
            self.waiting.pop();
        } else if self.count > 0 && self.bits & 0xf == 0 {
            // One letter less. The byte that it would have completed is not yet read, where it began one.
            self.bits >>= self.coding.bits();
            self.count -= 1;
        }
    }

    fn end(&mut self, read: &mut [Vec<u8>]) {
        if self.count > 0 {
            read.iter_mut().for_each(|read| read.push(BREAK));
        }
        self.waiting.clear();
        self.count = 0;
    }
}
