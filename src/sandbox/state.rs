//! The state directory's runs: their ids, directories, locks and ranges of user ids.
//!
//! A run directory is alive while its `lock` is held, by the runner and by the helper through the same
//! open file; the kernel lets go when both are gone. Directories are made, given an id range, judged dead
//! and removed only under the state directory's own lock, so that nobody sees one half made or half gone.
//!
//! Not here: what is in a dead one, and how it goes ([`super::gc`]).

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::disk::room;
use super::{DiskUse, SandboxError};

/// A run ends before the host's file system has less room than this.
pub const DISK_FLOOR: DiskUse = DiskUse { bytes: 256 << 20, entries: 4096 };

/// The first of the ids that own unpacked layers on disk.
pub const LAYER_IDS: u32 = crate::image::LAYER_ID_BASE;
/// How many ids a layer, and a run, has.
pub const RANGE: u32 = crate::image::LAYER_ID_COUNT;
/// Where the ranges of the runs begin and end.
const RUN_IDS: std::ops::Range<u32> = LAYER_IDS + RANGE..0x7fff_0000;

/// Names a run in everything that it makes: 16 to 32 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunId(String);

impl RunId {
    /// 64 random bits.
    pub fn random() -> Result<RunId, SandboxError> {
        let mut bytes = [0; 8];
        let path = Path::new("/dev/urandom");
        File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(state("read", path))?;
        Ok(RunId(format!("{:016x}", u64::from_ne_bytes(bytes))))
    }

    /// Reads what [`RunId::as_str`] gives.
    pub fn parse(text: &str) -> Result<RunId, SandboxError> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if (16..=32).contains(&text.len()) && text.bytes().all(hex) {
            Ok(RunId(text.to_owned()))
        } else {
            Err(SandboxError::RunId { text: text.to_owned() })
        }
    }

    /// As it stands in names of cgroups, directories and namespaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that an ordinary container with this id would have.
    pub(super) fn hostname(&self) -> String {
        self.0[..12].to_owned()
    }

    /// What the image sees on top of the machine's own uptime: eleven days to some two months, to the
    /// second, told by digits that the hostname does not show.
    pub(super) fn uptime(&self) -> Duration {
        const DAY: u64 = 24 * 3600;
        let digits = u64::from_str_radix(&self.0[self.0.len() - 4..], 16).unwrap_or(0);
        Duration::from_secs(11 * DAY + digits * 61)
    }

    /// The name of the run's cgroups, below the root of each tree.
    pub(super) fn cgroup(&self) -> String {
        format!("c-{}", self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A directory that only root can enter: `lock`, and `runs/<id>`.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens or makes it, 0700; one that others could enter or that is a link is refused.
    pub fn open(path: &Path) -> Result<StateDir, SandboxError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(state("make", parent))?;
        }
        for path in [path, &path.join("runs")] {
            match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(state("make", path)(error));
                }
                _ => {}
            }
            let metadata = fs::symlink_metadata(path).map_err(state("look at", path))?;
            if !metadata.is_dir() || metadata.mode() & 0o077 != 0 || metadata.uid() != 0 {
                return Err(SandboxError::StateNotPrivate { path: path.to_owned() });
            }
        }
        let path = fs::canonicalize(path).map_err(state("resolve", path))?;
        Ok(StateDir { path })
    }

    /// Refuses where a run that writes `bytes` would leave the file system with less than
    /// [`DISK_FLOOR`].
    pub fn check_room(&self, bytes: u64) -> Result<(), SandboxError> {
        let path = self.path.join("runs");
        let free = room(&path).map_err(state("look at the room of", &path))?;
        let needed = bytes.saturating_add(DISK_FLOOR.bytes);
        if free.bytes < needed {
            return Err(SandboxError::NoRoom { path, free: free.bytes >> 20, needed: needed >> 20 });
        }
        if free.entries < 2 * DISK_FLOOR.entries {
            return Err(SandboxError::NoRoomForFiles { path, free: free.entries });
        }
        Ok(())
    }

    /// Makes the directory of a new run, takes its lock, and gives it a range of ids.
    pub fn new_run(&self, id: &RunId) -> Result<RunDir, SandboxError> {
        let _guard = self.lock()?;
        let path = self.run_path(id.as_str());
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(SandboxError::RunExists { id: id.0.clone() });
            }
            result => result.map_err(state("make", &path))?,
        }
        let made = self.fill(id, &path);
        if made.is_err() {
            // Not even half a run may stay; the first failure is the one to report.
            let _ = super::remove::remove_tree(&path);
        }
        made
    }

    fn fill(&self, id: &RunId, path: &Path) -> Result<RunDir, SandboxError> {
        let lock = try_lock(&path.join("lock"))?.ok_or(SandboxError::RunExists { id: id.0.clone() })?;
        let id_base = self.free_range(id)?;
        for (name, text) in [("ids", id_base.to_string()), ("runner", Runner::this().to_string())] {
            let file = path.join(name);
            fs::write(&file, text).map_err(state("write", &file))?;
        }
        for name in ["fs", "fs/upper", "fs/work"] {
            let directory = path.join(name);
            DirBuilder::new().mode(0o755).create(&directory).map_err(state("make", &directory))?;
        }
        Ok(RunDir { state: self.clone(), id: id.clone(), path: path.to_owned(), lock, id_base })
    }

    /// A range that no run of this state directory and no entry of /etc/subuid or /etc/subgid has. The
    /// search starts at a place that depends on the id: runs of another state directory, which we cannot
    /// see, are then unlikely to get the same.
    fn free_range(&self, id: &RunId) -> Result<u32, SandboxError> {
        let taken = self.taken_ranges()?;
        let slots = (RUN_IDS.end - RUN_IDS.start) / RANGE;
        let seed = u32::from_str_radix(&id.0[..8], 16).unwrap_or(0);
        (0..slots)
            .map(|step| RUN_IDS.start + (seed % slots + step) % slots * RANGE)
            .find(|base| {
                let (first, last) = (u64::from(*base), u64::from(*base) + u64::from(RANGE));
                taken.iter().all(|(start, end)| last <= *start || *end <= first)
            })
            .ok_or(SandboxError::NoIds)
    }

    fn taken_ranges(&self) -> Result<Vec<(u64, u64)>, SandboxError> {
        let mut taken = Vec::new();
        for file in ["/etc/subuid", "/etc/subgid"] {
            taken.extend(subordinate(&fs::read_to_string(file).unwrap_or_default()));
        }
        for id in self.run_names()? {
            let text = fs::read_to_string(self.run_path(&id).join("ids")).unwrap_or_default();
            if let Ok(base) = text.parse::<u64>() {
                taken.push((base, base + u64::from(RANGE)));
            }
        }
        Ok(taken)
    }

    /// The names under `runs` that are run ids, alive or dead.
    pub(super) fn run_names(&self) -> Result<Vec<String>, SandboxError> {
        let path = self.path.join("runs");
        let entries = fs::read_dir(&path).map_err(state("list", &path))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| RunId::parse(name).is_ok()).collect())
    }

    pub(super) fn run_path(&self, id: &str) -> PathBuf {
        self.path.join("runs").join(id)
    }

    /// Takes over a run whose owners are gone.
    pub(super) fn take_dead(&self, id: &str) -> Result<Found, SandboxError> {
        let _guard = self.lock()?;
        let path = self.run_path(id);
        let finished = !path.join("lock").exists() && path.join("report.json").exists();
        if !path.is_dir() || finished {
            return Ok(Found::Nothing);
        }
        let Some(lock) = try_lock(&path.join("lock"))? else {
            let runner = fs::read_to_string(path.join("runner")).unwrap_or_default();
            return Ok(if Runner::is_gone(&runner) { Found::Dying } else { Found::Alive });
        };
        let text = fs::read_to_string(path.join("ids")).unwrap_or_default();
        let id_base = text.parse().unwrap_or(0);
        Ok(Found::Dead(RunDir { state: self.clone(), id: RunId::parse(id)?, path, lock, id_base }))
    }

    /// Waits for the lock under which runs are made and judged. Held for moments only.
    fn lock(&self) -> Result<Flock<File>, SandboxError> {
        let path = self.path.join("lock");
        let file = open_lock(&path)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| state("lock", &path)(errno.into()))
    }
}

