//! Commands that init runs inside when the runner says so: the image's health check, and what the user asks.
//!
//! The way to say so is the socket that init has held from the beginning. It has no name, belongs to the
//! host's network namespace, and init shows its descriptors to nobody, so that nothing inside can see or
//! reach it. The commands themselves came with the order, before anything of the image ran; over the socket
//! only their numbers come.
//!
//! Each runs as a child of init, as the image's user, with its environment and working directory; its program
//! is looked up by the child, with no more rights than the command itself has.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::MsgFlags;
use nix::unistd::Pid;

use super::init::{Init, Prepared, c_string, give_up};
use super::message::{MESSAGE_MAX, Message, run_errand};
use super::program;
use crate::sys::{process, socket};

/// What shells answer where a command was not found, or could not be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

impl Init {
    /// Reaps and runs errands until no task is left.
    pub(super) fn attend(&self, program: Pid, prepared: &Prepared) -> io::Result<()> {
        // Blocked, not handled: PID 1 still ignores what its own namespace sends.
        let mut ended = SigSet::empty();
        ended.add(Signal::SIGCHLD);
        ended.thread_block()?;
        let ended = SignalFd::with_flags(&ended, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut running: Vec<(u8, Pid)> = Vec::new();
        let mut runner_speaks = true;
        while self.reap_ended(program, &mut running)? {
            let mut ears = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
            if runner_speaks {
                ears.push(PollFd::new(self.control.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut ears, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let said = ears.get(1).and_then(PollFd::any).unwrap_or(false);
            while ended.read_signal()?.is_some() {}
            if said {
                runner_speaks = self.listen(prepared, &mut running)?;
            }
        }
        self.say(&Message::Empty);
        Ok(())
    }

    /// Takes in all that have ended; false when no task is left.
    fn reap_ended(&self, program: Pid, running: &mut Vec<(u8, Pid)>) -> io::Result<bool> {
        loop {
            let (pid, code, signal) = match process::reap_ended() {
                Ok(Some(ended)) => ended,
                Ok(None) => return Ok(true),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(false),
                Err(error) => return Err(error),
            };
            if pid == program {
                self.say(&Message::Exited { code, signal });
            }
            if let Some(index) = running.iter().position(|(_, running)| *running == pid) {
                let (errand, _) = running.swap_remove(index);
                self.say(&Message::ErrandEnded { errand, code, signal });
            }
        }
    }

    /// One word of the runner's; false when it will say no more.
    fn listen(&self, prepared: &Prepared, running: &mut Vec<(u8, Pid)>) -> io::Result<bool> {
        let word = match socket::receive(self.control.as_fd(), MESSAGE_MAX, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Ok(Some((word, _))) => word,
            Ok(None) | Err(_) => return Ok(false),
        };
        let errand = word.get(1).copied().unwrap_or(u8::MAX);
        let Some(argv) = self.order.errands.get(usize::from(errand)).filter(|_| word == run_errand(errand))
        else {
            return Ok(true);
        };
        match self.start(argv, prepared) {
            Ok(pid) => {
                running.push((errand, pid));
                let process = process::pidfd(pid)?;
                socket::send(
                    self.control.as_fd(),
                    &Message::ErrandStarted { errand }.encode(),
                    &[process.as_fd()],
                )?;
            }
            // No room for another process: the image's doing, not ours.
            Err(_) => self.say(&Message::ErrandEnded { errand, code: NOT_RUN as u8, signal: 0 }),
        }
        Ok(true)
    }

    fn start(&self, argv: &[OsString], prepared: &Prepared) -> io::Result<Pid> {
        process::fork(|| {
            let become_it = || -> io::Result<Option<io::Error>> {
                process::reset_signals()?;
                give_up(&prepared.user)?;
                program::enter(Path::new(&self.order.working_dir))?;
                Ok(command(argv, prepared).map(|(path, argv)| process::exec(&path, &argv, &prepared.env)))
            };
            match become_it() {
                Ok(None) => NOT_FOUND,
                Ok(Some(_)) | Err(_) => NOT_RUN,
            }
        })
    }
}

/// The program and its arguments; `None` where there is none that could run.
fn command(argv: &[OsString], prepared: &Prepared) -> Option<(CString, Vec<CString>)> {
    let path = prepared.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
    let path = program::find(argv.first()?, OsStr::from_bytes(path.unwrap_or_default())).ok()?;
    let argv = argv.iter().map(|text| c_string(text)).collect::<Result<_, _>>().ok()?;
    Some((c_string(path.as_os_str()).ok()?, argv))
}
