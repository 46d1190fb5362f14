//! How the unpacker locks itself in, before it reads a byte of the image.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    Scope,
};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, fchmod, fstat, umask};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, Uid};

use super::{FS, Job, MERGED, MOUNT, Target, WORK};
use crate::sys::allow;

/// Address space: the zstd window (128 MiB), buffers and the binary itself leave most of it free.
const MEMORY_MAX: u64 = 1 << 30;
const FILES_MAX: u64 = 512;

/// The tree to unpack into: the process's root by now.
pub struct Confined {
    pub root: OwnedFd,
    /// The layer's own directory below the overlay; `None` for the bottom layer, which is the root.
    pub upper: Option<OwnedFd>,
}

/// What failed, and how.
pub type Step<T> = Result<T, (&'static str, Errno)>;

fn step<T>(what: &'static str, result: nix::Result<T>) -> Step<T> {
    result.map_err(|errno| (what, errno))
}

/// Leaves the host's namespaces. No id maps exist yet: the runner writes them.
pub fn leave_namespaces() -> Step<()> {
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    // EPERM in a chroot(2): the kernel makes no user namespace there (create_user_ns,
    // current_chrooted).
    step("leave the host's namespaces", unshare(all))
}

/// Becomes the root of the new user namespace, mounts the tree, and gives up all else.
/// `runner` is the conversation with it.
pub fn confine(job: &Job, runner: impl AsFd) -> Step<Option<Confined>> {
    // Directories are opened while we still are the host's root, if without its capabilities: it
    // owns the way to them, and the layer ids may not pass. They are opened in the new mount
    // namespace, since the overlay takes no directory of another (clone_private_mount).
    let directories = job.target.as_ref().map(Directories::open).transpose()?;
    step("give up groups", unistd::setgroups(&[]))?;
    let (gid, uid) = (Gid::from_raw(0), Uid::from_raw(0));
    step("become the namespace's group", unistd::setresgid(gid, gid, gid))?;
    step("become the namespace's root", unistd::setresuid(uid, uid, uid))?;
    // After the change of ids, which clears it (commit_creds). A parent that was gone before has closed
    // the conversation; its number says nothing in this pid namespace.
    step("die with the runner", set_pdeathsig(Signal::SIGKILL))?;
    if !step("find the runner", has_other_end(runner))? {
        return Err(("find the runner alive", Errno::ESRCH));
    }
    umask(Mode::empty());
    let confined = directories.map(Directories::mount).transpose()?;
    step("limit memory", setrlimit(Resource::RLIMIT_AS, MEMORY_MAX, MEMORY_MAX))?;
    step("limit descriptors", setrlimit(Resource::RLIMIT_NOFILE, FILES_MAX, FILES_MAX))?;
    step("forbid core dumps", setrlimit(Resource::RLIMIT_CORE, 0, 0))?;
    stay_below(confined.as_ref()).map_err(|_| ("shut all paths but the tree's", Errno::EIO))?;
    allow::only(&allow::UNPACKING).map_err(|error| ("filter system calls", errno(&error)))?;
    Ok(confined)
}

fn has_other_end(conversation: impl AsFd) -> nix::Result<bool> {
    let mut ears = [PollFd::new(conversation.as_fd(), PollFlags::POLLIN)];
    poll(&mut ears, PollTimeout::ZERO)?;
    Ok(!ears[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)))
}

/// Landlock: files are opened, made and removed below the tree's root only, none is executed, no device
/// is made, and no signal, socket or connection leaves. The namespaces and the filter say so already; this
/// holds where one of them has a hole. A kernel without it, or with an older one, does what it can.
fn stay_below(confined: Option<&Confined>) -> Result<(), RulesetError> {
    const KERNEL: ABI = ABI::V6;
    let never = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KERNEL))?
        .handle_access(AccessNet::from_all(KERNEL))?
        .scope(Scope::from_all(KERNEL))?
        .create()?;
    let rules = match confined {
        Some(confined) => {
            rules.add_rule(PathBeneath::new(&confined.root, AccessFs::from_all(KERNEL) & !never))?
        }
        None => rules,
    };
    rules.restrict_self().map(drop)
}

pub fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

struct Directories {
    parents: Vec<OwnedFd>,
    upper: OwnedFd,
    mount: OwnedFd,
}

impl Directories {
    fn open(target: &Target) -> Step<Directories> {
        let at = |path: &str| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            step("open a directory of the cache", openat(AT_FDCWD, path, flags, Mode::empty()))
        };
        Ok(Directories {
            parents: target.parents.iter().map(|path| at(path)).collect::<Step<_>>()?,
            upper: at(&format!("{}/{FS}", target.entry))?,
            mount: at(&format!("{}/{MOUNT}", target.entry))?,
        })
    }

    fn mount(self) -> Step<Confined> {
        // Mount options name directories by descriptor, relative to this directory: short, since
        // they must fit in a page, and no walk through directories that are not ours.
        step("use /proc/self/fd", unistd::chdir("/proc/self/fd"))?;
        let merged = format!("/proc/self/fd/{}/{MERGED}", self.mount.as_raw_fd());
        match self.parents.last() {
            None => {
                let upper = self.upper.as_raw_fd().to_string();
                let flags = MsFlags::MS_BIND;
                step("mount the layer", mount(Some(&*upper), &*merged, None::<&str>, flags, None::<&str>))?;
            }
            Some(top) => {
                step("take over the root's attributes", inherit_root(top, &self.upper))?;
                let options = self.options();
                let flags = MsFlags::empty();
                step(
                    "mount the overlay of the layers below",
                    mount(Some("overlay"), &*merged, Some("overlay"), flags, Some(&*options)),
                )?;
            }
        }
        step("enter the tree", unistd::chdir(&*merged))?;
        step("make the tree the root", become_root())?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = step("open the root", openat(AT_FDCWD, "/", flags, Mode::empty()))?;
        let upper = (!self.parents.is_empty()).then_some(self.upper);
        Ok(Confined { root, upper })
    }

    /// `userxattr`: marks go to `user.overlay.*`, the only ones a user namespace may write.
    /// `volatile`: no fsync for each file brought up; the runner syncs before the entry appears.
    fn options(&self) -> String {
        let number = |fd: &OwnedFd| fd.as_raw_fd().to_string();
        let lower: Vec<_> = self.parents.iter().rev().map(number).collect();
        let work = format!("{}/{WORK}", self.mount.as_raw_fd());
        let upper = number(&self.upper);
        format!("userxattr,volatile,lowerdir={},upperdir={upper},workdir={work}", lower.join(":"))
    }
}

/// The merged root shows the upper directory's attributes; a layer that does not describe the root
/// must not change them.
fn inherit_root(top: &OwnedFd, upper: &OwnedFd) -> nix::Result<()> {
    let stat = fstat(top)?;
    let upper = File::from(openat(upper, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?);
    unistd::fchown(&upper, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(&upper, Mode::from_bits_truncate(stat.st_mode))?;
    let time = TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec);
    nix::sys::stat::futimens(&upper, &time, &time)
}

/// The working directory becomes the root, and the host's tree goes away.
fn become_root() -> nix::Result<()> {
    match unistd::pivot_root(".", ".") {
        Ok(()) => umount2(".", MntFlags::MNT_DETACH)?,
        // The host's root is the initial ramfs, which cannot be pivoted away from.
        Err(Errno::EINVAL) => unistd::chroot(".")?,
        Err(errno) => return Err(errno),
    }
    unistd::chdir("/")
}
