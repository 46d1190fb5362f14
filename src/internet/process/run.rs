//! The process's side: set up, lock in, serve, end.

use std::ffi::OsStr;
use std::fs::File;
use std::future::{Future, pending, poll_fn};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::poll::PollTimeout;
use nix::sys::socket::{MsgFlags, getsockopt, sockopt};
use nix::unistd::{Pid, getppid};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

use super::confine::{Failure, Step, become_nobody, confine, leave_namespaces, only_wait, step};
use super::{ADMITTED, COMM, MESSAGE_MAX, Message, NAME, STOP, Summary, WORLD, WORLD_MAX};
use crate::internet::capture::{self, Capture};
use crate::internet::netlink;
use crate::internet::serve::serve_until;
use crate::internet::socket::{Listeners, PORT};
use crate::internet::tell::{self, Scribe};
use crate::internet::tls::{Authority, Terms};
use crate::internet::world::World;
use crate::sys::packet::PacketRing;
use crate::sys::process::{self, StandardStream, take_standard};
use crate::sys::{ready, socket};

/// For the runner to hear the rest.
const HEARING: Duration = Duration::from_secs(10);

/// True if this process was started as the internet: its `main` must then be [`internet_main`].
pub fn is_internet() -> bool {
    std::env::args_os().next().as_deref() == Some(OsStr::new(NAME))
}

