//! From a plan to a container that is complete but does not run yet.
//!
//! Not here: what the helper does ([`super::helper`]), and what can be done once it runs
//! ([`super::running`]).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::MsgFlags;

use super::cgroup::Cgroups;
use super::helper::{ARGV0, ARGV1};
use super::message::{MESSAGE_MAX, Message, START};
use super::order::Order;
use super::plant::{PLANTS_MAX, Planted};
use super::running::RunningSandbox;
use super::{Plan, RunDir, SandboxError, SealedProgram};
use crate::sys::{process, socket};

/// A cage takes some 30 ms; on a machine that thrashes, much more.
const CREATE_PATIENCE: Duration = Duration::from_secs(30);
const END_PATIENCE: Duration = Duration::from_secs(10);

/// The unpacked image.
#[derive(Clone, Debug)]
pub struct Layers {
    /// Bottom to top; in overlayfs form with `user.overlay.*` attributes. Not written.
    pub dirs: Vec<PathBuf>,
    /// The first of the [`super::RANGE`] ids that own the files on disk.
    pub id_base: u32,
}

/// What a watcher needs to know of a sandbox.
#[derive(Debug)]
pub struct Target {
    /// Init's pid, on the host.
    pub pid: u32,
    /// Init. Everything in the sandbox descends from it.
    pub pidfd: OwnedFd,
    /// The v2 group of everything in the sandbox, and of nothing else.
    pub cgroup: PathBuf,
    /// Its number, as `bpf_get_current_cgroup_id` gives it.
    pub cgroup_id: u64,
}

/// Whoever sees what the sandbox does.
pub trait Watcher {
    /// True if everything that `target` and its descendants do from now on will be seen.
    fn watches(&self, target: &Target) -> bool;
}

/// A complete cage whose init waits for the start. Dropped: ended and cleaned up.
#[derive(Debug)]
pub struct HeldSandbox {
    pub(super) cage: Cage,
    pub(super) target: Target,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    planted: Vec<Planted>,
    stop: nix::sys::signal::Signal,
    uptime: Duration,
}

/// Makes the cage: namespaces, limits, root, init; runs nothing of the image. On failure nothing is left.
///
/// The calling *thread* must live as long as the sandbox: the kernel's parent-death signal is tied to it,
/// so a thread of a pool (`spawn_blocking`) would take the sandbox along when it retires.
///
/// Fails with [`SandboxError::Refused`] where the image has no program that could run, and with
/// [`SandboxError::HostileImage`] where its root is made to mislead the set-up.
pub fn create(
    program: &SealedProgram,
    plan: &Plan,
    layers: &Layers,
    run: RunDir,
) -> Result<HeldSandbox, SandboxError> {
    let Spawned { cgroups, control, stdout, stderr, guard } = match spawn(program, plan, &run) {
        Ok(spawned) => spawned,
        Err(error) => return Err(error.with_clean_up(run.remove())),
    };
    let mut cage = Cage { run: Some(run), guard, helper: None, control, cgroups };
    match cage.order(plan, layers).and_then(|()| cage.await_held()) {
        Ok((target, planted)) => {
            let (stop, uptime) = (plan.stop_signal, plan.uptime);
            Ok(HeldSandbox { cage, target, stdout, stderr, planted, stop, uptime })
        }
        Err(error) => {
            let clean_up = cage.tear_down().and_then(RunDir::remove);
            Err(error.with_clean_up(clean_up))
        }
    }
}

/// A helper process, with our ends of what it was given.
struct Spawned {
    cgroups: Cgroups,
    control: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    guard: Child,
}

/// Starts the helper process; socket and output pipes are its standard descriptors, so that nothing has
/// to be inherited by number.
fn spawn(program: &SealedProgram, plan: &Plan, run: &RunDir) -> Result<Spawned, SandboxError> {
    let helper = |source| SandboxError::Helper { step: "start the helper process", source };
    let cgroups = Cgroups::of(run.id())?;
    let (control, theirs) = socket::pair().map_err(helper)?;
    let (stdout, stdout_end) = output_pipe().map_err(helper)?;
    let (stderr, stderr_end) = output_pipe().map_err(helper)?;
    let guard = Command::new(program.path())
        .arg0(ARGV0)
        .arg(ARGV1)
        .args(&plan.argv)
        .env_clear()
        .current_dir("/")
        // A Ctrl-C in the terminal is for the runner, which then ends the run in order.
        .process_group(0)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(stdout_end))
        .stderr(Stdio::from(stderr_end))
        .spawn()
        .map_err(helper)?;
    Ok(Spawned { cgroups, control, stdout, stderr, guard })
}

