//! The runner's side: start, map ids, make the wire, read, stop.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::MsgFlags;

use super::{ADMITTED, HOST_ID, MESSAGE_MAX, Message, NAME, STOP, Summary, WORLD};
use crate::internet::netlink::{self, End, Ends, NetlinkError};
use crate::internet::testimony::{FRAME_MAX, Testimony};
use crate::internet::world::World;
use crate::sys::{process, socket};

/// Setting up takes some 20 ms; on a machine that thrashes, much more.
const PATIENCE: Duration = Duration::from_secs(30);
/// At most so many testimonies are given at a time.
const AT_ONCE: usize = 4096;

/// Why there is no simulated internet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InternetError {
    #[error("cannot {step} the simulated internet")]
    Io { step: &'static str, source: io::Error },
    #[error("simulated internet cannot {step}: {detail}")]
    SetUp { step: String, detail: String },
    #[error("simulated internet {what}")]
    Lost { what: &'static str },
    #[error("cannot connect the sandbox to the simulated internet: {what}")]
    Wire { what: &'static str, source: io::Error },
}

impl InternetError {
    fn io(step: &'static str) -> impl FnOnce(io::Error) -> InternetError {
        move |source| InternetError::Io { step, source }
    }
}

impl From<NetlinkError> for InternetError {
    fn from(error: NetlinkError) -> InternetError {
        InternetError::Wire { what: error.what, source: error.source }
    }
}

/// A started internet. Dropped: killed; nothing of it is left.
#[derive(Debug)]
pub struct Internet {
    guard: Guard,
    control: OwnedFd,
    testimony: UnixStream,
    /// Bytes that are not yet a whole frame.
    pending: Vec<u8>,
    /// Nothing more comes.
    ended: bool,
    /// Frames that are none: then nothing behind them can be read either.
    garbled: bool,
    authority: Option<String>,
    /// Of a wire that is still to be made.
    ends: Option<Ends>,
}

impl Internet {
    /// Starts it: `program` is this program, whose `main` asks [`super::is_internet`]. Does not wait.
    pub fn start(program: &Path) -> Result<Internet, InternetError> {
        let failed = InternetError::io;
        let (control, theirs) = socket::pair().map_err(failed("start"))?;
        let (testimony, words) = UnixStream::pair().map_err(failed("start"))?;
        testimony.set_nonblocking(true).map_err(failed("start"))?;
        let child = Command::new(program)
            .arg0(NAME)
            .env_clear()
            .current_dir("/")
            // A Ctrl-C in the terminal is for the runner, which then ends the run in order.
            .process_group(0)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(OwnedFd::from(words)))
            // It reads what an attacker wrote: it does not get the user's terminal.
            .stderr(Stdio::null())
            .spawn();
        Ok(Internet {
            guard: Guard(child.map_err(failed("start"))?),
            control,
            testimony,
            pending: Vec::new(),
            ended: false,
            garbled: false,
            authority: None,
            ends: None,
        })
    }

    /// Lets it set itself up. `capture` takes the packets.
    pub fn admit(&mut self, capture: &File) -> Result<(), InternetError> {
        match self.hear()? {
            Message::Unshared => {}
            other => return Err(unexpected(other)),
        }
        self.guard.map_ids().map_err(InternetError::io("map the ids of"))?;
        let sent = socket::send(self.control.as_fd(), ADMITTED, &[capture.as_fd()]);
        sent.map_err(InternetError::io("instruct"))
    }

    /// Waits until everything listens: the certificate of the run's authority.
    pub fn authority_pem(&mut self) -> Result<&str, InternetError> {
        if self.authority.is_none() {
            match self.hear()? {
                Message::Ready { authority } => self.authority = Some(authority),
                other => return Err(unexpected(other)),
            }
        }
        Ok(self.authority.as_deref().unwrap_or_default())
    }

    /// Tells it which world it is. From then on it can change nothing of itself. Once, after
    /// [`Self::admit`].
    pub fn enter(&mut self, world: &World) -> Result<(), InternetError> {
        self.authority_pem()?;
        self.ends = Some(ends(world));
        let send = || -> io::Result<()> {
            let mut memory = File::from(memfd_create("world", MFdFlags::MFD_CLOEXEC)?);
            memory.write_all(&postcard::to_stdvec(world).map_err(io::Error::other)?)?;
            socket::send(self.control.as_fd(), WORLD, &[memory.as_fd()])
        };
        send().map_err(InternetError::io("instruct"))
    }

    /// Makes the wire to a sandbox, once, of which `init` is the first process. The sandbox must not run yet.
    pub fn connect(&mut self, init: BorrowedFd<'_>) -> Result<(), InternetError> {
        let sandbox = network_of(init).map_err(InternetError::io("find the sandbox's end of"))?;
        self.connect_namespace(sandbox.as_fd())
    }

    /// The same for a network namespace.
    pub fn connect_namespace(&mut self, sandbox: BorrowedFd<'_>) -> Result<(), InternetError> {
        let ends = self.ends.take().ok_or(InternetError::Lost { what: "has no world yet" })?;
        match self.hear()? {
            Message::Serving => {}
            other => return Err(unexpected(other)),
        }
        // A child that is not reaped keeps its number.
        let world = open_network(self.guard.0.id()).map_err(InternetError::io("find the namespace of"))?;
        in_namespace(world.as_fd(), || netlink::wire(&ends, sandbox))?;
        in_namespace(sandbox, || ends.inside())
    }

    /// Readable when [`Self::read`] has something.
    pub fn testimony_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.ended).then(|| self.testimony.as_fd())
    }

    /// What was said since the last call, up to a bound; does not wait.
    pub fn read(&mut self) -> Vec<Testimony> {
        let mut all = Vec::new();
        let mut buffer = vec![0; FRAME_MAX];
        while all.len() < AT_ONCE && !self.ended {
            match self.testimony.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(length) => self.pending.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended |= error.kind() != io::ErrorKind::WouldBlock;
                    break;
                }
            }
            self.frames(&mut all);
        }
        all
    }

    /// True once it said something that cannot be read, or ended before it was told to.
    pub fn is_lost(&self) -> bool {
        self.garbled || self.ended
    }

    /// Tells it to end, once nobody is left who could say something to it; does not wait.
    pub fn dismiss(&self) {
        // One that is gone already is found out by `stop`.
        let _ = socket::send(self.control.as_fd(), STOP, &[]);
    }

    /// After [`Self::dismiss`], hears it out: the rest of its testimony, and the summary, without which
    /// something may be missing. The kernel needs a while to take its namespace apart; nobody has to wait for
    /// that who has other things to do.
    pub fn stop(mut self) -> (Vec<Testimony>, Result<Summary, InternetError>, Leaving) {
        let mut rest = Vec::new();
        let summary = self.hear_out(&mut rest);
        // It has said all, or is not worth waiting for.
        let _ = self.guard.0.kill();
        (rest, summary, Leaving { _guard: self.guard })
    }

    fn hear_out(&mut self, rest: &mut Vec<Testimony>) -> Result<Summary, InternetError> {
        let until = Instant::now() + PATIENCE;
        while !self.ended {
            self.wait(self.testimony.as_fd(), until)?;
            rest.append(&mut self.read());
        }
        match self.hear()? {
            Message::Ended(summary) if !self.garbled && self.pending.is_empty() => Ok(summary),
            Message::Ended(_) => Err(InternetError::Lost { what: "says what cannot be read" }),
            other => Err(unexpected(other)),
        }
    }

    fn frames(&mut self, all: &mut Vec<Testimony>) {
        let mut rest = &self.pending[..];
        while let Some((length, content)) = rest.split_first_chunk() {
            let length = u32::from_le_bytes(*length) as usize;
            let frame = content.get(..length);
            match frame.map(Testimony::decode) {
                _ if length > FRAME_MAX => self.garbled = true,
                None => break,
                Some(None) => self.garbled = true,
                Some(Some(testimony)) => all.push(testimony),
            }
            if self.garbled {
                self.ended = true;
                break;
            }
            rest = &content[length..];
        }
        self.pending = rest.to_vec();
    }

    fn hear(&self) -> Result<Message, InternetError> {
        self.wait(self.control.as_fd(), Instant::now() + PATIENCE)?;
        let message = socket::receive(self.control.as_fd(), MESSAGE_MAX, MsgFlags::MSG_DONTWAIT);
        let Ok(Some((bytes, _))) = message else {
            return Err(InternetError::Lost { what: "ended before its time" });
        };
        match postcard::take_from_bytes(&bytes) {
            Ok((message, [])) => Ok(message),
            _ => Err(InternetError::Lost { what: "says what cannot be read" }),
        }
    }

    fn wait(&self, ear: BorrowedFd<'_>, until: Instant) -> Result<(), InternetError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(ear, PollFlags::POLLIN)], timeout) {
                Ok(0) => return Err(InternetError::Lost { what: "does not answer in time" }),
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(InternetError::io("wait for")(errno.into())),
            }
        }
    }
}

