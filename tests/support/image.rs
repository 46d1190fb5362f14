//! Hand-made images: layers from entries, packed, configured, written as a layout or an archive, and
//! damaged on request. It knows nothing of the code under test and checks nothing.
//!
//! ```ignore
//! let layer = LayerBuilder::new().directory("bin", 0o755).file("bin/app", b"…", 0o755);
//! ImageBuilder::new().layer(layer).config(json!({"Entrypoint": ["/bin/app"]})).write_layout(path);
//! ```
#![allow(dead_code)] // each test file uses a part of it

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// One member of a layer; start from [`Entry::new`] and change what matters.
#[derive(Clone, Debug)]
pub struct Entry {
    pub path: Vec<u8>,
    /// tar's type flag: `b'0'` file, `b'1'` hard link, `b'2'` symlink, `b'3'` device, `b'5'`
    /// directory, `b'6'` FIFO.
    pub kind: u8,
    pub link: Vec<u8>,
    pub data: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub xattrs: Vec<(String, Vec<u8>)>,
}

impl Entry {
    pub fn new(path: impl AsRef<[u8]>, kind: u8) -> Entry {
        Entry {
            path: path.as_ref().to_vec(),
            kind,
            link: Vec::new(),
            data: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 1_600_000_000,
            xattrs: Vec::new(),
        }
    }
}

/// A layer in the making: an uncompressed tar.
pub struct LayerBuilder {
    tar: tar::Builder<Vec<u8>>,
}

impl Default for LayerBuilder {
    fn default() -> LayerBuilder {
        LayerBuilder::new()
    }
}

impl LayerBuilder {
    pub fn new() -> LayerBuilder {
        LayerBuilder { tar: tar::Builder::new(Vec::new()) }
    }

    pub fn entry(mut self, entry: Entry) -> LayerBuilder {
        let mut pax: Vec<(String, Vec<u8>)> = Vec::new();
        let mut header = tar::Header::new_ustar();
        let fields = header.as_ustar_mut().unwrap();
        match entry.path.len() <= 100 {
            true => fields.name[..entry.path.len()].copy_from_slice(&entry.path),
            false => pax.push(("path".into(), entry.path.clone())),
        }
        match entry.link.len() <= 100 {
            true => fields.linkname[..entry.link.len()].copy_from_slice(&entry.link),
            false => pax.push(("linkpath".into(), entry.link.clone())),
        }
        let own = |id: u64| if id < 0o7777777 { id } else { 0 };
        header.set_entry_type(tar::EntryType::new(entry.kind));
        header.set_size(entry.data.len() as u64);
        header.set_mode(entry.mode);
        header.set_uid(own(entry.uid));
        header.set_gid(own(entry.gid));
        header.set_mtime(entry.mtime);
        if entry.kind == b'3' {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        if own(entry.uid) != entry.uid {
            pax.push(("uid".into(), entry.uid.to_string().into_bytes()));
        }
        for (name, value) in &entry.xattrs {
            pax.push((format!("SCHILY.xattr.{name}"), value.clone()));
        }
        if !pax.is_empty() {
            let records = pax.iter().map(|(key, value)| (key.as_str(), &value[..]));
            self.tar.append_pax_extensions(records).unwrap();
        }
        self.tar.append(&header, &entry.data[..]).unwrap();
        self
    }

    pub fn file(self, path: impl AsRef<[u8]>, data: &[u8], mode: u32) -> LayerBuilder {
        self.entry(Entry { data: data.to_vec(), mode, ..Entry::new(path, b'0') })
    }

    pub fn directory(self, path: impl AsRef<[u8]>, mode: u32) -> LayerBuilder {
        self.entry(Entry { mode, ..Entry::new(path, b'5') })
    }

    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> LayerBuilder {
        self.entry(Entry { link: target.as_ref().to_vec(), mode: 0o777, ..Entry::new(path, b'2') })
    }

    pub fn hard_link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> LayerBuilder {
        self.entry(Entry { link: target.as_ref().to_vec(), ..Entry::new(path, b'1') })
    }

    /// Hides a path of the layers below.
    pub fn whiteout(self, path: &str) -> LayerBuilder {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        self.file(format!("{parent}/.wh.{name}"), b"", 0o644)
    }

    /// Hides all that the layers below have in a directory.
    pub fn opaque(self, directory: &str) -> LayerBuilder {
        self.file(format!("{directory}/.wh..wh..opq"), b"", 0o644)
    }

    /// The uncompressed tar.
    pub fn finish(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }
}

impl From<LayerBuilder> for Vec<u8> {
    fn from(layer: LayerBuilder) -> Vec<u8> {
        layer.finish()
    }
}

type Edit<T> = Box<dyn FnMut(&mut T)>;

/// An image in the making. Edits of a document happen before its digest is taken, so that the image
/// stays consistent; [`ImageBuilder::damage_blob`] happens after, so that it does not.
pub struct ImageBuilder {
    layers: Vec<(Vec<u8>, Packing)>,
    config: Value,
    architecture: String,
    tag: Option<String>,
    edit_config: Edit<Value>,
    edit_manifest: Edit<Value>,
    edit_index: Edit<Value>,
    nesting: usize,
    damage: Vec<(usize, Edit<Vec<u8>>)>,
}

impl Default for ImageBuilder {
    fn default() -> ImageBuilder {
        ImageBuilder::new()
    }
}

/// What a layout consists of: file name → content.
pub type Files = BTreeMap<String, Vec<u8>>;

impl ImageBuilder {
    pub fn new() -> ImageBuilder {
        ImageBuilder {
            layers: Vec::new(),
            config: json!({}),
            architecture: host_architecture().to_owned(),
            tag: None,
            edit_config: Box::new(|_| {}),
            edit_manifest: Box::new(|_| {}),
            edit_index: Box::new(|_| {}),
            nesting: 0,
            damage: Vec::new(),
        }
    }

