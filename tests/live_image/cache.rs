//! Layers that were unpacked before.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;

use lazaret::image::{ImageError, Limits, Rootfs};
use serde_json::json;

use crate::place::{Merged, Place, layer, two};
use crate::support::image::{ImageBuilder, Packing, digest};
use crate::support::live;

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
    let diff_id = digest(&good().finish());
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
