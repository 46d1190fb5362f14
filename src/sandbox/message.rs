//! What runner, helper and init say to each other.
//!
//! The runner sends one [`Order`](super::order::Order) in a memory file, and later [`START`]. All else are
//! [`Message`]s, one each per SEQPACKET message. Helper and init speak for a hostile image, so the runner
//! decodes totally: every length is checked, nothing is trusted to be text, what does not parse is
//! [`Message::Unreadable`].
//!
//! Not here: descriptors that travel along. See [`crate::sys::socket`].

use std::fmt;

use super::Planted;
use super::codec::{Decoder, Encoder, TEXT_MAX};

/// No message to the runner is longer.
pub(super) const MESSAGE_MAX: usize = 8 << 10;

/// Tells the helper to let the parked container run.
pub(super) const START: &[u8] = b"start";

/// Tells init to run the errand of that number.
pub(super) fn run_errand(errand: u8) -> [u8; 2] {
    [b'r', errand]
}

/// Why the image's program was refused before anything of the image ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    Missing = 1,
    Directory = 2,
    NotExecutable = 3,
    ForeignArchitecture = 4,
    MissingInterpreter = 5,
    /// Neither a program nor a script that names its interpreter.
    UnknownFormat = 6,
    UnknownUser = 7,
    WorkingDir = 8,
    /// The kernel refused the exec for another reason; the errno says which.
    Exec = 9,
}

impl Reason {
    const ALL: [Reason; 9] = [
        Reason::Missing,
        Reason::Directory,
        Reason::NotExecutable,
        Reason::ForeignArchitecture,
        Reason::MissingInterpreter,
        Reason::UnknownFormat,
        Reason::UnknownUser,
        Reason::WorkingDir,
        Reason::Exec,
    ];

    /// A word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::Directory => "directory",
            Reason::NotExecutable => "not_executable",
            Reason::ForeignArchitecture => "foreign_architecture",
            Reason::MissingInterpreter => "missing_interpreter",
            Reason::UnknownFormat => "unknown_format",
            Reason::UnknownUser => "unknown_user",
            Reason::WorkingDir => "working_dir",
            Reason::Exec => "exec",
        }
    }

    fn says(self) -> &'static str {
        match self {
            Reason::Missing => "is not in the image",
            Reason::Directory => "is a directory, not a program",
            Reason::NotExecutable => "is not executable",
            Reason::ForeignArchitecture => "is built for another processor",
            Reason::MissingInterpreter => "needs an interpreter that is not in the image",
            Reason::UnknownFormat => "is neither a program nor a script with an interpreter",
            Reason::UnknownUser => "is not a user or group of the image",
            Reason::WorkingDir => "cannot be the working directory",
            Reason::Exec => "was refused by the kernel",
        }
    }
}

/// The image's program was refused; nothing of the image ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// The system's answer, or 0 where it was not asked.
    pub errno: i32,
    /// The path, user or group in question. Bytes of the image.
    pub subject: Vec<u8>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", String::from_utf8_lossy(&self.subject), self.reason.says())?;
        match self.errno {
            0 => Ok(()),
            errno => write!(f, ": {}", std::io::Error::from_raw_os_error(errno)),
        }
    }
}

/// What became of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The exec itself failed; nothing of the image ran. No more statuses but [`Status::Gone`] follow.
    Refused(Refusal),
    /// The first program runs; its pid is the host's, `None` if it was reaped before we looked.
    Started { pid: Option<u32> },
    /// The filter is loaded; the image's sleeps are skipped from now on.
    Heard,
    /// The first program ended; others may live on. One of the two is zero.
    ProgramExited { code: u8, signal: u8 },
    /// An errand runs ([`RunningSandbox::run_errand`](super::RunningSandbox::run_errand)); its pid is the
    /// host's.
    ErrandStarted { errand: u8, pid: Option<u32> },
    /// An errand ended. One of the two is zero.
    ErrandEnded { errand: u8, code: u8, signal: u8 },
    /// No task is left.
    Empty,
    /// Helper or init could not go on: this host, not the image.
    Failed { step: String, detail: String },
    /// Init is gone. Without [`Status::Empty`] before it: killed.
    Gone,
    /// Bytes that are no status came from init.
    Unreadable,
}

