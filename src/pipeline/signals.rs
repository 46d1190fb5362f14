//! Signals to lazaret itself, as something to look at, so that a run that is ended from outside still
//! cleans up after itself.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::PipelineError;

const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signals that end a run. Blocked while this lives, and given back when it is dropped.
///
/// Only this thread's mask changes. The runner's other threads take none either: those that load the probes
/// begin with all blocked, the one that writes the log with what is blocked here. What it starts begins with an
/// empty mask (`std::process::Command` sees to that).
pub struct Signals {
    descriptor: SignalFd,
    before: SigSet,
}

impl Signals {
    pub fn block() -> io::Result<Signals> {
        let ending: SigSet = ENDING.into_iter().collect();
        let before = SigSet::thread_get_mask()?;
        ending.thread_block()?;
        let descriptor = SignalFd::with_flags(&ending, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { descriptor, before })
    }

    /// Readable when one has come.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Fails where one has come.
    pub fn check(&self) -> Result<(), PipelineError> {
        match self.descriptor.read_signal().map_err(io::Error::from) {
            Ok(None) => Ok(()),
            Ok(Some(info)) => {
                let signal =
                    i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
                Err(PipelineError::Interrupted { signal: signal.map_or("a signal", Signal::as_str) })
            }
            Err(source) => Err(PipelineError::Io { what: "look for signals", source }),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // A thread's own mask can always be set.
        let _ = self.before.thread_set_mask();
    }
}
