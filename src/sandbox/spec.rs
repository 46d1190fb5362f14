//! The plan as an OCI runtime specification (runtime-spec 1.2), for libcontainer.
//!
//! Program, user, environment and working directory are not in it: our own init does these itself, with
//! bytes, and inside the cage. What stands here as `process` is that init and what it may do until it has
//! shut the last doors.
//!
//! Not here: seccomp ([`super::seccomp`]), the root's own mount ([`super::rootfs`]).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capability, Linux, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxCpuBuilder, LinuxIdMapping,
    LinuxIdMappingBuilder, LinuxMemoryBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType,
    LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder, LinuxTimeOffset, LinuxTimeOffsetBuilder, Mount,
    MountBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, RootBuilder,
    Spec, SpecBuilder, UserBuilder,
};

use super::cgroup::CPU_PERIOD;
use super::order::Order;
use super::state::RANGE;

/// What an ordinary container may do, less MKNOD and NET_RAW.
pub(super) const KEPT: &[(Capability, u32)] = &[
    (Capability::Chown, 0),
    (Capability::DacOverride, 1),
    (Capability::Fowner, 3),
    (Capability::Fsetid, 4),
    (Capability::Kill, 5),
    (Capability::Setgid, 6),
    (Capability::Setuid, 7),
    (Capability::Setpcap, 8),
    (Capability::NetBindService, 10),
    (Capability::SysChroot, 18),
    (Capability::AuditWrite, 29),
    (Capability::Setfcap, 31),
];

/// What init needs besides, until the filter is loaded and the loopback is up. Inside the container's
/// user namespace both mean little, and no code of the image runs while they last.
const FOR_SET_UP: [Capability; 2] = [Capability::SysAdmin, Capability::NetAdmin];

/// Hidden by an empty file or directory: what tells about the host, or reaches it, and that a root of the
/// container could read. As ordinary engines have it, and a few more; each mount more is a sign.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/devices/virtual/dmi",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
];

const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The specification for `order`, with the root file system at `root`. `open_files_max` is the hard limit
/// of the caller, which cannot be raised.
pub(super) fn spec(order: &Order, root: &Path, open_files_max: u64) -> Result<Spec, OciSpecError> {
    SpecBuilder::default()
        .version("1.2.0")
        .root(RootBuilder::default().path(root).readonly(false).build()?)
        .hostname(&order.hostname)
        .mounts(mounts()?)
        .process(process(order.limits.open_files.min(open_files_max))?)
        .linux(linux(order)?)
        .build()
}

fn process(open_files: u64) -> Result<Process, OciSpecError> {
    let set: HashSet<Capability> = KEPT.iter().map(|(capability, _)| *capability).chain(FOR_SET_UP).collect();
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(set.clone())
        .effective(set.clone())
        .permitted(set)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()?;
    let mut process = ProcessBuilder::default()
        .terminal(false)
        .user(UserBuilder::default().uid(0u32).gid(0u32).build()?)
        .args(["init".to_owned()])
        .env(Vec::new())
        .cwd("/")
        .capabilities(capabilities)
        .rlimits(rlimits(open_files)?)
        .build()?;
    // The builder sets it. Left out, set-uid programs work as they do in an ordinary container; the root
    // that is gained is nobody outside.
    process.set_no_new_privileges(None);
    Ok(process)
}

fn rlimits(open_files: u64) -> Result<Vec<PosixRlimit>, OciSpecError> {
    // One byte, not zero: only this keeps the kernel from handing a crash to a host's core_pattern
    // program as well (fs/coredump.c, coredump_pipe).
    [(PosixRlimitType::RlimitCore, 1), (PosixRlimitType::RlimitNofile, open_files)]
        .into_iter()
        .map(|(kind, limit)| PosixRlimitBuilder::default().typ(kind).soft(limit).hard(limit).build())
        .collect()
}

fn linux(order: &Order) -> Result<Linux, OciSpecError> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces()?)
        .uid_mappings(vec![mapping(order.id_base)?])
        .gid_mappings(vec![mapping(order.id_base)?])
        .resources(resources(order)?)
        // Absolute: with a user namespace, a relative one makes libcontainer ask systemd.
        .cgroups_path(format!("/c-{}", order.run))
        .sysctl(HashMap::from([
            ("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned()),
            ("net.ipv4.ping_group_range".to_owned(), format!("0 {}", RANGE - 1)),
        ]))
        .masked_paths(texts(MASKED))
        .readonly_paths(texts(READ_ONLY))
        .build()?;
    linux.set_time_offsets(Some(time_offsets(order)?));
    linux.set_rootfs_propagation(Some("private".to_owned()));
    // Our own init loads our own filter.
    linux.set_seccomp(None);
    Ok(linux)
}

