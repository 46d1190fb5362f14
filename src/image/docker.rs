//! What `docker save` writes: a tar with `manifest.json`, a configuration, and layers.
//!
//! Two shapes are in use: the old one, with `<id>.json` and `<id>/layer.tar` (a layer that comes twice is
//! a link to the first), and since Docker 25 an OCI layout's `blobs/sha256/<hex>` beside a manifest.json.
//! The format has no manifest with a digest, and none for its blobs but in their names. What binds it
//! together is the configuration: its digest is the image's id, and it names each layer's diff_id, which
//! the unpacker checks. Where a name holds a digest, it must be that of the content.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::archive::Archive;
use super::blob::{Blob, Part};
use super::config::Document;
use super::manifest::{self, JSON_MAX};
use super::open::{Blobs, Source};
use super::{Compression, Digest, Image, ImageError, Layer, Limits, Platform, Reference, config};

const MANIFEST: &str = "manifest.json";
const IMAGES_MAX: usize = 1024;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Opens the image that `tag` names, or the only one.
pub(super) fn open(
    reference: &Reference,
    archive: &Archive,
    path: &Path,
    tag: Option<&str>,
    limits: &Limits,
) -> Result<Image, ImageError> {
    let entry = named(read(archive, path)?, path, tag)?;
    let object = format!("config {:?}", entry.config);
    let part = member(archive, &entry.config, MANIFEST)?;
    let bytes = part.read(&object, JSON_MAX)?;
    let config_digest = Digest::of(&bytes);
    agree(named_digest(&entry.config), config_digest, &object)?;
    let document = config::document(&bytes, &object)?;
    let wanted = Platform::host();
    if document.platform != wanted {
        return Err(ImageError::Platform { wanted, found: document.platform.to_string() });
    }
    let (layers, blobs) = layers(archive, &entry, &document, limits)?;
    Ok(Image {
        reference: reference.text.clone(),
        manifest_digest: None,
        config_digest,
        platform: document.platform,
        layers,
        config: document.config,
        source: Source::Blobs(Box::new(Blobs {
            manifest: None,
            config: Blob { digest: config_digest, part },
            layers: blobs,
        })),
    })
}

/// True where the archive is one of these.
pub(super) fn is_ours(archive: &Archive) -> bool {
    archive.has(MANIFEST)
}

fn read(archive: &Archive, path: &Path) -> Result<Vec<Entry>, ImageError> {
    if !archive.has(MANIFEST) {
        let rule = "it is no archive of docker save: it has no manifest.json";
        return Err(ImageError::rule(format!("{path:?}"), rule));
    }
    let bytes = member(archive, MANIFEST, "the archive")?.read(MANIFEST, JSON_MAX)?;
    let entries: Vec<Entry> = manifest::json(&bytes, MANIFEST)?;
    match entries.len() {
        0 => Err(ImageError::rule(MANIFEST, "it lists no image")),
        1..=IMAGES_MAX => Ok(entries),
        _ => Err(ImageError::rule(MANIFEST, format!("it lists more than {IMAGES_MAX} images"))),
    }
}

/// By a whole name (`app:1`), or by what stands behind its last colon.
fn named(mut entries: Vec<Entry>, path: &Path, tag: Option<&str>) -> Result<Entry, ImageError> {
    let all = entries.iter().flat_map(|entry| entry.repo_tags.iter().flatten());
    let tags = all.take(20).cloned().collect::<Vec<_>>().join(", ").escape_debug().to_string();
    let tags = if tags.is_empty() { "no tags".to_owned() } else { tags };
    if let Some(tag) = tag {
        let is = |name: &String| name == tag || name.rsplit_once(':').is_some_and(|(_, last)| last == tag);
        entries.retain(|entry| entry.repo_tags.iter().flatten().any(is));
    }
    let path = path.to_owned();
    match (<[Entry; 1]>::try_from(entries), tag) {
        (Ok([entry]), _) => Ok(entry),
        (Err(none), Some(tag)) if none.is_empty() => {
            Err(ImageError::NoSuchTag { path, tag: tag.to_owned(), tags })
        }
        (Err(_), _) => Err(ImageError::Ambiguous { path, tags }),
    }
}

