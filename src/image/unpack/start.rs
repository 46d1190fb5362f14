//! The runner's side: start an unpacker, map its ids, hear it out, judge its digests.

use std::fs::{self, File};
use std::io::{self, PipeReader};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

use super::super::{Digest, ImageError, LAYER_ID_BASE, LAYER_ID_COUNT, Layer};
use super::{Job, Message, NAME, Refusal, Tally, receive, send};

/// How often whoever waits is asked whether to go on.
const TURN: Duration = Duration::from_millis(200);
/// It reports with every few MiB of the blob. One that is silent for so long was taken over, or hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// It writes a message at once.
const HALF_A_MESSAGE: Duration = Duration::from_secs(10);

/// How to start an unpacker: the program whose `main` asks [`super::is_unpacker`].
#[derive(Clone, Debug)]
pub struct Unpacker {
    program: PathBuf,
}

/// What the unpacker reads the blob from.
pub enum Input {
    File(File),
    Pipe(PipeReader),
}

impl Default for Unpacker {
    fn default() -> Unpacker {
        Unpacker { program: PathBuf::from("/proc/self/exe") }
    }
}

impl Unpacker {
    pub fn new(program: impl Into<PathBuf>) -> Unpacker {
        Unpacker { program: program.into() }
    }

    /// Runs one job in `cache`, and returns what the layer holds, if it is what it should be.
    pub fn run(
        &self,
        cache: &Path,
        layer: &Layer,
        input: Input,
        job: &Job,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Tally, ImageError> {
        let failed = |what: &str| ImageError::io(format!("{what} the unpacker of layer {}", layer.digest));
        let (conversation, mut child) = self.start(cache, input).map_err(failed("start"))?;
        let (mut done, mut heard) = (0, Instant::now());
        loop {
            if !readable(&conversation).map_err(failed("hear"))? {
                if progress(done).is_break() {
                    return Err(ImageError::Stopped);
                }
                if heard.elapsed() > PATIENCE {
                    let reason = format!("said nothing for {} s", PATIENCE.as_secs());
                    return Err(ImageError::Unpacker { layer: layer.digest, reason });
                }
                continue;
            }
            heard = Instant::now();
            match receive(&conversation).map_err(failed("understand"))? {
                Some(Message::Unshared) => {
                    child.map_ids().map_err(failed("map the ids of"))?;
                    send(&conversation, job).map_err(failed("instruct"))?;
                }
                // The child dies with `child`.
                Some(Message::Progress(read)) if progress(read).is_break() => {
                    return Err(ImageError::Stopped);
                }
                Some(Message::Progress(read)) => done = read,
                Some(Message::Done { blob, diff_id, tally }) => {
                    agree(layer, blob)?;
                    return match diff_id == layer.diff_id {
                        true => Ok(tally),
                        false => Err(ImageError::DiffId {
                            layer: layer.digest,
                            expected: layer.diff_id,
                            actual: diff_id,
                        }),
                    };
                }
                Some(Message::Refused { blob, refusal }) => {
                    blob.map_or(Ok(()), |blob| agree(layer, blob))?;
                    return Err(refused(layer, refusal));
                }
                None => {
                    let status = child.process.wait().map_err(failed("wait for"))?;
                    return Err(ImageError::Unpacker { layer: layer.digest, reason: ended(status) });
                }
            }
        }
    }

    fn start(&self, cache: &Path, input: Input) -> io::Result<(UnixStream, Running)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(HALF_A_MESSAGE))?;
        let mut command = Command::new(&self.program);
        command
            .arg0(NAME)
            .env_clear()
            .current_dir(cache)
            .stdin(match input {
                Input::File(file) => Stdio::from(file),
                Input::Pipe(pipe) => Stdio::from(pipe),
            })
            .stdout(OwnedFd::from(theirs))
            // It reads what an attacker wrote: it does not get the user's terminal.
            .stderr(Stdio::null());
        Ok((ours, Running::start(command)?))
    }
}

/// Waits a moment for the unpacker to say something, or to be gone.
fn readable(conversation: &UnixStream) -> io::Result<bool> {
    let turn = PollTimeout::try_from(TURN).unwrap_or(PollTimeout::ZERO);
    match poll(&mut [PollFd::new(conversation.as_fd(), PollFlags::POLLIN)], turn) {
        Err(Errno::EINTR) => Ok(false),
        result => Ok(result? > 0),
    }
}

fn agree(layer: &Layer, blob: Digest) -> Result<(), ImageError> {
    if blob == layer.digest {
        return Ok(());
    }
    let object = format!("layer {}", layer.digest);
    Err(ImageError::Digest { object, expected: layer.digest, actual: blob })
}

fn refused(layer: &Layer, refusal: Refusal) -> ImageError {
    let layer = layer.digest;
    let path = |bytes: Vec<u8>| PathBuf::from(std::ffi::OsString::from_vec(bytes));
    match refusal {
        Refusal::Stream { reason } => ImageError::Stream { layer, reason },
        Refusal::Entry { path: at, rule } => ImageError::Entry { layer, path: path(at), rule },
        Refusal::Escapes { path: at, rule } => ImageError::Escapes { layer, path: path(at), rule },
        Refusal::Bomb { rule } => ImageError::Bomb { layer, rule },
        Refusal::Forged { path: at, name } => ImageError::Forged { layer, path: path(at), name },
        Refusal::Host { what, errno } => {
            let what = format!("{what} (layer {layer})");
            ImageError::Io { what, source: io::Error::from_raw_os_error(errno) }
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by signal {signal}"),
        (None, code) => format!("ended early with exit code {}", code.unwrap_or_default()),
    }
}

/// A started unpacker; never left behind.
struct Running {
    process: Child,
    /// Its parent, for the kernel: lives until this is dropped, since the unpacker dies with it.
    parent: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Running {
    /// Starts it as the first process of a pid namespace. What a thread unshares there concerns only its
    /// children (pid_namespaces(7)), so a thread of its own does it, for this one child.
    fn start(mut command: Command) -> io::Result<Running> {
        let (child_end, child) = mpsc::channel();
        let (over_end, over) = mpsc::channel();
        let thread = std::thread::Builder::new().name("unpack".into()).spawn(move || {
            let spawned = unshare(CloneFlags::CLONE_NEWPID).map_err(io::Error::from);
            let spawned = spawned.and_then(|()| command.spawn());
            // Its end of the conversation, or the end of the unpacker would never show.
            drop(command);
            let _ = child_end.send(spawned);
            let _ = over.recv();
        })?;
        let process = child.recv().map_err(io::Error::other)??;
        Ok(Running { process, parent: Some((over_end, thread)) })
    }

    fn map_ids(&self) -> io::Result<()> {
        let map = format!("0 {LAYER_ID_BASE} {LAYER_ID_COUNT}\n");
        let process = PathBuf::from(format!("/proc/{}", self.process.id()));
        fs::write(process.join("gid_map"), &map)?;
        fs::write(process.join("uid_map"), &map)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has replied, or is not worth waiting for.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some((over, thread)) = self.parent.take() {
            drop(over);
            let _ = thread.join();
        }
    }
}
