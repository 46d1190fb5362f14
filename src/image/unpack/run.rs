//! The unpacker's own side: from `main` to the one reply.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::process::ExitCode;

use super::apply::{Applier, EntryError};
use super::confine::{self, Confined};
use super::root::Fault;
use super::stream::Stream;
use super::{Job, Message, NAME, Refusal, Tally, receive, send};
use crate::image::tar::{Entries, TarError};

/// True in a process that was started to unpack; `main` then calls [`unpacker_main`] before all else.
pub fn is_unpacker() -> bool {
    std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// Unpacks one layer. Descriptor 0 is the blob, 1 the conversation with the runner.
pub fn unpacker_main() -> ExitCode {
    main_with(|job, blob, runner, confined| {
        // A runner that is gone shows at the next write, and ends us by signal anyway.
        let show = move |read| drop(send(&runner, &Message::Progress(read)));
        Ok(unpack(job, Stream::open(blob, job, show)?, confined))
    })
}

/// An unpacker that was taken over: confined as ours, but then it does as `act` does with the blob, and
/// refuses the layer with what that says. For the test that it can do no harm.
pub fn hostile_unpacker_main(act: fn(File) -> String) -> ExitCode {
    main_with(|_, blob, _, _confined| {
        Ok(Message::Refused { blob: None, refusal: Refusal::Stream { reason: act(blob) } })
    })
}

fn main_with(work: impl FnOnce(&Job, File, File, Option<Confined>) -> io::Result<Message>) -> ExitCode {
    match converse(work) {
        Ok(()) => ExitCode::SUCCESS,
        // The runner is gone, or does not speak to us: there is no one to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn converse(work: impl FnOnce(&Job, File, File, Option<Confined>) -> io::Result<Message>) -> io::Result<()> {
    close_inherited()?;
    let blob = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let runner = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    if let Err((what, errno)) = confine::leave_namespaces() {
        return send(&runner, &host(what, errno as i32));
    }
    send(&runner, &Message::Unshared)?;
    let Some(job) = receive::<Job>(&runner)? else { return Ok(()) };
    let confined = match confine::confine(&job, &runner) {
        Ok(confined) => confined,
        Err((what, errno)) => return send(&runner, &host(what, errno as i32)),
    };
    let progress = runner.try_clone()?;
    send(&runner, &work(&job, blob, progress, confined)?)
}

/// Closes what the runner was itself started with and did not mark close-on-exec.
fn close_inherited() -> io::Result<()> {
    let number = |entry: io::Result<std::fs::DirEntry>| -> io::Result<Option<i32>> {
        Ok(entry?.file_name().to_str().and_then(|name| name.parse().ok()))
    };
    // Collected first: the listing's own descriptor must not be closed under it. Later it is closed
    // already, and closing it again is EBADF.
    let numbers = std::fs::read_dir("/proc/self/fd")?.map(number).collect::<io::Result<Vec<_>>>()?;
    for number in numbers.into_iter().flatten().filter(|&number| number > 2) {
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

fn host(what: &str, errno: i32) -> Message {
    Message::Refused { blob: None, refusal: Refusal::Host { what: what.to_owned(), errno } }
}

fn unpack(job: &Job, stream: Stream, confined: Option<Confined>) -> Message {
    let mut entries = Entries::new(BufReader::with_capacity(128 * 1024, stream), job.bounds.path);
    let result = match confined {
        Some(Confined { root, upper }) => apply(&mut entries, Applier::new(root, upper, job.bounds)),
        None => Ok(Tally::default()),
    };
    let mut stream = entries.into_inner().into_inner();
    let result = result.map_err(|failure| failure.refusal(&stream)).and_then(|tally| {
        let (blob, diff_id, bytes) = stream.finish().map_err(|error| stream.refusal(&error))?;
        Ok(Message::Done { blob, diff_id, tally: Tally { bytes, ..tally } })
    });
    result.unwrap_or_else(|refusal| {
        // Where the blob is not what it should be, that is the better answer: read on to find out.
        let readable = matches!(refusal, Refusal::Stream { .. } | Refusal::Entry { .. });
        Message::Refused { blob: readable.then(|| stream.abandon()).flatten(), refusal }
    })
}

fn apply(entries: &mut Entries<BufReader<Stream>>, mut applier: Applier) -> Result<Tally, Failure> {
    while let Some(entry) = entries.advance().map_err(Failure::Tar)? {
        if !applier.count() {
            return Err(Failure::TooManyEntries);
        }
        let result = applier.entry(&entry, &mut *entries);
        result.map_err(|error| Failure::Entry(entry.path, error))?;
    }
    applier.finish().map_err(|fault| Failure::Entry(b"(times)".to_vec(), EntryError::Fault(fault)))
}

enum Failure {
    Tar(TarError),
    Entry(Vec<u8>, EntryError),
    TooManyEntries,
}

impl Failure {
    fn refusal(self, stream: &Stream) -> Refusal {
        let (mut path, fault) = match self {
            Failure::Tar(TarError::Io(error)) | Failure::Entry(_, EntryError::Data(error)) => {
                return stream.refusal(&error);
            }
            Failure::Tar(TarError::Malformed(rule)) => {
                return Refusal::Stream { reason: rule.to_owned() };
            }
            Failure::TooManyEntries => {
                return Refusal::Bomb { rule: "it has more entries than the image may have".to_owned() };
            }
            Failure::Entry(path, EntryError::Fault(fault)) => (path, fault),
        };
        path.truncate(4096);
        match fault {
            Fault::Escapes(rule) => Refusal::Escapes { path, rule },
            Fault::Broken(rule) => Refusal::Entry { path, rule },
            Fault::Forged(name) => Refusal::Forged { path, name },
            Fault::Os(errno) => {
                let what = format!("make {:?}", String::from_utf8_lossy(&path));
                Refusal::Host { what, errno: errno as i32 }
            }
        }
    }
}
