//! The JSON documents of an image (OCI image-spec 1.1 and Docker's schema 2), parsed and judged.
//!
//! Only what decides which bytes run is read. Numbers are signed here, so that a negative size is
//! named as such.

use serde::{Deserialize, de::DeserializeOwned};

use super::{Digest, ImageError, Platform};

/// No real document comes near: a manifest of 127 layers has 30 KiB.
pub const JSON_MAX: u64 = 4 << 20;
const DESCRIPTORS_MAX: usize = 1024;

pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: i64,
    media_type: Option<String>,
    pub manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: i64,
    media_type: Option<String>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    digest: String,
    size: i64,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
    pub platform: Option<Platform>,
}

impl Descriptor {
    pub fn digest(&self, object: &str) -> Result<Digest, ImageError> {
        Digest::parse(&self.digest).map_err(|error| ImageError::rule(object, error.to_string()))
    }

    pub fn size(&self, object: &str) -> Result<u64, ImageError> {
        let rule = || ImageError::rule(object, format!("its size is negative: {}", self.size));
        u64::try_from(self.size).map_err(|_| rule())
    }

    pub fn tag(&self) -> Option<&str> {
        self.annotations.as_ref()?.get(REF_NAME).map(String::as_str)
    }

    pub fn is_index(&self) -> bool {
        INDEXES.contains(&self.media_type.as_str())
    }

    pub fn is_manifest(&self) -> bool {
        MANIFESTS.contains(&self.media_type.as_str())
    }
}

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// How a layer's blob is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

pub fn index(bytes: &[u8], object: &str) -> Result<Index, ImageError> {
    let index: Index = json(bytes, object)?;
    version(index.schema_version, object)?;
    if index.media_type.as_ref().is_some_and(|name| !INDEXES.contains(&name.as_str())) {
        return Err(media_type(object, index.media_type.as_deref()));
    }
    if index.manifests.len() > DESCRIPTORS_MAX {
        return Err(ImageError::rule(object, format!("it has more than {DESCRIPTORS_MAX} entries")));
    }
    Ok(index)
}

pub fn manifest(bytes: &[u8], object: &str) -> Result<Manifest, ImageError> {
    let manifest: Manifest = json(bytes, object)?;
    version(manifest.schema_version, object)?;
    if manifest.media_type.as_ref().is_some_and(|name| !MANIFESTS.contains(&name.as_str())) {
        return Err(media_type(object, manifest.media_type.as_deref()));
    }
    if !CONFIGS.contains(&manifest.config.media_type.as_str()) {
        return Err(media_type(&format!("the config of {object}"), Some(&manifest.config.media_type)));
    }
    Ok(manifest)
}

/// How this layer is packed, by its media type.
pub fn compression(layer: &Descriptor, digest: Digest) -> Result<Compression, ImageError> {
    let name = layer.media_type.as_str();
    if name.contains(".nondistributable.") || name.contains(".foreign.") {
        return Err(ImageError::ForeignLayer { digest });
    }
    match name {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Ok(Compression::None)
        }
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Ok(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Compression::Zstd),
        name => Err(media_type(&format!("layer {digest}"), Some(name))),
    }
}

pub fn json<T: DeserializeOwned>(bytes: &[u8], object: &str) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|source| ImageError::Json { object: object.to_owned(), source })
}

fn version(version: i64, object: &str) -> Result<(), ImageError> {
    match version {
        2 => Ok(()),
        other => Err(ImageError::rule(object, format!("its schemaVersion is {other}, not 2"))),
    }
}

pub fn media_type(object: &str, name: Option<&str>) -> ImageError {
    let media_type = name.unwrap_or_default().chars().take(200).collect();
    ImageError::MediaType { object: object.to_owned(), media_type }
}
