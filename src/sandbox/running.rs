//! A sandbox that runs: its output, its statuses, and the ways to hold, stop and end it.
//!
//! No call waits for the workload; only [`RunningSandbox::end`] waits, within bounds, for its death.
//! Descriptors are offered for any event loop.

use std::cell::{Cell, OnceCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::unistd::Pid;

use super::create::{Cage, Target};
use super::message::{MESSAGE_MAX, Message};
use super::{LimitHit, RunDir, SandboxError, Status};
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
    gone: Cell<bool>,
}

impl RunningSandbox {
    pub(super) fn new(cage: Cage, target: Target, [stdout, stderr]: [OwnedFd; 2], stop: Signal) -> Self {
        let (stdout, stderr) = (Some(stdout), Some(stderr));
        RunningSandbox {
            cage,
            target,
            stdout,
            stderr,
            stop,
            program: OnceCell::new(),
            gone: Cell::new(false),
        }
    }

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
            Message::Started => Status::Started { pid: self.adopt(descriptors)? },
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

    /// What the run wrote so far, looked at until `bound` bytes or entries are found.
    pub fn disk_used(&self, bound: DiskUse) -> DiskUse {
        let upper = self.cage.run().map(RunDir::upper);
        upper.map_or(DiskUse::default(), |upper| disk_use(&upper, bound))
    }

    /// Kills what is left, waits until everything is gone (processes, mounts, groups), and keeps the
    /// written files.
    pub fn end(mut self) -> Result<Remains, SandboxError> {
        self.cage.tear_down().map(|run| Remains { run: Some(run) })
    }
}

/// How much of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    pub bytes: u64,
    pub entries: u64,
}

/// Counts allocated bytes and entries below `top`, following no link, up to `bound`. What vanishes while
/// it is counted, and what lies deeper than paths reach, is not.
fn disk_use(top: &Path, bound: DiskUse) -> DiskUse {
    use std::os::unix::fs::MetadataExt;
    let mut found = DiskUse::default();
    let mut left = vec![top.to_owned()];
    while let Some(directory) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            found.bytes += metadata.blocks() * 512;
            found.entries += 1;
            if found.bytes > bound.bytes || found.entries > bound.entries {
                return found;
            }
            if metadata.is_dir() {
                left.push(entry.path());
            }
        }
    }
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_use_counts_to_its_bound_and_follows_no_link() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("t");
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/b/file"), vec![1; 100_000]).unwrap();
        std::os::unix::fs::symlink("/usr", top.join("link")).unwrap();
        let bound = DiskUse { bytes: 1 << 30, entries: 1000 };
        let found = disk_use(&top, bound);
        assert!(found.entries == 4 && found.bytes >= 100_000, "{found:?}");
        assert_eq!(disk_use(&top, DiskUse { entries: 1, ..bound }).entries, 2);
        assert_eq!(disk_use(&directory.path().join("none"), bound), DiskUse::default());
    }
}
