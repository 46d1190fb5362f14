//! A sealed copy of this program in memory, from which the helper runs.
//!
//! Container escapes have overwritten the runtime's own file through /proc/PID/exe (CVE-2019-5736). What
//! the container's init runs from cannot be written by anybody, and has no name on the host.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::SandboxError;

/// The copy. Made once, used for any number of runs.
#[derive(Debug)]
pub struct SealedProgram(OwnedFd);

impl SealedProgram {
    /// Copies the program that this process runs. Its `main` must begin with
    /// [`super::helper_main_if_asked`].
    pub fn of_this_process() -> Result<SealedProgram, SandboxError> {
        SealedProgram::open(Path::new("/proc/self/exe"))
    }

    /// Copies another build of this program.
    pub fn open(path: &Path) -> Result<SealedProgram, SandboxError> {
        copy(path)
            .map(SealedProgram)
            .map_err(|source| SandboxError::Helper { step: "copy this program into memory", source })
    }

    /// The same copy, for somebody else.
    pub fn share(&self) -> Result<SealedProgram, SandboxError> {
        let shared = self.0.try_clone().map(SealedProgram);
        shared.map_err(|source| SandboxError::Helper { step: "share the copy of this program", source })
    }

    /// Where it can be executed while `self` lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

fn copy(path: &Path) -> io::Result<OwnedFd> {
    let sealing = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut memory = File::from(memfd_create("docker-init", sealing)?);
    io::copy(&mut File::open(path)?, &mut memory)?;
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(memory.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_sealed_copy_has_the_bytes_and_takes_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p");
        std::fs::write(&path, b"program").unwrap();
        let copy = SealedProgram::open(&path).unwrap();
        assert_eq!(std::fs::read(copy.path()).unwrap(), b"program");
        let mut file = File::options().write(true).open(copy.path()).unwrap();
        assert!(file.write_all(b"other").is_err());
    }
}