/// Is the internet until the runner stops it. Must be called before any thread is started.
pub fn internet_main() -> ExitCode {
    // Its words would say nothing that the runner does not hear otherwise.
    std::panic::set_hook(Box::new(|_| {}));
    match guard() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The outer process: namespaces, a fork into them, and waiting.
fn guard() -> io::Result<()> {
    nix::sys::prctl::set_name(COMM)?;
    process::die_with_parent()?;
    process::close_all()?;
    let control = take_standard(StandardStream::Input)?;
    let testimony = take_standard(StandardStream::Output)?;
    // The runner made the socket, so its credentials are on it. Another parent: it died already.
    let runner = Pid::from_raw(getsockopt(&control, sockopt::PeerCredentials)?.pid());
    if getppid() != runner {
        return Ok(());
    }
    let forked = leave_namespaces().and_then(|()| {
        say(control.as_fd(), &Message::Unshared).map_err(step("greet the runner"))?;
        let capture = file(control.as_fd(), ADMITTED).map_err(step("be admitted"))?;
        become_nobody()?;
        // The change of ids has cleared it (commit_creds).
        process::die_with_parent().map_err(step("die with the runner"))?;
        if getppid() != runner {
            return Err(step("find the runner alive")("it is gone"));
        }
        fork(&control, testimony, capture).map_err(step("fork"))
    });
    match forked {
        Ok(internet) => {
            // The runner reads the end from the last copy's end.
            drop(control);
            only_wait()?;
            nix::sys::wait::waitpid(internet, None)?;
            Ok(())
        }
        Err(failure) => complain(control.as_fd(), failure),
    }
}

fn fork(control: &OwnedFd, testimony: OwnedFd, capture: File) -> io::Result<Pid> {
    let guard = process::pidfd(Pid::this())?;
    let control = control.try_clone()?;
    process::fork(move || {
        let orphaned = process::die_with_parent().is_err()
            || process::ended(guard.as_fd(), PollTimeout::ZERO).unwrap_or(true);
        drop(guard);
        if orphaned {
            return 1;
        }
        match internet(control.as_fd(), testimony, capture) {
            Ok(()) => 0,
            Err(failure) => {
                let _ = complain(control.as_fd(), failure);
                1
            }
        }
    })
}

/// The file that comes with a word of the runner.
fn file(control: BorrowedFd<'_>, word: &[u8]) -> io::Result<File> {
    let message = socket::receive(control, MESSAGE_MAX, MsgFlags::empty())?;
    let (bytes, descriptors) = message.ok_or(io::ErrorKind::UnexpectedEof)?;
    match <[OwnedFd; 1]>::try_from(descriptors) {
        Ok([file]) if bytes == word => Ok(file.into()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn world(mut memory: File) -> io::Result<World> {
    memory.rewind()?;
    let mut bytes = Vec::new();
    memory.take(WORLD_MAX + 1).read_to_end(&mut bytes)?;
    match postcard::take_from_bytes(&bytes) {
        Ok((world, [])) if bytes.len() as u64 <= WORLD_MAX => Ok(world),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The process itself.
fn internet(control: BorrowedFd<'_>, testimony: OwnedFd, capture: File) -> Step<()> {
    netlink::every_address().map_err(chain("make the network"))?;
    let ring = capture::open().map_err(step("open the capture"))?;
    let listeners = Listeners::open().map_err(step("listen"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let authority = Authority::generate(now).map_err(step("make the run's authority"))?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(step("start serving"))?;
    let ready = Message::Ready { authority: authority.certificate_pem() };
    say(control, &ready).map_err(step("tell that all is ready"))?;
    let memory = file(control, WORLD).map_err(step("hear of the world"))?;
    let world = world(memory).map_err(step("understand the world"))?;
    let refused = world.scenario.refused_ports();
    netlink::take_everything(PORT, refused).map_err(chain("make the network"))?;
    confine(world.capture_max)?;
    say(control, &Message::Serving).map_err(step("tell that all is set"))?;
    let serving = Serving { control, testimony, capture, ring, listeners, authority };
    serving.serve(&runtime, world).map_err(step("serve"))
}

struct Serving<'s> {
    control: BorrowedFd<'s>,
    testimony: OwnedFd,
    capture: File,
    ring: PacketRing,
    listeners: Listeners,
    authority: Authority,
}

impl Serving<'_> {
    /// Until the runner says stop, or is gone; then tells of the end.
    fn serve(self, runtime: &Runtime, world: World) -> io::Result<()> {
        let (tell, scribe) = tell::channel();
        let _inside = runtime.enter();
        let terms = Terms::new(self.authority);
        let mut capture = Capture::new(self.ring, self.capture, world.capture_max, terms.secrets())?;
        let writing = runtime.spawn(write(scribe, self.testimony));
        let control = ready::readable(self.control)?;
        // What lies in sockets by then is still heard out.
        let serving = serve_until(self.listeners, Rc::new(world), terms, tell, stopped(&control));
        let failed = runtime.block_on(first(run(&mut capture), serving));
        let captured = capture.finish();
        let written = runtime.block_on(async { tokio::time::timeout(HEARING, writing).await });
        written.map_err(io::Error::other)?.map_err(io::Error::other)??;
        let capture_failed = failed.is_some() || captured.is_err();
        // The packet ring is still open: the kernel closes one no faster than every processor has looked up
        // (packet_release, synchronize_net), and nobody shall wait for that.
        say(self.control, &Message::Ended(Summary { captured: captured.unwrap_or_default(), capture_failed }))
    }
}

/// Captures until that fails; a failure ends the capture, not the run.
async fn run(capture: &mut Capture) -> Option<io::Error> {
    match capture.run().await {
        Ok(()) => pending().await,
        Err(error) => Some(error),
    }
}

/// Completes when the runner says stop, or says nothing any more.
async fn stopped(control: &AsyncFd<OwnedFd>) {
    loop {
        let Ok(mut ready) = control.readable().await else { return };
        match socket::receive(control.get_ref().as_fd(), MESSAGE_MAX, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Ok(Some((bytes, _))) if bytes != STOP => {}
            _ => return,
        }
    }
}

/// Until `stop` completes; gives what `work` came to, if it came to an end before.
async fn first<T>(work: impl Future<Output = Option<T>>, stop: impl Future<Output = ()>) -> Option<T> {
    let (mut work, mut stop) = (pin!(work), pin!(stop));
    let mut worked = None;
    poll_fn(|context| {
        if worked.is_none()
            && let Poll::Ready(result) = work.as_mut().poll(context)
        {
            worked = Some(result);
        }
        stop.as_mut().poll(context)
    })
    .await;
    worked.flatten()
}

async fn write(scribe: Scribe, testimony: OwnedFd) -> io::Result<()> {
    let stream = std::os::unix::net::UnixStream::from(testimony);
    stream.set_nonblocking(true)?;
    scribe.write(tokio::net::UnixStream::from_std(stream)?).await
}

fn say(control: BorrowedFd<'_>, message: &Message) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    socket::send(control, &bytes, &[])
}

/// A runner that is gone needs no answer.
fn complain(control: BorrowedFd<'_>, failure: Failure) -> io::Result<()> {
    let Failure { step, detail } = failure;
    say(control, &Message::Failed { step: step.to_owned(), detail })
}

fn chain(what: &'static str) -> impl FnOnce(netlink::NetlinkError) -> Failure {
    move |error| Failure { step: what, detail: format!("{error}: {}", error.source) }
}
