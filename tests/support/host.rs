//! What a run may not change on the host: looked at before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Mounts, cgroups, network interfaces, BPF programs, and processes of the sandbox.
#[derive(Debug)]
pub struct Host {
    mounts: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    links: BTreeSet<String>,
    processes: BTreeSet<String>,
    temporary: BTreeSet<String>,
}

impl Host {
    pub fn look() -> Host {
        Host {
            mounts: lines(Path::new("/proc/self/mountinfo")),
            cgroups: cgroups(),
            links: names(Path::new("/sys/class/net")),
            processes: processes(),
            temporary: ["/tmp", "/run", "/dev"].iter().flat_map(|path| names(Path::new(path))).collect(),
        }
    }

    /// Panics where something came that stays. The kernel takes a moment to bury the dead, and other
    /// programs of this host come and go: what is seen at every look for ten seconds is left behind.
    pub fn assert_same(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        let mut left = self.came();
        while !left.is_empty() {
            assert!(Instant::now() < until, "left on the host: {left:#?}");
            std::thread::sleep(Duration::from_millis(20));
            left = left.intersection(&self.came()).cloned().collect();
        }
    }

    /// What is there now and was not before.
    fn came(&self) -> BTreeSet<String> {
        let now = Host::look();
        let pairs = [
            (&self.mounts, &now.mounts),
            (&self.cgroups, &now.cgroups),
            (&self.links, &now.links),
            (&self.processes, &now.processes),
            (&self.temporary, &now.temporary),
        ];
        pairs.into_iter().flat_map(|(before, after)| after.difference(before).cloned()).collect()
    }
}

fn lines(path: &Path) -> BTreeSet<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn names(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// Groups of runs, in every tree, one level below its root.
fn cgroups() -> BTreeSet<String> {
    let root = Path::new("/sys/fs/cgroup");
    let trees = names(root);
    let all = trees.iter().flat_map(|tree| names(Path::new(tree))).chain(names(root));
    all.filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("c-"))).collect()
}

/// Processes that a sandbox is made of.
fn processes() -> BTreeSet<String> {
    let pids =
        names(Path::new("/proc")).into_iter().filter(|path| path[6..].bytes().all(|b| b.is_ascii_digit()));
    let named = pids.filter_map(|path| {
        let comm = fs::read_to_string(format!("{path}/comm")).ok()?;
        comm.starts_with("docker-init").then(|| format!("{path} {comm}"))
    });
    named.collect()
}
