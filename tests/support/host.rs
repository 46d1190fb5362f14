//! What a run may not change on the host: looked at before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Mounts, cgroups, network interfaces, processes of the sandbox, files in shared places, settings of
/// the kernel, BPF programs and maps, namespaces, abstract sockets, keys.
#[derive(Debug)]
pub struct Host {
    mounts: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    links: BTreeSet<String>,
    processes: BTreeSet<String>,
    temporary: BTreeSet<String>,
    settings: BTreeSet<String>,
    bpf: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    abstract_sockets: BTreeSet<String>,
    keys: BTreeSet<String>,
}

impl Host {
    pub fn look() -> Host {
        Host {
            mounts: lines(Path::new("/proc/self/mountinfo")),
            cgroups: cgroups(),
            links: names(Path::new("/sys/class/net")),
            processes: processes(),
            temporary: temporary(),
            settings: settings(),
            bpf: bpf(),
            namespaces: namespaces(),
            abstract_sockets: abstract_sockets(),
            keys: keys(),
        }
    }

    /// Panics where something came that stays, or was there and changed. The kernel takes a moment to
    /// bury the dead, and other programs of this host come and go: what is seen at every look for some minutes
    /// is left behind.
    pub fn assert_same(&self) {
        let until = Instant::now() + PATIENCE;
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
            (&self.settings, &now.settings),
            (&self.bpf, &now.bpf),
            (&self.namespaces, &now.namespaces),
            (&self.abstract_sockets, &now.abstract_sockets),
            (&self.keys, &now.keys),
        ];
        pairs.into_iter().flat_map(|(before, after)| after.difference(before).cloned()).collect()
    }
}

/// What lies where everybody puts things. What other tests put there meanwhile does not count: nothing in
/// the program itself makes names as `tempfile` and `tests/stage` do.
fn temporary() -> BTreeSet<String> {
    let all = ["/tmp", "/run", "/dev", "/dev/shm"].iter().flat_map(|path| names(Path::new(path)));
    all.filter(|path| !path.starts_with("/tmp/.tmp") && !path.starts_with("/tmp/acts-")).collect()
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
        let ours = comm.starts_with("docker-init") || comm.starts_with("lazaret-interne");
        ours.then(|| format!("{path} {comm}"))
    });
    named.collect()
}

/// What escapes have set on hosts, with its value: a changed one is a line that was not there before.
fn settings() -> BTreeSet<String> {
    const FILES: [&str; 17] = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/poweroff_cmd",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/usermodehelper/bset",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/fs/binfmt_misc/status",
        "/proc/sys/fs/protected_symlinks",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/ip_unprivileged_port_start",
        "/proc/sys/user/max_user_namespaces",
        "/proc/modules",
        "/proc/swaps",
        "/sys/kernel/uevent_helper",
    ];
    let read = |file: &&str| format!("{file}: {}", fs::read_to_string(file).unwrap_or_default().trim());
    // Of a module, the use count is not a setting.
    FILES.iter().map(read).map(|text| text.split(" Live ").next().unwrap_or_default().to_owned()).collect()
}

/// Programs, and the maps that a process has open. Maps are not asked for by number: that opens each, and an array
/// of programs whose last descriptor is closed a second time, before the kernel came to empty it, is never
/// freed (kernel/bpf/arraymap.c, `prog_array_map_clear`: a reference for work that is queued already).
fn bpf() -> BTreeSet<String> {
    let programs = aya::programs::loaded_programs().flatten().map(|it| format!("program {}", it.id()));
    let pids = names(Path::new("/proc"));
    let descriptors = pids.iter().flat_map(|pid| names(&Path::new(pid).join("fd")));
    let is_map = |path: &String| fs::read_link(path).is_ok_and(|it| it.as_os_str() == "anon_inode:bpf-map");
    let number = |path: String| {
        let (process, descriptor) = path.rsplit_once("/fd/")?;
        let text = fs::read_to_string(format!("{process}/fdinfo/{descriptor}")).ok()?;
        let id = text.lines().find_map(|line| line.strip_prefix("map_id:"))?;
        Some(format!("map {}", id.trim()))
    };
    programs.chain(descriptors.filter(is_map).filter_map(number)).collect()
}

/// Every namespace that a process is in.
fn namespaces() -> BTreeSet<String> {
    let pids = names(Path::new("/proc"));
    let kinds = ["net", "mnt", "user", "pid", "ipc", "uts", "cgroup"];
    let links = pids.iter().flat_map(|pid| kinds.map(|kind| format!("{pid}/ns/{kind}")));
    links.filter_map(|link| Some(fs::read_link(link).ok()?.display().to_string())).collect()
}

fn abstract_sockets() -> BTreeSet<String> {
    let all = lines(Path::new("/proc/net/unix"));
    all.iter()
        .filter_map(|line| line.split_whitespace().nth(7))
        .filter(|it| it.starts_with('@'))
        .map(str::to_owned)
        .collect()
}

/// Serial numbers of the keys that this process can see.
fn keys() -> BTreeSet<String> {
    let all = lines(Path::new("/proc/keys"));
    all.iter().filter_map(|line| line.split_whitespace().next()).map(|id| format!("key {id}")).collect()
}
