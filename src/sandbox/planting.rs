//! Writes the plants, inside the finished cage, before any code of the image runs.
//!
//! Nothing moves here yet, but every name and link is the image's: a walk stays on the root's own file
//! system and goes through no link of /proc, so that it ends inside the image or nowhere; what stands is
//! never replaced, and a plain file is all that is ever written to.
//!
//! A plant that cannot be written is no failure of the cage: it is told, and left out. Each has a time of its
//! own between that of its directory and now: files from the minute of the start, or all of one moment, would
//! give themselves away.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fchmod, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown};

use super::user::User;
use super::{How, Plant, Planted};

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY);
const ROOT: User = User { uid: 0, gid: 0, groups: Vec::new(), home: Vec::new() };

/// Directories that are nobody's home, whatever passwd says of `daemon`, `bin` and `nobody`.
const NO_HOMES: [&str; 8] = ["bin", "dev", "etc", "lib", "proc", "sbin", "sys", "usr"];

/// Writes each plant for the program's `user`, and tells what became of it.
pub(super) fn plant(plants: &[Plant], user: &User, mut tell: impl FnMut(Planted)) {
    let homes = homes(user);
    let mut appended = HashSet::new();
    for (number, plant) in plants.iter().enumerate() {
        let Some(below) = plant.path.strip_prefix(b"~/") else {
            // Outside a home, what everyone may read is the machine's.
            let owner = if plant.mode & 0o004 == 0 { user } else { &ROOT };
            tell(told(number, &plant.path, write(plant, &plant.path, owner, &mut appended)));
            continue;
        };
        for home in &homes {
            let path = [home.as_bytes(), b"/", below].concat();
            tell(told(number, &path, write(plant, &path, user, &mut appended)));
        }
        if homes.is_empty() {
            tell(told(number, &plant.path, Err(Errno::ENOENT.into())));
        }
    }
}

fn told(plant: usize, path: &[u8], written: io::Result<(Vec<u8>, u64)>) -> Planted {
    match written {
        Ok((path, inode)) => Planted { plant, path, inode, errno: 0 },
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            Planted { plant, path: path.to_vec(), inode: 0, errno }
        }
    }
}

/// Where the program looks for its user's files. A home that the image lacks is not made: the program
/// would not find its own there either. But root's is, where the image names none and `/` stands in.
fn homes(user: &User) -> Vec<String> {
    let home = String::from_utf8_lossy(&user.home).into_owned();
    let mut names = Path::new(&home).components().skip(1);
    let first = match names.next() {
        None if user.uid == 0 => return vec![String::new(), "/root".to_owned()],
        Some(Component::Normal(name)) if names.all(|name| matches!(name, Component::Normal(_))) => name,
        _ => return Vec::new(),
    };
    let system = NO_HOMES.iter().any(|name| first == OsStr::new(name)) || first == OsStr::new("nonexistent");
    let exists = home == "/root" && user.uid == 0 || open(Path::new(&home), DIRECTORY).is_ok();
    if home.starts_with('/') && !system && exists { vec![home] } else { Vec::new() }
}

fn write(
    plant: &Plant,
    path: &[u8],
    owner: &User,
    appended: &mut HashSet<(u64, Vec<u8>)>,
) -> io::Result<(Vec<u8>, u64)> {
    let path = Path::new(OsStr::from_bytes(path));
    match plant.how {
        How::New => write_new(plant, path, owner),
        How::Append => append(plant, path, appended),
    }
}

fn write_new(plant: &Plant, path: &Path, owner: &User) -> io::Result<(Vec<u8>, u64)> {
    let invalid = || io::Error::from(Errno::EINVAL);
    let (directory, times) = make_directories(path.parent().ok_or_else(invalid)?, plant.mode, owner)?;
    let name = path.file_name().ok_or_else(invalid)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).mode(Mode::from_bits_truncate(0o600)).resolve(INSIDE);
    let mut file = File::from(openat2(&directory, Path::new(name), how)?);
    file.write_all(&plant.content)?;
    own(file.as_fd(), owner, plant.mode)?;
    set_times(file.as_fd(), later(times, &(path, &plant.content)))?;
    set_times(directory.as_fd(), times)?;
    Ok((place(file.as_fd())?, file.metadata()?.ino()))
}

/// Adds to a plain file, which keeps its times; once, however many of its names are planted.
fn append(plant: &Plant, path: &Path, appended: &mut HashSet<(u64, Vec<u8>)>) -> io::Result<(Vec<u8>, u64)> {
    let seen = File::from(open(path, OFlag::O_PATH)?).metadata()?;
    if !seen.is_file() {
        return Err(Errno::EINVAL.into());
    }
    let mut file = File::from(open(path, OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NONBLOCK)?);
    let place = place(file.as_fd())?;
    if appended.insert((seen.ino(), plant.content.clone())) {
        if !ends_with_newline(&mut file, seen.len())? {
            file.write_all(b"\n")?;
        }
        file.write_all(&plant.content)?;
        set_times(file.as_fd(), times(&seen))?;
    }
    Ok((place, seen.ino()))
}

