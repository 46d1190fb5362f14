//! Unpacking for real: the unpacker process, its overlay, the cache. Needs root.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // the functions around the tests, too

mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lazaret::image::{Cache, Image, ImageError, LAYER_ID_BASE, Limits, Reference, Rootfs};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;
use support::image::{Entry, ImageBuilder, LayerBuilder, Packing};
use support::live;

/// A state directory and an image beside it.
struct Place {
    temporary: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { temporary: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    fn cache(&self) -> Cache {
        Cache::open(&self.path("state")).unwrap().with_unpacker(env!("CARGO_BIN_EXE_lazaret"))
    }

    fn image(&self, builder: ImageBuilder) -> Image {
        let layout = self.path("layout");
        let _ = fs::remove_dir_all(&layout);
        builder.write_layout(&layout);
        let reference = Reference::parse(&[OsStr::new("oci:"), layout.as_os_str()].join_os()).unwrap();
        Image::open(&reference, &Limits::default()).unwrap()
    }

    fn unpack(&self, builder: ImageBuilder) -> Result<Rootfs, ImageError> {
        self.unpack_within(builder, &Limits::default())
    }

    fn unpack_within(&self, builder: ImageBuilder, limits: &Limits) -> Result<Rootfs, ImageError> {
        self.cache().unpack(&self.image(builder), limits, |_| ControlFlow::Continue(()))
    }

    /// No entry, finished or not, may be left of a layer that was refused.
    fn assert_nothing_left(&self) {
        let left: Vec<_> = fs::read_dir(self.path("state/layers"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock") && !name.ends_with(".making"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

trait JoinOs {
    fn join_os(&self) -> std::ffi::OsString;
}

impl JoinOs for [&OsStr] {
    fn join_os(&self) -> std::ffi::OsString {
        self.iter().copied().collect()
    }
}

/// The layers mounted one over the other, as the sandbox does, less the idmapping.
struct Merged {
    at: tempfile::TempDir,
}

impl Merged {
    fn new(rootfs: &Rootfs) -> Merged {
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

    fn path(&self, path: &str) -> PathBuf {
        self.at.path().join("view").join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn owner(&self, path: &str) -> (u32, u32, u32) {
        let metadata = fs::symlink_metadata(self.path(path)).unwrap();
        (metadata.uid() - LAYER_ID_BASE, metadata.gid() - LAYER_ID_BASE, metadata.mode() & 0o7777)
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        let _ = umount2(&self.path(""), MntFlags::MNT_DETACH);
    }
}

fn layer() -> LayerBuilder {
    LayerBuilder::new()
}

fn two(lower: LayerBuilder, upper: LayerBuilder) -> ImageBuilder {
    ImageBuilder::new().layer(lower).layer(upper)
}

#[test]
fn files_keep_owner_mode_time_attributes_and_name() {
    if !live() {
        return;
    }
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let odd = b"d/\xff\xfe name\n";
    let long = format!("{}/f", vec!["x".repeat(200); 10].join("/"));
    let tar = layer()
        .directory("d", 0o1777)
        .entry(Entry { uid: 1000, gid: 1001, mode: 0o6755, data: b"x".to_vec(), ..Entry::new("d/set", b'0') })
        .entry(Entry {
            xattrs: vec![
                ("security.capability".into(), capability.to_vec()),
                ("user.note".into(), b"a\0b".to_vec()),
                ("security.selinux".into(), b"label\0".to_vec()),
            ],
            ..Entry::new("d/capable", b'0')
        })
        .file(odd, b"odd", 0o600)
        .file(&long, b"deep", 0o644)
        .entry(Entry { uid: 7, ..Entry::new("d/fifo", b'6') })
        .entry(Entry::new("d/null", b'3'))
        .entry(Entry { uid: 9, link: b"/nowhere".to_vec(), ..Entry::new("d/link", b'2') })
        .hard_link("d/twin", "d/set")
        .directory("./", 0o751)
        .finish();
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let place = Place::new();
        let rootfs = place.unpack(ImageBuilder::new().packed(tar.clone(), packing)).unwrap();
        let merged = Merged::new(&rootfs);
        assert_eq!(merged.owner("d"), (0, 0, 0o1777), "{packing:?}");
        assert_eq!(merged.owner("d/set"), (1000, 1001, 0o6755));
        assert_eq!(merged.owner("d/link").0, 9);
        assert_eq!(merged.owner("d/fifo").0, 7);
        assert_eq!(merged.owner("").2, 0o751);
        assert!(fs::symlink_metadata(merged.path("d/fifo")).unwrap().file_type().is_fifo());
        assert!(!merged.path("d/null").exists());
        assert_eq!(rootfs.skipped().devices, 1);
        assert_eq!(rootfs.skipped().attributes, 1, "a label of a security module is not the image's to set");
        let metadata = |path: &str| fs::symlink_metadata(merged.path(path)).unwrap();
        for path in ["d", "d/set", "d/link", "d/fifo", ""] {
            assert_eq!(metadata(path).mtime(), 1_600_000_000, "{path}");
        }
        assert_eq!(metadata("d/twin").ino(), metadata("d/set").ino());
        assert_eq!(fs::read(merged.path("d").join(OsStr::from_bytes(&odd[2..]))).unwrap(), b"odd");
        assert_eq!(merged.read(&long), "deep");
        let capable = fs::File::open(merged.path("d/capable")).unwrap();
        let get = |name| lazaret::sys::xattr::get(&capable, name).unwrap();
        assert_eq!(get(c"user.note").unwrap(), b"a\0b");
        // The kernel keeps capabilities of a user namespace with the namespace's root (version 3).
        let stored = get(c"security.capability").unwrap();
        assert_eq!(stored[4..20], capability[4..20]);
        assert_eq!(stored[20..24], LAYER_ID_BASE.to_le_bytes());
    }
}

#[test]
fn whiteouts_hide_what_is_below_and_only_that() {
    if !live() {
        return;
    }
    let lower = layer()
        .file("gone", b"1", 0o644)
        .file("kept", b"1", 0o644)
        .file("tree/a/b", b"1", 0o644)
        .file("tree/c", b"1", 0o644)
        .file("replaced/old", b"1", 0o644)
        .file("dir-to-file/x", b"1", 0o644)
        .file("file-to-dir", b"1", 0o644)
        .file("opaque/old", b"1", 0o644)
        .file("opaque/sub/old", b"1", 0o644)
        .file("opaque/sub2/old", b"1", 0o644)
        .file("opaque/both", b"old", 0o644);
    let upper = layer()
        .whiteout("gone")
        .whiteout("tree")
        .whiteout("never-there")
        .file("own", b"2", 0o644)
        .whiteout("own")
        .whiteout("replaced")
        .file("replaced/new", b"2", 0o644)
        .file("dir-to-file", b"2", 0o644)
        .directory("file-to-dir", 0o755)
        .file("file-to-dir/x", b"2", 0o644)
        .file("opaque/before", b"2", 0o644)
        .file("opaque/sub/before", b"2", 0o644)
        .file("opaque/both", b"new", 0o644)
        .opaque("opaque")
        .file("opaque/after", b"2", 0o644);
    let place = Place::new();
    let rootfs = place.unpack(two(lower, upper)).unwrap();
    let merged = Merged::new(&rootfs);
    let names = ["dir-to-file", "file-to-dir", "kept", "opaque", "own", "replaced"];
    assert_eq!(merged.names(""), names);
    assert_eq!(merged.names("replaced"), ["new"]);
    assert_eq!(merged.names("file-to-dir"), ["x"]);
    assert_eq!(merged.read("dir-to-file"), "2");
    assert_eq!(merged.names("opaque"), ["after", "before", "both", "sub"]);
    assert_eq!(merged.names("opaque/sub"), ["before"]);
    assert_eq!(merged.read("opaque/both"), "new");

    let check = |path: &str, expected| assert_eq!(rootfs.layer_of(path.as_bytes()), expected, "{path}");
    check("/kept", Some(0));
    check("/gone", None);
    check("/tree", None);
    check("/tree/a/b", None);
    check("/replaced/new", Some(1));
    check("/replaced/old", None);
    check("/dir-to-file/x", None);
    check("/opaque/old", None);
    check("/opaque/sub/old", None);
    check("/opaque/both", Some(1));
    check("/own", Some(1));
    check("/", Some(1));
    check("/kept/x", None);
    let (layer, mut file) = rootfs.open_file(b"/opaque/both").unwrap();
    assert_eq!((layer, std::io::read_to_string(&mut file).unwrap().as_str()), (1, "new"));
    assert!(rootfs.open_file(b"/opaque").is_none());
}

#[test]
fn a_tree_of_any_depth_can_be_hidden_replaced_and_cleaned_up() {
    if !live() {
        return;
    }
    let deep = |first: &str| format!("{first}{}/file", "/d".repeat(1900));
    let lower = || layer().file(deep("a"), b"1", 0o644).file(deep("b"), b"1", 0o644);
    let upper = layer().whiteout("a").file("b", b"2", 0o644);
    let place = Place::new();
    let rootfs = place.unpack(two(lower(), upper)).unwrap();
    assert_eq!(Merged::new(&rootfs).names(""), ["b"]);
    assert_eq!(rootfs.layer_of(deep("/a").as_bytes()), None);
    check_hostile(lower().file("../x", b"", 0o644), "climbs");
}

#[test]
fn whiteouts_in_the_bottom_layer_hide_nothing() {
    if !live() {
        return;
    }
    let place = Place::new();
    let tar = layer().file("d/a", b"1", 0o644).opaque("d").whiteout("d/a").whiteout("x");
    let rootfs = place.unpack(ImageBuilder::new().layer(tar)).unwrap();
    assert_eq!(Merged::new(&rootfs).names("d"), ["a"]);
}

#[test]
fn links_reach_into_lower_layers_as_container_engines_have_it() {
    if !live() {
        return;
    }
    let lower = layer()
        .directory("usr/lib", 0o755)
        .file("usr/lib/base.so", b"base", 0o644)
        .symlink("lib", "usr/lib")
        .symlink("absolute", "/usr/lib")
        .file("data", b"data", 0o640)
        .file("data2", b"data2", 0o640);
    let upper = layer()
        .file("lib/x.so", b"x", 0o644)
        .file("absolute/y.so", b"y", 0o644)
        .hard_link("again", "data")
        .hard_link("lib/linked", "/absolute/base.so")
        .hard_link("moved", "data2")
        .whiteout("data2")
        .whiteout("lib/none");
    let place = Place::new();
    let rootfs = place.unpack(two(lower, upper)).unwrap();
    let merged = Merged::new(&rootfs);
    assert!(fs::symlink_metadata(merged.path("lib")).unwrap().is_symlink());
    assert_eq!(merged.names("usr/lib"), ["base.so", "linked", "x.so", "y.so"]);
    assert_eq!(merged.read("usr/lib/linked"), "base");
    assert_eq!(merged.read("again"), "data");
    assert_eq!(merged.owner("again").2, 0o640);
    assert_eq!(merged.read("moved"), "data2");
    assert!(!merged.path("data2").exists());
    let inode = |path: &str| fs::metadata(merged.path(path)).unwrap().ino();
    assert_eq!(inode("again"), inode("data"));
    assert_eq!(rootfs.layer_of(b"/usr/lib/base.so"), Some(1), "brought up by the hard link");
    assert_eq!(rootfs.layer_of(b"/usr/lib/x.so"), Some(1));
}

#[test]
fn a_layer_that_does_not_describe_the_root_leaves_it_as_it_was() {
    if !live() {
        return;
    }
    let place = Place::new();
    let lower = layer().entry(Entry { uid: 5, mode: 0o711, ..Entry::new("./", b'5') });
    let rootfs = place.unpack(two(lower, layer().file("a", b"", 0o644))).unwrap();
    assert_eq!(Merged::new(&rootfs).owner(""), (5, 0, 0o711));
}

#[test]
fn layers_without_entries_and_images_without_layers_are_empty() {
    if !live() {
        return;
    }
    let place = Place::new();
    let empty = ImageBuilder::new().layer(layer()).packed(Vec::new(), Packing::Plain);
    assert!(Merged::new(&place.unpack(empty).unwrap()).names("").is_empty());
    let rootfs = place.unpack(ImageBuilder::new()).unwrap();
    assert_eq!(rootfs.directories().len(), 1);
    assert_eq!(rootfs.layer_of(b"/bin/sh"), None);
}

/// Refused as an attack, with these words, and nothing left.
fn check_hostile(tar: LayerBuilder, words: &str) {
    let place = Place::new();
    let error = place.unpack(ImageBuilder::new().layer(tar)).expect_err(words);
    assert!(error.is_hostile() && error.to_string().contains(words), "{error:?}");
    place.assert_nothing_left();
}

#[test]
fn content_that_attacks_the_unpacker_is_hostile() {
    if !live() {
        return;
    }
    check_hostile(layer().file("../evil", b"", 0o644), "climbs with \"..\"");
    check_hostile(layer().file("a/../../evil", b"", 0o644), "climbs with \"..\"");
    check_hostile(layer().file("/../evil", b"", 0o644), "climbs with \"..\"");
    check_hostile(layer().symlink("x", "../../../tmp").file("x/evil", b"", 0o644), "above the root");
    check_hostile(layer().file("a", b"", 0o644).hard_link("b", "../../etc/passwd"), "hard link to something");
    check_hostile(layer().file("d/.wh..", b"", 0o644), "directory above its own");
    check_hostile(layer().file("d/.wh...", b"", 0o644), "directory above its own");
    for name in ["trusted.overlay.opaque", "user.overlay.redirect", "trusted.x"] {
        let xattrs = vec![(name.to_owned(), b"y".to_vec())];
        check_hostile(layer().entry(Entry { xattrs, ..Entry::new("d", b'5') }), name);
    }
}

#[test]
fn absolute_names_and_links_resolve_inside_the_root() {
    if !live() {
        return;
    }
    let place = Place::new();
    let outside = place.path("outside");
    fs::create_dir(&outside).unwrap();
    let tar = layer()
        .file("/etc/absolute", b"1", 0o644)
        .symlink("out", outside.as_os_str().as_bytes())
        .file("out/inside", b"2", 0o644)
        .symlink("far", "../../../../etc")
        .hard_link("b", "/etc/absolute");
    let rootfs = place.unpack(ImageBuilder::new().layer(tar)).unwrap();
    let merged = Merged::new(&rootfs);
    assert_eq!(merged.read("etc/absolute"), "1");
    assert_eq!(merged.read("b"), "1");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let inside = outside.strip_prefix("/").unwrap().join("inside");
    assert_eq!(fs::read_to_string(merged.path(inside.to_str().unwrap())).unwrap(), "2");
}

#[test]
fn bombs_are_hostile_whatever_they_fill() {
    if !live() {
        return;
    }
    let zeros = || layer().file("zeros", &vec![0; 80 << 20], 0o644);
    check_hostile(zeros(), "more than 100 times its size");
    let bomb = |tar: LayerBuilder, limits: Limits, words: &str| {
        let place = Place::new();
        let error = place.unpack_within(ImageBuilder::new().layer(tar), &limits).expect_err(words);
        assert!(error.is_hostile() && error.to_string().contains(words), "{error:?}");
        place.assert_nothing_left();
    };
    bomb(zeros(), Limits { unpacked_bytes: 1 << 20, ..Limits::default() }, "more than the 1048576 bytes");
    let many = (0..50).fold(layer(), |tar, i| tar.file(format!("{i}"), b"", 0o644));
    bomb(many, Limits { entries: 49, ..Limits::default() }, "more entries");

    // What one layer leaves is all that the next one has, also where the first is in the cache.
    let place = Place::new();
    let image = || two(layer().file("a", &[1; 4096], 0o644), layer().file("b", &[2; 4096], 0o644));
    place.unpack(image()).unwrap();
    let tight = Limits { unpacked_bytes: 9000, ..Limits::default() };
    assert!(place.unpack_within(image(), &tight).unwrap_err().is_hostile());
}

/// Refused as unusable, with these words, and nothing left.
fn check_unusable(builder: ImageBuilder, words: &str) {
    let place = Place::new();
    let error = place.unpack(builder).expect_err(words);
    assert!(error.to_string().contains(words), "{error} instead of {words}");
    assert!(!error.is_hostile() && !error.is_host(), "{error:?}");
    place.assert_nothing_left();
}

#[test]
fn what_its_digests_do_not_say_is_unusable() {
    if !live() {
        return;
    }
    let tar = || layer().file("a", &[7; 5000], 0o644);
    let image = || ImageBuilder::new().layer(tar());
    let flip = |at: usize| move |blob: &mut Vec<u8>| blob[at] ^= 0xff;
    check_unusable(image().damage_blob(0, flip(2)), "has the digest");
    check_unusable(image().damage_blob(0, flip(15)), "has the digest");
    check_unusable(image().damage_blob(0, |blob| blob.iter_mut().for_each(|b| *b = 0)), "has the digest");
    let plain = || ImageBuilder::new().packed(tar(), Packing::Plain);
    check_unusable(plain().damage_blob(0, flip(1000)), "has the digest");
    check_unusable(plain().damage_blob(0, flip(3)), "has the digest");
    let other = support::image::digest(b"other");
    let edit = move |c: &mut serde_json::Value| c["rootfs"]["diff_ids"][0] = json!(other);
    check_unusable(image().edit_config(edit), "unpacks to the diff_id");
    let mut cut = tar().finish();
    cut.truncate(3000);
    check_unusable(ImageBuilder::new().layer(cut), "ends within an entry");
    check_unusable(ImageBuilder::new().packed(b"x".repeat(2000), Packing::Plain), "checksum");
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    let lie = move |m: &mut serde_json::Value| m["layers"][0]["mediaType"] = json!(gzip);
    check_unusable(plain().edit_manifest(lie), "cannot be read");
}

#[test]
fn entries_that_no_file_system_can_hold_are_unusable() {
    if !live() {
        return;
    }
    let one = |tar: LayerBuilder| ImageBuilder::new().layer(tar);
    check_unusable(one(layer().hard_link("a", "none")), "does not exist");
    check_unusable(one(layer().file("a", b"", 0o644).file("a/b", b"", 0o644)), "something else");
    check_unusable(one(layer().file("n".repeat(300), b"", 0o644)), "too long");
    check_unusable(one(layer().file("n/".repeat(3000), b"", 0o644)), "longer than the limit");
    check_unusable(one(layer().entry(Entry { uid: 70000, ..Entry::new("a", b'0') })), "above 65535");
    check_unusable(
        one(layer().symlink("a", "b").symlink("b", "a").file("a/x", b"", 0o644)),
        "too many links",
    );
    check_unusable(one(layer().entry(Entry::new("a", b'Z'))), "kind is unknown");
    check_unusable(one(layer().file(".wh.", b"", 0o644)), "hides nothing");
}

#[test]
fn a_second_run_takes_the_layers_from_the_cache() {
    if !live() {
        return;
    }
    let place = Place::new();
    let image = || two(layer().file("a", b"1", 0o644), layer().file("b", b"2", 0o644));
    let first = place.unpack(image()).unwrap();
    let inode = |rootfs: &Rootfs| {
        rootfs.directories().map(|path| fs::metadata(path).unwrap().ino()).collect::<Vec<_>>()
    };
    let second = place.unpack(image()).unwrap();
    assert_eq!(inode(&first), inode(&second));
    // The same layers on another base are other layers.
    let other = place.unpack(two(layer().file("c", b"3", 0o644), layer().file("b", b"2", 0o644))).unwrap();
    assert_ne!(inode(&first)[1], inode(&other)[1]);
}

#[test]
fn a_blob_is_checked_even_if_its_layer_is_in_the_cache() {
    if !live() {
        return;
    }
    let place = Place::new();
    let good = || layer().file("a", b"good", 0o644);
    place.unpack(ImageBuilder::new().layer(good())).unwrap();
    // Another packing of the same layer is as good.
    place.unpack(ImageBuilder::new().packed(good(), Packing::Zstd)).unwrap();
    // Another content under the diff_id of a good one is not.
    let diff_id = support::image::digest(&good().finish());
    let lie = ImageBuilder::new()
        .layer(layer().file("a", b"evil", 0o644))
        .edit_config(move |c| c["rootfs"]["diff_ids"][0] = json!(diff_id));
    assert!(matches!(place.unpack(lie), Err(ImageError::DiffId { .. })));
}

#[test]
fn leftovers_of_a_killed_unpacking_go_at_the_next_open_unless_it_still_runs() {
    if !live() {
        return;
    }
    let place = Place::new();
    drop(place.cache());
    let layers = place.path("state/layers");
    fs::create_dir_all(layers.join("1-dead.partial/fs/x")).unwrap();
    fs::create_dir_all(layers.join("1-busy.partial")).unwrap();
    let busy = fs::File::create(layers.join("1-busy.making")).unwrap();
    busy.lock().unwrap();
    drop(place.cache());
    assert!(!layers.join("1-dead.partial").exists());
    assert!(layers.join("1-busy.partial").exists());
}

#[test]
fn runs_at_the_same_time_make_each_layer_once() {
    if !live() {
        return;
    }
    let place = Place::new();
    let image = place.image(two(
        (0..200).fold(layer(), |tar, i| tar.file(format!("d/{i}"), b"1", 0o644)),
        layer().file("b", b"2", 0o644),
    ));
    let unpacked: Vec<Rootfs> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    place.cache().unpack(&image, &Limits::default(), |_| ControlFlow::Continue(())).unwrap()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for rootfs in &unpacked {
        assert_eq!(Merged::new(rootfs).names("d").len(), 200);
        assert!(rootfs.directories().eq(unpacked[0].directories()));
    }
}

#[test]
fn a_tree_unpacks_to_itself() {
    if !live() {
        return;
    }
    let place = Place::new();
    let tree = place.path("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/file"), vec![3; 300_000]).unwrap();
    fs::hard_link(tree.join("a/b/file"), tree.join("a/twin")).unwrap();
    std::os::unix::fs::symlink("/a", tree.join("link")).unwrap();
    std::os::unix::fs::lchown(tree.join("a"), Some(33), Some(44)).unwrap();
    fs::write(tree.join(OsStr::from_bytes(b"\xff")), "x").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    let reference = Reference::parse(&[OsStr::new("dir:"), tree.as_os_str()].join_os()).unwrap();
    let image = Image::open(&reference, &Limits::default()).unwrap();
    let rootfs = place.cache().unpack(&image, &Limits::default(), |_| ControlFlow::Continue(())).unwrap();
    let merged = Merged::new(&rootfs);
    assert_eq!(fs::read(merged.path("a/twin")).unwrap().len(), 300_000);
    let metadata = |path: &str| fs::symlink_metadata(merged.path(path)).unwrap();
    assert_eq!(metadata("a/twin").ino(), metadata("a/b/file").ino());
    assert_eq!((merged.owner("a").0, merged.owner("a").1), (33, 44));
    assert_eq!(fs::read_link(merged.path("link")).unwrap(), Path::new("/a"));
    assert_eq!(metadata("a/b").mtime_nsec(), fs::metadata(tree.join("a/b")).unwrap().mtime_nsec());
    assert_eq!(merged.names("").len(), 3, "the socket is left out");
    assert_eq!(rootfs.skipped().sockets, 1);
}

#[test]
fn an_archive_is_unpacked_where_it_lies() {
    if !live() {
        return;
    }
    let place = Place::new();
    let file = place.path("a.tar");
    two(layer().file("a", b"1", 0o644), layer().file("b", b"2", 0o644)).write_archive(&file);
    let image = Image::open(&Reference::parse(file.as_os_str()).unwrap(), &Limits::default()).unwrap();
    let mut shown = Vec::new();
    let note = |progress| {
        shown.push(progress);
        ControlFlow::Continue(())
    };
    let rootfs = place.cache().unpack(&image, &Limits::default(), note).unwrap();
    assert_eq!(Merged::new(&rootfs).names(""), ["a", "b"]);
    let last = shown.last().unwrap();
    assert_eq!((last.layer, last.layers, last.read), (1, 2, last.size));
}

#[test]
fn an_unpacker_at_work_has_nothing_that_it_does_not_need() {
    if !live() {
        return;
    }
    let place = Place::new();
    let builder = ImageBuilder::new().packed(layer().file("big", &vec![0; 256 << 20], 0o644), Packing::Plain);
    let image = place.image(builder);
    // Somebody started us with a descriptor that is not close-on-exec.
    let leaked =
        nix::fcntl::open("/etc/hostname", nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty());
    let mut looked = false;
    let limits = Limits { ratio: u64::MAX, ..Limits::default() };
    place
        .cache()
        .unpack(&image, &limits, |_| {
            let Some(pid) = unpacker(place.temporary.path()).filter(|_| !looked) else {
                return ControlFlow::Continue(());
            };
            looked = true;
            let own = PathBuf::from(format!("/proc/{pid}"));
            let status = fs::read_to_string(own.join("status")).unwrap();
            for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Threads:\t1", "Groups:\t \n"] {
                assert!(status.contains(line), "{line} in {status}");
            }
            let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap();
            assert!(uid.split('\t').all(|id| id.parse::<u32>().unwrap() >= 0x7000_0000), "{uid}");
            for kind in ["user", "mnt", "net", "ipc", "uts", "pid"] {
                let link = |process: &Path| fs::read_link(process.join("ns").join(kind)).unwrap();
                assert_ne!(link(&own), link(Path::new("/proc/self")), "{kind}");
            }
            let mut open: Vec<_> = fs::read_dir(own.join("fd"))
                .unwrap()
                .flatten()
                .filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.display().to_string()))
                .collect();
            open.sort();
            open.dedup();
            // The tree, the file in the making, nothing, the blob, the conversation.
            let known = |path: &String| {
                path == "/"
                    || path == "/big"
                    || path == "/dev/null"
                    || path.contains("/blobs/sha256/")
                    || path.starts_with("socket:")
            };
            assert!(open.iter().all(known) && open.len() <= 5, "{open:?}");
            assert!(fs::symlink_metadata(own.join("root/proc")).is_err(), "its root is the layer");
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(looked);
    drop(leaked);
}

/// The unpacker that reads a blob below `place`: the child of a thread of its own.
fn unpacker(place: &Path) -> Option<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = threads.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
    let all: Vec<String> =
        children.flat_map(|it| it.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let reads =
        |pid: &String| fs::read_link(format!("/proc/{pid}/fd/0")).is_ok_and(|it| it.starts_with(place));
    all.into_iter().find(reads)
}

/// Set in the process that [`a_killed_runner_takes_its_unpacker_along`] starts and kills.
const VICTIM: &str = "LAZARET_TEST_VICTIM";

#[test]
fn a_killed_runner_takes_its_unpacker_along() {
    if !live() {
        return;
    }
    if let Some(place) = std::env::var_os(VICTIM) {
        return unpack_until_killed(Path::new(&place));
    }
    const SIZE: usize = 256 << 20;
    let place = Place::new();
    let builder = ImageBuilder::new().packed(layer().file("big", &vec![0; SIZE], 0o644), Packing::Plain);
    builder.write_layout(&place.path("layout"));
    let mut runner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_runner_takes_its_unpacker_along", "--nocapture"])
        .env(VICTIM, place.temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let unpacker = lines.find_map(|line| Some(line.split_once("unpacker ")?.1.to_owned())).unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    // Ended, or ended and not yet reaped by whoever inherited it.
    let state = || fs::read_to_string(format!("/proc/{unpacker}/stat")).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        std::thread::yield_now();
    }
    let partial = fs::read_dir(place.path("state/layers")).unwrap().map(|entry| entry.unwrap().path());
    let partial = partial.into_iter().find(|path| path.extension() == Some("partial".as_ref())).unwrap();
    assert!(fs::metadata(partial.join("fs/big")).unwrap().len() < SIZE as u64, "it ran to its end");
    drop(place.cache());
    assert!(!partial.exists());
}

fn unpack_until_killed(place: &Path) {
    let reference = Reference::parse(place.join("layout").as_os_str()).unwrap();
    let image = Image::open(&reference, &Limits { ratio: u64::MAX, ..Limits::default() }).unwrap();
    let cache = Cache::open(&place.join("state")).unwrap().with_unpacker(env!("CARGO_BIN_EXE_lazaret"));
    let _ = cache.unpack(&image, &Limits::default(), |_| {
        let Some(pid) = unpacker(place) else { return ControlFlow::Continue(()) };
        println!("unpacker {pid}");
        loop {
            std::thread::park();
        }
    });
}
