//! Lines out of pieces, bounded.

/// Of a line, so many bytes are kept; the rest is counted.
const LINE_MAX: usize = 8 << 10;

/// The line that is not complete yet.
#[derive(Debug)]
pub struct Lines {
    kept: Vec<u8>,
    size: u64,
}

/// A complete line.
#[derive(Debug, PartialEq)]
pub struct Line {
    /// Its first part, without the end.
    pub text: Vec<u8>,
    /// Bytes of the whole, with the end.
    pub size: u64,
}

impl Lines {
    pub const fn new() -> Lines {
        Lines { kept: Vec::new(), size: 0 }
    }

    /// Takes what came up to the end of a line; `None`: all was taken, and the line goes on.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Line> {
        let end = memchr::memchr(b'\n', bytes);
        let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        *bytes = rest;
        let room = LINE_MAX - self.kept.len();
        self.kept.extend(&piece[..piece.len().min(room)]);
        self.size = self.size.saturating_add(piece.len() as u64);
        end.map(|_| {
            let mut text = std::mem::take(&mut self.kept);
            while text.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                text.pop();
            }
            Line { text, size: std::mem::take(&mut self.size) }
        })
    }

    /// All lines that are complete now and hold something.
    pub fn take(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(line) = self.next(&mut bytes) {
            lines.extend(Some(line).filter(|line| !line.text.is_empty()));
        }
        lines
    }
}

impl Line {
    /// The first word in upper case, and what follows it.
    pub fn verb(&self) -> (Vec<u8>, &[u8]) {
        let (verb, rest) = split(&self.text);
        (verb.to_ascii_uppercase(), rest)
    }
}

/// The first word, and what follows the space.
pub fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(at) => (&text[..at], text[at + 1..].trim_ascii()),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let text = b"one\r\ntwo\n\nthree";
        for cut in 0..text.len() {
            let mut lines = Lines::new();
            let mut found = lines.take(&text[..cut]);
            found.extend(lines.take(&text[cut..]));
            let texts: Vec<&[u8]> = found.iter().map(|line| line.text.as_slice()).collect();
            assert_eq!(texts, [&b"one"[..], b"two"], "cut at {cut}");
            assert_eq!(found[0].size, 5);
        }
    }

    #[test]
    fn a_long_line_is_counted_and_not_kept() {
        let mut lines = Lines::new();
        for _ in 0..100 {
            assert!(lines.take(&[b'x'; 1000]).is_empty());
        }
        assert!(lines.kept.len() <= LINE_MAX);
        let found = lines.take(b"\nnext\n");
        assert_eq!((found[0].size, found[0].text.len()), (100_001, LINE_MAX));
        assert_eq!(found[1], Line { text: b"next".to_vec(), size: 5 });
    }
}
