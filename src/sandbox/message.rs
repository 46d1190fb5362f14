//! What runner, helper and init say to each other.
//!
//! The runner sends one [`Order`] in a memory file, and later [`START`]. All else are [`Message`]s, one
//! each per SEQPACKET message. Helper and init speak for a hostile image, so the runner decodes totally:
//! every length is checked, nothing is trusted to be text, what does not parse is [`Message::Unreadable`].
//!
//! Not here: descriptors that travel along. See [`crate::sys::socket`].

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{How, Limits, Network, Plant, Planted, Sleeps};

/// No message to the runner is longer.
pub(super) const MESSAGE_MAX: usize = 8 << 10;
/// No text within one is longer; longer ones are cut before they are sent.
const TEXT_MAX: usize = 2 << 10;
/// No order is longer: the plan's own bound, the layers' paths, and slack.
pub(super) const ORDER_MAX: usize = 4 << 20;

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
        out.0
    }

    pub fn decode(bytes: &[u8]) -> Message {
        let mut input = Decoder(bytes);
        let message = Message::parse(&mut input);
        message.filter(|_| input.0.is_empty()).unwrap_or(Message::Unreadable)
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

/// All that helper and init need to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Order {
    pub run: String,
    pub run_dir: PathBuf,
    pub id_base: u32,
    /// Bottom to top.
    pub layers: Vec<PathBuf>,
    pub layer_id_base: u32,
    pub argv: Vec<OsString>,
    pub env: Vec<OsString>,
    pub user: String,
    pub working_dir: OsString,
    pub hostname: String,
    pub network: Option<Network>,
    pub limits: Limits,
    pub sleeps: Sleeps,
    /// Seconds.
    pub uptime: u64,
    /// Commands that init runs when it is told to.
    pub errands: Vec<Vec<OsString>>,
    pub plants: Vec<Plant>,
}

impl Order {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.bytes(self.run.as_bytes()).bytes(self.run_dir.as_os_str().as_encoded_bytes());
        out.number(self.id_base.into()).number(self.layer_id_base.into());
        out.list(self.layers.iter().map(|path| path.as_os_str().as_encoded_bytes()));
        out.list(self.argv.iter().map(|text| text.as_encoded_bytes()));
        out.list(self.env.iter().map(|text| text.as_encoded_bytes()));
        out.bytes(self.user.as_bytes()).bytes(self.working_dir.as_encoded_bytes());
        out.bytes(self.hostname.as_bytes());
        let texts = self.network.map(|network| [network.address.to_string(), network.resolver.to_string()]);
        out.list(texts.iter().flatten().map(String::as_bytes).collect::<Vec<_>>().into_iter());
        let Limits { memory, cpus, pids, disk, disk_files, open_files, output } = self.limits;
        for limit in [memory, cpus.map(f64::to_bits), pids.map(u64::from), disk, disk_files] {
            out.byte(u8::from(limit.is_some())).number(limit.unwrap_or(0));
        }
        out.number(open_files).number(output);
        out.byte(u8::from(self.sleeps == Sleeps::Skipped)).number(self.uptime);
        out.number(self.errands.len() as u64);
        for argv in &self.errands {
            out.list(argv.iter().map(|text| text.as_encoded_bytes()));
        }
        out.number(self.plants.len() as u64);
        for Plant { path, content, mode, how } in &self.plants {
            out.bytes(path).bytes(content).number((*mode).into()).byte(u8::from(*how == How::Append));
        }
        out.0
    }

    pub fn decode(bytes: &[u8]) -> Option<Order> {
        let mut input = Decoder(bytes);
        let order = Order {
            run: input.string()?,
            run_dir: input.os_string()?.into(),
            id_base: input.number()?.try_into().ok()?,
            layer_id_base: input.number()?.try_into().ok()?,
            layers: input.list()?.into_iter().map(PathBuf::from).collect(),
            argv: input.list()?,
            env: input.list()?,
            user: input.string()?,
            working_dir: input.os_string()?,
            hostname: input.string()?,
            network: input.network()?,
            limits: Limits {
                memory: input.option()?,
                cpus: input.option()?.map(f64::from_bits),
                pids: input.option()?.map(u32::try_from).transpose().ok()?,
                disk: input.option()?,
                disk_files: input.option()?,
                open_files: input.number()?,
                output: input.number()?,
            },
            sleeps: if input.byte()? == 0 { Sleeps::Slept } else { Sleeps::Skipped },
            uptime: input.number()?,
            errands: input.lists()?,
            plants: input.plants()?,
        };
        input.0.is_empty().then_some(order)
    }
}

