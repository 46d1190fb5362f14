//! Malformed images end in one error; odd but legal ones run.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::place::{Place, busybox, run, said, shell};
use crate::support::image::{
    DockerShape, Entry, Files, ImageBuilder, LayerBuilder, Packing, docker_files, write_archive,
};
use crate::support::{PATIENCE, live};

/// Refused within seconds, with exit 2, an error of this kind in these words, and nothing left.
fn check(place: &Place, reference: &str, kind: &str, words: &str) {
    let begin = Instant::now();
    let said = place.analyze(&[reference]);
    assert!(begin.elapsed() < PATIENCE, "{words}: {:?}", begin.elapsed());
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{words}: {}", said.stderr);
    assert!(said.stderr.contains(words) && said.stderr.contains("\nhint: "), "{words}: {}", said.stderr);
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    assert_eq!(place.check()["error"]["kind"], kind, "{words}");
    let _ = fs::remove_dir_all(place.path("out"));
    let _ = fs::remove_file(place.path("quarantine.json"));
}

fn check_image(builder: ImageBuilder, kind: &str, words: &str) {
    let place = Place::new();
    let reference = place.image(builder);
    check(&place, &reference, kind, words);
    place.assert_clean();
}

#[test]
fn references_that_lead_nowhere_or_would_hang_are_refused() {
    if !live() {
        return;
    }
    let place = Place::new();
    let fifo = place.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fifo.display();
    for transport in ["oci-archive:", "docker-archive:"] {
        check(&place, &format!("{transport}{fifo}"), "image", "not a regular file");
        check(&place, &format!("{transport}/dev/zero"), "image", "not a regular file");
        check(&place, &format!("{transport}/dev/stdin"), "image", "not a regular file");
        check(&place, &format!("{transport}{}", place.path("none").display()), "image", "no image at");
        check(
            &place,
            &format!("{transport}{}", place.directory.path().display()),
            "image",
            "not a regular file",
        );
    }
    check(&place, &format!("oci:{fifo}"), "image", "no image at");
    check(&place, &format!("dir:{fifo}"), "image", "");
    check(&place, &fifo.to_string(), "image", "neither");
    check(&place, "docker://example.org/app:1", "image", "not supported yet");
    check(&place, "", "image", "it is empty");
    for name in ["index.json", "oci-layout"] {
        let reference = place.image(shell("true"));
        let file = place.path("image").join(name);
        fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        check(&place, &reference, "image", "not a regular file");
    }
    place.assert_clean();
}

#[test]
fn documents_of_any_shape_are_refused() {
    if !live() {
        return;
    }
    check_image(
        shell("true").edit_config(|c| c["config"]["Cmd"] = json!("sh")),
        "image",
        "not the JSON it should be",
    );
    check_image(
        shell("true").edit_config(|c| c["config"]["Env"] = json!([1])),
        "image",
        "not the JSON it should be",
    );
    check_image(shell("true").edit_config(|c| c["config"]["Cmd"] = json!(["a\0b"])), "image", "NUL");
    check_image(
        shell("true").edit_config(|c| c["rootfs"] = json!(null)),
        "image",
        "not the JSON it should be",
    );
    check_image(
        shell("true").edit_config(|c| c["config"]["StopSignal"] = json!("SIGNOPE")),
        "image",
        "stop signal",
    );
    check_image(shell("true").edit_config(|c| c["config"]["User"] = json!("nobody-here")), "image", "user");
    check_image(shell("true").edit_config(|c| c["config"]["User"] = json!("4294967296")), "image", "user");
    check_image(
        shell("true").edit_config(|c| c["x"] = json!("y".repeat(100 << 20))),
        "image",
        "more than 4194304",
    );
    check_image(shell("true").edit_manifest(|m| m["layers"][0]["size"] = json!(-1)), "image", "negative");
    check_image(
        shell("true").edit_manifest(|m| m["layers"][0]["size"] = json!(u64::MAX)),
        "image",
        "not the JSON",
    );
    check_image(shell("true").nested(50), "image", "more than 4 indexes");
    let deep = |place: &Place, text: String| {
        let reference = place.image(shell("true"));
        fs::write(place.path("image/index.json"), text).unwrap();
        check(place, &reference, "image", "index.json is not the JSON");
    };
    let place = Place::new();
    deep(&place, "[".repeat(1_000_000));
    deep(&place, "{\"manifests\":".repeat(100_000));
    deep(&place, "\u{feff}{}".into());
    place.assert_clean();
}

/// A stream of zeros, packed without ever being whole.
fn zeros(gibibytes: usize, packing: Packing) -> Vec<u8> {
    let block = vec![0; 4 << 20];
    let all = |to: &mut dyn Write| (0..gibibytes * 256).for_each(|_| to.write_all(&block).unwrap());
    match packing {
        Packing::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            all(&mut encoder);
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            all(&mut encoder);
            encoder.finish().unwrap()
        }
    }
}

#[test]
fn bombs_are_attacks_however_they_are_packed() {
    if !live() {
        return;
    }
    for packing in [Packing::Gzip, Packing::Zstd] {
        // A tar whose one file is ten gibibytes, of which the layer's own digests are never reached.
        let mut header = tar::Header::new_gnu();
        header.set_path("zeros").unwrap();
        header.set_size(10 << 30);
        header.set_mode(0o644);
        header.set_cksum();
        let mut bomb = crate::support::image::pack(header.as_bytes(), packing);
        bomb.extend(zeros(10, packing));
        let place = Place::new();
        let mut files = ImageBuilder::new()
            .packed(busybox().finish(), packing)
            .config(json!({"Cmd": ["/bin/true"]}))
            .files();
        replace_layer(&mut files, bomb);
        crate::support::image::write_layout(&files, &place.path("bomb"));
        check(&place, &format!("oci:{}", place.path("bomb").display()), "hostile_image", "bomb");
        place.assert_clean();
    }
}

