//! What the image prints: kept up to a bound, drained for ever, so that it never blocks on us.

use std::fs::File;
use std::io::{self, Read, Write};

/// How much one reading takes, so that a flood of output cannot starve the probes.
const TURN: usize = 256 * 1024;

/// One of standard output and error.
#[derive(Debug)]
pub struct Output<R> {
    source: R,
    kept: File,
    bound: u64,
    seen: u64,
    open: bool,
}

/// What a turn of reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing more for now.
    Dry,
    /// There may be more.
    More,
    /// Every writer is gone.
    Closed,
}

impl<R: Read> Output<R> {
    /// `source` must not block. At most `bound` bytes are written to `kept`.
    pub fn new(source: R, kept: File, bound: u64) -> Output<R> {
        Output { source, kept, bound, seen: 0, open: true }
    }

    pub fn source(&self) -> &R {
        &self.source
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// More was printed than kept.
    pub fn is_cut(&self) -> bool {
        self.seen > self.bound
    }

    /// Takes what is there, up to a bound for one turn.
    pub fn drain(&mut self) -> io::Result<Turn> {
        let mut buffer = [0; 64 * 1024];
        let mut taken = 0;
        while taken < TURN {
            match self.source.read(&mut buffer) {
                Ok(0) => {
                    self.open = false;
                    return Ok(Turn::Closed);
                }
                Ok(read) => {
                    taken += read;
                    self.keep(&buffer[..read])?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Dry),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Turn::More)
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.bound.saturating_sub(self.seen);
        self.seen += bytes.len() as u64;
        let kept = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.kept.write_all(&bytes[..kept])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain_all(input: &[u8], bound: u64) -> (Vec<u8>, bool) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("stdout");
        let mut output = Output::new(input, File::create(&path).expect("a file"), bound);
        while output.drain().expect("a turn") != Turn::Closed {}
        (std::fs::read(&path).expect("what was kept"), output.is_cut())
    }

    #[test]
    fn output_is_kept_up_to_its_bound_and_read_to_its_end() {
        let check = |length: usize, bound: u64, kept: usize, cut: bool| {
            let input = vec![b'x'; length];
            assert_eq!(drain_all(&input, bound), (vec![b'x'; kept], cut), "{length} bytes, bound {bound}");
        };
        check(0, 10, 0, false);
        check(10, 10, 10, false);
        check(11, 10, 10, true);
        check(3 * TURN, 10, 10, true);
    }
}