impl HeldSandbox {
    /// What a watcher attaches to, before the start.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What became of the plan's plants.
    pub fn planted(&self) -> &[Planted] {
        &self.planted
    }

    /// Lets the image's first process run. Consumes the held sandbox: it cannot be started twice. Asks for
    /// a watcher: it cannot be started unseen. On failure nothing ran, and nothing is left.
    pub fn start(mut self, watcher: &impl Watcher) -> Result<RunningSandbox, SandboxError> {
        let started = if watcher.watches(&self.target) {
            let sent = socket::send(self.cage.control.as_fd(), START, &[]);
            sent.map_err(|source| SandboxError::Helper { step: "tell the helper to start", source })
        } else {
            Err(SandboxError::Unwatched)
        };
        match started {
            Ok(()) => {
                let outputs = [self.stdout, self.stderr];
                Ok(RunningSandbox::new(self.cage, self.target, outputs, self.stop, self.uptime))
            }
            Err(error) => {
                let clean_up = self.cage.tear_down().and_then(RunDir::remove);
                Err(error.with_clean_up(clean_up))
            }
        }
    }

    /// Ends it unstarted; nothing is left.
    pub fn discard(mut self) -> Result<(), SandboxError> {
        self.cage.tear_down().and_then(RunDir::remove)
    }
}

const FOREIGN: SandboxError = SandboxError::Lost { what: "helper does not speak our language" };

/// The processes, groups and files of one run, and the way to end them.
#[derive(Debug)]
pub(super) struct Cage {
    /// Taken when the cage is torn down.
    run: Option<RunDir>,
    guard: Child,
    /// The helper inside its own pid namespace; known once held.
    helper: Option<OwnedFd>,
    pub control: OwnedFd,
    pub cgroups: Cgroups,
}

impl Cage {
    fn order(&self, plan: &Plan, layers: &Layers) -> Result<(), SandboxError> {
        if plan.plants.len() > PLANTS_MAX {
            let detail = format!("more than {PLANTS_MAX} of them");
            return Err(SandboxError::Cage { step: "plant files".to_owned(), detail });
        }
        let run = self.run.as_ref().expect("a cage that is not torn down has its run");
        let order = Order {
            run: run.id().as_str().to_owned(),
            run_dir: run.path().to_owned(),
            id_base: run.id_base(),
            layers: layers.dirs.clone(),
            layer_id_base: layers.id_base,
            argv: plan.argv.clone(),
            env: plan.env.clone(),
            user: plan.user.clone(),
            working_dir: plan.working_dir.clone(),
            hostname: plan.hostname.clone(),
            network: plan.network,
            limits: plan.limits,
            sleeps: plan.sleeps,
            uptime: plan.uptime.as_secs(),
            errands: plan.errands.clone(),
            plants: plan.plants.clone(),
        };
        let send = || -> io::Result<()> {
            let mut memory = File::from(memfd_create("order", MFdFlags::MFD_CLOEXEC)?);
            memory.write_all(&order.encode())?;
            socket::send(self.control.as_fd(), b"order", &[memory.as_fd(), run.lock().as_fd()])
        };
        send().map_err(|source| SandboxError::Helper { step: "give the helper its order", source })
    }

    /// Waits for init to be parked, or for the reason why not.
    fn await_held(&mut self) -> Result<(Target, Vec<Planted>), SandboxError> {
        let mut planted = Vec::new();
        loop {
            match self.await_message()? {
                // Twice per plant at most: root without an entry has two homes.
                (Message::Planted(one), _) if planted.len() < 2 * PLANTS_MAX => planted.push(one),
                (Message::Held, descriptors) => return Ok((self.adopt(descriptors)?, planted)),
                (Message::Failed { step, detail }, _) => return Err(SandboxError::Cage { step, detail }),
                (Message::Hostile { what }, _) => return Err(SandboxError::HostileImage { what }),
                (Message::Refused(refusal), _) => return Err(SandboxError::Refused(refusal)),
                _ => return Err(FOREIGN),
            }
        }
    }

