//! Reads what writes bytes as numbers: lists of decimal numbers, and base58.

/// Fewer numbers hold no part of a secret.
const LEAST: usize = 12;
/// Base58's letters (Bitcoin).
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// What a letter means; others mean more.
const VALUES: [u8; 256] = {
    let (mut values, mut at) = ([u8::MAX; 256], 0);
    while at < ALPHABET.len() {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values
};
/// Letters of base58 that hold a part, and more than anybody writes in a row: each costs as much as all before it.
const LETTERS_LEAST: usize = 16;
const LETTERS_MAX: usize = 1024;

/// A list of decimal numbers: `[97, 98]`, `&#97;&#98;`, `97 98`.
#[derive(Debug, Default)]
pub(super) struct Decimal {
    number: Option<u32>,
    /// Numbers so far, and the first of them until there are enough.
    count: usize,
    waiting: Vec<u8>,
}

impl Decimal {
    pub fn feed(&mut self, bytes: impl Iterator<Item = u8>, read: &mut Vec<u8>) {
        for byte in bytes {
            match byte {
                b'0'..=b'9' => {
                    let number =
                        self.number.unwrap_or(0).saturating_mul(10).saturating_add((byte - b'0').into());
                    self.number = Some(number);
                }
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b';' | b'&' | b'#' | b'.' | b'-' | b':' | b'|'
                | b'/' => {
                    self.take(read);
                }
                _ => {
                    self.take(read);
                    self.end(read);
                }
            }
        }
    }

    fn take(&mut self, read: &mut Vec<u8>) {
        let Some(number) = self.number.take() else { return };
        let Ok(byte) = u8::try_from(number) else { return self.end(read) };
        self.count += 1;
        self.waiting.push(byte);
        if self.count >= LEAST {
            read.append(&mut self.waiting);
        }
    }

    fn end(&mut self, read: &mut Vec<u8>) {
        if self.count >= LEAST {
            read.push(super::decode::BREAK);
        }
        self.count = 0;
        self.waiting.clear();
    }
}

/// A run of letters of base58, as the number that it is: least significant part first.
#[derive(Debug, Default)]
pub(super) struct Base58 {
    number: Vec<u32>,
    letters: usize,
}

impl Base58 {
    /// Reads on; gives what each run means that ended, or that the bytes end in.
    pub fn feed(&mut self, bytes: impl Iterator<Item = u8>, read: &mut Vec<u8>) {
        let mut grown = false;
        for byte in bytes {
            match VALUES[usize::from(byte)] {
                value @ 0..58 => self.letter(value.into()),
                _ => {
                    self.tell(read);
                    (self.letters, grown) = (0, false);
                    self.number.clear();
                    continue;
                }
            }
            grown = true;
        }
        if grown {
            self.tell(read);
        }
    }

    fn letter(&mut self, value: u64) {
        self.letters += 1;
        if self.letters > LETTERS_MAX {
            return;
        }
        let mut carry = value;
        for part in &mut self.number {
            carry += u64::from(*part) * 58;
            *part = carry as u32;
            carry >>= 32;
        }
        self.number.extend((carry > 0).then_some(carry as u32));
    }

    fn tell(&self, read: &mut Vec<u8>) {
        if (LETTERS_LEAST..=LETTERS_MAX).contains(&self.letters) {
            read.extend(self.number.iter().rev().flat_map(|part| part.to_be_bytes()));
            read.push(super::decode::BREAK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bytes_where_there_are_many_of_them() {
        let check = |text: &str, expected: &[u8]| {
            let mut read = Vec::new();
            Decimal::default().feed(text.bytes().chain([b'!']), &mut read);
            assert_eq!(read, expected, "{text}");
        };
        check("[97, 98,99,100,101,102,103,104,105,106,107,108]", b"abcdefghijkl\x01");
        check("97 98 99", b"");
        check("97 98 99 1000 97 97 97 97 97 97 97 97 97", b"");
    }

    #[test]
    fn a_run_of_base58_is_one_number() {
        let check = |text: &str, expected: &[u8]| {
            let mut read = Vec::new();
            Base58::default().feed(text.bytes(), &mut read);
            let start = read.iter().position(|byte| *byte != 0).unwrap_or(0);
            assert_eq!(&read[start..], expected, "{text}");
        };
        // The draft of base58 (draft-msporny-base58), 5.
        check("/2NEpo7TZRRrLZSi2U/", b"Hello World!\x01");
        check("2NEpo7TZRRrLZSi2U", b"Hello World!\x01");
        check("2NEpo7T", b"");
        check(&"2".repeat(LETTERS_MAX + 1), b"");
    }
}
