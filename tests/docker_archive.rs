//! `docker-archive:` images, good and malformed, without unpacking.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

mod support;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;

use lazaret::image::{Compression, Image, ImageError, Limits, Reference};
use serde_json::{Value, json};
use support::image::{
    DockerShape, Files, ImageBuilder, LayerBuilder, Packing, digest, docker_files, write_archive,
};

fn open(path: &Path, tag: &str) -> Result<Image, ImageError> {
    let mut text = OsString::from("docker-archive:");
    text.push(path);
    text.push(tag);
    Image::open(&Reference::parse(&text)?, &Limits::default())
}

fn simple(packing: Packing) -> ImageBuilder {
    let layer = LayerBuilder::new().file("a", b"1", 0o644).finish();
    ImageBuilder::new().packed(layer, packing).config(json!({"Cmd": ["/a"]}))
}

fn old() -> Files {
    docker_files(&simple(Packing::Plain).files(), DockerShape::Old, &["app:1"])
}

/// Changes manifest.json.
fn edited(mut files: Files, edit: impl FnOnce(&mut Value)) -> Files {
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    edit(&mut manifest);
    files.insert("manifest.json".into(), serde_json::to_vec(&manifest).unwrap());
    files
}

fn check_refused(files: &Files, words: &str) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.tar");
    write_archive(files, &file);
    let error = open(&file, "").unwrap_err();
    let text = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    assert!(text.contains(words), "{text} instead of {words}");
    assert!(!error.is_host(), "{error:?}");
}

#[test]
fn both_shapes_and_every_packing_are_the_image_that_the_layout_is() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.tar");
    for shape in [DockerShape::Old, DockerShape::New] {
        for (packing, compression) in [
            (Packing::Plain, Compression::None),
            (Packing::Gzip, Compression::Gzip),
            (Packing::Zstd, Compression::Zstd),
        ] {
            simple(packing).write_layout(&place.path().join("layout"));
            let text = format!("oci:{}", place.path().join("layout").display());
            let layout = Reference::parse(text.as_ref()).unwrap();
            let layout = Image::open(&layout, &Limits::default()).unwrap();
            write_archive(&docker_files(&simple(packing).files(), shape, &["app:1"]), &file);
            let image = open(&file, "").unwrap();
            assert_eq!(image.manifest_digest, None);
            assert_eq!(image.config_digest, layout.config_digest);
            assert_eq!(
                (image.layers[0].digest, image.layers[0].diff_id),
                (layout.layers[0].digest, layout.layers[0].diff_id)
            );
            assert_eq!((image.layers[0].compression, &image.config), (compression, &layout.config));
            assert_eq!(image.subject_digest().unwrap(), image.subject_digest().unwrap());
            fs::remove_dir_all(place.path().join("layout")).unwrap();
        }
    }
}

#[test]
fn a_tag_chooses_whole_or_by_its_end_and_its_absence_does_not_guess() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.tar");
    let mut files =
        docker_files(&simple(Packing::Plain).files(), DockerShape::Old, &["r:5000/app:1", "app:one"]);
    let other = docker_files(&ImageBuilder::new().files(), DockerShape::Old, &["app:2"]);
    let entry = |files: &Files| serde_json::from_slice::<Value>(&files["manifest.json"]).unwrap()[0].clone();
    let both = json!([entry(&files), entry(&other)]);
    files.extend(other);
    files.insert("manifest.json".into(), serde_json::to_vec(&both).unwrap());
    write_archive(&files, &file);
    let layers = |tag: &str| open(&file, tag).unwrap().layers.len();
    assert_eq!([":r:5000/app:1", ":app:one", ":1", ":2", ":app:2"].map(layers), [1, 1, 1, 0, 0]);
    let error = |tag: &str| open(&file, tag).unwrap_err().to_string();
    assert!(error("").contains("name one of: r:5000/app:1, app:one, app:2"), "{}", error(""));
    assert!(error(":3").contains("no image tagged \"3\""));
}

