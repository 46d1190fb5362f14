//! Opening images: what is resolved, and what is refused with which words. No privileges needed.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // the functions around the tests, too

mod support;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use lazaret::image::{Image, ImageError, Limits, Reference};
use serde_json::json;
use support::image::{
    Files, INDEX, ImageBuilder, LayerBuilder, MANIFEST, add, blob_name, digest, write_archive, write_layout,
};

fn open(transport: &str, path: &Path) -> Result<Image, ImageError> {
    let mut text = OsString::from(transport);
    text.push(path);
    Image::open(&Reference::parse(&text)?, &Limits::default())
}

fn simple() -> ImageBuilder {
    ImageBuilder::new().layer(LayerBuilder::new().file("a", b"1", 0o644))
}

/// Writes the files as layout and as archive; both must be refused with these words.
fn check_refused(files: &Files, words: &str) {
    let place = tempfile::tempdir().unwrap();
    let (layout, archive) = (place.path().join("l"), place.path().join("a.tar"));
    write_layout(files, &layout);
    write_archive(files, &archive);
    for (transport, path) in [("oci:", layout), ("oci-archive:", archive)] {
        let error = open(transport, &path).expect_err(words);
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let text = format!("{error}: {source}");
        assert!(text.contains(words), "{text:?} instead of {words:?}");
        assert!(!error.is_host() && !error.is_hostile(), "{text}");
    }
}

#[test]
fn a_layout_and_its_archive_are_the_same_image() {
    let place = tempfile::tempdir().unwrap();
    let files = simple()
        .tag("v1")
        .config(json!({"Entrypoint": ["/a"], "Env": ["A=b"], "User": "1:2", "WorkingDir": "/w"}))
        .files();
    let (layout, archive) = (place.path().join("l"), place.path().join("a.tar"));
    write_layout(&files, &layout);
    write_archive(&files, &archive);
    let images: Vec<_> = ["oci:", "oci-archive:", "", ":v1"]
        .into_iter()
        .zip([&layout, &archive, &archive, &layout])
        .map(|(how, path)| match how {
            ":v1" => open("oci:", &PathBuf::from(format!("{}:v1", path.display()))).unwrap(),
            transport => open(transport, path).unwrap(),
        })
        .collect();
    let first = &images[0];
    assert_eq!(first.config.entrypoint, ["/a"]);
    assert_eq!(first.config.stop_signal, "SIGTERM");
    assert_eq!(first.layers[0].created_by.as_deref(), Some("step 0"));
    let subject = first.subject_digest().unwrap();
    for image in &images {
        assert_eq!(image.manifest_digest, first.manifest_digest);
        assert_eq!(image.layers, first.layers);
        assert_eq!(image.subject_digest().unwrap(), subject);
    }
}

#[test]
fn an_artefact_that_changes_does_not_keep_its_subject_digest() {
    let place = tempfile::tempdir().unwrap();
    simple().write_layout(place.path());
    let image = open("oci:", place.path()).unwrap();
    image.subject_digest().unwrap();
    let blob = place.path().join(blob_name(&image.layers[0].digest.to_string()));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::write(&blob, bytes).unwrap();
    assert!(matches!(image.subject_digest(), Err(ImageError::Digest { .. })));
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    check_refused(&simple().edit_manifest(|m| m["layers"][0]["size"] = json!(-1)).files(), "negative: -1");
    check_refused(&simple().edit_manifest(|m| m["layers"][0]["size"] = json!(7)).files(), "instead of 7");
    check_refused(&simple().edit_manifest(|m| m["schemaVersion"] = json!(1)).files(), "schemaVersion is 1");
    check_refused(&simple().edit_manifest(|m| m["config"]["mediaType"] = json!("x/y")).files(), "\"x/y\"");
    check_refused(&simple().edit_manifest(|m| m["layers"][0]["mediaType"] = json!("x/z")).files(), "\"x/z\"");
    check_refused(&simple().edit_manifest(|m| m["layers"] = json!([])).files(), "1 diff_ids for 0 layers");
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    check_refused(
        &simple().edit_manifest(move |m| m["layers"][0]["mediaType"] = json!(foreign)).files(),
        "is a foreign layer",
    );
    let absent = digest(b"absent");
    let edit = move |m: &mut serde_json::Value| m["layers"][0]["digest"] = json!(absent);
    check_refused(&simple().edit_manifest(edit).files(), "is missing");
    let sha512 = |m: &mut serde_json::Value| m["layers"][0]["digest"] = json!("sha512:00");
    check_refused(&simple().edit_manifest(sha512).files(), "\"sha512\" is not supported");
    check_refused(
        &simple().edit_config(|c| c["rootfs"]["diff_ids"][0] = json!("x")).files(),
        "is not a digest",
    );
    check_refused(&simple().edit_config(|c| c["os"] = json!(null)).files(), "it names no os");
    check_refused(&simple().edit_index(|i| i["manifests"] = json!([])).files(), "lists no manifest");
    check_refused(&simple().damage_blob(0, |b| b.truncate(9)).files(), "has 9 bytes instead of");
    let mut files = simple().files();
    files.remove("index.json");
    check_refused(&files, "no index.json");
    files.remove("oci-layout");
    write_archive(&files, &tempfile::tempdir().unwrap().path().join("x"));
}

