//! How numbers, texts and lists stand in the messages and the order: lengths first, numbers little-endian.
//!
//! Reading is total. The process that reads and those that write are of the same program, but the writers
//! speak for a hostile image.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// No text within a message is longer; longer ones are cut before they are sent.
pub const TEXT_MAX: usize = 2 << 10;
/// No string within an order is longer.
pub const STRING_MAX: usize = 4 << 20;

/// Writes what [`Decoder`] reads.
#[derive(Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    pub fn done(self) -> Vec<u8> {
        self.0
    }

    pub fn byte(&mut self, byte: u8) -> &mut Encoder {
        self.0.push(byte);
        self
    }

    pub fn number(&mut self, number: u64) -> &mut Encoder {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Encoder {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// A text, cut to [`TEXT_MAX`].
    pub fn cut(&mut self, bytes: &[u8]) -> &mut Encoder {
        self.bytes(&bytes[..bytes.len().min(TEXT_MAX)])
    }

    pub fn list<'a>(&mut self, list: impl ExactSizeIterator<Item = &'a [u8]>) -> &mut Encoder {
        self.number(list.len() as u64);
        for bytes in list {
            self.bytes(bytes);
        }
        self
    }
}

/// Reads what [`Encoder`] wrote; each read is `None` where the bytes do not hold it.
pub struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder(bytes)
    }

    /// Nothing is left to be read.
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    /// A number that may be absent.
    pub fn option(&mut self) -> Option<Option<u64>> {
        let there = self.byte()? != 0;
        let number = self.number()?;
        Some(there.then_some(number))
    }

    pub fn bytes(&mut self, bound: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= bound)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes(TEXT_MAX)?).into_owned())
    }

    pub fn os_string(&mut self) -> Option<OsString> {
        Some(OsString::from_vec(self.bytes(STRING_MAX)?.to_vec()))
    }

    pub fn string(&mut self) -> Option<String> {
        self.os_string()?.into_string().ok()
    }

    pub fn lists(&mut self) -> Option<Vec<Vec<OsString>>> {
        let count = self.number()?;
        (0..count).map(|_| self.list()).collect()
    }

    pub fn list(&mut self) -> Option<Vec<OsString>> {
        let count = self.number()?;
        (0..count).map(|_| self.os_string()).collect()
    }
}
