//! Archives made on the spot: tar, gzip, Debian packages.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{elf, shell};

/// A file of an archive: name, mode, content.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub name: String,
    pub mode: u32,
    pub content: Vec<u8>,
}

impl Member {
    pub fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Member {
        Member { name: name.into(), mode: 0o644, content: content.into() }
    }

    pub fn executable(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Member {
        Member { mode: 0o755, ..Member::new(name, content) }
    }
}

/// What a release of a program holds: the program, at the top and in a folder of its own.
pub fn release(program: &str) -> Vec<Member> {
    vec![
        Member::executable(program, elf()),
        Member::executable(format!("{program}-release/{program}"), elf()),
        Member::executable("install.sh", shell()),
        Member::new("README.md", format!("# {program}\n\nRun `./install.sh`.\n")),
    ]
}

pub fn jar() -> Vec<Member> {
    vec![Member::new("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")]
}

pub fn tarball(program: &str, now: u64) -> Vec<u8> {
    gzip(&tar(&release(program), now))
}

/// A ustar archive; owners are root.
pub fn tar(members: &[Member], now: u64) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(member.content.len() as u64);
        header.set_mode(member.mode);
        header.set_mtime(now);
        let written = archive.append_data(&mut header, &member.name, member.content.as_slice());
        written.expect("names are our own, and memory takes all");
    }
    archive.into_inner().expect("memory takes all")
}

/// Deterministic: no name, no time.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut stream = GzEncoder::new(Vec::new(), Compression::fast());
    stream.write_all(bytes).expect("memory takes all");
    stream.finish().expect("memory takes all")
}

/// A Debian package (deb(5)): an ar archive of format, control and data.
pub fn deb(program: &str, now: u64) -> Vec<u8> {
    let control = format!(
        "Package: {program}\nVersion: 1.0.0\nArchitecture: amd64\nMaintainer: Packages <packages@{program}.org>\n\
         Description: {program}\n"
    );
    let control = gzip(&tar(&[Member::new("./control", control)], now));
    let data = gzip(&tar(&[Member::executable(format!("./usr/bin/{program}"), elf())], now));
    let mut archive = b"!<arch>\n".to_vec();
    for (name, content) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar.gz", &control), ("data.tar.gz", &data)]
    {
        let header = format!("{name:<16}{now:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 100_644, content.len());
        archive.extend(header.bytes());
        archive.extend(content);
        archive.extend(&b"\n"[..content.len() % 2]);
    }
    archive
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_tarball_holds_the_program_twice() {
        let bytes = tarball("xmrig", 1_700_000_000);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 1_700_000_000);
            names.push(entry.path().unwrap().display().to_string());
        }
        assert_eq!(names, ["xmrig", "xmrig-release/xmrig", "install.sh", "README.md"]);
    }

    #[test]
    fn members_of_a_package_begin_at_even_places() {
        let bytes = deb("tool", 1_700_000_000);
        assert!(
            bytes.starts_with(b"!<arch>\ndebian-binary   1700000000  0     0     100644  4         `\n2.0\n")
        );
        assert_eq!(bytes.len() % 2, 0);
    }
}
