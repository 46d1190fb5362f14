//! Where an image's bytes come from: the blobs of a layout or archive, opened with suspicion.
//!
//! A blob is opened without following any link, must be a regular file (a FIFO must not hang us, a
//! device must not be read), and must have the size that its descriptor says. Its digest is checked
//! by whoever reads it: [`Blob::bytes`] does, and the unpacker does while it unpacks.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::archive::Archive;
use super::{Digest, ImageError};
use crate::sys::open;

/// An OCI image layout.
#[derive(Debug)]
pub enum Store {
    Directory(File),
    Archive(Archive),
}

impl Store {
    pub fn directory(path: &Path) -> Result<Store, ImageError> {
        open::directory(path).map(Store::Directory).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                ImageError::NotFound { path: path.to_owned() }
            }
            _ => ImageError::Io { what: format!("open {path:?}"), source },
        })
    }

    /// A file of the layout that is no blob; `None` where there is none.
    pub fn file(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(part) = self.part(name)? else { return Ok(None) };
        part.read(name, max).map(Some)
    }

    /// A blob, found and of the right size, not yet read.
    pub fn blob(&self, digest: Digest, size: u64, object: &str) -> Result<Blob, ImageError> {
        let name = format!("blobs/sha256/{}", digest.hex());
        let part = self.part(&name)?.ok_or(ImageError::MissingBlob { digest })?;
        if part.size != size {
            return Err(ImageError::Size { object: object.to_owned(), expected: size, actual: part.size });
        }
        Ok(Blob { digest, part })
    }

    fn part(&self, name: &str) -> Result<Option<Part>, ImageError> {
        match self {
            Store::Archive(archive) => {
                let Some(member) = archive.member(name) else { return Ok(None) };
                let file = archive.file.try_clone().map_err(ImageError::io(format!("open {name}")))?;
                Ok(Some(Part { file, offset: member.offset, size: member.size }))
            }
            Store::Directory(directory) => {
                let file = match open::regular_beneath(directory, Path::new(name)) {
                    Ok(file) => file,
                    Err(open::OpenError::Missing) => return Ok(None),
                    Err(open::OpenError::NotRegular) => {
                        return Err(ImageError::NotRegular { object: name.to_owned() });
                    }
                    Err(open::OpenError::Io(source)) => {
                        return Err(ImageError::Io { what: format!("open {name}"), source });
                    }
                };
                let size = file.metadata().map_err(ImageError::io(format!("look at {name}")))?.len();
                Ok(Some(Part { file, offset: 0, size }))
            }
        }
    }
}

/// A blob that was found; its content is not yet trusted.
#[derive(Debug)]
pub struct Blob {
    pub digest: Digest,
    pub part: Part,
}

impl Blob {
    /// The whole content, checked against the digest.
    pub fn bytes(&self, object: &str, max: u64) -> Result<Vec<u8>, ImageError> {
        let bytes = self.part.read(object, max)?;
        self.agree(Digest::of(&bytes), object)?;
        Ok(bytes)
    }

    /// Reads it all, to see whether it still is what its digest says.
    pub fn verify(&self, object: &str) -> Result<(), ImageError> {
        let read = Digest::of_reader(self.part.reader());
        let (actual, _) = read.map_err(ImageError::io(format!("read {object}")))?;
        self.agree(actual, object)
    }

    fn agree(&self, actual: Digest, object: &str) -> Result<(), ImageError> {
        match actual == self.digest {
            true => Ok(()),
            false => Err(ImageError::Digest { object: object.to_owned(), expected: self.digest, actual }),
        }
    }
}

/// A stretch of a regular file.
#[derive(Debug)]
pub struct Part {
    pub file: File,
    pub offset: u64,
    pub size: u64,
}

impl Part {
    pub fn reader(&self) -> PartReader<'_> {
        PartReader { file: &self.file, offset: self.offset, left: self.size }
    }

    /// The whole content, within a bound; not checked.
    pub fn read(&self, object: &str, max: u64) -> Result<Vec<u8>, ImageError> {
        if self.size > max {
            let rule = format!("it has {} bytes, more than {max}", self.size);
            return Err(ImageError::rule(object, rule));
        }
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes).map_err(ImageError::io(format!("read {object}")))?;
        Ok(bytes)
    }
}

/// Reads a [`Part`] without moving the file's own position, which other descriptors share.
pub struct PartReader<'a> {
    pub file: &'a File,
    pub offset: u64,
    pub left: u64,
}

impl Read for PartReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = self.file.read_at(&mut buffer[..want], self.offset)?;
        self.offset += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}
