//! One test of one field: compiled from a key, its modifiers and one value; total when it runs.
//!
//! Matching is case-sensitive and works on bytes. Regular expressions run in linear time and compile
//! within a bound ([`super::expression`]), so that no rule can hang a run.

use std::net::IpAddr;

use memchr::memmem;

use super::expression::Expression;
use super::field::{Field, Read};
use super::subject::Subject;

/// A field and what must be true of it. A field that is absent makes every check false, but
/// [`Check::Exists`].
#[derive(Clone, Debug)]
pub struct Test {
    pub field: &'static Field,
    pub check: Check,
}

#[derive(Clone, Debug)]
pub enum Check {
    Exists(bool),
    Text(Pattern),
    Number(Compare, u64),
    Flag(bool),
    Address(Network),
}

#[derive(Clone, Debug)]
pub enum Pattern {
    Equals(Box<[u8]>),
    Starts(Box<[u8]>),
    Ends(Box<[u8]>),
    Contains(Box<memmem::Finder<'static>>),
    Matches(Expression),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

impl Test {
    pub fn holds(&self, subject: Subject<'_>) -> bool {
        match (&self.check, &self.field.read) {
            (Check::Exists(wanted), _) => self.is_present(subject) == *wanted,
            (Check::Text(pattern), Read::Text(read)) => read(subject).is_some_and(|text| pattern.fits(text)),
            (Check::Text(pattern), Read::Made(read)) => read(subject).is_some_and(|text| pattern.fits(&text)),
            (Check::Text(pattern), Read::Texts(read)) => read(subject, &mut |text| pattern.fits(text)),
            (Check::Number(compare, wanted), Read::Number(read)) => {
                read(subject).is_some_and(|number| compare.fits(number, *wanted))
            }
            (Check::Flag(wanted), Read::Flag(read)) => read(subject) == Some(*wanted),
            (Check::Address(network), Read::Address(read)) => {
                read(subject).is_some_and(|address| network.contains(address))
            }
            _ => false,
        }
    }

    /// What asking it takes, in comparisons of a word.
    pub fn cost(&self) -> usize {
        let read = match self.field.read {
            Read::Number(_) | Read::Flag(_) | Read::Text(_) | Read::Address(_) => 1,
            Read::Texts(_) => 4,
            Read::Made(_) => 16,
        };
        let check = match &self.check {
            Check::Text(Pattern::Matches(_)) => 32,
            Check::Text(Pattern::Contains(_)) => 8,
            Check::Text(_) => 2,
            _ => 1,
        };
        read * check
    }

    fn is_present(&self, subject: Subject<'_>) -> bool {
        let mut present = false;
        self.field.show(subject, &mut |_| present = true);
        present
    }

    /// The value for which the test holds, as text.
    pub fn witness(&self, subject: Subject<'_>) -> Option<Vec<u8>> {
        let mut found = None;
        self.field.show(subject, &mut |value| {
            let fits = match &self.check {
                Check::Text(pattern) => pattern.fits(value),
                _ => true,
            };
            if fits && found.is_none() {
                found = Some(value.to_vec());
            }
        });
        found
    }
}

impl Pattern {
    pub fn contains(text: &[u8]) -> Pattern {
        Pattern::Contains(Box::new(memmem::Finder::new(text).into_owned()))
    }

    /// Reads a regular expression over bytes; `flags` are those of Sigma's `re`: i, m, s.
    pub fn regex(pattern: &str, flags: &[char]) -> Result<Pattern, regex::Error> {
        Expression::read(pattern, flags).map(Pattern::Matches)
    }

    pub fn fits(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Equals(wanted) => text == &**wanted,
            Pattern::Starts(wanted) => text.starts_with(wanted),
            Pattern::Ends(wanted) => text.ends_with(wanted),
            Pattern::Contains(finder) => finder.find(text).is_some(),
            Pattern::Matches(expression) => expression.is_match(text),
        }
    }
}

impl Compare {
    fn fits(self, number: u64, wanted: u64) -> bool {
        match self {
            Compare::Equal => number == wanted,
            Compare::Less => number < wanted,
            Compare::LessOrEqual => number <= wanted,
            Compare::Greater => number > wanted,
            Compare::GreaterOrEqual => number >= wanted,
        }
    }
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/PREFIX`; bits below the prefix must be zero.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let network = Network { address, prefix: prefix.unwrap_or(bits) };
        (network.prefix <= bits && network.first() == address).then_some(network)
    }

    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Network { address, prefix: self.prefix }.first() == self.address
    }

    fn first(self) -> IpAddr {
        let mask = |bits: u32| u128::MAX.checked_shl(bits - u32::from(self.prefix)).unwrap_or(0);
        match self.address {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & mask(32) as u32).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & mask(128)).into()),
        }
    }
}

/// A text value with Sigma's wildcards: `*` any bytes, `?` one byte; `\` takes the next wildcard or
/// backslash as it is. Open ends come from `contains`, `startswith` and `endswith`.
pub fn wildcard(text: &str, open_start: bool, open_end: bool) -> Result<Pattern, regex::Error> {
    let mut parts = pieces(text);
    if open_start {
        parts.insert(0, Piece::Any);
    }
    if open_end {
        parts.push(Piece::Any);
    }
    Ok(match parts.as_slice() {
        [] => Pattern::Equals(Box::default()),
        [Piece::Literal(text)] => Pattern::Equals(text.as_slice().into()),
        [Piece::Literal(text), Piece::Any] => Pattern::Starts(text.as_slice().into()),
        [Piece::Any, Piece::Literal(text)] => Pattern::Ends(text.as_slice().into()),
        [Piece::Any, Piece::Literal(text), Piece::Any] => Pattern::contains(text),
        parts => return Pattern::regex(&as_regex(parts), &['s']),
    })
}

enum Piece {
    Literal(Vec<u8>),
    /// `*`
    Any,
    /// `?`
    One,
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut parts: Vec<Piece> = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = byte == b'\\' && matches!(bytes.peek(), Some(b'*' | b'?' | b'\\'));
        match byte {
            b'*' => parts.push(Piece::Any),
            b'?' => parts.push(Piece::One),
            _ => {
                let byte = if escaped { bytes.next().unwrap_or(byte) } else { byte };
                match parts.last_mut() {
                    Some(Piece::Literal(literal)) => literal.push(byte),
                    _ => parts.push(Piece::Literal(vec![byte])),
                }
            }
        }
    }
    parts
}

fn as_regex(parts: &[Piece]) -> String {
    let mut pattern = String::from("^(?-u:");
    for part in parts {
        match part {
            Piece::Any => pattern.push_str(".*"),
            Piece::One => pattern.push('.'),
            Piece::Literal(text) => {
                text.iter().for_each(|byte| pattern.push_str(&format!("\\x{byte:02x}")));
            }
        }
    }
    pattern.push_str(")$");
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_sigmas() {
        let check = |pattern: &str, text: &[u8], expected: bool| {
            let fits = wildcard(pattern, false, false).unwrap().fits(text);
            assert_eq!(fits, expected, "{pattern} on {text:?}");
        };
        check("/tmp/*", b"/tmp/x", true);
        check("/tmp/*", b"/var/tmp/x", false);
        check("*.sh", b"a.sh", true);
        check("a?c", b"abc", true);
        check("a?c", b"a\xffc", true);
        check("a?c", b"ac", false);
        check("/home/*/.ssh/id_*", b"/home/eve/.ssh/id_rsa", true);
        check("/home/*/.ssh/id_*", b"/root/.ssh/id_rsa", false);
        check(r"a\*b", b"a*b", true);
        check(r"a\*b", b"axb", false);
        check(r"C:\x", br"C:\x", true);
        check(r"a\\*", br"a\b", true);
        check("a*b", b"a\nb", true);
        check("A", b"a", false);
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let check = |network: &str, address: &str, expected: bool| {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("0.0.0.0/0", "11.0.0.1", true);
        check("0.0.0.0/0", "::1", false);
        check("169.254.169.254", "169.254.169.254", true);
        check("fd00::/8", "fd12::1", true);
        check("::/0", "fd12::1", true);
        for wrong in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "x"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
