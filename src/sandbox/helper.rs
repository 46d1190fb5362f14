//! The helper process: the same program again, single-threaded, that lets libcontainer build the
//! container in a pid and mount namespace that die with the runner.
//!
//! libcontainer forks with a bare clone3(2), allocates in the copy, and changes the whole process's
//! directory: from a process with threads it hangs sooner or later. Hence a process of its own. Its
//! command line and name are those of an ordinary container's init, since init is a fork of it.
//!
//! Invariant: from the first instruction on, the helper dies with the runner: by the parent-death signal,
//! or, where the runner died before it was set, by noticing.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::mount::{MsFlags, mount};
use nix::poll::PollTimeout;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{MsgFlags, SockType, getsockopt, sockopt};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Pid, Uid, fchown, getppid};

use super::cgroup::Cgroups;
use super::init::Init;
use super::message::{MESSAGE_MAX, Message, START};
use super::order::{ORDER_MAX, Order};
use super::rootfs::{BASE, mount_root, own_devices};
use super::{RunId, spec};
use crate::sys::process::{self, StandardStream, take_standard};
use crate::sys::socket;

/// The name under which the image sees its PID 1; what engines call theirs.
pub(super) const ARGV0: &str = "/sbin/docker-init";
pub(super) const ARGV1: &str = "--";
pub(super) const COMM: &std::ffi::CStr = c"docker-init";

/// Becomes the helper if this process was started as one, and then does not return. Must be the first
/// call of `main`, before any thread is started.
pub fn helper_main_if_asked() {
    let mut args = std::env::args_os();
    if args.next().as_deref() != Some(OsStr::new(ARGV0)) || args.next().as_deref() != Some(OsStr::new(ARGV1))
    {
        return;
    }
    if getsockopt(&io::stdin(), sockopt::SockType) != Ok(SockType::SeqPacket) {
        return;
    }
    // Words of a panic would go to the image's standard error; the runner hears of the end all the same.
    std::panic::set_hook(Box::new(|_| {}));
    let code = match guard() {
        Ok(()) => 0,
        Err(_) => 1,
    };
    process::exit_now(code);
}

/// Why the cage could not be made.
#[derive(Debug)]
pub(super) enum Failure {
    Step { step: &'static str, detail: String },
    Hostile { what: String },
}

pub(super) fn step<E: Display>(step: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Step { step, detail: error.to_string() }
}

/// The outer process: makes the namespaces, forks the helper into them, and waits.
fn guard() -> io::Result<()> {
    nix::sys::prctl::set_name(COMM)?;
    process::die_with_parent()?;
    // Whatever the runner, or whoever started it, left open.
    process::close_all()?;
    let control = take_standard(StandardStream::Input)?;
    let output = take_standard(StandardStream::Output)?;
    let errors = take_standard(StandardStream::Error)?;
    // The runner made the socket, so its credentials are on it. Another parent: it died already.
    let runner = getsockopt(&control, sockopt::PeerCredentials)?.pid();
    if getppid() != Pid::from_raw(runner) {
        return Ok(());
    }
    match fork_helper(&control, output, errors) {
        Ok(helper) => {
            // The runner reads the end of the run from the last copy's end.
            drop(control);
            nix::sys::wait::waitpid(helper, None)?;
            Ok(())
        }
        Err(error) => {
            let (step, detail) = ("make the helper's own namespaces".to_owned(), error.to_string());
            socket::send(control.as_fd(), &Message::Failed { step, detail }.encode(), &[])
        }
    }
}

/// Forks the helper into a pid namespace and a mount namespace of its own.
fn fork_helper(control: &OwnedFd, output: OwnedFd, errors: OwnedFd) -> io::Result<Pid> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
    let own = process::pidfd(Pid::this())?;
    let control = control.try_clone()?;
    process::fork(move || {
        let orphaned = process::die_with_parent().is_err()
            || process::ended(own.as_fd(), PollTimeout::ZERO).unwrap_or(true);
        if !orphaned {
            serve(control, output, errors);
        }
        i32::from(orphaned)
    })
}

/// The helper itself: everything that fails is told to the runner.
fn serve(control: OwnedFd, output: OwnedFd, errors: OwnedFd) {
    let control = Rc::new(control);
    let failure = match cage(&control, output, errors) {
        Ok(()) => return,
        Err(Failure::Step { step, detail }) => Message::Failed { step: step.to_owned(), detail },
        Err(Failure::Hostile { what }) => Message::Hostile { what },
    };
    // A runner that is gone needs no answer.
    let _ = socket::send(control.as_fd(), &failure.encode(), &[]);
}

