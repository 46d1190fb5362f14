//! Hashes a file and puts its content away, in one pass.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use sha2::{Digest as _, Sha256};

use super::Tally;

/// Larger files are not read: the task must not wait for them.
const HASHED_MAX: u64 = 512 << 20;
/// What the run directory takes of each file.
const FILE_MAX: u64 = 64 << 20;
/// Contents that are remembered by the file's number and times.
const VERSIONS_MAX: usize = 4096;
/// A change within one tick of the kernel's coarse clock leaves the change time as it was; older kernels
/// have no finer one (before 6.13, fs/inode.c, `inode_set_ctime_current`).
const TICK: Duration = Duration::from_millis(50);
/// A file that changes under our hands is read this often.
const ATTEMPTS: usize = 3;
const DRAFT: &str = ".draft";

/// How much of what is executed is kept. All of it is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all files together.
    pub bytes: u64,
    pub files: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { bytes: 512 << 20, files: 1024 }
    }
}

/// Puts contents away under their digest, within its bounds.
pub struct Keeper {
    directory: OwnedFd,
    draft: &'static str,
    bounds: Bounds,
    kept: HashSet<[u8; 32]>,
    omitted: HashSet<[u8; 32]>,
    versions: HashMap<Version, [u8; 32]>,
    pub tally: Tally,
}

/// What one reading of a file came to.
struct Read {
    /// The copy, where there was room for it.
    draft: Option<File>,
    sha256: [u8; 32],
    size: u64,
}

/// One content of one file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Version {
    fn of(metadata: &Metadata) -> Version {
        Version {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// True where a later change is sure to show in the change time.
    fn is_settled(&self) -> bool {
        let Ok(seconds) = u64::try_from(self.changed.0) else { return false };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, self.changed.1 as u32);
        SystemTime::now().duration_since(changed).is_ok_and(|age| age > TICK)
    }
}

impl Keeper {
    /// `directory` takes the contents, each named by its sha256.
    pub fn new(directory: OwnedFd, bounds: Bounds) -> Keeper {
        Keeper::drafting(directory, bounds, DRAFT)
    }

    /// One of several that share a directory: each has a name of its own for what is not complete.
    pub fn drafting(directory: OwnedFd, bounds: Bounds, draft: &'static str) -> Keeper {
        Keeper {
            directory,
            draft,
            bounds,
            kept: HashSet::new(),
            omitted: HashSet::new(),
            versions: HashMap::new(),
            tally: Tally::default(),
        }
    }

    /// True where no more contents find room.
    pub fn is_full(&self) -> bool {
        self.tally.files >= self.bounds.files || self.tally.bytes >= self.bounds.bytes
    }

    /// The sha256 of the file; `None` where it cannot be read. `tells_changes`: the file system moves the
    /// change time for every change; tmpfs does not for writes through a mapping (mm/shmem.c has no
    /// `page_mkwrite`).
    pub fn keep(&mut self, file: &File, tells_changes: bool) -> Option<[u8; 32]> {
        for _ in 0..ATTEMPTS {
            let version = Version::of(&file.metadata().ok()?);
            if let Some(known) = self.versions.get(&version).filter(|_| tells_changes) {
                return Some(*known);
            }
            if version.size > HASHED_MAX {
                return None;
            }
            let settled = tells_changes && version.is_settled();
            let read = self.read(file, version.size);
            let after = file.metadata();
            let (Ok(read), Ok(after)) = (read, after) else {
                self.discard();
                return None;
            };
            if Version::of(&after) != version {
                // Half of one content and half of the next is nobody's.
                self.discard();
                continue;
            }
            let sha256 = self.settle(read);
            if settled && self.versions.len() < VERSIONS_MAX {
                self.versions.insert(version, sha256);
            }
            return Some(sha256);
        }
        None
    }

    /// Reads it once: for the sum, and for the copy where there is room.
    fn read(&mut self, file: &File, size: u64) -> io::Result<Read> {
        let Bounds { bytes, files } = self.bounds;
        let room =
            self.tally.files < files && self.tally.bytes.saturating_add(size) <= bytes && size <= FILE_MAX;
        let mut draft = if room { self.draft().ok() } else { None };
        let mut sum = Sha256::new();
        let mut buffer = vec![0; 1 << 17];
        let mut at = 0;
        while at < HASHED_MAX {
            let length = match std::os::unix::fs::FileExt::read_at(file, &mut buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            if length == 0 {
                break;
            }
            sum.update(&buffer[..length]);
            at += length as u64;
            // A full disk costs the copy, not the sum.
            draft = draft
                .filter(|_| at <= FILE_MAX)
                .and_then(|mut it| it.write_all(&buffer[..length]).ok().map(|()| it));
        }
        Ok(Read { draft, sha256: sum.finalize().into(), size: at })
    }

    fn draft(&self) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.directory, self.draft, flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
    }

