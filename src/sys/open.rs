//! Opening files of someone else's making: openat2(2), confined, and never hanging.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

/// Why a file was not opened for reading.
#[derive(Debug)]
pub enum OpenError {
    Missing,
    /// A link, a directory, a FIFO, a device; or a link on the way to it.
    NotRegular,
    Io(io::Error),
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> OpenError {
        match error {
            Errno::ENOENT | Errno::ENOTDIR => OpenError::Missing,
            // ENXIO: a socket, or a device without a driver. EXDEV: it leads out.
            Errno::ELOOP | Errno::ENXIO | Errno::EXDEV => OpenError::NotRegular,
            error => OpenError::Io(error.into()),
        }
    }
}

/// Opens a directory that the user named; links are followed.
pub fn directory(path: &Path) -> io::Result<File> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC);
    Ok(File::from(openat2(AT_FDCWD, path, how)?))
}

/// Opens a regular file below `directory` for reading. No link is followed, not even on the way.
/// O_NONBLOCK: opening a FIFO would wait for a writer.
pub fn regular_beneath(directory: impl AsFd, path: &Path) -> Result<File, OpenError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    // A device's open(2) may do things by itself: look first, open after. In between, the kind of
    // what is behind O_PATH cannot change, but the name can; so it is looked at again.
    let look = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let seen = File::from(beneath(&directory, path, look, resolve)?);
    if !seen.metadata().map_err(OpenError::Io)?.is_file() {
        return Err(OpenError::NotRegular);
    }
    let file = File::from(beneath(&directory, path, flags, resolve)?);
    match file.metadata().map_err(OpenError::Io)?.is_file() {
        true => Ok(file),
        false => Err(OpenError::NotRegular),
    }
}

/// openat2(2) with these flags; EAGAIN (a rename raced with the walk) is tried again a few times.
pub fn beneath(
    directory: impl AsFd,
    path: &Path,
    flags: OFlag,
    resolve: ResolveFlag,
) -> nix::Result<std::os::fd::OwnedFd> {
    let how = OpenHow::new().flags(flags).resolve(resolve).mode(Mode::empty());
    for _ in 0..16 {
        match openat2(&directory, path, how) {
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::EAGAIN)
}
