//! The run's control groups: one in the v2 tree, which holds and kills, and on hybrid hosts one under each
//! v1 controller, where the limits are.
//!
//! Holding and killing use `cgroup.freeze` and `cgroup.kill` of the v2 group only: the v1 freezer took
//! seconds with many vforking tasks, and its frozen tasks ignore SIGKILL.
//!
//! Not here: making the v1 groups and setting limits, which libcontainer does ([`super::spec`]).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{RunId, SandboxError};

/// How long the last tasks of a killed group may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);
/// In which the kernel counts the processor time of a group.
pub(super) const CPU_PERIOD: Duration = Duration::from_millis(100);
/// Waiting for less than a tenth of the time is not worth telling.
const THROTTLED_SHARE: u32 = 10;

/// The groups of one run.
#[derive(Clone, Debug)]
pub(super) struct Cgroups {
    v2: PathBuf,
    /// By controllers, comma-separated.
    v1: Vec<(String, PathBuf)>,
}

/// A limit that the workload ran into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitHit {
    /// `memory` (a task was killed for it), `pids` (a fork was refused), `cpus` (tasks were made to wait
    /// for a noticeable share of the run).
    pub name: &'static str,
    /// How often, as the kernel counts.
    pub times: u64,
}

impl Cgroups {
    /// The groups that the run has, or would have.
    pub fn of(run: &RunId) -> Result<Cgroups, SandboxError> {
        let path = Path::new("/proc/self/mountinfo");
        let mounts = fs::read_to_string(path).map_err(super::state::state("read", path))?;
        let trees = trees(&mounts);
        let v2 = trees.v2.ok_or(SandboxError::NoCgroupTree)?.join(run.cgroup());
        let v1 = trees.v1.into_iter().map(|(names, path)| (names, path.join(run.cgroup()))).collect();
        Ok(Cgroups { v2, v1 })
    }

    pub fn v2(&self) -> &Path {
        &self.v2
    }

    /// True where the controllers are in trees of v1: libcontainer then knows nothing of the v2 group, and
    /// whoever wants to be in it must make it. On a v2 host it makes the same group itself, and only if
    /// it is not there yet does it switch the controllers on.
    pub fn is_hybrid(&self) -> bool {
        self.v2.parent() != Some(Path::new("/sys/fs/cgroup"))
    }

    /// Makes the v2 group.
    pub fn make(&self) -> Result<(), SandboxError> {
        match fs::create_dir(&self.v2) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(cgroup("make", &self.v2)(error))
            }
            _ => Ok(()),
        }
    }

    /// Moves this process into the group.
    pub fn join(&self) -> Result<(), SandboxError> {
        self.write("cgroup.procs", "0", "join")
    }

    /// The number by which BPF knows the v2 group (`bpf_get_current_cgroup_id`).
    pub fn id(&self) -> Result<u64, SandboxError> {
        Ok(fs::metadata(&self.v2).map_err(cgroup("look at", &self.v2))?.ino())
    }

    pub fn freeze(&self) -> Result<(), SandboxError> {
        self.write("cgroup.freeze", "1", "freeze")
    }

    pub fn thaw(&self) -> Result<(), SandboxError> {
        self.write("cgroup.freeze", "0", "thaw")
    }

    pub fn is_frozen(&self) -> bool {
        self.event("frozen") == Some(1)
    }

    pub fn is_populated(&self) -> bool {
        self.event("populated") == Some(1)
    }

    /// Kills every task of the group, frozen ones too.
    pub fn kill(&self) -> Result<(), SandboxError> {
        self.write("cgroup.kill", "1", "kill")
    }

    /// True where this host can limit by the controller, in v1 or in v2.
    pub fn has(&self, controller: &str) -> bool {
        let v1 = self.v1.iter().any(|(names, _)| names.split(',').any(|name| name == controller));
        let root = self.v2.parent().map(|root| root.join("cgroup.controllers"));
        let v2 = root.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        v1 || v2.split_whitespace().any(|name| name == controller)
    }

    /// Every process in the v2 group, as the caller's pid namespace knows it.
    pub fn pids(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.v2.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    pub fn limits_hit(&self) -> Vec<LimitHit> {
        // Not `memory.failcnt`: it also counts page cache that was only given back.
        let counts = [
            ("memory", self.count("memory", "memory.oom_control", "memory.events", "oom_kill")),
            ("pids", self.count("pids", "pids.events", "pids.events", "max")),
            ("cpus", self.file("cpu", "cpu.stat", "cpu.stat").as_deref().and_then(throttled)),
        ];
        let hits = counts.into_iter().filter_map(|(name, times)| Some(LimitHit { name, times: times? }));
        hits.filter(|hit| hit.times > 0).collect()
    }

    /// Thaws, kills, waits for the last task within bounds, removes. Groups that are not there are no
    /// error.
    pub fn remove(&self) -> Result<(), SandboxError> {
        if self.v2.exists() {
            // A group in removal may refuse either; what counts is that it is gone below.
            let _ = self.thaw();
            let _ = self.kill();
        }
        let until = Instant::now() + PATIENCE;
        while self.is_populated() && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
        let mut first = Ok(());
        for path in self.v1.iter().map(|(_, path)| path).chain([&self.v2]) {
            let removed = remove_group(path, until);
            first = first.and(removed);
        }
        first
    }

    /// The names of leftover groups, for a report.
    pub fn left(&self) -> Vec<PathBuf> {
        let all = self.v1.iter().map(|(_, path)| path).chain([&self.v2]);
        all.filter(|path| path.exists()).cloned().collect()
    }

    /// A counter: the only number of a v1 file, or its field `key`; else the field of a v2 file.
    fn count(&self, controller: &str, v1: &str, v2: &str, key: &str) -> Option<u64> {
        let text = self.file(controller, v1, v2)?;
        text.trim().parse().ok().or_else(|| field(&text, key))
    }

    /// What the controller says, in whichever tree it is.
    fn file(&self, controller: &str, v1: &str, v2: &str) -> Option<String> {
        let group = self.v1.iter().find(|(names, _)| names.split(',').any(|name| name == controller));
        fs::read_to_string(group.map_or_else(|| self.v2.join(v2), |(_, path)| path.join(v1))).ok()
    }

    fn event(&self, key: &str) -> Option<u64> {
        field(&fs::read_to_string(self.v2.join("cgroup.events")).ok()?, key)
    }

    fn write(&self, file: &str, text: &str, action: &'static str) -> Result<(), SandboxError> {
        fs::write(self.v2.join(file), text).map_err(cgroup(action, &self.v2))
    }
}