/// The network namespace of a process.
fn network_of(process: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let gone = || io::Error::other("the sandbox's init is gone");
    let pid = process::pid_of(process)?.ok_or_else(gone)?;
    let network = open_network(pid)?;
    // The number could have been another's by then.
    if process::pid_of(process)? == Some(pid) { Ok(network) } else { Err(gone()) }
}

fn open_network(pid: u32) -> io::Result<OwnedFd> {
    File::open(format!("/proc/{pid}/ns/net")).map(OwnedFd::from)
}

fn unexpected(message: Message) -> InternetError {
    match message {
        Message::Failed { step, detail } => InternetError::SetUp { step, detail },
        _ => InternetError::Lost { what: "says what was not asked" },
    }
}

/// Does it in another network namespace: in a thread of its own, since a namespace is a thread's.
fn in_namespace(
    namespace: BorrowedFd<'_>,
    act: impl FnOnce() -> Result<(), NetlinkError> + Send,
) -> Result<(), InternetError> {
    let result = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let enter = setns(namespace, CloneFlags::CLONE_NEWNET);
            enter
                .map_err(|errno| NetlinkError { what: "enter a network namespace", source: errno.into() })?;
            act()
        });
        thread.join().expect("speaking netlink does not panic")
    });
    Ok(result?)
}

/// Hardware addresses as engines make them: `02:42` and the IPv4 address.
fn ends(world: &World) -> Ends {
    let end = |(v4, v6): (std::net::Ipv4Addr, std::net::Ipv6Addr)| {
        let [a, b, c, d] = v4.octets();
        End { v4, v6, mac: [0x02, 0x42, a, b, c, d] }
    };
    Ends { sandbox: end(world.client), world: end(world.gateway) }
}

/// An internet on its way out: gone once this is dropped.
#[derive(Debug)]
pub struct Leaving {
    _guard: Guard,
}

/// The process that the runner started; never left behind.
#[derive(Debug)]
struct Guard(Child);

impl Guard {
    fn map_ids(&self) -> io::Result<()> {
        let map = format!("0 {HOST_ID} 1\n");
        let process = PathBuf::from(format!("/proc/{}", self.0.id()));
        fs::write(process.join("gid_map"), &map)?;
        fs::write(process.join("uid_map"), &map)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It has ended by itself, or is not worth waiting for; the process proper dies with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