    /// Adds a gzip layer on top.
    pub fn layer(self, tar: impl Into<Vec<u8>>) -> ImageBuilder {
        self.packed(tar, Packing::Gzip)
    }

    pub fn packed(mut self, tar: impl Into<Vec<u8>>, packing: Packing) -> ImageBuilder {
        self.layers.push((tar.into(), packing));
        self
    }

    /// The `config` object of the configuration: Entrypoint, Env, …
    pub fn config(mut self, config: Value) -> ImageBuilder {
        self.config = config;
        self
    }

    pub fn architecture(mut self, name: &str) -> ImageBuilder {
        self.architecture = name.to_owned();
        self
    }

    pub fn tag(mut self, tag: &str) -> ImageBuilder {
        self.tag = Some(tag.to_owned());
        self
    }

    pub fn edit_config(mut self, edit: impl FnMut(&mut Value) + 'static) -> ImageBuilder {
        self.edit_config = Box::new(edit);
        self
    }

    pub fn edit_manifest(mut self, edit: impl FnMut(&mut Value) + 'static) -> ImageBuilder {
        self.edit_manifest = Box::new(edit);
        self
    }

    pub fn edit_index(mut self, edit: impl FnMut(&mut Value) + 'static) -> ImageBuilder {
        self.edit_index = Box::new(edit);
        self
    }

    /// Puts this many further indexes between index.json and the manifest.
    pub fn nested(mut self, levels: usize) -> ImageBuilder {
        self.nesting = levels;
        self
    }

    /// Changes a layer's blob under its digest: swap, truncate, flip a bit.
    pub fn damage_blob(mut self, layer: usize, edit: impl FnMut(&mut Vec<u8>) + 'static) -> ImageBuilder {
        self.damage.push((layer, Box::new(edit)));
        self
    }

