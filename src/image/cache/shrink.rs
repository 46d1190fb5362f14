//! Takes layers out of the cache that nobody uses, the longest unused first.
//!
//! An entry goes only under both of its locks: nobody makes it, and no run has it. A layer's parents
//! were used at least as lately as it was ([`super::Cache::touch`]), so that what goes first is never
//! below what stays; and where it is all the same (a clock set back), a parent made again has the same
//! content, which is what its name says.

use std::fs::{self, File};
use std::io;
use std::time::SystemTime;

use super::super::ImageError;
use super::{Cache, remove};

/// What may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last used, so many bytes of them, as they were unpacked.
    Bytes(u64),
    /// What was used since.
    Since(SystemTime),
}

/// What was found, and what became of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shrunk {
    pub removed: Load,
    pub kept: Load,
    /// Of those kept: would have gone, but for a run that has them.
    pub in_use: Load,
}

/// Layers of the cache, and the bytes of their unpacked streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub layers: u64,
    pub bytes: u64,
}

impl Load {
    fn add(&mut self, entry: &Entry) {
        self.layers += 1;
        self.bytes = self.bytes.saturating_add(entry.bytes);
    }
}

struct Entry {
    name: String,
    bytes: u64,
    /// `None`: of another format, which no run will ask for.
    used: Option<SystemTime>,
}

impl Cache {
    /// Removes what `keep` does not cover and no run uses.
    pub fn shrink(&self, keep: Keep) -> Result<Shrunk, ImageError> {
        let mut shrunk = Shrunk::default();
        let mut entries = self.entries()?;
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
        let mut room = true;
        let mut going = Vec::new();
        for entry in entries {
            room &= match keep {
                Keep::Bytes(bytes) => shrunk.kept.bytes.saturating_add(entry.bytes) <= bytes,
                Keep::Since(time) => entry.used >= Some(time),
            };
            match room && entry.used.is_some() {
                true => shrunk.kept.add(&entry),
                false => going.push(entry),
            }
        }
        for entry in going.into_iter().rev() {
            match self.take_out(&entry.name)? {
                true => shrunk.removed.add(&entry),
                false => {
                    shrunk.kept.add(&entry);
                    shrunk.in_use.add(&entry);
                }
            }
        }
        Ok(shrunk)
    }

    fn entries(&self) -> Result<Vec<Entry>, ImageError> {
        let failed = || ImageError::io(format!("list {:?}", self.path));
        let mut entries = Vec::new();
        for found in fs::read_dir(&self.path).map_err(failed())? {
            let Ok(name) = found.map_err(failed())?.file_name().into_string() else { continue };
            // Locks and entries in the making have a suffix.
            if name.contains('.') {
                continue;
            }
            let tally = File::open(self.path.join(&name).join("tally.json"));
            let bytes = tally.ok().and_then(|file| super::read_tally(file).ok()).map_or(0, |it| it.bytes);
            let ours = name.starts_with(&format!("{}-", super::FORMAT));
            let used = fs::metadata(self.path.join(format!("{name}.lock"))).and_then(|it| it.modified());
            let used = ours.then(|| used.unwrap_or(SystemTime::UNIX_EPOCH));
            entries.push(Entry { name, bytes, used });
        }
        Ok(entries)
    }

    /// False where it is in use. The entry leaves its name by rename, so that nobody finds half of it,
    /// and what a killed removal leaves is swept like what a killed unpacking leaves. The locks go last;
    /// who waits for one notices ([`Cache::wait_for`]).
    fn take_out(&self, name: &str) -> Result<bool, ImageError> {
        let Some(_making) = self.try_lock(&format!("{name}.making"))? else { return Ok(false) };
        let Some(_users) = self.try_lock(&format!("{name}.lock"))? else { return Ok(false) };
        let partial = self.path.join(format!("{name}.partial"));
        let removed = || -> io::Result<()> {
            remove(&partial)?;
            fs::rename(self.path.join(name), &partial)?;
            remove(&partial)?;
            fs::remove_file(self.path.join(format!("{name}.lock")))?;
            fs::remove_file(self.path.join(format!("{name}.making")))
        };
        removed().map(|()| true).map_err(ImageError::io(format!("remove cache entry {name}")))
    }
}
