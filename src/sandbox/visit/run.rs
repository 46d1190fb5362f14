//! The visitor's own side: into the namespace, out of all privileges, then from door to door.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getsockopt, recv, send, socket,
    sockopt,
};
use nix::unistd::{Gid, Uid, chdir, chroot, setgroups, setresgid, setresuid};

use super::{ANSWER_MAX, Ask, Door, MESSAGE_MAX, NAME, Reply, Transport, Visit};
use crate::sys::process::{self, StandardStream, take_standard};
use crate::sys::{allow, socket as message};

/// A server that speaks first does so soon.
const GREETING: Duration = Duration::from_millis(400);
/// So long an answer may take to begin, and to go on.
const ANSWER: Duration = Duration::from_millis(900);
const PAUSE: Duration = Duration::from_millis(150);
const CONNECT: Duration = Duration::from_millis(500);
/// An answer is read no further.
const SAID_MAX: u64 = 256 << 10;
const MEMORY_MAX: u64 = 256 << 20;

/// True in a process that was started to visit; `main` then calls [`visitor_main`] before all else.
pub fn is_visitor() -> bool {
    std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// Calls where it is told to until the runner is gone. Descriptor 0 is the conversation with it.
pub fn visitor_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // There is no one to tell: that the conversation ends says it.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    process::die_with_parent()?;
    process::close_all()?;
    let runner = take_standard(StandardStream::Input)?;
    confine(&runner)?;
    while let Some((bytes, _)) = message::receive(runner.as_fd(), MESSAGE_MAX, MsgFlags::empty())? {
        let door: Door = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
        visit(door, &runner)?;
        say(&runner, &Reply::Done(door))?;
    }
    Ok(())
}

/// Enters the network namespace that the runner hands over, and gives up everything else.
fn confine(runner: &OwnedFd) -> io::Result<()> {
    let first = message::receive(runner.as_fd(), MESSAGE_MAX, MsgFlags::empty())?;
    let (id, network) = first.ok_or(io::ErrorKind::UnexpectedEof)?;
    let id = u32::from_le_bytes(*id.first_chunk().ok_or(io::ErrorKind::InvalidData)?);
    let network = network.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
    // The runner's thread comes before others; what a hostile server keeps busy does not.
    process::set_priority(0)?;
    setns(&network, CloneFlags::CLONE_NEWNET)?;
    drop(network);
    // A directory without sockets, devices, and ways out: names lead nowhere from here on.
    chroot("/proc/self/fdinfo")?;
    chdir("/")?;
    setgroups(&[])?;
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    setresgid(gid, gid, gid)?;
    // From root to another user: the kernel drops every capability.
    setresuid(uid, uid, uid)?;
    // After the change of ids, which clears it (commit_creds); a runner that died before is noticed by
    // the end of the conversation.
    process::die_with_parent()?;
    setrlimit(Resource::RLIMIT_AS, MEMORY_MAX, MEMORY_MAX)?;
    setrlimit(Resource::RLIMIT_NOFILE, 16, 16)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    allow::only(&allow::VISITING)
}

fn visit(door: Door, runner: &OwnedFd) -> io::Result<()> {
    for &ask in Ask::all(door.transport) {
        let heard = speak(door, ask);
        let (errno, (answer, said)) = match heard {
            Ok(heard) => (0, heard),
            Err(errno) => (errno as i32, (Vec::new(), 0)),
        };
        say(runner, &Reply::Visit(Visit { door, ask, errno, answer, said }))?;
        if errno != 0 {
            break;
        }
    }
    Ok(())
}

/// One connection: the first bytes of what is said to us, and how many there were.
fn speak(door: Door, ask: Ask) -> nix::Result<(Vec<u8>, u64)> {
    let socket = reach(door)?;
    let mut heard = (Vec::new(), 0);
    if ask == Ask::Greeting {
        listen(&socket, GREETING, &mut heard);
    }
    // A server that has closed already has said what it had to say.
    if send(socket.as_raw_fd(), &ask.words(door.address), MsgFlags::MSG_NOSIGNAL).is_ok() {
        listen(&socket, ANSWER, &mut heard);
    }
    Ok(heard)
}

fn reach(door: Door) -> nix::Result<OwnedFd> {
    let family = match door.address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = match door.transport {
        Transport::Tcp => SockType::Stream,
        Transport::Udp => SockType::Datagram,
    };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(door.address)) {
        Err(Errno::EINPROGRESS) => {}
        result => return result.map(|()| socket),
    }
    if !wait(&socket, PollFlags::POLLOUT, CONNECT) {
        return Err(Errno::ETIMEDOUT);
    }
    match getsockopt(&socket, sockopt::SocketError)? {
        0 => Ok(socket),
        errno => Err(Errno::from_raw(errno)),
    }
}

/// Reads until nothing more comes, within bounds of time and size.
fn listen(socket: &OwnedFd, patience: Duration, (kept, said): &mut (Vec<u8>, u64)) {
    let until = Instant::now() + patience + ANSWER;
    let mut patience = patience;
    let mut bytes = [0; 4096];
    while *said < SAID_MAX && Instant::now() < until && wait(socket, PollFlags::POLLIN, patience) {
        let length = match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        let room = ANSWER_MAX - kept.len();
        kept.extend(&bytes[..length.min(room)]);
        *said += length as u64;
        patience = PAUSE;
    }
}

fn wait(socket: &OwnedFd, what: PollFlags, patience: Duration) -> bool {
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
    poll(&mut [PollFd::new(socket.as_fd(), what)], timeout).is_ok_and(|ready| ready > 0)
}

fn say(runner: &OwnedFd, reply: &Reply) -> io::Result<()> {
    let bytes = postcard::to_allocvec(reply).map_err(io::Error::other)?;
    message::send(runner.as_fd(), &bytes, &[])
}
