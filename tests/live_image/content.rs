//! What layers hold is what the merged root shows.

use std::ffi::OsStr;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use lazaret::image::{Image, LAYER_ID_BASE, Limits, Reference};

use crate::place::{JoinOs, Merged, Place, layer, two};
use crate::refuse::check_hostile;
use crate::support::image::{Entry, ImageBuilder, Packing};
use crate::support::live;

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