fn ends_with_newline(file: &mut File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

/// Opens the directory, and makes what is missing on the way; gives the times of the last that was there.
fn make_directories(path: &Path, mode: u32, owner: &User) -> io::Result<(OwnedFd, [TimeSpec; 2])> {
    let mut so_far = PathBuf::from("/");
    let mut directory = open(&so_far, DIRECTORY)?;
    let mut times = old_times(&directory)?;
    for component in path.components().filter(|component| *component != Component::RootDir) {
        let Component::Normal(name) = component else { return Err(Errno::EINVAL.into()) };
        so_far.push(name);
        directory = match open(&so_far, DIRECTORY) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                mkdirat(directory.as_fd(), Path::new(name), Mode::from_bits_truncate(0o700))?;
                // The link that leads nowhere was not followed by mkdirat(2), and is by this.
                let made = open(&so_far, DIRECTORY)?;
                own(made.as_fd(), owner, directory_mode(mode))?;
                set_times(made.as_fd(), times)?;
                set_times(directory.as_fd(), times)?;
                made
            }
            found => {
                let found = found?;
                times = times_of(&found)?;
                found
            }
        };
    }
    Ok((directory, times))
}

/// A directory may be entered by whoever may read the file in it.
fn directory_mode(file: u32) -> u32 {
    let read = file & 0o444;
    0o700 | read | read >> 2
}

const INSIDE: ResolveFlag = ResolveFlag::RESOLVE_NO_MAGICLINKS.union(ResolveFlag::RESOLVE_NO_XDEV);

/// Opens an absolute path on the root's own file system. Links of the image are followed; they may be
/// absolute, because the path is (fs/namei.c, `nd_jump_root`, compares with a root that it knows only then).
fn open(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    Ok(openat2(AT_FDCWD, path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(INSIDE))?)
}

fn own(file: impl AsFd, owner: &User, mode: u32) -> io::Result<()> {
    fchown(file.as_fd(), Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    Ok(fchmod(file, Mode::from_bits_truncate(mode & 0o777))?)
}

fn times_of(file: &OwnedFd) -> io::Result<[TimeSpec; 2]> {
    Ok(times(&File::from(file.try_clone()?).metadata()?))
}

/// The root itself is as young as the sandbox; what stands in it is not.
fn old_times(root: &OwnedFd) -> io::Result<[TimeSpec; 2]> {
    let old = ["/usr", "/bin", "/lib", "/etc"].iter().find_map(|path| open(Path::new(path), DIRECTORY).ok());
    times_of(old.as_ref().unwrap_or(root))
}

/// Some time after these and before now, the same for the same `of`.
fn later(times: [TimeSpec; 2], of: &impl Hash) -> [TimeSpec; 2] {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    let time = between(times[1].tv_sec(), i64::try_from(now).unwrap_or(i64::MAX), hasher.finish());
    time.map_or(times, |time| [time; 2])
}

/// A moment of the span, or of its last year; `None` where there is none. `which` chooses it.
fn between(from: i64, to: i64, which: u64) -> Option<TimeSpec> {
    const YEAR: i64 = 365 * 24 * 3600;
    let from = from.max(to.saturating_sub(YEAR));
    let span = u64::try_from(to.checked_sub(from)?).ok().filter(|span| *span > 0)?;
    let seconds = from + i64::try_from(which % span).ok()?;
    Some(TimeSpec::new(seconds, i64::try_from(which % 999_999_937).ok()?))
}

/// Last access and last change of the content.
fn times(metadata: &Metadata) -> [TimeSpec; 2] {
    [
        TimeSpec::new(metadata.atime(), metadata.atime_nsec()),
        TimeSpec::new(metadata.mtime(), metadata.mtime_nsec()),
    ]
}

fn set_times(file: impl AsFd, [accessed, modified]: [TimeSpec; 2]) -> io::Result<()> {
    Ok(futimens(file, &accessed, &modified)?)
}

/// The path that the kernel has for an open file; the cage's own /proc is mounted by now.
fn place(file: impl AsFd) -> io::Result<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    std::fs::read_link(link).map(OsString::from).map(OsStringExt::into_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, home: &[u8]) -> User {
        User { uid, gid: uid, groups: vec![], home: home.to_vec() }
    }

    #[test]
    fn homes_are_those_of_people() {
        let check = |uid, home: &[u8], expected: &[&str]| {
            assert_eq!(homes(&user(uid, home)), expected, "{uid} {:?}", String::from_utf8_lossy(home))
        };
        check(0, b"/root", &["/root"]);
        check(0, b"/", &["", "/root"]);
        check(1000, b"/", &[]);
        check(1000, b"/nowhere/at/all", &[]);
        check(1000, b"/tmp", &["/tmp"]);
        check(1000, b"/tmp/../tmp", &[]);
        check(1000, b"relative", &[]);
        check(1000, b"", &[]);
        check(2, b"/bin", &[]);
        check(1, b"/usr/sbin", &[]);
        check(1, b"/proc/self/cwd", &[]);
    }

    #[test]
    fn times_lie_between_the_directory_and_now_and_not_years_back() {
        const NOW: i64 = 1_800_000_000;
        for (from, first) in [(NOW - 100, NOW - 100), (0, NOW - 365 * 24 * 3600)] {
            for which in [0, 1, 99, u64::MAX] {
                let time = between(from, NOW, which).unwrap();
                assert!((first..NOW).contains(&time.tv_sec()), "{from} {which} {time:?}");
            }
        }
        assert_ne!(between(0, NOW, 7), between(0, NOW, 8));
        assert_eq!((between(NOW, NOW, 5), between(NOW + 9, NOW, 5)), (None, None));
    }

    #[test]
    fn directories_let_in_who_may_read() {
        for (file, directory) in [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755), (0o400, 0o700)] {
            assert_eq!(directory_mode(file), directory, "{file:o}");
        }
    }
}
