//! Unpacked layers, kept between runs.
//!
//! ```text
//! STATE/layers/1-CHAINID/fs            the layer's directory (an overlay's upper directory)
//!                       /tally.json    what it holds
//!                       /blob-DIGEST   this blob was seen to unpack to it
//!             /1-CHAINID.lock          held shared while a Rootfs uses the entry; changed last when it was
//!                                      last used
//!             /1-CHAINID.partial       in the making
//!             /1-CHAINID.making        held while it is made; not the lock of its users, since who
//!                                      waits to make it must not wait for the users' runs to end
//! ```
//!
//! An entry appears by rename, after the digests of the whole stream agreed; it is never changed.
//! It is keyed by ChainID (image-spec, "Layer ChainID") because a layer's marks depend on its
//! parents, and by the unpacker's format. A blob that claims a known diff_id is read through once
//! all the same: else an image could show us a good layer and others, who do not check, a bad one.
//!
//! A lock counts only while its file has its name: who waited for one that was removed begins again.

mod shrink;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;

use super::open::Source;
use super::rootfs::{RootLayer, Rootfs};
use super::unpack::{Bounds, FORMAT, FS, Input, Job, MERGED, MOUNT, Tally, Target, Unpacker, WORK};
use super::{Digest, Image, ImageError, Layer, Limits};
use crate::sys;

pub use shrink::{Keep, Load, Shrunk};

/// Layers are owned by ids of the host from here on: high up, away from real users and from
/// /etc/subuid, so that a set-uid file of an image means nothing here.
pub const LAYER_ID_BASE: u32 = 0x7000_0000;
/// An image has the ids 0 to 65535.
pub const LAYER_ID_COUNT: u32 = 65536;

const TALLY_MAX: u64 = 4096;

/// The cache of a state directory.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    unpacker: Unpacker,
}

/// How far unpacking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Counted from 0 at the bottom.
    pub layer: usize,
    pub layers: usize,
    /// Bytes of the layer's blob read, and all of them; equal for a layer that was in the cache.
    pub read: u64,
    pub size: u64,
}

