//! From blob to tar stream: read, digest, decompress, digest, with the bounds in between.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use super::super::digest::{Digest, Sum};
use super::super::{Compression, Limits};
use super::{Bounds, Job, Refusal};

const PROGRESS_EVERY: u64 = 4 << 20;

/// zstd's own default bound for streams (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`): 128 MiB of window.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The decompressed stream of a blob, bounded and digested.
pub struct Stream {
    decoder: Box<dyn Read>,
    blob: Shared,
    read: Rc<Cell<u64>>,
    sum: Sum,
    bounds: Bounds,
}

impl Stream {
    pub fn open(file: File, job: &Job, progress: impl FnMut(u64) + 'static) -> io::Result<Stream> {
        let read = Rc::new(Cell::new(0));
        let blob = Shared(Rc::new(RefCell::new(Blob {
            file,
            offset: job.offset,
            left: job.size,
            sum: Sum::default(),
            read: read.clone(),
            failed: None,
            progress: Box::new(progress),
            shown: 0,
        })));
        let buffered = BufReader::with_capacity(128 * 1024, blob.clone());
        let decoder: Box<dyn Read> = match job.compression {
            Compression::None => Box::new(blob.clone()),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        };
        Ok(Stream { decoder, blob, read, sum: Sum::default(), bounds: job.bounds })
    }

    /// Reads what is left and says what both sides digest to: (blob, stream).
    pub fn finish(&mut self) -> io::Result<(Digest, Digest, u64)> {
        io::copy(self, &mut io::sink())?;
        io::copy(&mut self.blob, &mut io::sink())?;
        let blob = self.blob.0.borrow().sum.digest();
        Ok((blob, self.sum.digest(), self.sum.bytes()))
    }

    /// Gives up on the stream, but still says what the blob digests to.
    pub fn abandon(&mut self) -> Option<Digest> {
        io::copy(&mut self.blob, &mut io::sink()).ok()?;
        Some(self.blob.0.borrow().sum.digest())
    }

    /// Whose fault an error of this stream is.
    pub fn refusal(&self, error: &io::Error) -> Refusal {
        if let Some(errno) = self.blob.0.borrow().failed {
            return Refusal::Host { what: "read the blob".to_owned(), errno };
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Bomb>()) {
            Some(Bomb(rule)) => Refusal::Bomb { rule: rule.clone() },
            None => Refusal::Stream { reason: error.to_string() },
        }
    }

    fn bomb(&self) -> Option<String> {
        let (bytes, read) = (self.sum.bytes(), self.read.get().max(1));
        if bytes > self.bounds.bytes {
            return Some(format!(
                "it unpacks to more than the {} bytes left to the image",
                self.bounds.bytes
            ));
        }
        (bytes > Limits::RATIO_FROM && bytes / read > self.bounds.ratio)
            .then(|| format!("it unpacks to more than {} times its size", self.bounds.ratio))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.decoder.read(buffer)?;
        self.sum.update(&buffer[..got]);
        match self.bomb() {
            Some(rule) => Err(io::Error::other(Bomb(rule))),
            None => Ok(got),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Bomb(String);

#[derive(Clone)]
struct Shared(Rc<RefCell<Blob>>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

struct Blob {
    file: File,
    offset: Option<u64>,
    left: u64,
    sum: Sum,
    read: Rc<Cell<u64>>,
    /// The errno of a failed read, which is the host's fault, unlike all else in a stream.
    failed: Option<i32>,
    progress: Box<dyn FnMut(u64)>,
    shown: u64,
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..want];
        let result = match self.offset {
            Some(offset) => self.file.read_at(buffer, offset + self.sum.bytes()),
            None => self.file.read(buffer),
        };
        let got = result.inspect_err(|error| self.failed = error.raw_os_error())?;
        self.sum.update(&buffer[..got]);
        self.left -= got as u64;
        self.read.set(self.sum.bytes());
        if self.sum.bytes() - self.shown >= PROGRESS_EVERY {
            self.shown = self.sum.bytes();
            (self.progress)(self.shown);
        }
        Ok(got)
    }
}