#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn byte(&mut self, byte: u8) -> &mut Encoder {
        self.0.push(byte);
        self
    }

    fn number(&mut self, number: u64) -> &mut Encoder {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Encoder {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn cut(&mut self, bytes: &[u8]) -> &mut Encoder {
        self.bytes(&bytes[..bytes.len().min(TEXT_MAX)])
    }

    fn list<'a>(&mut self, list: impl ExactSizeIterator<Item = &'a [u8]>) -> &mut Encoder {
        self.number(list.len() as u64);
        for bytes in list {
            self.bytes(bytes);
        }
        self
    }
}

struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    fn network(&mut self) -> Option<Option<Network>> {
        let texts = self.list()?.into_iter().map(OsString::into_string);
        match &texts.collect::<Result<Vec<_>, _>>().ok()?[..] {
            [] => Some(None),
            [address, resolver] => {
                Some(Some(Network { address: address.parse().ok()?, resolver: resolver.parse().ok()? }))
            }
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn option(&mut self) -> Option<Option<u64>> {
        let there = self.byte()? != 0;
        let number = self.number()?;
        Some(there.then_some(number))
    }

    fn bytes(&mut self, bound: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= bound)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes(TEXT_MAX)?).into_owned())
    }

    fn os_string(&mut self) -> Option<OsString> {
        Some(OsString::from_vec(self.bytes(ORDER_MAX)?.to_vec()))
    }

    fn string(&mut self) -> Option<String> {
        self.os_string()?.into_string().ok()
    }

    fn lists(&mut self) -> Option<Vec<Vec<OsString>>> {
        let count = self.number()?;
        (0..count).map(|_| self.list()).collect()
    }

    fn list(&mut self) -> Option<Vec<OsString>> {
        let count = self.number()?;
        (0..count).map(|_| self.os_string()).collect()
    }

    fn plants(&mut self) -> Option<Vec<Plant>> {
        let count = self.number()?;
        (0..count).map(|_| self.plant()).collect()
    }

    fn plant(&mut self) -> Option<Plant> {
        Some(Plant {
            path: self.bytes(ORDER_MAX)?.to_vec(),
            content: self.bytes(ORDER_MAX)?.to_vec(),
            mode: self.number()?.try_into().ok()?,
            how: match self.byte()? {
                0 => How::New,
                1 => How::Append,
                _ => return None,
            },
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

    #[test]
    fn orders_survive_the_wire_and_cut_ones_do_not() {
        let order = Order {
            run: "0123456789abcdef".into(),
            layers: vec!["/a".into(), "/b".into()],
            argv: vec![OsString::from_vec(b"\xff".to_vec()), "".into()],
            network: Some(Network { address: [172, 17, 0, 2].into(), resolver: [10, 0, 0, 2].into() }),
            limits: Limits {
                cpus: Some(1.5),
                pids: Some(7),
                disk_files: Some(3),
                open_files: 99,
                ..Limits::default()
            },
            sleeps: Sleeps::Slept,
            uptime: 950_400,
            errands: vec![vec!["/bin/true".into(), "".into()], vec![]],
            plants: [How::New, How::Append]
                .map(|how| Plant { path: b"~/\xff".to_vec(), content: vec![0, 1], mode: 0o600, how })
                .into(),
            ..Order::default()
        };
        let bytes = order.encode();
        assert_eq!(Order::decode(&bytes), Some(order));
        for length in 0..bytes.len() {
            assert_eq!(Order::decode(&bytes[..length]), None);
        }
    }
}
