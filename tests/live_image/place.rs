//! Where a test unpacks, and how the layers look one over the other.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use lazaret::image::{Cache, Image, ImageError, LAYER_ID_BASE, Limits, Reference, Rootfs};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::support::image::{ImageBuilder, LayerBuilder};

/// A state directory and an image beside it.
pub struct Place {
    pub temporary: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { temporary: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    pub fn cache(&self) -> Cache {
        Cache::open(&self.path("state")).unwrap().with_unpacker(env!("CARGO_BIN_EXE_lazaret"))
    }

    pub fn image(&self, builder: ImageBuilder) -> Image {
        let layout = self.path("layout");
        let _ = fs::remove_dir_all(&layout);
        builder.write_layout(&layout);
        let reference = Reference::parse(&[OsStr::new("oci:"), layout.as_os_str()].join_os()).unwrap();
        Image::open(&reference, &Limits::default()).unwrap()
    }

    pub fn unpack(&self, builder: ImageBuilder) -> Result<Rootfs, ImageError> {
        self.unpack_within(builder, &Limits::default())
    }

    pub fn unpack_within(&self, builder: ImageBuilder, limits: &Limits) -> Result<Rootfs, ImageError> {
        self.cache().unpack(&self.image(builder), limits, |_| ControlFlow::Continue(()))
    }

    /// Unpacks an image of these layers; each name is the content of its layer.
    pub fn unpack_names(&self, layers: &[&str]) -> Rootfs {
        let layers = layers.iter().map(|name| layer().file(name, name.as_bytes(), 0o644));
        self.unpack(layers.fold(ImageBuilder::new(), ImageBuilder::layer)).unwrap()
    }

    /// What lies beside the layers of the cache, and they.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state/layers")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Lets every layer be so much longer unused.
    pub fn age(&self, days: u64) {
        for name in self.names().iter().filter(|name| name.ends_with(".lock")) {
            let lock = File::options().write(true).open(self.path("state/layers").join(name)).unwrap();
            let used = lock.metadata().unwrap().modified().unwrap();
            lock.set_modified(used - Duration::from_secs(days * 86400)).unwrap();
        }
    }

    /// No entry, finished or not, may be left of a layer that was refused.
    pub fn assert_nothing_left(&self) {
        let left = self.names().into_iter();
        let left: Vec<_> =
            left.filter(|name| !name.ends_with(".lock") && !name.ends_with(".making")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

pub trait JoinOs {
    fn join_os(&self) -> std::ffi::OsString;
}

impl JoinOs for [&OsStr] {
    fn join_os(&self) -> std::ffi::OsString {
        self.iter().copied().collect()
    }
}

/// The layers mounted one over the other, as the sandbox does, less the idmapping.
pub struct Merged {
    at: tempfile::TempDir,
}

impl Merged {
    pub fn new(rootfs: &Rootfs) -> Merged {
        let at = tempfile::tempdir().unwrap();
        let empty = at.path().join("empty");
        let view = at.path().join("view");
        fs::create_dir(&empty).unwrap();
        fs::create_dir(&view).unwrap();
        let mut lower: Vec<_> = rootfs.directories().rev().map(|path| path.display().to_string()).collect();
        lower.push(empty.display().to_string());
        let options = format!("userxattr,ro,lowerdir={}", lower.join(":"));
        mount(Some("overlay"), &view, Some("overlay"), MsFlags::empty(), Some(&*options)).unwrap();
        Merged { at }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.at.path().join("view").join(path)
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub fn owner(&self, path: &str) -> (u32, u32, u32) {
        let metadata = fs::symlink_metadata(self.path(path)).unwrap();
        (metadata.uid() - LAYER_ID_BASE, metadata.gid() - LAYER_ID_BASE, metadata.mode() & 0o7777)
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        let _ = umount2(&self.path(""), MntFlags::MNT_DETACH);
    }
}

pub fn layer() -> LayerBuilder {
    LayerBuilder::new()
}

pub fn two(lower: LayerBuilder, upper: LayerBuilder) -> ImageBuilder {
    ImageBuilder::new().layer(lower).layer(upper)
}
