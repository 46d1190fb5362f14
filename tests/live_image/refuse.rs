//! Images that attack the unpacker, and images that cannot be used.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use lazaret::image::Limits;
use serde_json::json;

use crate::place::{Merged, Place, layer, two};
use crate::support::image::{Entry, ImageBuilder, LayerBuilder, Packing, digest};
use crate::support::live;

/// Refused as an attack, with these words, and nothing left.
pub fn check_hostile(tar: LayerBuilder, words: &str) {
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
    let other = digest(b"other");
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
