//! An OCI layout: index, manifest and configuration, behind right digests.
//!
//! The input is the documents, the outermost first, with a line `---` between them. `@N` in one stands
//! for the digest and size of document N, so that a change inside is not stopped at the first digest.
//! An input that begins with no document but with a tar header is taken as the archive itself.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use lazaret::image::{Digest, Image, Limits, Reference};

/// More are not looked at.
const DOCUMENTS_MAX: usize = 9;

pub fn check(bytes: &[u8]) {
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    let archive = if is_tar { bytes.to_vec() } else { layout(bytes) };
    let mut file = File::from(memory());
    file.write_all(&archive).expect("memory to write to");
    let path = format!("oci-archive:/proc/self/fd/{}", file.as_raw_fd());
    let Ok(reference) = Reference::parse(OsStr::new(&path)) else { return };
    match Image::open(&reference, &Limits::default()) {
        Ok(image) => keeps_its_promises(&image),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn keeps_its_promises(image: &Image) {
    assert!(image.layers.len() <= Limits::default().layers);
    // Layers are not read here, so their digests may be wrong; what is right stays right.
    if let Ok(digest) = image.subject_digest() {
        assert_eq!(image.subject_digest().expect("nothing changed"), digest);
    }
}

fn memory() -> std::os::fd::OwnedFd {
    nix::sys::memfd::memfd_create("image", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).expect("a memory file")
}

fn layout(bytes: &[u8]) -> Vec<u8> {
    let mut documents: Vec<Vec<u8>> = split(bytes).into_iter().take(DOCUMENTS_MAX).collect();
    let mut tar = Vec::new();
    member(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    for at in (0..documents.len()).rev() {
        documents[at] = resolved(&documents[at], at, &documents);
        let name = match at {
            0 => "index.json".to_owned(),
            _ => format!("blobs/sha256/{}", Digest::of(&documents[at]).hex()),
        };
        member(&mut tar, &name, &documents[at]);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut documents = vec![Vec::new()];
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line {
            b"---\n" => documents.push(Vec::new()),
            line => documents.last_mut().expect("at least one").extend_from_slice(line),
        }
    }
    documents
}

/// Puts digest and size in the place of every `@N` that names a later document.
fn resolved(document: &[u8], at: usize, documents: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = document;
    while let Some(mark) = rest.iter().position(|byte| *byte == b'@') {
        whole.extend_from_slice(&rest[..mark]);
        let number = rest.get(mark + 1).map_or(0, |byte| usize::from(byte.wrapping_sub(b'0')));
        match documents.get(number).filter(|_| number > at) {
            Some(other) => {
                let digest = Digest::of(other);
                whole.extend_from_slice(format!(r#""digest":"{digest}","size":{}"#, other.len()).as_bytes());
                rest = &rest[mark + 2..];
            }
            None => {
                whole.push(b'@');
                rest = &rest[mark + 1..];
            }
        }
    }
    whole.extend_from_slice(rest);
    whole
}

/// A regular file in ustar form.
fn member(tar: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}
