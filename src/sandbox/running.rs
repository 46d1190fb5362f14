//! A sandbox that runs: its output, its statuses, and the ways to hold, stop and end it.
//!
//! No call waits for the workload; only [`RunningSandbox::end`] waits, within bounds, for its death.
//! Descriptors are offered for any event loop.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::unistd::Pid;

use super::create::{Cage, Target};
use super::disk::room;
use super::message::{MESSAGE_MAX, Message, run_errand};
use super::skip::{Skip, Skipper};
use super::{DiskMeter, DiskUse, LimitHit, RunDir, SandboxError, Status};
use crate::sys::{process, socket};

/// Dropped: killed and cleaned up, the written files too.
#[derive(Debug)]
pub struct RunningSandbox {
    cage: Cage,
    target: Target,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    stop: Signal,
    /// The image's first program.
    program: OnceCell<OwnedFd>,
    /// Of the image's monotonic clocks.
    uptime: Duration,
    skipper: OnceCell<Skipper>,
    /// Those that run, by number.
    errands: RefCell<Vec<(u8, OwnedFd)>>,
    gone: Cell<bool>,
}

impl RunningSandbox {
    pub(super) fn new(
        cage: Cage,
        target: Target,
        [stdout, stderr]: [OwnedFd; 2],
        stop: Signal,
        uptime: Duration,
    ) -> Self {
        let (stdout, stderr) = (Some(stdout), Some(stderr));
        RunningSandbox {
            cage,
            target,
            stdout,
            stderr,
            stop,
            program: OnceCell::new(),
            uptime,
            skipper: OnceCell::new(),
            errands: RefCell::default(),
            gone: Cell::new(false),
        }
    }

    /// What watchers watch.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The read end of standard output; does not block. Ends when no task holds the other end.
    pub fn take_stdout(&mut self) -> Option<OwnedFd> {
        self.stdout.take()
    }

    /// The read end of standard error, likewise.
    pub fn take_stderr(&mut self) -> Option<OwnedFd> {
        self.stderr.take()
    }