impl Cache {
    /// Opens the cache below the state directory, and removes what killed unpackings left.
    pub fn open(state: &Path) -> Result<Cache, ImageError> {
        let path = state.join("layers");
        let failed = |what: &str| ImageError::io(format!("{what} {path:?}"));
        DirBuilder::new().mode(0o700).recursive(true).create(&path).map_err(failed("make"))?;
        let metadata = fs::symlink_metadata(&path).map_err(failed("look at"))?;
        if !metadata.is_dir() || metadata.uid() != nix::unistd::geteuid().as_raw() {
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(ImageError::Io { what: format!("use {path:?}, which is not ours"), source });
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(failed("close"))?;
        let path = path.canonicalize().map_err(failed("find"))?;
        let cache = Cache { path, unpacker: Unpacker::default() };
        cache.sweep()?;
        Ok(cache)
    }

    /// Takes this program as unpacker instead of the running one: for tests, whose own `main` is
    /// another.
    pub fn with_unpacker(self, program: impl Into<PathBuf>) -> Cache {
        Cache { unpacker: Unpacker::new(program), ..self }
    }

    /// Unpacks what is not there yet, from the bottom up. The result holds its layers locked. `progress`
    /// may break off: then [`ImageError::Stopped`].
    pub fn unpack(
        &self,
        image: &Image,
        limits: &Limits,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Rootfs, ImageError> {
        let mut left = Bounds {
            bytes: limits.unpacked_bytes,
            entries: limits.entries,
            ratio: limits.ratio,
            path: limits.path,
        };
        let mut layers: Vec<RootLayer> = Vec::new();
        let mut chain = None;
        for (number, layer) in image.layers.iter().enumerate() {
            chain = Some(chain_id(chain, layer.diff_id));
            let mut show = |read| {
                progress(Progress { layer: number, layers: image.layers.len(), read, size: layer.size })
            };
            let build = Build { cache: self, image, number, layer, below: &layers, left };
            let found = build.layer(&entry_name(chain), &mut show)?;
            if show(layer.size).is_break() {
                return Err(ImageError::Stopped);
            }
            left = build.charge(found.tally)?;
            layers.push(found);
        }
        if layers.is_empty() {
            layers.push(self.nothing()?);
        }
        Cache::touch(&layers)?;
        Ok(Rootfs::new(layers))
    }

    /// Notes that these were used now, the bottom one last: see [`shrink`].
    fn touch(layers: &[RootLayer]) -> Result<(), ImageError> {
        let touched = layers.iter().rev().try_for_each(|layer| layer.lock.set_modified(SystemTime::now()));
        touched.map_err(ImageError::io("note the use of a layer"))
    }

    /// A root file system needs at least one directory: that of an image without layers.
    fn nothing(&self) -> Result<RootLayer, ImageError> {
        let name = entry_name(None);
        loop {
            if let Some(found) = self.entry(&name)? {
                return Ok(found);
            }
            let _making = self.making(&name)?;
            if self.path.join(&name).exists() {
                continue;
            }
            let partial = self.prepare(&name)?;
            self.complete(&name, &partial, Tally::default(), None)?;
        }
    }

    /// An entry that is there, locked for use.
    fn entry(&self, name: &str) -> Result<Option<RootLayer>, ImageError> {
        let failed = |what: &str| ImageError::io(format!("{what} cache entry {name}"));
        let lock = self.wait_for(&format!("{name}.lock"), File::lock_shared)?;
        let path = self.path.join(name);
        let tally = match File::open(path.join("tally.json")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read")(error)),
        };
        let tally = read_tally(tally).map_err(failed("read"))?;
        RootLayer::open(path.join(FS), tally, lock).map(Some).map_err(failed("open"))
    }

    /// Waits until no one else makes this entry.
    fn making(&self, name: &str) -> Result<File, ImageError> {
        self.wait_for(&format!("{name}.making"), File::lock)
    }

    /// Waits for a lock.
    fn wait_for(&self, name: &str, lock: fn(&File) -> io::Result<()>) -> Result<File, ImageError> {
        loop {
            let file = self.lock_file(name)?;
            lock(&file).map_err(ImageError::io(format!("lock {name} of the cache")))?;
            if has_name(&file, name)? {
                return Ok(file);
            }
        }
    }

    /// Takes a lock alone, if nobody has it.
    fn try_lock(&self, name: &str) -> Result<Option<File>, ImageError> {
        loop {
            let file = self.lock_file(name)?;
            match file.try_lock() {
                Ok(()) if has_name(&file, name)? => return Ok(Some(file)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => {
                    return Err(ImageError::io(format!("lock {name} of the cache"))(error));
                }
            }
        }
    }

    fn lock_file(&self, name: &str) -> Result<File, ImageError> {
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(&path).map_err(ImageError::io(format!("open {path:?}")))
    }

    /// Directories for an entry in the making. The unpacker owns `fs` and `mnt`, the rest is ours.
    fn prepare(&self, name: &str) -> Result<PathBuf, ImageError> {
        let partial = self.path.join(format!("{name}.partial"));
        let make = || {
            remove(&partial)?;
            let (fs, mount) = (partial.join(FS), partial.join(MOUNT));
            DirBuilder::new().mode(0o700).create(&partial)?;
            for path in [&fs, &mount, &mount.join(MERGED), &mount.join(WORK)] {
                DirBuilder::new().mode(0o700).create(path)?;
                lchown(path, Some(LAYER_ID_BASE), Some(LAYER_ID_BASE))?;
            }
            fs::set_permissions(&fs, fs::Permissions::from_mode(0o755))
        };
        make().map_err(ImageError::io(format!("make {partial:?}")))?;
        Ok(partial)
    }

    /// Writes an entry down and lets it appear.
    fn complete(
        &self,
        name: &str,
        partial: &Path,
        tally: Tally,
        blob: Option<Digest>,
    ) -> Result<(), ImageError> {
        let finish = || {
            remove(&partial.join(MOUNT))?;
            let file = File::create_new(partial.join("tally.json"))?;
            serde_json::to_writer(&file, &tally)?;
            if let Some(blob) = blob {
                File::create_new(partial.join(blob_mark(blob)))?;
            }
            // What the rename makes visible must survive a loss of power as a whole, or not at all.
            nix::unistd::syncfs(&file)?;
            fs::rename(partial, self.path.join(name))
        };
        finish().map_err(ImageError::io(format!("complete cache entry {name}")))
    }

    /// Removes entries in the making that nobody makes any more.
    fn sweep(&self) -> Result<(), ImageError> {
        let failed = || ImageError::io(format!("clean up {:?}", self.path));
        for entry in fs::read_dir(&self.path).map_err(failed())? {
            let file_name = entry.map_err(failed())?.file_name();
            let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".partial")) else {
                continue;
            };
            if let Some(_making) = self.try_lock(&format!("{name}.making"))? {
                remove(&self.path.join(&file_name)).map_err(failed())?;
            }
        }
        Ok(())
    }
}

/// One layer, to be found or made.
struct Build<'a> {
    cache: &'a Cache,
    image: &'a Image,
    number: usize,
    layer: &'a Layer,
    below: &'a [RootLayer],
    left: Bounds,
}

/// Hears how many bytes of a layer are read, and says whether to go on.
type Show<'s> = dyn FnMut(u64) -> ControlFlow<()> + 's;

