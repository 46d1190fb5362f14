//! A repository with one commit, and the pack that carries it (gitformat-pack(5)).

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest, Sha1};

use super::super::payload::shell;

/// The objects of the one repository that every name has.
pub struct Repository {
    /// Kind (as packs number them) and content; the commit is the first.
    objects: Vec<(Kind, Vec<u8>)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Commit = 1,
    Tree = 2,
    Blob = 3,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
        }
    }
}

impl Repository {
    /// `time`: of the commit, seconds since 1970.
    pub fn new(time: u64) -> Repository {
        let files = [
            ("100644", "Makefile", b"all:\n\t@echo done\n\ninstall: all\n".to_vec()),
            ("100644", "README.md", b"# Project\n\nRun `./install.sh`.\n".to_vec()),
            ("100755", "install.sh", shell()),
        ];
        let mut tree = Vec::new();
        for (mode, name, content) in &files {
            tree.extend(format!("{mode} {name}\0").bytes());
            tree.extend(id(Kind::Blob, content));
        }
        let author = format!("Developer <dev@users.noreply.github.com> {time} +0000");
        let tree_id = hex(&id(Kind::Tree, &tree));
        let commit = format!("tree {tree_id}\nauthor {author}\ncommitter {author}\n\nInitial commit\n");
        let mut objects = vec![(Kind::Commit, commit.into_bytes()), (Kind::Tree, tree)];
        objects.extend(files.into_iter().map(|(_, _, content)| (Kind::Blob, content)));
        Repository { objects }
    }

    /// The name of the commit, in hexadecimal digits.
    pub fn head(&self) -> String {
        let (kind, content) = &self.objects[0];
        hex(&id(*kind, content))
    }

    /// Version 2, all objects whole, and the digest of it all.
    pub fn pack(&self) -> Vec<u8> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend((self.objects.len() as u32).to_be_bytes());
        for (kind, content) in &self.objects {
            pack.extend(header(*kind, content.len()));
            let mut stream = ZlibEncoder::new(pack, Compression::fast());
            stream.write_all(content).expect("memory takes all");
            pack = stream.finish().expect("memory takes all");
        }
        pack.extend(Sha1::digest(&pack));
        pack
    }
}

fn id(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut digest = Sha1::new();
    digest.update(format!("{} {}\0", kind.word(), content.len()));
    digest.update(content);
    digest.finalize().to_vec()
}

/// Kind and size: four bits of it first, then seven in each byte; the high bit says that more follow.
fn header(kind: Kind, size: usize) -> Vec<u8> {
    let mut bytes = vec![(kind as u8) << 4 | (size & 15) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        *bytes.last_mut().expect("one at least") |= 0x80;
        bytes.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_name_that_git_gives_it() {
        // `printf 'hello\n' | git hash-object --stdin`
        assert_eq!(hex(&id(Kind::Blob, b"hello\n")), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn a_size_is_written_in_sevens() {
        assert_eq!(header(Kind::Blob, 15), [0x3f]);
        assert_eq!(header(Kind::Blob, 16), [0xb0, 1]);
        assert_eq!(header(Kind::Commit, 16 + 127 * 16), [0x90, 0x80, 1]);
    }
}