#[test]
fn a_swapped_manifest_or_config_is_refused() {
    for media_type in [MANIFEST, support::image::CONFIG] {
        let mut files = simple().files();
        let is = |bytes: &[u8]| {
            let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
            (value["schemaVersion"] == json!(2)) == (media_type == MANIFEST) && value.is_object()
        };
        let found = files.iter_mut().find(|(name, bytes)| name.starts_with("blobs") && is(bytes));
        let blob = found.unwrap().1;
        let end = blob.len() - 1;
        blob[end] = b' ';
        check_refused(&files, "has the digest");
    }
}

#[test]
fn documents_are_bounded_in_size_and_depth() {
    let files = simple().edit_config(|c| c["history"][0]["comment"] = json!("x".repeat(100 << 20))).files();
    check_refused(&files, "more than 4194304");
    check_refused(&simple().nested(50).files(), "more than 4 indexes");
    check_refused(
        &simple()
            .edit_index(|i| {
                let entry = i["manifests"][0].clone();
                i["manifests"] = json!(vec![entry; 5000]);
            })
            .files(),
        "more than 1024 entries",
    );
    let mut files = simple().files();
    files.insert("index.json".into(), "[".repeat(100_000).into_bytes());
    check_refused(&files, "index.json is not the JSON");

    let place = tempfile::tempdir().unwrap();
    simple().nested(2).write_layout(place.path());
    open("oci:", place.path()).unwrap();
}

#[test]
fn an_index_that_lists_itself_ends() {
    // A digest cannot contain itself; a liar can only name a blob that does not match.
    let mut files = simple().files();
    let own = json!({"schemaVersion": 2, "manifests": []});
    let bytes = serde_json::to_vec(&own).unwrap();
    let entry = json!({"mediaType": INDEX, "digest": digest(&bytes), "size": bytes.len()});
    let looped = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [entry]})).unwrap();
    let entry = json!({"mediaType": INDEX, "digest": digest(&bytes), "size": looped.len()});
    files.insert(blob_name(&digest(&bytes)), looped);
    files.insert(
        "index.json".into(),
        serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [entry]})).unwrap(),
    );
    check_refused(&files, "has the digest");
}

#[test]
fn the_host_platform_is_taken_from_a_multi_platform_index() {
    let place = tempfile::tempdir().unwrap();
    let mut files = ImageBuilder::new().architecture("s390x").files();
    let others = ImageBuilder::new().architecture("s390x").files();
    let ours = simple().files();
    let entry = |files: &Files, os: &str, architecture: &str| {
        let index: serde_json::Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let mut entry = index["manifests"][0].clone();
        entry["platform"] = json!({"os": os, "architecture": architecture});
        entry
    };
    let host = support::image::host_architecture();
    let entries = [
        entry(&others, "linux", "s390x"),
        entry(&others, "unknown", "unknown"),
        entry(&ours, "linux", host),
        entry(&others, "windows", host),
    ];
    files.extend(ours.clone());
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    let nested = add(&mut files, INDEX, serde_json::to_vec(&index).unwrap());
    for manifests in [json!([nested]), json!(entries)] {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        files.insert("index.json".into(), serde_json::to_vec(&index).unwrap());
        write_layout(&files, place.path());
        let image = open("oci:", place.path()).unwrap();
        assert_eq!(image.manifest_digest.unwrap().to_string(), entries[2]["digest"]);
    }
    let index = json!({"schemaVersion": 2, "manifests": [entries[0], entries[3]]});
    files.insert("index.json".into(), serde_json::to_vec(&index).unwrap());
    check_refused(&files, "it is for linux/s390x, windows/");
}

