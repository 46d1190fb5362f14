//! From a reference to an [`Image`]: index → manifest → config, resolved once, pinned by digest.
//!
//! Nothing of a layer is read here but its place and size.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::archive::Archive;
use super::blob::{Blob, Store};
use super::config::Document;
use super::docker;
use super::manifest::{self, Compression, Descriptor, Index, JSON_MAX, Manifest};
use super::reference::{self, Place};
use super::tree::Tree;
use super::{Config, Digest, ImageError, Limits, Reference, config};

/// Index within index within index: two are in use.
const DEPTH_MAX: usize = 4;

/// What we were given, resolved and pinned. Holds its files open; layers are read when needed.
#[derive(Debug)]
pub struct Image {
    /// As it was typed.
    pub reference: OsString,
    /// `None` for a bare tree, and for what `docker save` writes.
    pub manifest_digest: Option<Digest>,
    pub config_digest: Digest,
    pub platform: Platform,
    /// From the bottom up.
    pub layers: Vec<Layer>,
    pub config: Config,
    pub(super) source: Source,
}

/// A layer of the image: where its bytes lie, and what they must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Of the blob as it is stored.
    pub digest: Digest,
    /// Of the tar stream inside.
    pub diff_id: Digest,
    /// The step that made it, in the words of the image's own history.
    pub created_by: Option<String>,
    pub media_type: String,
    /// Bytes of the blob.
    pub size: u64,
    pub compression: Compression,
}

/// `linux/amd64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
}

#[derive(Debug)]
pub(super) enum Source {
    Blobs(Box<Blobs>),
    Tree(Tree),
}

/// The blobs that make the subject.
#[derive(Debug)]
pub(super) struct Blobs {
    /// `None` where the source has no manifest with a digest.
    pub manifest: Option<Blob>,
    pub config: Blob,
    pub layers: Vec<Blob>,
}

impl Image {
    pub fn open(reference: &Reference, limits: &Limits) -> Result<Image, ImageError> {
        let (store, path, tag) = match &reference.place {
            Place::Layout { directory, tag } => (Store::directory(directory)?, directory, tag),
            Place::Archive { file, tag } => {
                let archive = Archive::index(reference::open_archive(file)?, file)?;
                (Store::Archive(archive), file, tag)
            }
            Place::Docker { file, tag } => {
                let archive = Archive::index(reference::open_archive(file)?, file)?;
                return docker::open(reference, &archive, file, tag.as_deref(), limits);
            }
            Place::Tree { root } => return open_tree(reference, root, limits),
        };
        let resolver = Resolver { store, path, wanted: Platform::host() };
        resolver.image(reference, tag.as_deref(), limits)
    }

    /// Reads manifest, config and every layer blob again and returns a digest over all of them: the
    /// same before and after a run, if the artefact was not changed. A blob that is no longer what
    /// its digest says is an error.
    pub fn subject_digest(&self) -> Result<Digest, ImageError> {
        let blobs = match &self.source {
            Source::Tree(tree) => return tree.digest().map(|(digest, _)| digest),
            Source::Blobs(blobs) => blobs,
        };
        let mut text = String::new();
        if let Some(manifest) = &blobs.manifest {
            manifest.verify("the manifest")?;
            text = format!("{}\n", manifest.digest);
        }
        blobs.config.verify("the config")?;
        text += &format!("{}\n", blobs.config.digest);
        for blob in &blobs.layers {
            blob.verify(&format!("layer {}", blob.digest))?;
            text += &format!("{}\n", blob.digest);
        }
        Ok(Digest::of(text.as_bytes()))
    }
}

impl Platform {
    /// What this machine runs, in the words of the image-spec (Go's).
    pub fn host() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform { os: "linux".to_owned(), architecture: architecture.to_owned() }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

fn open_tree(reference: &Reference, root: &Path, limits: &Limits) -> Result<Image, ImageError> {
    let tree = Tree::open(root, limits)?;
    let (digest, size) = tree.digest()?;
    let platform = Platform::host();
    let text = format!(
        r#"{{"architecture":"{}","os":"linux","rootfs":{{"diff_ids":["{digest}"],"type":"layers"}}}}"#,
        platform.architecture
    );
    let layer = Layer {
        digest,
        diff_id: digest,
        created_by: None,
        media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
        size,
        compression: Compression::None,
    };
    Ok(Image {
        reference: reference.text.clone(),
        manifest_digest: None,
        config_digest: Digest::of(text.as_bytes()),
        platform,
        layers: vec![layer],
        config: Config::empty(),
        source: Source::Tree(tree),
    })
}

struct Resolver<'a> {
    store: Store,
    path: &'a Path,
    wanted: Platform,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutMark {
    image_layout_version: String,
}

impl Resolver<'_> {
    fn image(&self, reference: &Reference, tag: Option<&str>, limits: &Limits) -> Result<Image, ImageError> {
        self.mark()?;
        let (digest, blob, manifest) = self.manifest(self.named(tag)?)?;
        let object = format!("the config of manifest {digest}");
        let config_digest = manifest.config.digest(&object)?;
        let config_blob = self.store.blob(config_digest, manifest.config.size(&object)?, &object)?;
        let document = config::document(&config_blob.bytes(&object, JSON_MAX)?, &object)?;
        if document.platform != self.wanted {
            let found = document.platform.to_string();
            return Err(ImageError::Platform { wanted: self.wanted.clone(), found });
        }
        let (layers, blobs) = self.layers(&manifest.layers, &document, &object, limits)?;
        Ok(Image {
            reference: reference.text.clone(),
            manifest_digest: Some(digest),
            config_digest,
            platform: document.platform,
            layers,
            config: document.config,
            source: Source::Blobs(Box::new(Blobs {
                manifest: Some(blob),
                config: config_blob,
                layers: blobs,
            })),
        })
    }