impl Build<'_> {
    /// Found or made; another run that makes it at this moment is waited for.
    fn layer(&self, name: &str, show: &mut Show<'_>) -> Result<RootLayer, ImageError> {
        loop {
            if let Some(found) = self.cache.entry(name)? {
                self.vouch(name, show)?;
                return Ok(found);
            }
            let _making = self.cache.making(name)?;
            if !self.cache.path.join(name).exists() {
                self.make(name, show)?;
            }
        }
    }

    fn make(&self, name: &str, show: &mut Show<'_>) -> Result<(), ImageError> {
        let partial = self.cache.prepare(name)?;
        let target = Target {
            parents: self.below.iter().map(|layer| layer.relative()).collect(),
            entry: format!("{name}.partial"),
        };
        let made = self.run(Some(target), show).and_then(|tally| {
            self.charge(tally)?;
            self.cache.complete(name, &partial, tally, Some(self.layer.digest))
        });
        if made.is_err() {
            // What is left goes at the next open; the first failure is the one to tell.
            let _ = remove(&partial);
        }
        made
    }

    /// Makes sure that this very blob unpacks to the entry found by its diff_id.
    fn vouch(&self, name: &str, show: &mut Show<'_>) -> Result<(), ImageError> {
        let mark = self.cache.path.join(name).join(blob_mark(self.layer.digest));
        if mark.exists() {
            return Ok(());
        }
        self.run(None, show)?;
        // Two runs may write it at once; it is empty.
        File::create(&mark).map_err(ImageError::io(format!("write {mark:?}")))?;
        Ok(())
    }

    fn run(&self, target: Option<Target>, show: &mut Show<'_>) -> Result<Tally, ImageError> {
        let mut job = Job {
            offset: None,
            size: self.layer.size,
            compression: self.layer.compression,
            target,
            bounds: self.left,
        };
        let (cache, unpacker) = (&self.cache.path, &self.cache.unpacker);
        let tree = match &self.image.source {
            Source::Blobs(blobs) => {
                let part = &blobs.layers[self.number].part;
                let file = part.file.try_clone().map_err(ImageError::io("open the blob again"))?;
                job.offset = Some(part.offset);
                return unpacker.run(cache, self.layer, Input::File(file), &job, show);
            }
            Source::Tree(tree) => tree,
        };
        let (reader, writer) = io::pipe().map_err(ImageError::io("make a pipe"))?;
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| tree.write(writer));
            let result = unpacker.run(cache, self.layer, Input::Pipe(reader), &job, show);
            match writing.join().expect("writing a tree does not panic") {
                // The unpacker closed the pipe; it says why.
                Err(ImageError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => result,
                Err(error) => Err(error),
                Ok(left_out) => result.map(|tally| Tally {
                    devices: tally.devices + left_out.devices,
                    sockets: left_out.sockets,
                    ..tally
                }),
            }
        })
    }

    /// What the image has left after this layer. Also for layers from the cache, so that the answer
    /// does not depend on it.
    fn charge(&self, tally: Tally) -> Result<Bounds, ImageError> {
        let bomb = |what: &str, limit: u64| ImageError::Bomb {
            layer: self.layer.digest,
            rule: format!("it has more than the {limit} {what} left to the image"),
        };
        let left = &self.left;
        Ok(Bounds {
            bytes: left.bytes.checked_sub(tally.bytes).ok_or_else(|| bomb("bytes", left.bytes))?,
            entries: left.entries.checked_sub(tally.entries).ok_or_else(|| bomb("entries", left.entries))?,
            ..*left
        })
    }
}

/// `ChainID(L0|…|Ln) = Digest(ChainID(L0|…|Ln-1) + " " + DiffID(Ln))`.
fn chain_id(below: Option<Digest>, diff_id: Digest) -> Digest {
    match below {
        None => diff_id,
        Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
    }
}

fn entry_name(chain: Option<Digest>) -> String {
    format!("{FORMAT}-{}", chain.map_or_else(|| "empty".to_owned(), |chain| chain.hex()))
}

fn read_tally(file: File) -> io::Result<Tally> {
    Ok(serde_json::from_reader(io::Read::take(file, TALLY_MAX))?)
}

fn has_name(lock: &File, name: &str) -> Result<bool, ImageError> {
    let metadata = lock.metadata().map_err(ImageError::io(format!("look at {name} of the cache")))?;
    Ok(metadata.nlink() > 0)
}

fn blob_mark(blob: Digest) -> String {
    format!("blob-{}", blob.hex())
}

/// Removes a directory that holds what an image laid out: any depth, any names.
fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    match sys::remove::directory(sys::open::directory(parent)?, name.as_bytes()) {
        Err(Errno::ENOENT) => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_those_of_the_image_spec() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(chain_id(None, a), a);
        assert_eq!(chain_id(Some(a), b), Digest::of(format!("{a} {b}").as_bytes()));
    }
}