    fn await_message(&self) -> Result<(Message, Vec<OwnedFd>), SandboxError> {
        if !readable(self.control.as_fd(), CREATE_PATIENCE) {
            return Err(SandboxError::Lost { what: "helper did not answer in time" });
        }
        let message = socket::receive(self.control.as_fd(), MESSAGE_MAX, MsgFlags::MSG_DONTWAIT);
        let lost = SandboxError::Lost { what: "helper ended before the container was complete" };
        let Ok(Some((bytes, descriptors))) = message else { return Err(lost) };
        Ok((Message::decode(&bytes), descriptors))
    }

    /// Keeps the helper's pidfd; init's is what a watcher needs.
    fn adopt(&mut self, descriptors: Vec<OwnedFd>) -> Result<Target, SandboxError> {
        let [init, helper] = descriptors.try_into().map_err(|_| FOREIGN)?;
        self.helper = Some(helper);
        self.target(init)
    }

    fn target(&self, pidfd: OwnedFd) -> Result<Target, SandboxError> {
        let pid = process::pid_of(pidfd.as_fd())
            .map_err(|source| SandboxError::Helper { step: "find init's pid", source })?
            .ok_or(SandboxError::Lost { what: "init ended before it was started" })?;
        let cgroup_id = self.cgroups.id()?;
        Ok(Target { pid, pidfd, cgroup: self.cgroups.v2().to_owned(), cgroup_id })
    }

    pub fn run(&self) -> Option<&RunDir> {
        self.run.as_ref()
    }

    /// Kills everything, waits until it is gone, removes the groups; the files stay. Within bounds; what
    /// is left after them is named. A second call has nothing to do.
    pub fn tear_down(&mut self) -> Result<RunDir, SandboxError> {
        let Some(run) = self.run.take() else { return Err(SandboxError::Lost { what: "ended before" }) };
        if self.cgroups.v2().exists() {
            // Also done below; here, so that the workload stops at once, frozen or not.
            let _ = self.cgroups.kill();
        }
        // The guard takes the helper along, the helper its pid namespace.
        let killed = self.guard.kill().and_then(|()| self.guard.wait());
        let gone = self.await_gone();
        let removed = self.cgroups.remove();
        let left = |what: String| SandboxError::Left { id: run.id().to_string(), what };
        if let Err(error) = killed {
            return Err(left(format!("guard process: {error}")).with_clean_up(removed));
        }
        if !gone {
            return Err(left("helper process".to_owned()).with_clean_up(removed));
        }
        removed.map(|()| run)
    }

    /// True once the helper, and with it every process and mount of the cage, is gone.
    fn await_gone(&self) -> bool {
        let until = Instant::now() + END_PATIENCE;
        match &self.helper {
            Some(helper) => readable(helper.as_fd(), END_PATIENCE),
            // It never introduced itself: it is gone when nobody holds the other end.
            None => loop {
                if !readable(self.control.as_fd(), until.saturating_duration_since(Instant::now())) {
                    break false;
                }
                match socket::receive(self.control.as_fd(), MESSAGE_MAX, MsgFlags::MSG_DONTWAIT) {
                    Ok(Some(_)) => {}
                    Ok(None) => break true,
                    Err(error) => break error.raw_os_error() == Some(libc::ECONNRESET),
                }
            },
        }
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // Last resort on a panic or an early return; what fails here, `gc` finds.
        if let Ok(run) = self.tear_down() {
            let _ = run.remove();
        }
    }
}

/// Waits until something can be read, or the other side is gone; false when the time is up.
fn readable(descriptor: BorrowedFd<'_>, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], timeout) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) if left > Duration::ZERO => {}
            Err(_) => return false,
        }
    }
}

/// A read end that does not block, and a write end that does.
fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}