#[test]
fn a_layer_that_comes_twice_is_a_link_to_the_first_and_no_other_link_is_followed() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.tar");
    let tar = LayerBuilder::new().file("a", b"1", 0o644).finish();
    let layout = ImageBuilder::new().packed(tar.clone(), Packing::Plain).packed(tar, Packing::Plain).files();
    let mut files = docker_files(&layout, DockerShape::Old, &[]);
    let (first, second) = (format!("{:064x}/layer.tar", 1), format!("{:064x}/layer.tar", 2));
    files.remove(&second);
    let linked = |target: &str| {
        let mut tar = tar::Builder::new(File::create(&file).unwrap());
        for (name, content) in &files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, &content[..]).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, &second, target).unwrap();
        tar.finish().unwrap();
        open(&file, "")
    };
    assert_eq!(linked(&format!("../{first}")).unwrap().layers.len(), 2);
    for target in ["/etc/passwd", "../../etc/layer.tar", "../../../../etc/passwd", &second, "../x/layer.tar"]
    {
        let error = linked(target).unwrap_err().to_string();
        assert!(error.contains("which is not there"), "{error}");
    }
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    let edit = |edit: &dyn Fn(&mut Value)| edited(old(), edit);
    check_refused(&edit(&|m| *m = json!([])), "manifest.json: it lists no image");
    check_refused(&edit(&|m| *m = json!({})), "manifest.json is not the JSON it should be");
    check_refused(&edit(&|m| m[0]["Config"] = json!(null)), "manifest.json is not the JSON it should be");
    check_refused(&edit(&|m| m[0]["Config"] = json!("../x.json")), "\"../x.json\", which is not there");
    check_refused(&edit(&|m| m[0]["Config"] = json!("/etc/passwd")), "\"/etc/passwd\", which is not there");
    check_refused(&edit(&|m| m[0]["Layers"] = json!([])), "it has 0 layers, the config 1 diff_ids");
    check_refused(&edit(&|m| m[0]["Layers"] = json!(["x/layer.tar"])), "\"x/layer.tar\", which is not there");
    check_refused(&edit(&|m| m[0]["Layers"] = json!([7])), "manifest.json is not the JSON it should be");
    check_refused(&edit(&|m| *m = json!(vec![m[0].clone(); 2000])), "more than 1024 images");
    check_refused(&edit(&|m| m.as_array_mut().unwrap().push(json!({"Config": "x"}))), "more than one image");
    let mut files = old();
    files.remove("manifest.json");
    check_refused(&files, "it has no manifest.json");
    files.insert("manifest.json".into(), b"[".repeat(100_000));
    check_refused(&files, "manifest.json is not the JSON");
    files.insert("manifest.json".into(), vec![b' '; 5 << 20]);
    check_refused(&files, "more than 4194304");
    check_refused(&Files::new(), "it has no manifest.json");

    // A name that is a digest is a promise.
    let config = old().into_keys().find(|name| name.ends_with(".json") && name != "manifest.json").unwrap();
    let mut files = old();
    files.get_mut(&config).unwrap().push(b' ');
    check_refused(&files, "has the digest");
    let mut files = edited(old(), |m| m[0]["Config"] = json!("config.json"));
    let bytes = files.remove(&config).unwrap();
    files.insert("config.json".into(), bytes[..bytes.len() - 2].to_vec());
    check_refused(&files, "\"config.json\" is not the JSON");
    files.insert("config.json".into(), br#"{"os":"linux","architecture":"s390x","rootfs":{}}"#.to_vec());
    check_refused(&files, "it is for linux/s390x");

    // Without a digest in the name, any name does.
    files.insert("config.json".into(), bytes.clone());
    let place = tempfile::tempdir().unwrap();
    write_archive(&files, &place.path().join("a.tar"));
    let image = open(&place.path().join("a.tar"), "").unwrap();
    assert_eq!(image.config_digest.to_string(), digest(&bytes));
}

#[test]
fn an_artefact_that_changes_does_not_keep_its_subject_digest() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.tar");
    write_archive(&old(), &file);
    let image = open(&file, "").unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(5).position(|window| window == b"\"/a\"]").unwrap() + 2;
    bytes[at] = b'b';
    fs::write(&file, bytes).unwrap();
    assert!(image.subject_digest().unwrap_err().to_string().contains("the config has the digest"));
}
