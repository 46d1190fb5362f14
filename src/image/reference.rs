//! What the user typed, understood: which transport, which place, which tag.
//!
//! Not here: looking inside (see [`super::Image::open`]). Only a plain path is looked at, to tell
//! what it is.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::ImageError;
use super::archive::Archive;
use super::docker;

/// Where an image lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As it was typed.
    pub text: OsString,
    pub place: Place,
}

/// Where an image lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory in the OCI image layout.
    Layout { directory: PathBuf, tag: Option<String> },
    /// The same as a tar file.
    Archive { file: PathBuf, tag: Option<String> },
    /// A tar file as `docker save` writes it.
    Docker { file: PathBuf, tag: Option<String> },
    /// An unpacked root file system.
    Tree { root: PathBuf },
}

const SUPPORTED: [&str; 4] = ["oci", "oci-archive", "docker-archive", "dir"];
const UNSUPPORTED: [&str; 7] =
    ["docker", "docker-daemon", "containers-storage", "containerd", "registry", "http", "https"];

impl Reference {
    /// Understands `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`, `dir:ROOTFS` and
    /// plain paths.
    pub fn parse(text: &OsStr) -> Result<Reference, ImageError> {
        Ok(Reference { text: text.to_owned(), place: place(text)? })
    }
}

fn place(text: &OsStr) -> Result<Place, ImageError> {
    let bytes = text.as_bytes();
    let refuse = |rule| Err(ImageError::Reference { text: text.to_owned(), rule });
    if bytes.is_empty() {
        return refuse("it is empty");
    }
    if bytes.contains(&0) {
        return refuse("it contains a NUL byte");
    }
    let Some((transport, rest)) = split_transport(bytes) else { return plain(text) };
    if rest.is_empty() {
        return refuse("it names no path");
    }
    match transport {
        "oci" => tagged(rest).map(|(directory, tag)| Place::Layout { directory, tag }),
        "oci-archive" => tagged(rest).map(|(file, tag)| Place::Archive { file, tag }),
        "docker-archive" => tagged(rest).map(|(file, tag)| Place::Docker { file, tag }),
        "dir" => Ok(Place::Tree { root: path(rest) }),
        other => Err(ImageError::Transport { transport: other.to_owned() }),
    }
}

/// The part before the first colon, where it is a transport's name; a path has none.
fn split_transport(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let name = str::from_utf8(&bytes[..colon]).ok()?;
    let known = SUPPORTED.contains(&name) || UNSUPPORTED.contains(&name);
    known.then_some((name, &bytes[colon + 1..]))
}

/// `PATH[:TAG]`: the tag begins at the first colon, as in the container tools, because a tag may be
/// a whole name (`registry:5000/app:1`). A path that exists as it stands has no tag.
fn tagged(bytes: &[u8]) -> Result<(PathBuf, Option<String>), ImageError> {
    let whole = path(bytes);
    let Some(colon) = bytes.iter().position(|&byte| byte == b':') else { return Ok((whole, None)) };
    if whole.exists() {
        return Ok((whole, None));
    }
    let refuse = |rule| ImageError::Reference { text: whole.clone().into(), rule };
    let tag = str::from_utf8(&bytes[colon + 1..]).map_err(|_| refuse("the tag is not UTF-8"))?;
    if colon == 0 || tag.is_empty() {
        return Err(refuse("path or tag is empty"));
    }
    Ok((path(&bytes[..colon]), Some(tag.to_owned())))
}