    /// All files of the layout, in memory.
    pub fn files(mut self) -> Files {
        let mut files = Files::new();
        let packed: Vec<_> = self.layers.iter().map(|(tar, packing)| pack(tar, *packing)).collect();
        let mut config = json!({
            "architecture": self.architecture, "os": "linux", "config": self.config,
            "rootfs": {
                "type": "layers",
                "diff_ids": self.layers.iter().map(|(tar, _)| digest(tar)).collect::<Vec<_>>(),
            },
            "history": (0..packed.len()).map(|i| json!({"created_by": format!("step {i}")})).collect::<Vec<_>>(),
        });
        (self.edit_config)(&mut config);
        let config = add(&mut files, CONFIG, to_bytes(&config));
        let layers: Vec<_> = packed
            .iter()
            .zip(&self.layers)
            .map(|(blob, (_, packing))| add(&mut files, media_type(*packing), blob.clone()))
            .collect();
        let mut manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        (self.edit_manifest)(&mut manifest);
        let mut entry = add(&mut files, MANIFEST, to_bytes(&manifest));
        for _ in 0..self.nesting {
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
            entry = add(&mut files, INDEX, to_bytes(&index));
        }
        if let Some(tag) = &self.tag {
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        }
        let mut index = json!({ "schemaVersion": 2, "manifests": [entry] });
        (self.edit_index)(&mut index);
        for (layer, edit) in &mut self.damage {
            let name = blob_name(&digest(&packed[*layer]));
            edit(files.get_mut(&name).unwrap());
        }
        files.insert("index.json".into(), to_bytes(&index));
        files.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        files
    }

    pub fn write_layout(self, directory: &Path) {
        write_layout(&self.files(), directory);
    }

    pub fn write_archive(self, file: &Path) {
        write_archive(&self.files(), file);
    }
}

/// How `docker save` lays an image out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DockerShape {
    /// `<hex>.json` and `<id>/layer.tar`.
    Old,
    /// `blobs/sha256/<hex>`.
    New,
}

/// The files of an archive of `docker save`, from those of a layout.
pub fn docker_files(layout: &Files, shape: DockerShape, tags: &[&str]) -> Files {
    let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
    let blob = |descriptor: &Value| layout[&blob_name(descriptor["digest"].as_str().unwrap())].clone();
    let manifest = json(&blob(&json(&layout["index.json"])["manifests"][0]));
    let mut files = Files::new();
    let config = blob(&manifest["config"]);
    let config_name = match shape {
        DockerShape::Old => digest(&config).replacen("sha256:", "", 1) + ".json",
        DockerShape::New => blob_name(&digest(&config)),
    };
    files.insert(config_name.clone(), config);
    let layers: Vec<String> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(i, layer)| {
            let bytes = blob(layer);
            let name = match shape {
                DockerShape::Old => format!("{:064x}/layer.tar", i + 1),
                DockerShape::New => blob_name(&digest(&bytes)),
            };
            files.insert(name.clone(), bytes);
            name
        })
        .collect();
    let entry = json!([{ "Config": config_name, "RepoTags": tags, "Layers": layers }]);
    files.insert("manifest.json".into(), to_bytes(&entry));
    files
}

pub fn write_layout(files: &Files, directory: &Path) {
    fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
    for (name, content) in files {
        fs::write(directory.join(name), content).unwrap();
    }
}

pub fn write_archive(files: &Files, file: &Path) {
    let mut tar = tar::Builder::new(File::create(file).unwrap());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &content[..]).unwrap();
    }
    tar.finish().unwrap();
}

/// Puts a blob among the files; returns its descriptor.
pub fn add(files: &mut Files, media_type: &str, blob: Vec<u8>) -> Value {
    let digest = digest(&blob);
    let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": blob.len() });
    files.insert(blob_name(&digest), blob);
    descriptor
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub fn blob_name(digest: &str) -> String {
    digest.replacen("sha256:", "blobs/sha256/", 1)
}

pub fn pack(tar: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Plain => tar.to_vec(),
        Packing::Zstd => zstd::encode_all(tar, 1).unwrap(),
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(tar).unwrap();
            encoder.finish().unwrap()
        }
    }
}

pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn media_type(packing: Packing) -> &'static str {
    match packing {
        Packing::Plain => "application/vnd.oci.image.layer.v1.tar",
        Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}
