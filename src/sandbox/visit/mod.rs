//! A visitor: a small process that calls at the ports the image opens, as a client would.
//!
//! It shares the sandbox's network namespace and nothing else: not its processes, not its files, no
//! privileges, and a short list of system calls. It reads what a hostile server says, so it interprets
//! nothing: a bounded number of bytes is handed to the runner, which keeps them as bytes.
//!
//! Not here: when and where to call. See `pipeline`.

mod ask;
mod run;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use serde::{Deserialize, Serialize};

use super::{SandboxError, SealedProgram, Target};
use crate::sys::socket;

pub use ask::Ask;
pub use run::{is_visitor, visitor_main};

/// How the process calls itself.
const NAME: &str = "visitor";
/// Of an answer so many bytes are kept.
pub const ANSWER_MAX: usize = 2 << 10;
/// No message is longer.
const MESSAGE_MAX: usize = ANSWER_MAX + 256;

/// Where to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Door {
    pub address: SocketAddr,
    pub transport: Transport,
}

/// What a port speaks below the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    Tcp,
    Udp,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    pub door: Door,
    pub ask: Ask,
    /// Why nobody was there; 0: somebody was.
    pub errno: i32,
    /// The first bytes that were said, at most [`ANSWER_MAX`].
    pub answer: Vec<u8>,
    /// So many were said, as far as was waited for.
    pub said: u64,
}

/// What the process tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Reply {
    Visit(Visit),
    /// All requests to this door are made.
    Done(Door),
}

/// What a look at the visitor gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    Visit(Visit),
    /// All requests to this door are made.
    Done(Door),
    /// The process is gone, or said what it should not.
    Lost,
}

/// A started visitor; killed when dropped.
#[derive(Debug)]
pub struct Visitor {
    process: Child,
    talk: OwnedFd,
}

impl Visitor {
    /// Starts the process and sends it into the sandbox's network namespace. `id`: the user and group it
    /// becomes, nobody's.
    pub fn start(program: &SealedProgram, target: &Target, id: u32) -> Result<Visitor, SandboxError> {
        let failed = |source| SandboxError::Helper { step: "start the visitor", source };
        let network = File::open(format!("/proc/{}/ns/net", target.pid)).map_err(failed)?;
        // The number could have been another's by then.
        if crate::sys::process::pid_of(target.pidfd.as_fd()).map_err(failed)? != Some(target.pid) {
            return Err(SandboxError::Lost { what: "init is gone" });
        }
        let (talk, theirs) = socket::pair().map_err(failed)?;
        let process = Command::new(program.path())
            .arg0(NAME)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let visitor = Visitor { process, talk };
        socket::send(visitor.talk.as_fd(), &id.to_le_bytes(), &[network.as_fd()]).map_err(failed)?;
        Ok(visitor)
    }

    /// Asks it to call there; what comes of it is told by [`Self::next`].
    pub fn call(&self, door: Door) -> io::Result<()> {
        let bytes = postcard::to_allocvec(&door).map_err(io::Error::other)?;
        socket::send(self.talk.as_fd(), &bytes, &[])
    }

    /// Readable when [`Self::next`] has something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.talk.as_fd()
    }

    /// The next report; `None` if there is none yet.
    pub fn next(&self) -> Option<Report> {
        match socket::receive(self.talk.as_fd(), MESSAGE_MAX, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) => None,
            Ok(Some((bytes, _))) => Some(match postcard::from_bytes(&bytes) {
                Ok(Reply::Visit(visit)) if visit.answer.len() <= ANSWER_MAX => Report::Visit(visit),
                Ok(Reply::Done(door)) => Report::Done(door),
                _ => Report::Lost,
            }),
            Ok(None) | Err(_) => Some(Report::Lost),
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // Gone already, or not worth waiting for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