/// Removes one group. Its tasks are dead, but the kernel lets go of them a little later (EBUSY).
fn remove_group(path: &Path, until: Instant) -> Result<(), SandboxError> {
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() != Some(libc::EBUSY) || Instant::now() > until => {
                return Err(cgroup("remove", path)(error));
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// How often tasks were made to wait, if that took a noticeable share of the time in which they had
/// something to do; a busy image that has all processors of the host is stopped now and then for moments.
/// The time is that of all processors together: nanoseconds in v1, microseconds in v2
/// (kernel/sched/core.c, `cpu_cfs_stat_show` and `cpu_extra_stat_show`).
fn throttled(stat: &str) -> Option<u64> {
    let v1 = field(stat, "throttled_time").map(Duration::from_nanos);
    let waited = v1.or_else(|| field(stat, "throttled_usec").map(Duration::from_micros))?;
    let busy = CPU_PERIOD.saturating_mul(field(stat, "nr_periods")?.try_into().unwrap_or(u32::MAX));
    (waited >= busy / THROTTLED_SHARE && !waited.is_zero()).then(|| field(stat, "nr_throttled")).flatten()
}

/// The number after `key` in lines of `key number`.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Trees {
    v2: Option<PathBuf>,
    v1: Vec<(String, PathBuf)>,
}

/// The trees in a mountinfo(5); of each, the first mount.
fn trees(mountinfo: &str) -> Trees {
    let mut trees = Trees::default();
    for line in mountinfo.lines() {
        let Some((place, kind)) = line.split_once(" - ") else { continue };
        let Some(point) = place.split(' ').nth(4) else { continue };
        let mut kind = kind.split(' ');
        match (kind.next(), kind.nth(1)) {
            (Some("cgroup2"), _) if trees.v2.is_none() => trees.v2 = Some(point.into()),
            (Some("cgroup"), Some(options)) => {
                let names = options.split(',').filter(|name| !["rw", "ro"].contains(name));
                let names = names.collect::<Vec<_>>().join(",");
                if trees.v1.iter().all(|(present, _)| *present != names) {
                    trees.v1.push((names, point.into()));
                }
            }
            _ => {}
        }
    }
    trees
}

fn cgroup(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::Cgroup { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_found_on_hybrid_and_v2_hosts() {
        let hybrid = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
50 31 0:32 / /mnt/again rw,relatime - cgroup cgroup rw,memory
";
        let found = trees(hybrid);
        assert_eq!(found.v2.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        let names: Vec<_> = found.v1.iter().map(|(names, _)| names.as_str()).collect();
        assert_eq!(names, ["memory", "cpu,cpuacct", "name=systemd"]);

        let v2 = trees("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
        assert_eq!(v2, Trees { v2: Some("/sys/fs/cgroup".into()), v1: Vec::new() });
        assert_eq!(trees("junk\n\n1 - \n"), Trees::default());
    }

    #[test]
    fn waiting_for_the_processor_counts_when_it_is_long() {
        let check = |text: &str, expected| assert_eq!(throttled(text), expected, "{text}");
        check("nr_periods 20\nnr_throttled 3\nthrottled_time 200000000\n", Some(3));
        check("nr_periods 20\nnr_throttled 3\nthrottled_time 199999999\n", None);
        check("usage_usec 9\nnr_periods 20\nnr_throttled 5\nthrottled_usec 700000\n", Some(5));
        check("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", None);
        check("usage_usec 9\n", None);
    }

    #[test]
    fn counters_are_found_by_whole_key() {
        let check = |text, key, expected| assert_eq!(field(text, key), expected, "{key}");
        check("low 1\nmax 7\noom_kill 3\n", "max", Some(7));
        check("oom_kill_disable 0\noom_kill 4\n", "oom_kill", Some(4));
        check("max x\n", "max", None);
    }
}
