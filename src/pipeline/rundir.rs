//! The directory that a run leaves behind: made new or empty, 0700, never through a link.
//!
//! Files are made relative to the open directory and never replace one another by accident; what a
//! reader may wait for (`report.json`) appears by rename only, complete.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, mkdir, unlinkat};

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunDirError {
    #[error("run directory {path:?} is not empty")]
    NotEmpty { path: PathBuf },
    #[error("run directory {path:?} belongs to uid {owner}, not to the caller")]
    Foreign { path: PathBuf, owner: u32 },
    #[error("run directory {path:?} cannot be made or opened as a plain directory")]
    Unusable { path: PathBuf, source: io::Error },
    #[error("run directory {path:?}: {name} cannot be written")]
    Write { path: PathBuf, name: String, source: io::Error },
}

/// An open run directory.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    dir: OwnedFd,
}

impl RunDir {
    /// Makes the directory, or takes one that is there and empty. A symbolic link is refused.
    pub fn make(path: &Path) -> Result<RunDir, RunDirError> {
        let unusable = |errno: Errno| RunDirError::Unusable { path: path.into(), source: errno.into() };
        match mkdir(path, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(unusable(errno)),
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = open(path, flags, Mode::empty()).map_err(unusable)?;
        let owner = fstat(&dir).map_err(unusable)?.st_uid;
        if owner != geteuid().as_raw() {
            return Err(RunDirError::Foreign { path: path.into(), owner });
        }
        if !is_empty(&dir).map_err(unusable)? {
            return Err(RunDirError::NotEmpty { path: path.into() });
        }
        fchmod(&dir, Mode::S_IRWXU).map_err(unusable)?;
        Ok(RunDir { path: path.into(), dir })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a new file, 0600; one of that name must not exist.
    pub fn create(&self, name: &str) -> Result<File, RunDirError> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        file.map(File::from).map_err(|errno| self.write_error(name, errno.into()))
    }

    /// Makes a directory for files, 0700.
    pub fn directory(&self, name: &str) -> Result<OwnedFd, RunDirError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = mkdirat(&self.dir, name, Mode::S_IRWXU)
            .and_then(|()| openat(&self.dir, name, flags, Mode::empty()));
        made.map_err(|errno| self.write_error(name, errno.into()))
    }

    /// Writes a whole file, so that it is there complete or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        let draft = format!(".{name}.draft");
        let mut file = self.create(&draft)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| self.write_error(name, error))?;
        renameat(&self.dir, draft.as_str(), &self.dir, name)
            .map_err(|errno| self.write_error(name, errno.into()))
    }

    /// Removes what was made here: files, and directories of files.
    pub fn clear(&self) -> Result<(), RunDirError> {
        let unusable = |errno: Errno| RunDirError::Unusable { path: self.path.clone(), source: errno.into() };
        clear(&self.dir, remove_directory).map_err(unusable)
    }

    /// Removes the directory itself, where it is empty.
    pub fn remove(self) -> Result<(), RunDirError> {
        std::fs::remove_dir(&self.path).map_err(|source| RunDirError::Unusable { path: self.path, source })
    }

    fn write_error(&self, name: &str, source: io::Error) -> RunDirError {
        RunDirError::Write { path: self.path.clone(), name: name.into(), source }
    }
}

/// Removes every file, and hands each directory to `deeper`.
fn clear(dir: &OwnedFd, deeper: fn(&OwnedFd, &CStr) -> Result<(), Errno>) -> Result<(), Errno> {
    for name in names(dir)? {
        match unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR) => deeper(dir, &name)?,
            result => result?,
        }
    }
    Ok(())
}

fn remove_directory(dir: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    clear(&openat(dir, name, flags, Mode::empty())?, |_, _| Err(Errno::EISDIR))?;
    unlinkat(dir, name, UnlinkatFlags::RemoveDir)
}

fn is_empty(dir: &OwnedFd) -> Result<bool, Errno> {
    names(dir).map(|names| names.is_empty())
}

fn names(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut listing = Dir::openat(dir.as_fd(), ".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let names = listing.iter().map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    Ok(names.into_iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn make_takes_new_and_empty_directories_only() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let new = RunDir::make(&base.path().join("new")).expect("a new directory");
        assert_eq!(fs::metadata(new.path()).expect("metadata").mode() & 0o777, 0o700);
        RunDir::make(&base.path().join("new")).expect("an empty directory");
        fs::write(base.path().join("new/file"), "x").expect("a file");
        let again = RunDir::make(&base.path().join("new"));
        assert!(matches!(again, Err(RunDirError::NotEmpty { .. })), "{again:?}");
    }

    #[test]
    fn make_follows_no_link_and_takes_no_file() {
        let base = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(base.path().join("real")).expect("a directory");
        symlink("real", base.path().join("link")).expect("a link");
        fs::write(base.path().join("file"), "x").expect("a file");
        for name in ["link", "file", "no/parent"] {
            let made = RunDir::make(&base.path().join(name));
            assert!(matches!(made, Err(RunDirError::Unusable { .. })), "{name}: {made:?}");
        }
    }

    #[test]
    fn clear_removes_files_and_directories_of_files() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let run = RunDir::make(&base.path().join("run")).expect("a new directory");
        run.write("report.json", b"{}").expect("a file");
        drop(run.directory("files").expect("a directory"));
        fs::write(run.path().join("files/a"), "x").expect("a file");
        run.clear().expect("nothing in the way");
        run.remove().expect("an empty directory");
    }

    #[test]
    fn write_leaves_the_whole_file_and_no_draft() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let run = RunDir::make(&base.path().join("run")).expect("a new directory");
        run.write("report.json", b"{}").expect("a file");
        let names: Vec<_> =
            fs::read_dir(run.path()).expect("a listing").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["report.json"]);
        assert!(matches!(run.create("report.json"), Err(RunDirError::Write { .. })));
    }
}
