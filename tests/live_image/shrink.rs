//! How the cache shrinks.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use lazaret::image::{Keep, Load};

use crate::place::Place;
use crate::support::live;

fn layers(load: Load) -> u64 {
    load.layers
}

#[test]
fn layers_that_no_run_uses_go_with_all_that_belongs_to_them() {
    if !live() {
        return;
    }
    let place = Place::new();
    let held = place.unpack_names(&["a", "b"]);
    drop(place.unpack_names(&["a", "c"]));
    let shrunk = place.cache().shrink(Keep::Bytes(0)).unwrap();
    assert_eq!((layers(shrunk.removed), layers(shrunk.kept), layers(shrunk.in_use)), (1, 2, 2));
    let files: Vec<_> = held.directories().map(|path| fs::read_dir(path).unwrap().count()).collect();
    assert_eq!(files, [1, 1]);
    drop(held);
    let shrunk = place.cache().shrink(Keep::Bytes(0)).unwrap();
    assert_eq!((layers(shrunk.removed), layers(shrunk.kept)), (2, 0));
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn the_longest_unused_go_first_and_no_layer_before_those_above_it() {
    if !live() {
        return;
    }
    let place = Place::new();
    drop(place.unpack_names(&["base", "old"]));
    place.age(3);
    drop(place.unpack_names(&["base", "new"]));
    let one = place.cache().shrink(Keep::Bytes(u64::MAX)).unwrap().kept.bytes / 3;
    // `base` was used again with `new`, and later than it.
    let shrunk = place.cache().shrink(Keep::Bytes(2 * one)).unwrap();
    assert_eq!((layers(shrunk.removed), layers(shrunk.kept)), (1, 2));
    let shrunk = place.cache().shrink(Keep::Bytes(one)).unwrap();
    assert_eq!((layers(shrunk.removed), layers(shrunk.kept)), (1, 1));
    let base = place.unpack_names(&["base"]);
    assert_eq!(fs::read(base.directories().next().unwrap().join("base")).unwrap(), b"base");
    drop(base);
    // What was removed comes back, the same.
    let again = place.unpack_names(&["base", "old"]);
    assert_eq!(fs::read(again.directories().next_back().unwrap().join("old")).unwrap(), b"old");
}

#[test]
fn age_counts_from_the_last_use() {
    if !live() {
        return;
    }
    let place = Place::new();
    drop(place.unpack_names(&["a"]));
    drop(place.unpack_names(&["b"]));
    place.age(8);
    drop(place.unpack_names(&["a"]));
    let week = SystemTime::now() - Duration::from_secs(7 * 86400);
    let shrunk = place.cache().shrink(Keep::Since(week)).unwrap();
    assert_eq!((layers(shrunk.removed), layers(shrunk.kept)), (1, 1));
}

#[test]
fn runs_that_unpack_while_the_cache_shrinks_get_whole_layers() {
    if !live() {
        return;
    }
    let place = Place::new();
    std::thread::scope(|scope| {
        // Until the two have met often.
        let shrinking = scope.spawn(|| {
            let mut removed = 0;
            while removed < 30 {
                removed += place.cache().shrink(Keep::Bytes(0)).unwrap().removed.layers;
            }
        });
        while !shrinking.is_finished() {
            let rootfs = place.unpack_names(&["x", "y", "z"]);
            let content = rootfs.directories().zip(["x", "y", "z"]);
            content.for_each(|(path, name)| assert_eq!(fs::read(path.join(name)).unwrap(), name.as_bytes()));
        }
    });
}

#[test]
fn gc_says_what_it_removed() {
    if !live() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("state")).unwrap();
    fs::set_permissions(place.path("state"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    drop(place.unpack_names(&["a"]));
    let gc = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
        command.arg("--state").arg(place.path("state")).arg("gc").args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(gc(&[]), "nothing to remove\n");
    assert!(gc(&["--cache=7d"]).contains("removed 0 layers"));
    assert!(gc(&["--cache"]).contains("removed 1 layer (0 MiB) of the cache; 0 layers (0 MiB) are left"));
    assert_eq!(place.names(), Vec::<String>::new());
}