/// What a run's directory says of its owners.
#[derive(Debug)]
pub(super) enum Found {
    /// It is gone, or finished and kept.
    Nothing,
    Alive,
    /// The runner is gone; the processes that die with it are not all buried yet.
    Dying,
    Dead(RunDir),
}

/// The runner as a process that cannot be taken for a later one of the same number: pid, and start time
/// in clock ticks since boot (proc(5), field 22 of stat).
#[derive(Debug, PartialEq, Eq)]
struct Runner {
    pid: u32,
    start: String,
}

impl Runner {
    fn this() -> Runner {
        let pid = std::process::id();
        Runner { pid, start: start_of(pid).unwrap_or_default() }
    }

    /// True where the runner that this text names no longer lives. A text that cannot be read says
    /// nothing: then it is taken to live.
    fn is_gone(text: &str) -> bool {
        let Some((pid, start)) = text.split_once(' ') else { return false };
        pid.parse().is_ok_and(|pid| start_of(pid).as_deref() != Some(start))
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.start)
    }
}

fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // One that was killed and not yet waited for is gone all the same.
    let alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
    fields.nth(18).filter(|_| alive).map(str::to_owned)
}

/// The directory of a run that this process holds the lock of.
#[derive(Debug)]
pub struct RunDir {
    state: StateDir,
    id: RunId,
    path: PathBuf,
    lock: Flock<File>,
    id_base: u32,
}

impl RunDir {
    /// Whose directory it is.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first host id of the run's range of [`RANGE`].
    pub fn id_base(&self) -> u32 {
        self.id_base
    }