fn layers(
    archive: &Archive,
    entry: &Entry,
    document: &Document,
    limits: &Limits,
) -> Result<(Vec<Layer>, Vec<Blob>), ImageError> {
    let names = entry.layers.as_deref().unwrap_or_default();
    let (count, diff_ids) = (names.len(), document.diff_ids.len());
    if count != diff_ids {
        let rule = format!("it has {count} layers, the config {diff_ids} diff_ids");
        return Err(ImageError::rule(MANIFEST, rule));
    }
    if count > limits.layers {
        return Err(ImageError::rule(MANIFEST, format!("it has more than {} layers", limits.layers)));
    }
    let joined = names.iter().zip(&document.diff_ids).enumerate();
    joined.map(|(i, (name, &diff_id))| layer(archive, i, name, diff_id, document)).collect()
}

fn layer(
    archive: &Archive,
    index: usize,
    name: &str,
    diff_id: Digest,
    document: &Document,
) -> Result<(Layer, Blob), ImageError> {
    let object = format!("layer {name:?}");
    let part = member(archive, name, MANIFEST)?;
    let compression = compression(&part, &object)?;
    let digest = match (named_digest(name), compression) {
        (Some(digest), _) => digest,
        (None, Compression::None) => diff_id,
        // Nothing says what the packed bytes should be; the diff_id will say it of what is in them.
        (None, _) => Digest::of_reader(part.reader()).map_err(ImageError::io(format!("read {object}")))?.0,
    };
    let layer = Layer {
        digest,
        diff_id,
        created_by: document.created_by.get(index).cloned().flatten(),
        media_type: media_type(compression).to_owned(),
        size: part.size,
        compression,
    };
    Ok((layer, Blob { digest, part }))
}

/// The bytes of a member that another one names.
fn member(archive: &Archive, name: &str, by: &str) -> Result<Part, ImageError> {
    let shown: String = name.chars().take(200).collect();
    let found = archive.member(name).or_else(|| archive.linked(name));
    let found =
        found.ok_or_else(|| ImageError::rule(by, format!("it names {shown:?}, which is not there")))?;
    let file = archive.file.try_clone().map_err(ImageError::io(format!("open {shown:?}")))?;
    Ok(Part { file, offset: found.offset, size: found.size })
}

/// The digest that a name promises: `blobs/sha256/<hex>`, `<hex>.json`, `<hex>.tar`. The old
/// `<hex>/layer.tar` promises nothing.
fn named_digest(name: &str) -> Option<Digest> {
    let hex =
        name.strip_prefix("blobs/sha256/").or(name.strip_suffix(".json")).or(name.strip_suffix(".tar"))?;
    Digest::parse(&format!("sha256:{hex}")).ok()
}

fn agree(expected: Option<Digest>, actual: Digest, object: &str) -> Result<(), ImageError> {
    match expected.filter(|expected| *expected != actual) {
        None => Ok(()),
        Some(expected) => Err(ImageError::Digest { object: object.to_owned(), expected, actual }),
    }
}

/// By the first bytes, since nothing else says it. A tar begins with a name, which these could be only in
/// theory; the diff_id would tell.
fn compression(part: &Part, object: &str) -> Result<Compression, ImageError> {
    let mut head = [0; 4];
    let mut reader = part.reader().take(4);
    let mut got = 0;
    while got < head.len() {
        match reader.read(&mut head[got..]).map_err(ImageError::io(format!("read {object}")))? {
            0 => break,
            read => got += read,
        }
    }
    Ok(match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    })
}

fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "application/vnd.docker.image.rootfs.diff.tar",
        Compression::Gzip => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        Compression::Zstd => "application/vnd.docker.image.rootfs.diff.tar.zstd",
    }
}