/// One message to the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The container is parked; init's and the helper's pidfds travel along.
    Held,
    Failed {
        step: String,
        detail: String,
    },
    Hostile {
        what: String,
    },
    Refused(Refusal),
    /// What the filter leaves to the runner can be heard at the descriptor that travels along.
    Heard,
    /// The program's pidfd travels along.
    Started,
    Exited {
        code: u8,
        signal: u8,
    },
    /// Its pidfd travels along.
    ErrandStarted {
        errand: u8,
    },
    ErrandEnded {
        errand: u8,
        code: u8,
        signal: u8,
    },
    Empty,
    Unreadable,
    /// What became of one plant; before [`Message::Held`].
    Planted(Planted),
}

impl Message {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        match self {
            Message::Held => out.byte(1),
            Message::Failed { step, detail } => {
                out.byte(2).cut(step.as_bytes()).cut(detail.as_bytes());
                &mut out
            }
            Message::Hostile { what } => out.byte(3).cut(what.as_bytes()),
            Message::Refused(Refusal { reason, errno, subject }) => {
                out.byte(4).byte(*reason as u8).number(*errno as u64).cut(subject)
            }
            Message::Started => out.byte(5),
            Message::Exited { code, signal } => out.byte(6).byte(*code).byte(*signal),
            Message::Empty => out.byte(7),
            Message::Heard => out.byte(9),
            Message::ErrandStarted { errand } => out.byte(10).byte(*errand),
            Message::ErrandEnded { errand, code, signal } => {
                out.byte(11).byte(*errand).byte(*code).byte(*signal)
            }
            Message::Planted(Planted { plant, path, inode, errno }) => {
                out.byte(8).number(*plant as u64).cut(path).number(*inode).number(*errno as u64)
            }
            Message::Unreadable => out.byte(0),
        };
        out.done()
    }

    pub fn decode(bytes: &[u8]) -> Message {
        let mut input = Decoder::new(bytes);
        let message = Message::parse(&mut input);
        message.filter(|_| input.is_done()).unwrap_or(Message::Unreadable)
    }

    fn parse(input: &mut Decoder<'_>) -> Option<Message> {
        Some(match input.byte()? {
            1 => Message::Held,
            2 => Message::Failed { step: input.text()?, detail: input.text()? },
            3 => Message::Hostile { what: input.text()? },
            4 => {
                let kind = input.byte()?;
                let reason = Reason::ALL.into_iter().find(|reason| *reason as u8 == kind)?;
                let errno = i32::try_from(input.number()?).ok()?;
                Message::Refused(Refusal { reason, errno, subject: input.bytes(TEXT_MAX)?.to_vec() })
            }
            5 => Message::Started,
            6 => Message::Exited { code: input.byte()?, signal: input.byte()? },
            7 => Message::Empty,
            9 => Message::Heard,
            10 => Message::ErrandStarted { errand: input.byte()? },
            11 => Message::ErrandEnded { errand: input.byte()?, code: input.byte()?, signal: input.byte()? },
            8 => Message::Planted(Planted {
                plant: input.number()?.try_into().ok()?,
                path: input.bytes(TEXT_MAX)?.to_vec(),
                inode: input.number()?,
                errno: input.number()?.try_into().ok()?,
            }),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<Message> {
        let refusal = Refusal { reason: Reason::Directory, errno: 13, subject: b"/etc\xff".to_vec() };
        vec![
            Message::Held,
            Message::Failed { step: "mount".into(), detail: "EPERM".into() },
            Message::Hostile { what: "/dev is a link".into() },
            Message::Refused(refusal),
            Message::Started,
            Message::Exited { code: 3, signal: 0 },
            Message::Empty,
            Message::Heard,
            Message::ErrandStarted { errand: 7 },
            Message::ErrandEnded { errand: 7, code: 1, signal: 0 },
            Message::Planted(Planted { plant: 3, path: b"/a\xff".to_vec(), inode: 7, errno: 0 }),
        ]
    }

    #[test]
    fn messages_survive_the_wire() {
        for message in messages() {
            assert_eq!(Message::decode(&message.encode()), message);
        }
    }

    #[test]
    fn cut_and_padded_messages_are_unreadable() {
        for message in messages() {
            let bytes = message.encode();
            for length in 0..bytes.len() {
                assert_eq!(Message::decode(&bytes[..length]), Message::Unreadable, "{message:?} {length}");
            }
            assert_eq!(Message::decode(&[&bytes[..], b"x"].concat()), Message::Unreadable);
        }
        let long = Message::Failed { step: "x".repeat(1 << 20), detail: "y".repeat(1 << 20) };
        assert!(long.encode().len() <= MESSAGE_MAX);
        assert_ne!(Message::decode(&long.encode()), Message::Unreadable);
    }
}