    /// Readable when [`Self::next_status`] has something.
    pub fn status_fd(&self) -> BorrowedFd<'_> {
        self.cage.control.as_fd()
    }

    /// The next status; `None` if there is none yet. After the last it is [`Status::Gone`] for ever.
    pub fn next_status(&self) -> io::Result<Option<Status>> {
        if self.gone.get() {
            return Ok(Some(Status::Gone));
        }
        let message = match socket::receive(self.status_fd(), MESSAGE_MAX, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Some(Status::Unreadable)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            result => result?,
        };
        let Some((bytes, descriptors)) = message else {
            self.gone.set(true);
            return Ok(Some(Status::Gone));
        };
        Ok(Some(match Message::decode(&bytes) {
            Message::Heard => {
                self.hear(descriptors)?;
                Status::Heard
            }
            Message::Started => Status::Started { pid: self.adopt(descriptors)? },
            Message::ErrandStarted { errand } => {
                let process = descriptors.into_iter().next();
                let pid = process.as_ref().map(|process| process::pid_of(process.as_fd())).transpose()?;
                self.errands.borrow_mut().extend(process.map(|process| (errand, process)));
                Status::ErrandStarted { errand, pid: pid.flatten() }
            }
            Message::ErrandEnded { errand, code, signal } => {
                self.errands.borrow_mut().retain(|(number, _)| *number != errand);
                Status::ErrandEnded { errand, code, signal }
            }
            Message::Exited { code, signal } => Status::ProgramExited { code, signal },
            Message::Empty => Status::Empty,
            Message::Refused(refusal) => Status::Refused(refusal),
            Message::Failed { step, detail } => Status::Failed { step, detail },
            _ => Status::Unreadable,
        }))
    }

    /// Keeps the program's pidfd; says its pid.
    fn adopt(&self, descriptors: Vec<OwnedFd>) -> io::Result<Option<u32>> {
        let Some(program) = descriptors.into_iter().next() else { return Ok(None) };
        process::pid_of(self.program.get_or_init(|| program).as_fd())
    }

    /// Begins to skip sleeps; init says where to hear them before it starts the program.
    fn hear(&self, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let Some(listener) = descriptors.into_iter().next() else { return Ok(()) };
        if self.skipper.get().is_none() {
            let _ = self.skipper.set(Skipper::start(listener, self.uptime)?);
        }
        Ok(())
    }

    /// The sleeps that were skipped since the last call.
    pub fn skips(&self) -> Vec<Skip> {
        self.skipper.get().map(|skipper| skipper.take().collect()).unwrap_or_default()
    }

    /// Lets init run the errand of this number of the plan. What becomes of it is told as a status.
    pub fn run_errand(&self, errand: u8) -> Result<(), SandboxError> {
        let sent = socket::send(self.status_fd(), &run_errand(errand), &[]);
        sent.map_err(|source| SandboxError::Helper { step: "tell init to run a command", source })
    }

    /// Kills the first process of an errand, if it runs.
    pub fn kill_errand(&self, errand: u8) {
        for (_, process) in self.errands.borrow().iter().filter(|(number, _)| *number == errand) {
            // Gone already: ended.
            let _ = process::signal(process.as_fd(), Signal::SIGKILL);
        }
    }

    /// Sends the image's stop signal to its first program; where that is gone, to every process that is
    /// left, but init.
    pub fn stop(&self) -> Result<(), SandboxError> {
        let failed = |source| SandboxError::Helper { step: "send the stop signal", source };
        if let Some(program) = self.program.get() {
            match process::signal(program.as_fd(), self.stop) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                result => return result.map_err(failed),
            }
        }
        for pid in self.cage.cgroups.pids() {
            if pid as u32 != self.target.pid {
                // Gone between list and signal: stopped.
                let _ = process::pidfd(Pid::from_raw(pid))
                    .and_then(|process| process::signal(process.as_fd(), self.stop));
            }
        }
        Ok(())
    }

    /// Kills every task. Statuses and output can still be read to their ends.
    pub fn kill(&self) -> Result<(), SandboxError> {
        self.cage.cgroups.kill()
    }

    /// Lets every task stand still. Does not wait until all do: see [`Self::is_held`].
    pub fn hold(&self) -> Result<(), SandboxError> {
        self.cage.cgroups.freeze()
    }

    /// Lets them go on.
    pub fn release(&self) -> Result<(), SandboxError> {
        self.cage.cgroups.thaw()
    }

    /// True when every task stands still.
    pub fn is_held(&self) -> bool {
        self.cage.cgroups.is_frozen()
    }

    /// The limits that the kernel says were reached so far.
    pub fn limits_hit(&self) -> Vec<LimitHit> {
        self.cage.cgroups.limits_hit()
    }

    /// Measures what the run has on disk, for a while: see [`DiskMeter::measure`].
    pub fn measure_disk(&self, meter: &mut DiskMeter, bound: DiskUse, until: Instant) -> DiskUse {
        meter.measure(bound, until, || self.cage.cgroups.pids())
    }

    /// A meter for what the run has on disk.
    pub fn disk_meter(&self) -> DiskMeter {
        DiskMeter::new(self.cage.run().map(RunDir::upper).unwrap_or_default())
    }

    /// What the file system that the run writes to still takes.
    pub fn disk_room(&self) -> io::Result<DiskUse> {
        self.cage.run().map_or(Err(io::ErrorKind::NotFound.into()), |run| room(run.path()))
    }

    /// Kills what is left, waits until everything is gone (processes, mounts, groups), and keeps the
    /// written files.
    pub fn end(mut self) -> Result<Remains, SandboxError> {
        self.cage.tear_down().map(|run| Remains { run: Some(run) })
    }
}

/// What a run leaves: its written files. Dropped: removed.
#[derive(Debug)]
pub struct Remains {
    run: Option<RunDir>,
}

impl Remains {
    /// The upper layer, with the ids of the run's range, in overlayfs form.
    pub fn upper(&self) -> PathBuf {
        self.run.as_ref().map(RunDir::upper).unwrap_or_default()
    }

    /// Removes the files, gives the id range back, and removes the run directory unless something else is
    /// in it.
    pub fn remove(mut self) -> Result<(), SandboxError> {
        self.run.take().map_or(Ok(()), RunDir::remove)
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            // Nobody to tell; `gc` finds it.
            let _ = run.remove();
        }
    }
}
