//! How the process locks itself in, before anything can reach it.

use std::fmt::Display;
use std::io;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{self, Gid, Uid};

use crate::sys::{allow, process};

/// Address space: rings, buffers and the program itself leave most of it free.
const MEMORY_MAX: u64 = 2 << 30;
/// Connections at a time, with room for the rest.
const FILES_MAX: u64 = 16 << 10;
/// Beyond the bound of the capture itself, which the process keeps.
const FILE_SLACK: u64 = 1 << 20;

/// What failed, and how.
#[derive(Debug)]
pub struct Failure {
    pub step: &'static str,
    pub detail: String,
}

pub type Step<T> = Result<T, Failure>;

pub fn step<E: Display>(step: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure { step, detail: error.to_string() }
}

/// Leaves the host's namespaces. No id maps exist yet: the runner writes them. The pid namespace is that
/// of the next fork.
pub fn leave_namespaces() -> Step<()> {
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    unshare(all).map_err(step("leave the host's namespaces"))
}

/// Becomes the root of the new user namespace, which is nobody outside.
pub fn become_nobody() -> Step<()> {
    unistd::setgroups(&[]).map_err(step("give up groups"))?;
    let (gid, uid) = (Gid::from_raw(0), Uid::from_raw(0));
    unistd::setresgid(gid, gid, gid).map_err(step("become the namespace's group"))?;
    unistd::setresuid(uid, uid, uid).map_err(step("become the namespace's root"))
}

/// For the process that only waits: from now on it can do nothing else. Its root goes when the other's
/// does: they share a mount namespace (pivot_root(2)).
pub fn only_wait() -> io::Result<()> {
    process::bound_capabilities(0)?;
    process::set_capabilities(0)?;
    allow::only(&[libc::SYS_wait4])
}

/// Gives up everything that serving does not take.
pub fn confine(capture_max: u64) -> Step<()> {
    empty_root().map_err(step("give up the file system"))?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(step("read the limit of open files"))?;
    let limits = [
        (Resource::RLIMIT_AS, MEMORY_MAX),
        (Resource::RLIMIT_NOFILE, FILES_MAX.min(hard)),
        (Resource::RLIMIT_FSIZE, capture_max.saturating_add(FILE_SLACK)),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit).map_err(step("limit the process"))?;
    }
    nix::sys::prctl::set_dumpable(false).map_err(step("hide the process's memory"))?;
    process::bound_capabilities(0).map_err(step("give up capabilities"))?;
    process::set_capabilities(0).map_err(step("give up capabilities"))?;
    allow::only(&allow::SERVING).map_err(step("filter system calls"))
}

/// The root becomes an empty directory that nobody can write to.
fn empty_root() -> nix::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), "/tmp", Some("tmpfs"), flags, Some("size=4k,nr_inodes=1,mode=0"))?;
    unistd::chdir("/tmp")?;
    match unistd::pivot_root(".", ".") {
        Ok(()) => umount2(".", MntFlags::MNT_DETACH)?,
        // The host's root is the initial ramfs, which cannot be pivoted away from.
        Err(Errno::EINVAL) => unistd::chroot(".")?,
        Err(errno) => return Err(errno),
    }
    unistd::chdir("/")?;
    mount(none, "/", none, flags | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, none)
}
