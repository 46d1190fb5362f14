//! An OCI layout inside a tar file, read where it lies: the members' places are noted once, and
//! nothing is extracted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::ImageError;
use super::tar::{Entries, Kind, TarError};

const MEMBERS_MAX: usize = 100_000;
const NAME_MAX: usize = 512;

/// The regular members of a tar file: where each one's bytes are.
#[derive(Debug)]
pub struct Archive {
    pub file: File,
    members: BTreeMap<Vec<u8>, Member>,
    /// Symbolic links, as they stand.
    links: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub offset: u64,
    pub size: u64,
}

impl Archive {
    /// Reads the headers only. `path` is for the errors.
    pub fn index(file: File, path: &Path) -> Result<Archive, ImageError> {
        let object = format!("archive {path:?}");
        let (mut members, mut links) = (BTreeMap::new(), BTreeMap::new());
        let clone = file.try_clone().map_err(ImageError::io(format!("read {object}")))?;
        let length = file.metadata().map_err(ImageError::io(format!("look at {object}")))?.len();
        let mut tar = Entries::new(Skipping::new(clone)?, NAME_MAX);
        while let Some(entry) = tar.advance().map_err(|error| broken(&object, error))? {
            if entry.kind == Kind::Symlink && links.len() < MEMBERS_MAX {
                let name = entry.path.strip_prefix(b"./").unwrap_or(&entry.path).to_vec();
                links.insert(name, entry.link);
                continue;
            }
            if entry.kind != Kind::File {
                continue;
            }
            let member = Member { offset: tar.get_mut().position, size: entry.size };
            if member.offset.checked_add(member.size).is_none_or(|end| end > length) {
                return Err(ImageError::rule(object, "it ends within a member"));
            }
            let name = entry.path.strip_prefix(b"./").unwrap_or(&entry.path).to_vec();
            let shown = String::from_utf8_lossy(&name).into_owned();
            // Readers differ in which of two they take.
            if members.insert(name, member).is_some() {
                return Err(ImageError::rule(object, format!("it has the member {shown:?} twice")));
            }
            if members.len() > MEMBERS_MAX {
                return Err(ImageError::rule(object, format!("it has more than {MEMBERS_MAX} members")));
            }
            tar.skip_data().map_err(|error| broken(&object, error))?;
        }
        Ok(Archive { file, members, links })
    }

    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    pub fn member(&self, name: &str) -> Option<Member> {
        self.members.get(name.as_bytes()).copied()
    }

    /// The member behind a link of one form only, in which `docker save` writes a layer that comes twice:
    /// `A/layer.tar` → `../B/layer.tar`.
    pub fn linked(&self, name: &str) -> Option<Member> {
        let target = self.links.get(name.as_bytes())?.strip_prefix(b"../")?;
        let directory = target.strip_suffix(b"/layer.tar")?;
        let plain = directory.iter().all(u8::is_ascii_alphanumeric) && name.ends_with("/layer.tar");
        plain.then(|| self.members.get(target).copied())?
    }
}

fn broken(object: &str, error: TarError) -> ImageError {
    match error {
        TarError::Io(source) => ImageError::Io { what: format!("read {object}"), source },
        TarError::Malformed(rule) => ImageError::rule(object, rule),
    }
}

/// A buffered file that knows where it is and can jump.
pub struct Skipping {
    reader: BufReader<File>,
    position: u64,
}

impl Skipping {
    fn new(mut file: File) -> Result<Skipping, ImageError> {
        file.seek(SeekFrom::Start(0)).map_err(ImageError::io("rewind the archive"))?;
        Ok(Skipping { reader: BufReader::with_capacity(4096, file), position: 0 })
    }
}

impl Read for Skipping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.reader.read(buffer)?;
        self.position += got as u64;
        Ok(got)
    }
}

impl Entries<Skipping> {
    /// Jumps over the current member's data instead of reading it.
    fn skip_data(&mut self) -> Result<(), TarError> {
        let rest = self.forget_data();
        let distance = i64::try_from(rest).map_err(|_| TarError::Malformed("a member is too large"))?;
        self.get_mut().reader.seek_relative(distance)?;
        self.get_mut().position += rest;
        Ok(())
    }
}