    /// Without a draft there is nothing to remove.
    fn discard(&self) {
        let _ = unlinkat(&self.directory, self.draft, UnlinkatFlags::NoRemoveDir);
    }

    /// Gives a complete copy its name, or counts that there is none.
    fn settle(&mut self, Read { draft, sha256, size }: Read) -> [u8; 32] {
        if self.kept.contains(&sha256) || self.is_kept_by_another(&sha256) {
            self.discard();
            return sha256;
        }
        let named = draft.is_some_and(|draft| self.name(&draft, &sha256).is_ok());
        if named {
            self.kept.insert(sha256);
            self.tally.files += 1;
            self.tally.bytes += size;
        } else {
            self.discard();
            if self.omitted.len() < VERSIONS_MAX && self.omitted.insert(sha256) {
                self.tally.omitted += 1;
            }
        }
        sha256
    }

    fn is_kept_by_another(&self, sha256: &[u8; 32]) -> bool {
        fstatat(&self.directory, hex(sha256).as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    fn name(&self, draft: &File, sha256: &[u8; 32]) -> io::Result<()> {
        fchmod(draft, Mode::S_IRUSR)?;
        Ok(renameat(&self.directory, self.draft, &self.directory, hex(sha256).as_str())?)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The sha256 of a file's first `HASHED_MAX` bytes; `None` where it is longer or cannot be read.
pub fn sha256(file: &mut File) -> Option<[u8; 32]> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    let mut left = HASHED_MAX;
    loop {
        let length = file.read(&mut buffer).ok()? as u64;
        if length == 0 {
            return Some(sum.finalize().into());
        }
        left = left.checked_sub(length)?;
        sum.update(&buffer[..length as usize]);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn keeper(directory: &tempfile::TempDir) -> Keeper {
        Keeper::new(File::open(directory.path()).unwrap().into(), Bounds::default())
    }

    fn file(directory: &tempfile::TempDir, bytes: &[u8]) -> File {
        let path = directory.path().join("program");
        std::fs::write(&path, bytes).unwrap();
        File::open(path).unwrap()
    }

    #[test]
    fn a_content_is_kept_once_and_cannot_be_executed() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut keeper = keeper(&to);
        let first = keeper.keep(&file(&from, b"one"), true).unwrap();
        assert_eq!(keeper.keep(&file(&from, b"one"), true), Some(first));
        let path = to.path().join(hex(&Sha256::digest(b"one")));
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o400);
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 1);
        assert_eq!(keeper.tally, Tally { files: 1, bytes: 3, omitted: 0 });
    }

    #[test]
    fn a_file_that_is_changed_at_once_has_another_hash() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut keeper = keeper(&to);
        for (bytes, tells_changes) in [(b"one", true), (b"two", true), (b"six", false)] {
            let expected: [u8; 32] = Sha256::digest(bytes).into();
            assert_eq!(keeper.keep(&file(&from, bytes), tells_changes), Some(expected));
        }
        assert_eq!(keeper.tally.files, 3);
    }

    #[test]
    fn what_changes_while_it_is_read_leaves_nothing_under_another_name() {
        use std::sync::atomic::{AtomicBool, Ordering};

        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut keeper, read) = (keeper(&to), file(&from, &[0; 1 << 18]));
        let mut written = File::options().append(true).open(from.path().join("program")).unwrap();
        let over = AtomicBool::new(false);
        let told: HashSet<String> = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    written.write_all(b"x").unwrap();
                }
            });
            let told = (0..8).filter_map(|_| keeper.keep(&read, true)).map(|sum| hex(&sum)).collect();
            over.store(true, Ordering::Relaxed);
            told
        });
        let names = std::fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let kept: HashSet<String> = names.map(|name| name.into_string().unwrap()).collect();
        assert_eq!(kept, told);
        assert_eq!(keeper.tally.files, told.len() as u64);
    }

    #[test]
    fn what_finds_no_room_is_hashed_and_counted_once() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut keeper = keeper(&to);
        keeper.tally.files = keeper.bounds.files;
        for _ in 0..2 {
            assert_eq!(keeper.keep(&file(&from, b"one"), false), Some(Sha256::digest(b"one").into()));
        }
        assert_eq!(keeper.tally, Tally { files: keeper.bounds.files, bytes: 0, omitted: 1 });
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
    }
}
