//! Taking away what lies below: `.wh.NAME`, `.wh..wh..opq`, and directories that an entry replaces.
//!
//! Only the overlay writes its own marks: here entries are removed through it. A whiteout hides what
//! the parents have, never what the same layer has (image-spec, "whiteouts"), in whatever order they
//! come; whether an entry is this layer's own shows in the upper directory.

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use super::apply::Applier;
use super::root::{Fault, as_path};
use crate::sys::remove::children;

/// `hidden` is the name after `.wh.`.
pub fn apply(applier: &mut Applier, parent: &[u8], hidden: &[u8]) -> Result<(), Fault> {
    if hidden == b".wh..opq" {
        return opaque(applier, parent);
    }
    // aufs keeps `.wh..wh.plnk`, `.wh..wh.aufs` and the like; engines skip them.
    if hidden.starts_with(b".wh.") {
        return Ok(());
    }
    match hidden {
        b"" => return Err(Fault::Broken("it hides nothing: no name follows .wh.".to_owned())),
        b"." | b".." => return Err(Fault::Escapes("it hides a directory above its own".to_owned())),
        _ => {}
    }
    let Some(directory) = applier.root.directory(parent)? else { return Ok(()) };
    let real = join(&applier.root.resolve(parent)?, hidden);
    match own(applier, &real)? {
        Own::Nothing => applier.remove(&directory, hidden),
        Own::Directory => clear(applier, real),
        Own::File => Ok(()),
    }
}

/// Notes that a hard link is about to bring a file up from below, if it does.
pub fn note_link(applier: &mut Applier, target: &[u8]) -> Result<(), Fault> {
    let Some((parent, name)) = super::apply::split(target) else { return Ok(()) };
    let real = join(&applier.root.resolve(parent)?, name);
    if applier.upper.is_some() && own(applier, &real)? == Own::Nothing {
        applier.brought_up.insert(real);
    }
    Ok(())
}

fn opaque(applier: &mut Applier, parent: &[u8]) -> Result<(), Fault> {
    let real = applier.root.resolve(parent)?;
    applier.root.make_directory(parent)?;
    clear(applier, real)
}

/// Removes what the parents have below this directory. Directories to visit are kept in a list: the
/// depth is the image's choice.
fn clear(applier: &mut Applier, real: Vec<u8>) -> Result<(), Fault> {
    let mut todo = vec![real];
    while let Some(real) = todo.pop() {
        let Some(directory) = applier.root.directory(&real)? else { continue };
        for (name, _) in children(&*directory)? {
            let child = join(&real, &name);
            match own(applier, &child)? {
                Own::Nothing => applier.remove(&directory, &name)?,
                Own::Directory => todo.push(child),
                Own::File => {}
            }
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Own {
    /// The name is the parents', if anyone's.
    Nothing,
    Directory,
    File,
}

/// What this layer itself has at a path without links.
fn own(applier: &Applier, real: &[u8]) -> Result<Own, Fault> {
    // Nothing lies below the bottom layer.
    let Some(upper) = &applier.upper else { return Ok(Own::File) };
    let stat = match fstatat(upper, as_path(real), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Own::Nothing),
        Err(errno) => return Err(errno.into()),
    };
    Ok(match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Own::Directory,
        // The overlay's mark: a device 0:0. The image's own devices are not made.
        SFlag::S_IFCHR => Own::Nothing,
        _ if applier.brought_up.contains(real) => Own::Nothing,
        _ => Own::File,
    })
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory.is_empty() {
        true => name.to_vec(),
        false => [directory, b"/", name].concat(),
    }
}
