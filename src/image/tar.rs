//! Reads tar streams entry by entry: ustar, GNU long names, PAX extended headers.
//!
//! Written for streams that lie: every length is bounded before memory is taken for it, a number is
//! parsed whole or refused, and what two readers might understand differently (sparse files, unknown
//! kinds) is refused. It follows Go's archive/tar where formats leave a choice, because that is what
//! container engines read layers with.
//!
//! Not here: what a name may be ([`super::unpack`]).

use std::io::{self, Read};

const BLOCK: usize = 512;

/// A PAX header may hold attributes as well as names.
const PAX_MAX: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum TarError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Malformed(&'static str),
}

use TarError::Malformed;

/// A member, without its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: Kind,
    /// Permission bits with set-id and sticky.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    pub size: u64,
    /// From `SCHILY.xattr.*`, in their order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    File,
    HardLink,
    Symlink,
    Directory,
    Fifo,
    Device,
}

/// The members of a tar stream. Reading from it reads the data of the current member.
pub struct Entries<R> {
    reader: R,
    /// Data of the current member not yet read.
    left: u64,
    /// Zeros after that, up to the next block.
    padding: u64,
    path_max: u64,
}

impl<R: Read> Entries<R> {
    pub fn new(reader: R, path_max: usize) -> Entries<R> {
        Entries { reader, left: 0, padding: 0, path_max: path_max as u64 }
    }

    pub fn into_inner(self) -> R {
        self.reader
    }

    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Counts the current member's data and padding as read; returns how many bytes they are.
    pub fn forget_data(&mut self) -> u64 {
        let rest = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        rest
    }

    /// The next member; `None` at the end of the archive. Skips what was not read of the last one.
    pub fn advance(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return match extensions.any {
                    true => Err(Malformed("an extended header describes no entry")),
                    false => Ok(None),
                };
            };
            let size = number(&header[124..136])?;
            match header[156] {
                b'L' => extensions.path = Some(self.long(size)?),
                b'K' => extensions.link = Some(self.long(size)?),
                b'x' => extensions.pax(&self.extension(size, PAX_MAX)?)?,
                // Global headers carry comments (git archive); engines do not apply them.
                b'g' => drop(self.extension(size, PAX_MAX)?),
                kind => return self.entry(&header, kind, size, extensions).map(Some),
            }
            extensions.any |= header[156] != b'g';
        }
    }

    fn entry(
        &mut self,
        header: &[u8; BLOCK],
        kind: u8,
        size: u64,
        extensions: Extensions,
    ) -> Result<Entry, TarError> {
        let path = extensions.pax_path.or(extensions.path).unwrap_or_else(|| name(header));
        let kind = match kind {
            0 if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' | b'4' => Kind::Device,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' => return Err(Malformed("sparse files are not supported")),
            _ => return Err(Malformed("the entry's kind is unknown")),
        };
        let size = if kind == Kind::File { extensions.size.unwrap_or(size) } else { 0 };
        if size > i64::MAX as u64 {
            return Err(Malformed("an entry is larger than any file can be"));
        }
        (self.left, self.padding) = (size, padding(size));
        Ok(Entry {
            path,
            link: extensions.pax_link.or(extensions.link).unwrap_or_else(|| text(&header[157..257])),
            kind,
            mode: (number(&header[100..108])? & 0o7777) as u32,
            uid: extensions.uid.map_or_else(|| number(&header[108..116]), Ok)?,
            gid: extensions.gid.map_or_else(|| number(&header[116..124]), Ok)?,
            mtime: extensions.mtime.map_or_else(|| signed(&header[136..148]).map(|s| (s, 0)), Ok)?,
            size,
            xattrs: extensions.xattrs,
        })
    }

    /// The next header block; `None` at the end mark, or where the stream ends between members.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        if !self.block(&mut block)? {
            return Ok(None);
        }
        if block.iter().all(|&byte| byte == 0) {
            if self.block(&mut block)? && block.iter().any(|&byte| byte != 0) {
                return Err(Malformed("an entry follows the first half of the end mark"));
            }
            return Ok(None);
        }
        let sum = |signed: bool| -> i64 {
            let value = |byte: u8| if signed { i64::from(byte as i8) } else { i64::from(byte) };
            let field = 148..156;
            block.iter().enumerate().map(|(i, &b)| if field.contains(&i) { 32 } else { value(b) }).sum()
        };
        let stored = signed(&block[148..156]);
        // Old tars summed signed characters; both are in use.
        if !stored.is_ok_and(|stored| stored == sum(false) || stored == sum(true)) {
            return Err(Malformed("the checksum of a header is wrong"));
        }
        Ok(Some(block))
    }

    /// False where the stream ended before the block's first byte.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, TarError> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Malformed("the stream ends within a header")),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let rest = self.left + self.padding;
        let skipped = io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink())?;
        // Some writers leave out the last member's padding.
        if skipped < self.left {
            return Err(Malformed("the stream ends within an entry"));
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn extension(&mut self, size: u64, max: u64) -> Result<Vec<u8>, TarError> {
        if size > max {
            return Err(Malformed("an extended header is longer than the limit"));
        }
        (self.left, self.padding) = (size, padding(size));
        let mut data = Vec::new();
        self.by_ref().take(size).read_to_end(&mut data)?;
        match data.len() as u64 == size {
            true => Ok(data),
            false => Err(Malformed("the stream ends within an extended header")),
        }
    }

    fn long(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        Ok(text(&self.extension(size, self.path_max + 1)?))
    }
}

impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let got = self.reader.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ends within an entry"));
        }
        self.left -= got as u64;
        Ok(got)
    }
}

/// What the headers before an entry say about it. PAX goes before GNU.
#[derive(Default)]
struct Extensions {
    any: bool,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax_path: Option<Vec<u8>>,
    pax_link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extensions {
    /// Records of `LENGTH KEY=VALUE\n`; the length counts itself.
    fn pax(&mut self, mut data: &[u8]) -> Result<(), TarError> {
        let bad = || Malformed("a record of an extended header is malformed");
        while !data.is_empty() {
            let space = data.iter().take(20).position(|&byte| byte == b' ').ok_or_else(bad)?;
            let length = decimal(&data[..space]).ok_or_else(bad)? as usize;
            let record = data.get(space + 1..length).ok_or_else(bad)?;
            let record = record.strip_suffix(b"\n").ok_or_else(bad)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(bad)?;
            self.record(&record[..equals], &record[equals + 1..])?;
            data = &data[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let integer = || decimal(value).ok_or(Malformed("a number of an extended header is malformed"));
        // An empty value takes an earlier one back (POSIX pax).
        let set = !value.is_empty();
        match key {
            b"path" => self.pax_path = set.then(|| value.to_vec()),
            b"linkpath" => self.pax_link = set.then(|| value.to_vec()),
            b"size" => self.size = if set { Some(integer()?) } else { None },
            b"uid" => self.uid = if set { Some(integer()?) } else { None },
            b"gid" => self.gid = if set { Some(integer()?) } else { None },
            b"mtime" => self.mtime = if set { Some(timestamp(value)?) } else { None },
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(Malformed("sparse files are not supported"));
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.retain(|(known, _)| known != name);
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// Up to the first NUL.
fn text(field: &[u8]) -> Vec<u8> {
    field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}

/// Name and, in POSIX ustar only, the prefix before it: GNU keeps other things in that place.
fn name(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&header[..100]);
    let prefix = if &header[257..263] == b"ustar\0" { text(&header[345..500]) } else { Vec::new() };
    match prefix.is_empty() {
        true => name,
        false => [&prefix[..], b"/", &name[..]].concat(),
    }
}

fn number(field: &[u8]) -> Result<u64, TarError> {
    u64::try_from(signed(field)?).map_err(|_| Malformed("a number of a header is negative"))
}

/// Octal digits, or GNU's base 256 where the first bit is set (two's complement after that bit).
fn signed(field: &[u8]) -> Result<i64, TarError> {
    let bad = Malformed("a number of a header is malformed");
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let first = i64::from(field[0] & 0x3f) - if negative { 0x40 } else { 0 };
        let join = |value: i64, &byte: &u8| value.checked_mul(256)?.checked_add(i64::from(byte));
        return field[1..].iter().try_fold(first, join).ok_or(bad);
    }
    let digits = text(field);
    let digits = digits.trim_ascii();
    let join = |value: i64, &byte: &u8| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    };
    digits.iter().try_fold(0, join).ok_or(bad)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let join = |value: u64, &byte: &u8| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    };
    (!digits.is_empty()).then(|| digits.iter().try_fold(0, join)).flatten()
}

/// `[-]SECONDS[.FRACTION]`, to the nanosecond.
fn timestamp(value: &[u8]) -> Result<(i64, u32), TarError> {
    let parse = || {
        let (negative, value) = value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest));
        let mut parts = value.splitn(2, |&byte| byte == b'.');
        let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
        let fraction = parts.next().unwrap_or(b"0");
        let digits: Vec<u8> = fraction.iter().copied().chain([b'0'; 9]).take(9).collect();
        let nanoseconds = u32::try_from(decimal(&digits)?).ok()?;
        Some(match (negative, nanoseconds) {
            (false, nanoseconds) => (seconds, nanoseconds),
            (true, 0) => (-seconds, 0),
            (true, nanoseconds) => (-seconds - 1, 1_000_000_000 - nanoseconds),
        })
    };
    parse().ok_or(Malformed("a time of an extended header is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
        let mut entries = Entries::new(bytes, 4095);
        let mut all = Vec::new();
        while let Some(entry) = entries.advance().map_err(|error| error.to_string())? {
            all.push(entry);
        }
        Ok(all)
    }

    fn written(build: impl Fn(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        builder.into_inner().unwrap()
    }

    fn file(size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(size);
        header.set_mode(0o4755);
        header.set_uid(1000);
        header.set_mtime(77);
        header
    }

    #[test]
    fn names_numbers_and_attributes_come_back() {
        let long = "d/".repeat(150) + "f";
        let bytes = written(|tar| {
            tar.append_data(&mut file(3), "a", &b"abc"[..]).unwrap();
            tar.append_data(&mut file(0), &long, &b""[..]).unwrap();
            let pax = [
                ("path", &b"p\xff"[..]),
                ("mtime", b"-1.5"),
                ("uid", b"70000"),
                ("SCHILY.xattr.user.x", b"1\n2"),
            ];
            tar.append_pax_extensions(pax).unwrap();
            tar.append_data(&mut file(0), "ignored", &b""[..]).unwrap();
        });
        let entries = read(&bytes).unwrap();
        let first = &entries[0];
        assert_eq!((&first.path[..], first.size, first.mode), (&b"a"[..], 3, 0o4755));
        assert_eq!((first.uid, first.mtime), (1000, (77, 0)));
        assert_eq!(entries[1].path, long.as_bytes());
        assert_eq!(entries[2].path, b"p\xff");
        assert_eq!((entries[2].uid, entries[2].mtime), (70000, (-2, 500_000_000)));
        assert_eq!(entries[2].xattrs, [(b"user.x".to_vec(), b"1\n2".to_vec())]);
    }

    #[test]
    fn what_is_malformed_is_refused_with_the_rule() {
        let check = |bytes: &[u8], rule: &str| {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(rule), "{error} instead of {rule}");
        };
        let good = written(|tar| tar.append_data(&mut file(600), "a", &[7; 600][..]).unwrap());
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        check(&changed(0, b'b'), "checksum");
        check(&changed(150, b'9'), "checksum");
        check(&good[..300], "within a header");
        check(&good[..900], "within an entry");
        let pax = |key: &str, value: &[u8]| {
            written(|tar| {
                tar.append_pax_extensions([(key, value)]).unwrap();
                tar.append_data(&mut file(0), "a", &b""[..]).unwrap();
            })
        };
        check(&pax("GNU.sparse.major", b"1"), "sparse");
        check(&pax("size", b"-1"), "number");
        check(&pax("mtime", b"x"), "time");
        check(&pax("comment", &vec![b'x'; 2 << 20]), "longer than the limit");
        check(&written(|tar| tar.append_data(&mut file(0), "n".repeat(5000), &b""[..]).unwrap()), "longer");
        check(&written(|tar| tar.append_pax_extensions([("path", &b"a"[..])]).unwrap()), "no entry");
    }

    #[test]
    fn an_empty_stream_is_an_empty_archive() {
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(read(&[0; 1024]), Ok(vec![]));
        assert_eq!(read(&[0; 10240]), Ok(vec![]));
    }

    #[test]
    fn base_256_numbers_are_read_with_their_sign() {
        assert_eq!(signed(&[0x80, 0, 0, 0, 0, 0, 1, 0]).unwrap(), 256);
        assert_eq!(signed(&[0xff; 12]).unwrap(), -1);
        assert!(signed(&[0xbf; 12]).is_err());
    }

    #[test]
    fn no_change_of_any_byte_makes_it_panic_or_run_on() {
        let bytes = written(|tar| {
            tar.append_pax_extensions([("path", &b"p"[..]), ("SCHILY.xattr.user.x", b"1")]).unwrap();
            tar.append_data(&mut file(5), "n/".repeat(80), &b"abcde"[..]).unwrap();
        });
        for at in 0..bytes.len() {
            for value in [0, b'7', 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                // A header's checksum would hide most changes of a header: mend it.
                let start = at / BLOCK * BLOCK;
                let header = &mut changed[start..start + BLOCK];
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                let entries = read(&changed).unwrap_or_default();
                assert!(entries.len() <= bytes.len() / BLOCK);
            }
        }
    }
}