#[test]
fn an_image_for_another_machine_is_an_error_of_its_own() {
    let place = tempfile::tempdir().unwrap();
    simple().architecture("s390x").write_layout(place.path());
    assert!(matches!(open("oci:", place.path()), Err(ImageError::Platform { .. })));
}

#[test]
fn a_tag_chooses_and_its_absence_does_not_guess() {
    let place = tempfile::tempdir().unwrap();
    let mut files = simple().tag("one").files();
    let other = ImageBuilder::new().tag("two").files();
    let list = |files: &Files| {
        let index: serde_json::Value = serde_json::from_slice(&files["index.json"]).unwrap();
        index["manifests"][0].clone()
    };
    let index = json!({"schemaVersion": 2, "manifests": [list(&files), list(&other)]});
    files.extend(other);
    files.insert("index.json".into(), serde_json::to_vec(&index).unwrap());
    check_refused(&files, "more than one image, name one of: one, two");
    write_layout(&files, place.path());
    let tagged = |tag: &str| open("oci:", &PathBuf::from(format!("{}:{tag}", place.path().display())));
    assert_eq!(tagged("one").unwrap().layers.len(), 1);
    assert_eq!(tagged("two").unwrap().layers.len(), 0);
    assert!(tagged("three").unwrap_err().to_string().contains("it has: one, two"));
}

#[test]
fn blobs_that_are_no_regular_files_do_not_hang() {
    let blob = |place: &Path| {
        simple().write_layout(place);
        let image = open("oci:", place).unwrap();
        let blob = place.join(blob_name(&image.layers[0].digest.to_string()));
        let kept = place.join("kept");
        fs::rename(&blob, &kept).unwrap();
        (blob, kept)
    };
    let refused = |place: &Path| {
        let error = open("oci:", place).unwrap_err();
        assert!(matches!(error, ImageError::NotRegular { .. }), "{error}");
    };
    let place = tempfile::tempdir().unwrap();
    let (blob_path, kept) = blob(place.path());
    nix::unistd::mkfifo(&blob_path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    refused(place.path());
    fs::remove_file(&blob_path).unwrap();
    std::os::unix::fs::symlink(&kept, &blob_path).unwrap();
    refused(place.path());
    fs::remove_file(&blob_path).unwrap();
    fs::create_dir(&blob_path).unwrap();
    refused(place.path());
    let index = place.path().join("index.json");
    fs::remove_file(&index).unwrap();
    nix::unistd::mkfifo(&index, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    refused(place.path());
}

#[test]
fn an_archive_that_lies_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.tar");
    write_archive(&simple().files(), &file);
    let bytes = fs::read(&file).unwrap();
    let refused = |bytes: &[u8], words: &str| {
        fs::write(&file, bytes).unwrap();
        let error = open("oci-archive:", &file).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.is_host(), "{error}");
    };
    refused(&bytes[..700], "ends within a member");
    let twice = [&bytes[..bytes.len() - 1024], &bytes[..]].concat();
    refused(&twice, "twice");
    refused(b"not a tar at all, but longer than a block".repeat(20).as_slice(), "checksum");
    refused(b"", "no oci-layout");
}

#[test]
fn a_tree_has_one_layer_and_no_manifest() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("bin")).unwrap();
    fs::write(place.path().join("bin/a"), "1").unwrap();
    let first = open("dir:", place.path()).unwrap();
    assert_eq!((first.manifest_digest, first.layers.len()), (None, 1));
    let subject = first.subject_digest().unwrap();
    assert_eq!(open("dir:", place.path()).unwrap().config_digest, first.config_digest);
    assert_eq!(first.subject_digest().unwrap(), subject);
    fs::write(place.path().join("bin/a"), "2").unwrap();
    assert_ne!(first.subject_digest().unwrap(), subject);
}