/// Puts another blob in place of the only layer's, with its digest and size.
fn replace_layer(files: &mut Files, blob: Vec<u8>) {
    let read = |files: &Files, name: &str| -> Value { serde_json::from_slice(&files[name]).unwrap() };
    let mut index = read(files, "index.json");
    let name = crate::support::image::blob_name(index["manifests"][0]["digest"].as_str().unwrap());
    let mut manifest = read(files, &name);
    let layer = crate::support::image::add(files, manifest["layers"][0]["mediaType"].as_str().unwrap(), blob);
    manifest["layers"][0] = layer;
    let bytes = serde_json::to_vec(&manifest).unwrap();
    index["manifests"][0] = crate::support::image::add(files, crate::support::image::MANIFEST, bytes);
    files.insert("index.json".into(), serde_json::to_vec(&index).unwrap());
}

#[test]
fn an_image_of_docker_save_runs_and_a_damaged_one_does_not() {
    if !live() {
        return;
    }
    let layout = ImageBuilder::new().packed(busybox().finish(), Packing::Plain);
    let layout = layout.config(json!({"Cmd": ["/bin/sh", "-c", "echo from docker"]})).files();
    for shape in [DockerShape::Old, DockerShape::New] {
        let place = Place::new();
        let file = place.path("saved.tar");
        let mut files = docker_files(&layout, shape, &["app:1"]);
        write_archive(&files, &file);
        for reference in [format!("docker-archive:{}:app:1", file.display()), file.display().to_string()] {
            let said = place.analyze(&[&reference]);
            assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
            assert_eq!(fs::read_to_string(place.path("out/stdout")).unwrap(), "from docker\n");
            let subject = &place.report()["subject"];
            assert_eq!(
                (&subject["manifest_digest"], &subject["unchanged"]["same"]),
                (&Value::Null, &true.into())
            );
            fs::remove_dir_all(place.path("out")).unwrap();
        }
        let layer = files.iter_mut().find(|(name, bytes)| bytes.len() > 100_000 && *name != "manifest.json");
        let layer = layer.unwrap().1;
        let middle = layer.len() / 2;
        layer[middle] ^= 1;
        write_archive(&files, &file);
        check(&place, &format!("docker-archive:{}", file.display()), "image", "fetch it again");
        place.assert_clean();
    }
}

#[test]
fn odd_but_legal_images_run() {
    if !live() {
        return;
    }
    let runs = |builder: ImageBuilder, arguments: &[&str], stdout: &[u8]| {
        let place = Place::new();
        let reference = place.image(builder);
        let said = place.analyze(&[&[reference.as_str()], arguments].concat());
        assert!([0, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
        assert_eq!(fs::read(place.path("out/stdout")).unwrap(), stdout, "{}", said.stderr);
        place.assert_clean();
    };
    // No command of its own, empty layers below and above.
    let empty = || LayerBuilder::new().finish();
    let bare = ImageBuilder::new().layer(empty()).layer(busybox().finish()).layer(empty());
    runs(bare.edit_config(|c| c["config"] = json!(null)), &["--", "/bin/echo", "given"], b"given\n");
    // Names that are no text.
    let name = b"caf\xe9 \xff\n\x1b[31m";
    let layer = busybox().file(name, b"odd\n", 0o644).directory(b"\x01\x02", 0o755);
    runs(run(layer, &["/bin/sh", "-c", "cat /caf*; ls -d /[[:cntrl:]]* | wc -c"]), &[], b"odd\n4\n");
    // Many files, many layers, one of them deep.
    let many =
        (0..20_000).fold(busybox(), |layer, i| layer.file(format!("many/{}/{i}", i % 100), b"", 0o644));
    runs(run(many, &["/bin/sh", "-c", "set -- /many/*/*; echo $#"]), &[], b"20000\n");
    let deep = busybox().file(format!("{}f", "d/".repeat(1500)), b"", 0o644);
    runs(
        (0..60).fold(run(deep, &["/bin/echo", "layers"]), |image, i| {
            image.layer(LayerBuilder::new().file(format!("layer-{i}"), b"", 0o644))
        }),
        &[],
        b"layers\n",
    );
    // Ids at the edge, times before 1970 and far ahead, a file in place of a directory of a lower layer.
    let edge = busybox()
        .entry(Entry { uid: 65535, gid: 65535, mtime: u32::MAX.into(), ..Entry::new("edge", b'0') })
        .directory("swapped/inner", 0o755);
    let image = ImageBuilder::new()
        .layer(edge.finish())
        .layer(LayerBuilder::new().file("swapped", b"file\n", 0o644).finish());
    runs(image.config(json!({"Entrypoint": ["/bin/cat"], "Cmd": ["/swapped"]})), &[], b"file\n");
}

#[test]
fn a_tree_runs_too() {
    if !live() {
        return;
    }
    let place = Place::new();
    let root = place.path("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/sh")).unwrap();
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"\xff"));
    fs::write(root.join(odd), "x").unwrap();
    let mut command = place.command();
    command.arg("analyze").arg("--out").arg(place.path("out")).arg(format!("dir:{}", root.display()));
    let said = said(command.args(["--", "/bin/sh", "-c", "echo tree"]).output().unwrap());
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    place.assert_clean();
}