fn namespaces() -> Result<Vec<LinuxNamespace>, OciSpecError> {
    [
        LinuxNamespaceType::User,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Network,
        LinuxNamespaceType::Cgroup,
        LinuxNamespaceType::Time,
    ]
    .into_iter()
    .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build())
    .collect()
}

/// Both clocks alike, so that the time since some moment is the same by either.
fn time_offsets(order: &Order) -> Result<HashMap<String, LinuxTimeOffset>, OciSpecError> {
    let seconds = i64::try_from(order.uptime).unwrap_or(0);
    let offset = |clock: &str| {
        let offset = LinuxTimeOffsetBuilder::default().secs(seconds).nanosecs(0u32).build()?;
        Ok((clock.to_owned(), offset))
    };
    ["monotonic", "boottime"].into_iter().map(offset).collect()
}

fn mapping(id_base: u32) -> Result<LinuxIdMapping, OciSpecError> {
    LinuxIdMappingBuilder::default().container_id(0u32).host_id(id_base).size(RANGE).build()
}

fn resources(order: &Order) -> Result<LinuxResources, OciSpecError> {
    let period = u64::try_from(CPU_PERIOD.as_micros()).expect("a tenth of a second");
    let limits = &order.limits;
    let mut resources = LinuxResourcesBuilder::default().build()?;
    resources.set_devices(None);
    if let Some(bytes) = limits.memory {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        resources.set_memory(Some(LinuxMemoryBuilder::default().limit(bytes).swap(bytes).build()?));
    }
    if let Some(cpus) = limits.cpus {
        // The kernel refuses less than a millisecond per period.
        let quota = (cpus * period as f64).clamp(1000.0, 1e12) as i64;
        resources.set_cpu(Some(LinuxCpuBuilder::default().period(period).quota(quota).build()?));
    }
    if let Some(pids) = limits.pids {
        resources.set_pids(Some(LinuxPidsBuilder::default().limit(i64::from(pids)).build()?));
    }
    Ok(resources)
}

/// As ordinary engines mount them, without a cgroup tree: nothing good needs one, and it has been a way
/// out.
fn mounts() -> Result<Vec<Mount>, OciSpecError> {
    const MOUNTS: &[(&str, &str, &str, &str)] = &[
        ("/proc", "proc", "proc", "nosuid noexec nodev"),
        ("/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
        ("/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
        ("/sys", "sysfs", "sysfs", "nosuid noexec nodev ro"),
        ("/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev"),
        ("/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k"),
    ];
    MOUNTS
        .iter()
        .map(|(path, kind, source, options)| {
            let options = options.split(' ').map(str::to_owned).collect::<Vec<_>>();
            MountBuilder::default().destination(*path).typ(*kind).source(*source).options(options).build()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Limits;

    fn of(limits: Limits) -> Spec {
        let order = Order { run: "0123456789abcdef".into(), id_base: 7, limits, ..Order::default() };
        spec(&order, Path::new("/r"), 20_000).unwrap()
    }

    #[test]
    fn every_namespace_is_new() {
        let spec = of(Limits::default());
        let namespaces = spec.linux().as_ref().unwrap().namespaces().as_ref().unwrap();
        assert_eq!(namespaces.len(), 8);
        assert!(namespaces.iter().all(|namespace| namespace.path().is_none()));
    }

    #[test]
    fn capabilities_hold_neither_mknod_nor_raw_sockets() {
        let spec = of(Limits::default());
        let capabilities = spec.process().as_ref().unwrap().capabilities().as_ref().unwrap();
        let bounding = capabilities.bounding().as_ref().unwrap();
        assert!(!bounding.contains(&Capability::Mknod) && !bounding.contains(&Capability::NetRaw));
        assert_eq!(bounding.len(), KEPT.len() + FOR_SET_UP.len());
        assert_eq!(spec.process().as_ref().unwrap().no_new_privileges(), None);
    }

    #[test]
    fn limits_bind_memory_with_swap() {
        let limits = Limits { memory: Some(1 << 20), cpus: Some(0.5), pids: Some(9), ..Limits::default() };
        let spec = of(limits);
        let resources = spec.linux().as_ref().unwrap().resources().as_ref().unwrap();
        let memory = resources.memory().as_ref().unwrap();
        assert_eq!((memory.limit(), memory.swap()), (Some(1 << 20), Some(1 << 20)));
        assert_eq!(resources.cpu().as_ref().unwrap().quota(), Some(50_000));
        assert_eq!(resources.pids().as_ref().unwrap().limit(), 9);
        assert!(
            of(Limits::default()).linux().as_ref().unwrap().resources().as_ref().unwrap().memory().is_none()
        );
    }

    #[test]
    fn nothing_of_the_host_is_bound() {
        let spec = of(Limits::default());
        for mount in spec.mounts().as_ref().unwrap() {
            let options = mount.options().as_ref().unwrap();
            assert!(options.iter().all(|option| option != "bind" && option != "rbind"), "{mount:?}");
        }
    }
}