fn plain(text: &OsStr) -> Result<Place, ImageError> {
    let (path, tag) = match tagged(text.as_bytes()) {
        Ok(found) if found.0.exists() => found,
        _ => return Err(ImageError::NotFound { path: text.into() }),
    };
    let kind = fs::metadata(&path).map_err(ImageError::io(format!("look at {path:?}")))?.file_type();
    if kind.is_dir() && fs::symlink_metadata(path.join("oci-layout")).is_ok() {
        return Ok(Place::Layout { directory: path, tag });
    }
    if kind.is_dir() && tag.is_none() {
        return Ok(Place::Tree { root: path });
    }
    if kind.is_file() {
        match archive_kind(&path)? {
            ArchiveKind::Layout => return Ok(Place::Archive { file: path, tag }),
            ArchiveKind::Docker => return Ok(Place::Docker { file: path, tag }),
            ArchiveKind::Other => {}
        }
    }
    let rule = "it is neither a directory nor a tar file with an oci-layout or a manifest.json";
    Err(ImageError::Reference { text: text.to_owned(), rule })
}

enum ArchiveKind {
    Layout,
    Docker,
    Other,
}

/// Docker's own archives have both since version 25; a manifest's digest is worth more.
fn archive_kind(path: &Path) -> Result<ArchiveKind, ImageError> {
    match Archive::index(open_archive(path)?, path) {
        Ok(archive) if archive.has("oci-layout") => Ok(ArchiveKind::Layout),
        Ok(archive) if docker::is_ours(&archive) => Ok(ArchiveKind::Docker),
        Err(error) if error.is_host() => Err(error),
        _ => Ok(ArchiveKind::Other),
    }
}

/// Opens the file that the user named. A link is followed, since the user's own; a FIFO or device
/// does not hang.
pub(super) fn open_archive(path: &Path) -> Result<File, ImageError> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|source| match source
        .kind()
    {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            ImageError::NotFound { path: path.to_owned() }
        }
        _ => ImageError::Io { what: format!("open {path:?}"), source },
    })?;
    let metadata = file.metadata().map_err(ImageError::io(format!("look at {path:?}")))?;
    match metadata.is_file() {
        true => Ok(file),
        false => Err(ImageError::NotRegular { object: format!("{path:?}") }),
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Place) {
        assert_eq!(Reference::parse(OsStr::new(text)).unwrap().place, expected, "{text}");
    }

    #[test]
    fn transports_take_a_path_and_a_tag() {
        let tag = |tag: &str| Some(tag.to_owned());
        check("oci:a/b", Place::Layout { directory: "a/b".into(), tag: None });
        check("oci:a:x", Place::Layout { directory: "a".into(), tag: tag("x") });
        check("oci:a:r:5000/x:1", Place::Layout { directory: "a".into(), tag: tag("r:5000/x:1") });
        check("oci-archive:/f.tar:x", Place::Archive { file: "/f.tar".into(), tag: tag("x") });
        check("docker-archive:f.tar:a:1", Place::Docker { file: "f.tar".into(), tag: tag("a:1") });
        check("dir:/r:s", Place::Tree { root: "/r:s".into() });
    }

    #[test]
    fn a_plain_path_is_recognised() {
        let place = tempfile::tempdir().unwrap();
        let layout = place.path().join("a:b");
        fs::create_dir(&layout).unwrap();
        check(layout.to_str().unwrap(), Place::Tree { root: layout.clone() });
        fs::write(layout.join("oci-layout"), "{}").unwrap();
        check(layout.to_str().unwrap(), Place::Layout { directory: layout.clone(), tag: None });

        let file = place.path().join("x.tar");
        let mut tar = tar::Builder::new(File::create(&file).unwrap());
        let mut header = tar::Header::new_ustar();
        header.set_size(2);
        tar.append_data(&mut header, "oci-layout", &b"{}"[..]).unwrap();
        tar.finish().unwrap();
        let text = format!("{}:v1", file.display());
        check(&text, Place::Archive { file, tag: Some("v1".into()) });
    }

    #[test]
    fn what_is_no_reference_is_refused_by_name() {
        let refused = |text: &str| Reference::parse(OsStr::new(text)).unwrap_err().to_string();
        assert!(refused("").contains("empty"));
        assert!(refused("oci:").contains("no path"));
        assert!(refused("docker://x/y:1").contains("\"docker\" is not supported yet"));
        assert!(refused("./not-there:x").contains("no image at"));
        assert!(refused("/dev/null").contains("neither"));
    }
}