/// Makes the cage, holds it, and stays until init is gone.
fn cage(control: &Rc<OwnedFd>, output: OwnedFd, errors: OwnedFd) -> Result<(), Failure> {
    // The lock's descriptor stays open here for as long as the helper lives.
    let (order, _lock) = receive_order(control.as_fd()).map_err(step("read the order"))?;
    let run = RunId::parse(&order.run).map_err(step("read the order"))?;
    isolate().map_err(step("make the helper's own namespaces"))?;
    for pipe in [&output, &errors] {
        let owner = order.id_base;
        fchown(pipe, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))
            .map_err(step("give the output pipes to the run"))?;
    }
    own_devices(order.id_base).map_err(step("make the run's own devices"))?;
    let root = mount_root(&order)?;
    let home = std::fs::read_to_string("/proc/self/cgroup").map_err(step("read the own cgroup"))?;
    let cgroups = Cgroups::of(&run).map_err(step("find the cgroup trees"))?;
    if cgroups.is_hybrid() {
        cgroups.make().and_then(|()| cgroups.join()).map_err(step("make the run's cgroup"))?;
    }

    leave_half().map_err(step("leave the host its share"))?;
    let order = Rc::new(order);
    let init = Init::new(order.clone(), control.clone());
    let container = build(&order, &root, init, output, errors)?;
    if cgroups.is_hybrid() {
        leave(&cgroups, &home).map_err(step("leave the run's cgroup"))?;
    }
    hold(control.as_fd(), container)
}

/// Presents the parked container to the runner, starts it when told, and waits for its end. Returning
/// before that kills it: this process is PID 1 of the namespace around it.
fn hold(control: BorrowedFd<'_>, mut container: Container) -> Result<(), Failure> {
    let pid = container.pid().map(|pid| Pid::from_raw(pid.as_raw()));
    let pid = pid.ok_or_else(|| step("find init")("no pid"))?;
    let own = process::pidfd(Pid::this()).map_err(step("open the helper"))?;
    let init = process::pidfd(pid).map_err(step("open init"))?;
    socket::send(control, &Message::Held.encode(), &[init.as_fd(), own.as_fd()])
        .map_err(step("answer the runner"))?;
    match socket::receive(control, MESSAGE_MAX, MsgFlags::empty()) {
        Ok(Some((bytes, _))) if bytes == START => {}
        _ => return Ok(()),
    }
    container.start().map_err(step("start init"))?;
    while process::reap().is_ok_and(|(ended, ..)| ended != pid) {}
    Ok(())
}

fn receive_order(control: BorrowedFd<'_>) -> io::Result<(Order, OwnedFd)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let message = socket::receive(control, MESSAGE_MAX, MsgFlags::empty())?;
    let (_, descriptors) = message.ok_or(io::ErrorKind::UnexpectedEof)?;
    let [memory, lock]: [OwnedFd; 2] = descriptors.try_into().map_err(|_| invalid())?;
    let mut file = File::from(memory);
    io::Seek::rewind(&mut file)?;
    let mut bytes = Vec::new();
    file.take(ORDER_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let order = Order::decode(&bytes).filter(|_| bytes.len() <= ORDER_MAX);
    Ok((order.ok_or_else(invalid)?, lock))
}

/// No mount travels from here to the host, and /proc shows the helper's own pid namespace.
fn isolate() -> io::Result<()> {
    umask(Mode::from_bits_truncate(0o022));
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("proc"), "/proc", Some("proc"), flags, none)?)
}

fn build(
    order: &Order,
    root: &Path,
    init: Init,
    output: OwnedFd,
    errors: OwnedFd,
) -> Result<Container, Failure> {
    let (_, open_files) = getrlimit(Resource::RLIMIT_NOFILE).map_err(step("read the limit of open files"))?;
    let spec = spec::spec(order, root, open_files).map_err(step("specify the container"))?;
    let (bundle, state) = (Path::new(BASE).join("o"), Path::new(BASE).join("s"));
    for directory in [&bundle, &state] {
        std::fs::create_dir(directory).map_err(step("make the runtime's directories"))?;
    }
    spec.save(bundle.join("config.json")).map_err(step("write the specification"))?;
    let container = ContainerBuilder::new(format!("c-{}", order.run), SyscallType::default())
        .with_root_path(state)
        .map_err(step("name the runtime's directory"))?
        .with_executor(init)
        .with_stdout(output)
        .with_stderr(errors)
        .validate_id()
        .map_err(step("name the container"))?
        .as_init(&bundle)
        .with_systemd(false)
        .with_detach(true)
        .build();
    container.map_err(|error| step("build the container")(chain(&error)))
}

/// Pending signals, message queues and locked memory are counted for their user, and then for the owner of
/// his user namespace, who is the host's root: up to the limit that the namespace got from its maker
/// (kernel/ucount.c, `inc_rlimit_ucounts`; kernel/user_namespace.c, `create_user_ns`). Whatever the image
/// does, and under however many users, half is left to root's own.
///
/// Inotify instances are counted so too, but each namespace bounds them for each user only.
fn leave_half() -> io::Result<()> {
    for resource in [Resource::RLIMIT_SIGPENDING, Resource::RLIMIT_MSGQUEUE, Resource::RLIMIT_MEMLOCK] {
        let (soft, hard) = getrlimit(resource)?;
        setrlimit(resource, soft / 2, hard)?;
    }
    Ok(())
}

/// Goes back to the v2 group that `home` (/proc/self/cgroup) names: the run's is to be frozen and killed.
fn leave(cgroups: &Cgroups, home: &str) -> io::Result<()> {
    let path = home.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let tree = cgroups.v2().parent().unwrap_or(Path::new("/"));
    std::fs::write(tree.join(path).join("cgroup.procs"), "0")
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
