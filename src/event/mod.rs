//! What happened in the sandbox, in words that a rule can use.
//!
//! An [`Event`] is complete by itself: who did it ([`Process`], with the programs that led to it),
//! what was done ([`Act`]), and how the kernel answered ([`Outcome`]). Times and ids come from the
//! recording, never from the reader's clock, so that a replay sees exactly what the run saw.
//!
//! Names are [`Bytes`]: they were chosen by the image, and stay bytes until a report escapes them.
//!
//! Not here: how events are made ([`crate::normalise`]) and written down ([`crate::report`]).
//! This module names nothing else of the crate.

mod call;
mod file;
mod kept;
mod kernel;
mod memory;
mod net;
mod option;
mod process;
mod provoke;
mod world;

use std::sync::Arc;
use std::time::Duration;

pub use call::Call;
pub use file::{File, FileAct, FileChange, FileKind, Inode, OpenMode, Origin};
pub use kept::{Kept, Why};
pub use kernel::{KernelAct, Mismatch};
pub use memory::{MemoryAct, Region};
pub use net::{DnsAct, Endpoint, NetAct, NetAction, Protocol, Question};
pub use option::option_name;
pub use process::{
    Ancestor, Capabilities, Credentials, DupSource, Executable, Ids, Process, ProcessAct, ProcessCall,
    ProcessKey, Program, ProgramId, Relation, Target,
};
pub use provoke::{Errand, Purpose, Visit};
pub use world::{BaitAct, Carrier, CommandAct, DnsAnswer, Flow, Handshake, HttpAct, StreamAct, TlsAct};

/// A name, path, argument or other text that comes from the kernel or the image: any bytes at all.
pub type Bytes = Arc<[u8]>;

/// The place of an event in its recording, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: EventId,
    /// Since time zero, the first successful exec of the image's own program.
    pub at: Duration,
    pub phase: Phase,
    /// Who did it. Of the sandbox's own events: whom it concerns; `None` for the most.
    pub process: Option<Process>,
    pub act: Act,
    pub outcome: Outcome,
    /// How many identical acts this event stands for; at least 1.
    pub count: u64,
    /// A string in it was longer than the probe's bound.
    pub cut: bool,
}

/// What was done. Each variant is one `category` of the rule language.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A program began to run: the [`Event::process`] already shows the new program.
    Exec(Exec),
    Process(ProcessAct),
    Memory(MemoryAct),
    File(FileAct),
    Net(NetAct),
    Dns(DnsAct),
    DnsAnswer(DnsAnswer),
    Http(HttpAct),
    Tls(TlsAct),
    Command(CommandAct),
    Stream(StreamAct),
    Bait(BaitAct),
    Kernel(KernelAct),
    /// A system call was refused (EPERM, EACCES, ENOSYS) that none of the other categories describes.
    Denied(Call),
    Sandbox(SandboxAct),
}

/// A program began to run, or was asked to and could not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exec {
    /// The name as the program passed it to execve(2), unresolved.
    pub asked: Bytes,
    /// Environment, `NAME=value` each, as the kernel laid it out for the new program.
    pub env: Vec<Bytes>,
    /// Of the program that began to run.
    pub capabilities: Option<Capabilities>,
}

/// What the sandbox itself did or noticed.
#[derive(Clone, Debug, PartialEq)]
pub enum SandboxAct {
    /// A new phase of the run began; [`Event::phase`] already shows it.
    Phase,
    /// A limit was reached: `memory`, `pids`, `stdout`, `stderr`, `disk`, `log`, …
    Limit { name: String },
    /// The workload stood still for this long, so that nothing was lost.
    Held { time: Duration },
    /// The sleep of [`Event::process`] was cut short by this much; [`Event::count`] sleeps together.
    Skipped { time: Duration },
    /// A port of the image's was called at.
    Visited(Visit),
    /// A command was run inside, and has ended; [`Event::process`] is its process.
    Ran(Errand),
    /// The content of a file of the run was put away; [`Event::process`] wrote it, or mapped it.
    Kept(Kept),
    /// This many records of a family were lost.
    Lost { family: Family, records: u64 },
}

impl Act {
    /// The flow in which something was said to the world.
    pub fn flow(&self) -> Option<&Flow> {
        match self {
            Act::DnsAnswer(act) => Some(&act.flow),
            Act::Http(act) => Some(&act.flow),
            Act::Tls(act) => Some(&act.flow),
            Act::Command(act) => Some(&act.flow),
            Act::Stream(act) => Some(&act.flow),
            Act::Bait(act) => Some(&act.flow),
            _ => None,
        }
    }
}

/// How the kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The call failed with this errno.
    Failed(i32),
    /// The call had not returned when its thread, or the run, ended.
    Unfinished,
}

impl Outcome {
    /// True where the act took effect, or is still under way (`EINPROGRESS` of a connect is `Done`).
    pub fn is_done(self) -> bool {
        self == Outcome::Done
    }
}

/// What the runner was doing with the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before the image's first program ran.
    #[default]
    Setup,
    Start,
    Probe,
    Idle,
    /// Asked to end, not yet ended.
    Stop,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 5] = [Phase::Setup, Phase::Start, Phase::Probe, Phase::Idle, Phase::Stop];

    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Setup => "setup",
            Phase::Start => "start",
            Phase::Probe => "probe",
            Phase::Idle => "idle",
            Phase::Stop => "stop",
        }
    }
}

/// A kind of act that can be seen as a whole or not at all; the unit of `coverage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    Process,
    Memory,
    File,
    /// Sockets and connections; not their content.
    Network,
    Dns,
    Http,
    Tls,
    Kernel,
    Sandbox,
}

impl Family {
    /// Every family, in the order of reports.
    pub const ALL: [Family; 9] = [
        Family::Process,
        Family::Memory,
        Family::File,
        Family::Network,
        Family::Dns,
        Family::Http,
        Family::Tls,
        Family::Kernel,
        Family::Sandbox,
    ];

    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Family::Process => "process",
            Family::Memory => "memory",
            Family::File => "file",
            Family::Network => "network",
            Family::Dns => "dns",
            Family::Http => "http",
            Family::Tls => "tls",
            Family::Kernel => "kernel",
            Family::Sandbox => "sandbox",
        }
    }

    /// The family of this name.
    pub fn parse(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }
}