    /// The overlay's upper layer: what the run made and changed.
    pub fn upper(&self) -> PathBuf {
        self.path.join("fs/upper")
    }

    pub(super) fn lock(&self) -> &File {
        &self.lock
    }

    /// Removes the files of the cage, gives the id range back, and removes the directory too unless
    /// something else is in it (a report). The lock goes last.
    pub(super) fn remove(self) -> Result<(), SandboxError> {
        let files = self.path.join("fs");
        super::remove::remove_tree(&files).map_err(state("remove", &files))?;
        // Or a collector could find the directory half gone, and make a lock of its own in it.
        let _guard = self.state.lock()?;
        for name in ["ids", "runner", "lock"] {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(state("remove", &path)(error));
                }
                _ => {}
            }
        }
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                Err(state("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Locks the file at `path` if nobody else has, and if it is still that file afterwards.
fn try_lock(path: &Path) -> Result<Option<Flock<File>>, SandboxError> {
    let lock = match Flock::lock(open_lock(path)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(state("lock", path)(errno.into())),
    };
    let held = lock.metadata().map_err(state("look at", path))?;
    Ok((held.nlink() > 0).then_some(lock))
}

fn open_lock(path: &Path) -> Result<File, SandboxError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(state("open", path))
}

/// Ranges of an /etc/subuid: `name:first:count` each.
fn subordinate(text: &str) -> Vec<(u64, u64)> {
    let range = |line: &str| {
        let mut fields = line.split(':').skip(1);
        let (first, count): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        Some((first, first.saturating_add(count)))
    };
    text.lines().filter_map(range).collect()
}

pub(super) fn state(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::State { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RunId {
        RunId::parse(text).unwrap()
    }

    #[test]
    fn run_ids_are_hex_and_bounded() {
        for bad in ["", "0123", "../../../etc/passwd", "0123456789ABCDEF", "0123456789abcdef/"] {
            assert!(RunId::parse(bad).is_err(), "{bad}");
        }
        assert_ne!(RunId::random().unwrap(), RunId::random().unwrap());
    }

    #[test]
    fn subordinate_ranges_are_read_and_junk_is_not() {
        assert_eq!(subordinate("a:100000:65536\nb:x:1\n\nc:5:2\n"), [(100_000, 165_536), (5, 7)]);
    }

    #[test]
    fn runs_get_ranges_of_their_own_and_give_them_back() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("s")).unwrap();
        let first = state.new_run(&id("0000000000000001")).unwrap();
        let second = state.new_run(&id("0000000000000002")).unwrap();
        assert_ne!(first.id_base(), second.id_base());
        assert!(first.id_base() >= LAYER_IDS + RANGE && first.id_base().is_multiple_of(RANGE));
        let base = first.id_base();
        first.remove().unwrap();
        assert_eq!(state.new_run(&id("0000000000000003")).unwrap().id_base(), base);
    }

    #[test]
    fn a_live_run_cannot_be_taken_and_a_dead_one_can_once() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("s")).unwrap();
        let run = state.new_run(&id("0000000000000001")).unwrap();
        assert!(matches!(state.take_dead("0000000000000001").unwrap(), Found::Alive));
        assert!(matches!(state.new_run(&id("0000000000000001")), Err(SandboxError::RunExists { .. })));
        drop(run);
        let Found::Dead(taken) = state.take_dead("0000000000000001").unwrap() else { panic!("not dead") };
        assert!(matches!(state.take_dead("0000000000000001").unwrap(), Found::Alive));
        taken.remove().unwrap();
        assert!(matches!(state.take_dead("0000000000000001").unwrap(), Found::Nothing));
    }

    #[test]
    fn a_run_whose_runner_is_gone_but_whose_lock_is_held_is_dying() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("s")).unwrap();
        let run = state.new_run(&id("0000000000000001")).unwrap();
        let check = |text: &str, dying: bool| {
            fs::write(run.path().join("runner"), text).unwrap();
            let found = state.take_dead("0000000000000001").unwrap();
            assert_eq!(matches!(found, Found::Dying), dying, "{text:?}: {found:?}");
        };
        check(&Runner::this().to_string(), false);
        // The same pid, started at another time; a pid that nobody has; no word at all.
        check(&format!("{} 1", std::process::id()), true);
        check(&format!("{} 1", i32::MAX), true);
        check("", false);
    }

    #[test]
    fn a_directory_with_a_report_stays() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("s")).unwrap();
        let run = state.new_run(&id("0000000000000001")).unwrap();
        let path = run.path().to_owned();
        fs::write(path.join("report.json"), "{}").unwrap();
        run.remove().unwrap();
        let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["report.json"]);
    }

    #[test]
    fn a_state_directory_that_others_can_enter_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("open");
        DirBuilder::new().mode(0o755).create(&path).unwrap();
        assert!(matches!(StateDir::open(&path), Err(SandboxError::StateNotPrivate { .. })));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/root", &link).unwrap();
        assert!(StateDir::open(&link).is_err());
    }
}
