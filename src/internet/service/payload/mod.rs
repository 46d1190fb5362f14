//! What can be downloaded: harmless, but of the kind that was asked for, so that whoever fetched it
//! goes on as if it had come.

pub(super) mod archive;
mod script;
pub(super) mod zip;

use super::answer::{BYTES, HTML, JSON, TEXT, XML};
use super::request::cut;

pub(super) use script::{TEXT_OF_COMMANDS, node, shell};

/// Names longer than this do not come back in what is made of them.
const NAME_MAX: usize = 64;

/// What kind of file a path names, by how it ends; `None` where the ending says nothing.
pub(super) fn by_name(path: &str, now: u64) -> Option<(&'static str, Vec<u8>)> {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let (stem, ending) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((&name, ""));
    if let Some(script) = script::by_ending(ending) {
        return Some(script);
    }
    let tarred = stem.ends_with(".tar");
    Some(match ending {
        "tgz" | "tbz2" | "txz" => ("application/gzip", archive::tarball(&program(&name), now)),
        "gz" | "xz" | "bz2" if tarred => ("application/gzip", archive::tarball(&program(&name), now)),
        "tar" => ("application/x-tar", archive::tar(&archive::release(&program(&name)), now)),
        "gz" => ("application/gzip", archive::gzip(b"ok\n")),
        "zip" => ("application/zip", zip::store(&archive::release(&program(&name)))),
        "jar" | "war" | "apk" | "whl" => ("application/java-archive", zip::store(&archive::jar())),
        "deb" => ("application/vnd.debian.binary-package", archive::deb(&program(&name), now)),
        "json" => (JSON, b"{\"status\":\"ok\"}\n".to_vec()),
        "xml" | "rss" => (XML, b"<?xml version=\"1.0\"?>\n<response>ok</response>\n".to_vec()),
        "yaml" | "yml" => ("application/yaml", b"status: ok\n".to_vec()),
        // Also a harmless command, for whoever pipes it into a shell.
        "txt" | "log" | "conf" | "dat" => (TEXT, TEXT_OF_COMMANDS.into()),
        "md" | "cfg" | "ini" | "csv" | "list" | "toml" => (TEXT, b"ok\n".to_vec()),
        "html" | "htm" | "asp" | "aspx" | "jsp" | "cgi" => (HTML, page("Welcome")),
        "css" => ("text/css", b"body { margin: 2em; }\n".to_vec()),
        "png" | "gif" | "jpg" | "jpeg" | "ico" | "webp" | "bmp" => ("image/png", png().to_vec()),
        "svg" => ("image/svg+xml", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n".to_vec()),
        "pem" | "crt" | "cer" | "key" | "pub" | "asc" | "gpg" | "sig" => return None,
        _ if is_program(&name, ending) => (BYTES, elf()),
        _ => return None,
    })
}

/// A page that says nothing.
pub(super) fn page(title: &str) -> Vec<u8> {
    let title: String = cut(title, NAME_MAX).chars().filter(|c| !"<>&\"'".contains(*c)).collect();
    let head = format!("<meta charset=\"utf-8\"><title>{title}</title>");
    let body = format!("<h1>{title}</h1><p>This page is being prepared.</p>");
    format!("<!doctype html>\n<html><head>{head}</head><body>{body}</body></html>\n").into_bytes()
}

/// An ELF program for x86-64 Linux that exits with 0: one loaded segment, three instructions.
pub(super) fn elf() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    // mov eax, 60 (exit); xor edi, edi; syscall
    const CODE: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
    let size = HEADERS + CODE.len() as u64;
    let mut elf = Vec::with_capacity(size as usize);
    // The file's header (elf(5), Elf64_Ehdr): 64 bits, little endian, executable, x86-64.
    elf.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    // Entry, program headers, section headers (none).
    elf.extend([BASE + HEADERS, 64, 0].into_iter().flat_map(u64::to_le_bytes));
    // Flags; sizes and numbers of the headers.
    elf.extend([0, 0, 0, 0]);
    elf.extend([64u16, 56, 1, 64, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    // The segment (Elf64_Phdr): the whole file, readable and executable.
    elf.extend([1u32, 5].into_iter().flat_map(u32::to_le_bytes));
    elf.extend([0, BASE, BASE, size, size, 0x1000].into_iter().flat_map(u64::to_le_bytes));
    elf.extend(CODE);
    elf
}

/// One transparent pixel: signature, header, data, end (PNG, third edition).
pub(super) fn png() -> &'static [u8] {
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\
      \0\0\0\x0bIDATx\xdac`\0\x02\0\0\x05\0\x01\xe9\xfa\xdc\xd8\0\0\0\0IEND\xaeB`\x82"
}

/// Names of programs without a usual ending, as malware and releases write them.
fn is_program(name: &str, ending: &str) -> bool {
    const ENDINGS: [&str; 12] =
        ["bin", "elf", "run", "out", "so", "exe", "dll", "appimage", "x86", "x86_64", "amd64", "i686"];
    const MARKS: [&str; 6] = ["linux", "amd64", "x86_64", "x86-64", "x64", "xmrig"];
    ENDINGS.contains(&ending) || MARKS.iter().any(|mark| name.contains(mark))
}

/// The program that an archive of this name is expected to hold: `xmrig` of `xmrig-6.21.0-linux.tar.gz`.
fn program(archive: &str) -> String {
    let stem = archive.split(['-', '_', '.']).next().unwrap_or_default();
    let plain: String = stem.chars().filter(char::is_ascii_alphanumeric).take(NAME_MAX).collect();
    if plain.is_empty() { "app".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_decides_what_kind_of_file_it_is() {
        let check = |path: &str, starts: &[u8]| {
            let (_, body) = by_name(path, 0).unwrap_or_else(|| panic!("{path} has an ending"));
            assert!(body.starts_with(starts), "{path}: {:?}", &body[..body.len().min(16)]);
        };
        check("/x.sh", b"#!/bin/sh\n");
        check("/a/B.SH", b"#!/bin/sh\n");
        check("/x.py", b"#!/usr/bin/env python3\n");
        check("/kinsing.x86_64", b"\x7fELF");
        check("/tool-linux-amd64", b"\x7fELF");
        check("/a.bin", b"\x7fELF");
        check("/a.tar.gz", b"\x1f\x8b");
        check("/a.tgz", b"\x1f\x8b");
        check("/a.zip", b"PK\x03\x04");
        check("/a.deb", b"!<arch>\n");
        check("/logo.png", b"\x89PNG");
        check("/config.json", b"{");
        check("/index.php", b"<?php");
        assert_eq!(by_name("/", 0), None);
        assert_eq!(by_name("/setup_20.x", 0), None);
        assert_eq!(by_name("/.env", 0), None);
    }

    #[test]
    fn the_program_in_an_archive_has_the_archives_first_word() {
        assert_eq!(program("xmrig-6.21.0-linux-static-x64.tar.gz"), "xmrig");
        assert_eq!(program("..tgz"), "app");
    }

    #[test]
    fn a_title_brings_no_markup() {
        let page = String::from_utf8(page("<script>x</script>")).unwrap();
        assert!(!page.contains("<script>"), "{page}");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_program_runs_and_does_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, elf()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        // Another thread of this test binary that forks at this moment holds the file open for writing.
        let status = loop {
            match std::process::Command::new(&path).status() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                status => break status.unwrap(),
            }
        };
        assert_eq!(status.code(), Some(0));
    }
}
