//! Directories of the tree in the making, found the way a container engine finds them: links are
//! followed, absolute ones from the tree's root, and nothing leads out.
//!
//! The process's own root already is that tree; openat2(2) confines each walk all the same, and a
//! link that climbs above the root while something is written through it is an attack.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, readlinkat};
use nix::sys::stat::{Mode, mkdirat};

use crate::sys::open::beneath;

/// As the kernel's own bound (MAXSYMLINKS).
const LINKS_MAX: usize = 40;

#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    Escapes(String),
    Broken(String),
    Forged(String),
    Os(Errno),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        match errno {
            Errno::ENOTDIR => Fault::Broken("a directory on its path is something else".to_owned()),
            Errno::ELOOP => Fault::Broken("too many links on its path".to_owned()),
            Errno::ENAMETOOLONG => Fault::Broken("its name is too long for a file system".to_owned()),
            Errno::ENOENT => Fault::Broken("it refers to something that does not exist".to_owned()),
            Errno::EINVAL | Errno::EMLINK | Errno::EOVERFLOW => {
                Fault::Broken(format!("the file system refuses it: {}", errno.desc()))
            }
            errno => Fault::Os(errno),
        }
    }
}

pub struct Root {
    root: OwnedFd,
    /// The directory used last: a tar keeps those of one directory together.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

impl Root {
    pub fn new(root: OwnedFd) -> Root {
        Root { root, last: None }
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.root
    }

    /// The directory at a clean relative path; missing ones are made, as engines do (0755, root).
    pub fn make_directory(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>, Fault> {
        if let Some(directory) = self.directory(path)? {
            return Ok(directory);
        }
        let real = self.resolve(path)?;
        for end in ends(&real) {
            match mkdirat(&self.root, as_path(&real[..end]), Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.directory(path)?.ok_or(Fault::from(Errno::ENOENT))
    }

    /// The directory at a clean relative path; `None` where there is none.
    pub fn directory(&mut self, path: &[u8]) -> Result<Option<Rc<OwnedFd>>, Fault> {
        if let Some((known, directory)) = &self.last
            && known == path
        {
            return Ok(Some(directory.clone()));
        }
        let opened = match self.open(path) {
            // An absolute link, or one that climbs: tell them apart.
            Err(Errno::EXDEV) => self.open(&self.resolve(path)?),
            other => other,
        };
        let directory = match opened {
            Ok(fd) => Rc::new(fd),
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        self.last = Some((path.to_vec(), directory.clone()));
        Ok(Some(directory))
    }

    /// To be called when a directory or link was removed or replaced.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// The path with every link on it followed; what does not exist yet is taken as it is written.
    pub fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut real: Vec<u8> = Vec::new();
        let mut ends = Vec::new();
        let mut todo: Vec<Vec<u8>> = reversed(path);
        let mut links = 0;
        while let Some(component) = todo.pop() {
            if component == b".." {
                let rule = "a link on its path leads above the root";
                real.truncate(ends.pop().ok_or_else(|| Fault::Escapes(rule.to_owned()))?);
                continue;
            }
            let end = real.len();
            if end > 0 {
                real.push(b'/');
            }
            real.extend_from_slice(&component);
            // `real` has no links up to here, and no one else changes the tree.
            match readlinkat(&self.root, as_path(&real)) {
                Ok(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::ELOOP.into());
                    }
                    real.truncate(end);
                    if target.as_bytes().starts_with(b"/") {
                        real.clear();
                        ends.clear();
                    }
                    todo.extend(reversed(target.as_bytes()));
                }
                Err(Errno::EINVAL | Errno::ENOENT) => ends.push(end),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(real)
    }

    fn open(&self, path: &[u8]) -> nix::Result<OwnedFd> {
        let here = if path.is_empty() { b"." } else { path };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        beneath(&self.root, as_path(here), flags, resolve)
    }
}

pub fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Where each prefix of the path ends that names a directory, the whole path included.
fn ends(path: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
    slashes.chain((!path.is_empty()).then_some(path.len()))
}

fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(build: impl Fn(&Path)) -> (tempfile::TempDir, Root) {
        let place = tempfile::tempdir().unwrap();
        build(place.path());
        let root = Root::new(fs::File::open(place.path()).unwrap().into());
        (place, root)
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let (place, mut root) = tree(|at| {
            fs::create_dir_all(at.join("usr/lib")).unwrap();
            symlink("usr/lib", at.join("lib")).unwrap();
            symlink("/usr", at.join("absolute")).unwrap();
            symlink("../usr/../usr/new", at.join("usr/up")).unwrap();
        });
        let check = |path: &str, real: &str| {
            assert_eq!(String::from_utf8(root.resolve(path.as_bytes()).unwrap()).unwrap(), real);
        };
        check("lib/x", "usr/lib/x");
        check("absolute/lib", "usr/lib");
        check("usr/up/y", "usr/new/y");
        check("a/b", "a/b");
        root.make_directory(b"absolute/lib/deep").unwrap();
        root.make_directory(b"usr/up").unwrap();
        assert!(place.path().join("usr/lib/deep").is_dir());
        assert!(place.path().join("usr/new").is_dir());
        assert!(root.directory(b"lib/none").unwrap().is_none());
    }

    #[test]
    fn a_link_that_climbs_is_an_escape_and_a_loop_is_broken() {
        let (_place, mut root) = tree(|at| {
            symlink("../../tmp", at.join("out")).unwrap();
            symlink("/../x", at.join("odd")).unwrap();
            symlink("b", at.join("a")).unwrap();
            symlink("a", at.join("b")).unwrap();
            fs::write(at.join("file"), "").unwrap();
        });
        assert!(matches!(root.make_directory(b"out/evil"), Err(Fault::Escapes(_))));
        assert!(matches!(root.make_directory(b"odd"), Err(Fault::Escapes(_))));
        assert!(matches!(root.make_directory(b"a/x"), Err(Fault::Broken(_))));
        assert!(matches!(root.make_directory(b"file/x"), Err(Fault::Broken(_))));
    }
}