    fn mark(&self) -> Result<(), ImageError> {
        let object = format!("{:?}", self.path);
        let Some(bytes) = self.store.file("oci-layout", JSON_MAX)? else {
            return Err(ImageError::rule(object, "it is no OCI image layout: it has no oci-layout file"));
        };
        let mark: LayoutMark = manifest::json(&bytes, "oci-layout")?;
        match mark.image_layout_version.as_str() {
            "1.0.0" => Ok(()),
            other => Err(ImageError::rule(object, format!("its layout version is {other:?}, not \"1.0.0\""))),
        }
    }

    /// The descriptor that the tag names; without a tag, the only one there is for this machine.
    fn named(&self, tag: Option<&str>) -> Result<Descriptor, ImageError> {
        let Some(bytes) = self.store.file("index.json", JSON_MAX)? else {
            return Err(ImageError::rule(format!("{:?}", self.path), "it has no index.json"));
        };
        let mut index = manifest::index(&bytes, "index.json")?;
        let tags = tags(&index);
        let path = self.path.to_owned();
        if let Some(tag) = tag {
            index.manifests.retain(|descriptor| descriptor.tag() == Some(tag));
            if index.manifests.is_empty() {
                return Err(ImageError::NoSuchTag { path, tag: tag.to_owned(), tags });
            }
        }
        let fitting = self.fitting(index, "index.json")?;
        let digests: BTreeSet<_> =
            fitting.iter().map(|descriptor| descriptor.digest("index.json")).collect::<Result<_, _>>()?;
        match digests.len() {
            1 => first(fitting, "index.json"),
            _ => Err(ImageError::Ambiguous { path, tags }),
        }
    }

    /// Follows indexes down to a manifest, and reads it.
    fn manifest(&self, mut descriptor: Descriptor) -> Result<(Digest, Blob, Manifest), ImageError> {
        for _ in 0..DEPTH_MAX {
            let digest = descriptor.digest("an index entry")?;
            let object = format!("blob {digest}");
            let blob = self.store.blob(digest, descriptor.size(&object)?, &object)?;
            let bytes = blob.bytes(&object, JSON_MAX)?;
            if !descriptor.is_index() {
                let object = format!("manifest {digest}");
                return Ok((digest, blob, manifest::manifest(&bytes, &object)?));
            }
            let object = format!("index {digest}");
            // The order is the maker's preference (image-spec, "image-index").
            descriptor = first(self.fitting(manifest::index(&bytes, &object)?, &object)?, &object)?;
        }
        Err(ImageError::rule("index.json", format!("more than {DEPTH_MAX} indexes lie within each other")))
    }

    /// The entries for this machine, or for any where none says which; never none.
    fn fitting(&self, index: Index, object: &str) -> Result<Vec<Descriptor>, ImageError> {
        let readable = |entry: &&Descriptor| entry.is_index() || entry.is_manifest();
        let entries: Vec<_> = index.manifests.iter().filter(readable).cloned().collect();
        if entries.is_empty() {
            return Err(match index.manifests.first() {
                Some(entry) => manifest::media_type(object, Some(&entry.media_type)),
                None => ImageError::rule(object, "it lists no manifest"),
            });
        }
        let fits = |entry: &Descriptor| entry.platform.as_ref().is_none_or(|p| *p == self.wanted);
        let (mut fitting, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(fits);
        if fitting.is_empty() {
            let found = others.iter().filter_map(|entry| entry.platform.as_ref()).take(20);
            let found = found.map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(ImageError::Platform { wanted: self.wanted.clone(), found });
        }
        if fitting.iter().any(|entry| entry.platform.is_some()) {
            fitting.retain(|entry| entry.platform.is_some());
        }
        Ok(fitting)
    }

    fn layers(
        &self,
        descriptors: &[Descriptor],
        document: &Document,
        object: &str,
        limits: &Limits,
    ) -> Result<(Vec<Layer>, Vec<Blob>), ImageError> {
        let (layers, diff_ids) = (descriptors.len(), document.diff_ids.len());
        if layers != diff_ids {
            let rule = format!("it has {diff_ids} diff_ids for {layers} layers");
            return Err(ImageError::rule(object, rule));
        }
        if layers > limits.layers {
            return Err(ImageError::rule(object, format!("it has more than {} layers", limits.layers)));
        }
        let joined = descriptors.iter().zip(&document.diff_ids).enumerate();
        joined.map(|(i, (descriptor, &diff_id))| self.layer(i, descriptor, diff_id, document)).collect()
    }

    fn layer(
        &self,
        index: usize,
        descriptor: &Descriptor,
        diff_id: Digest,
        document: &Document,
    ) -> Result<(Layer, Blob), ImageError> {
        let object = format!("layer {index} of the manifest");
        let digest = descriptor.digest(&object)?;
        let object = format!("layer {digest}");
        let size = descriptor.size(&object)?;
        let layer = Layer {
            digest,
            diff_id,
            created_by: document.created_by.get(index).cloned().flatten(),
            media_type: descriptor.media_type.clone(),
            size,
            compression: manifest::compression(descriptor, digest)?,
        };
        Ok((layer, self.store.blob(digest, size, &object)?))
    }
}

fn first(entries: Vec<Descriptor>, object: &str) -> Result<Descriptor, ImageError> {
    entries.into_iter().next().ok_or_else(|| ImageError::rule(object, "it lists no manifest"))
}

fn tags(index: &Index) -> String {
    let tags: Vec<_> = index.manifests.iter().filter_map(Descriptor::tag).take(20).collect();
    match tags.is_empty() {
        true => "no tags".to_owned(),
        false => tags.join(", ").escape_debug().to_string(),
    }
}
