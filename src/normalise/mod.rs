//! Joins [`Record`]s into [`Event`]s: lineage, paths, sockets, names, and which layer a file came from.
//!
//! Pure: it asks the image only through [`Provenance`], and takes every time from the records.
//!
//! Acts of the sandbox's own init, and of a child of it that is not yet a program of the image, are
//! not the image's and make no events. What cannot be joined (a process whose fork was never seen) is
//! kept, marked, and counted in [`Gaps`].

mod act;
mod alias;
mod call;
mod change;
/// Public for the fuzzer alone.
#[doc(hidden)]
pub mod dns;
mod flows;
mod inferred;
mod lineage;
mod mismatch;
mod net;
mod origin;
mod pace;
mod pending;
mod resolve;
mod standing;
mod supplied;
mod syscall;
#[cfg(test)]
mod tests;
mod uring;
mod world;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{
    Act, BaitAct, Bytes, Endpoint, Event, EventId, Exec, Executable, File, KernelAct, NetAct, NetAction,
    Outcome, Phase, Process, ProcessAct, ProcessCall, Program, SandboxAct,
};
use crate::record::{self, Body, KernelFile, PathArgument, Record, Task};

pub use flows::SLACK;
pub use world::WorldLosses;

use alias::Aliases;
use flows::Flows;
use lineage::{Lineage, key};
use origin::Origins;
use pace::Pace;
use pending::{Pending, is_interrupted};
use resolve::{Last, Names};
pub use standing::{Standing, Waiting};

/// What only the unpacked image and the writable layer can tell. The paths are the kernel's own.
pub trait Provenance {
    /// The layer that supplies this path in the image, counted from 0 at the bottom.
    fn layer_of(&mut self, path: &[u8]) -> Option<u16>;
    /// What the image has at this path, no link followed.
    fn entry_at(&mut self, path: &[u8]) -> ImageEntry;
    /// The sha256 of the content that began to run, where it is known.
    fn digest_of(&mut self, file: &File, start: Start) -> Option<[u8; 32]>;
    /// The files that the sandbox planted before the start. Asked once.
    fn supplied(&self) -> Vec<Supplied> {
        Vec::new()
    }
}

/// A file that stood there before the image's first program ran, and is not the image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supplied {
    pub path: Vec<u8>,
    /// Its number on the sandbox's root file system.
    pub inode: u64,
    /// The bait in it.
    pub bait: Option<Bytes>,
}

/// The moment at which a program began to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Thread group, in the initial pid namespace.
    pub pid: u32,
    /// `CLOCK_BOOTTIME` nanoseconds.
    pub time: u64,
}

/// What stands at a path of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageEntry {
    Absent,
    /// A symbolic link, with its text.
    Link(Vec<u8>),
    Directory,
    Other,
}

/// What could not be joined; each ends in the report's coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Processes that acted, but whose beginning was not seen.
    pub strangers: u64,
    /// Records that no decoder could read.
    pub unreadable: u64,
    /// Names that led through what is not known: another process's descriptors, links without end, and
    /// links that there was no room for.
    pub unresolved: u64,
    /// Testimony of the world about flows that nobody was seen opening.
    pub unjoined: u64,
    /// What the world itself could not take or tell.
    pub world: WorldLosses,
}

/// Turns the records of one run, in order of time, into its events.
pub struct Normaliser<P> {
    provenance: P,
    lineage: Lineage,
    origins: Origins,
    names: Names,
    aliases: Aliases,
    flows: Flows,
    pace: Pace,
    world_losses: WorldLosses,
    unresolved: u64,
    /// Whether the sandbox's own filter refuses a call: number, 32-bit entry, arguments.
    filter: fn(u32, bool, &[u64; 6]) -> bool,
    /// The kernel does not tell which capability a call asked for.
    infers: bool,
    /// The sandbox's own group in each hierarchy.
    groups: Vec<(u32, Vec<u8>)>,
    zero: Option<u64>,
    phase: Phase,
    last_event: u64,
    unreadable: u64,
    /// The record at hand repeats one that was taken in: another file may stand at its name by now.
    repeats: bool,
    pending: Pending,
    /// Events that a record brought beside its own.
    aside: VecDeque<Event>,
}

impl<P: Provenance> Normaliser<P> {
    /// `id_base`: the host's id for the container's root. `init_pid`: the sandbox's own first process, by
    /// its pid on the host.
    pub fn new(provenance: P, id_base: u32, init_pid: u32) -> Normaliser<P> {
        let origins = Origins::new(provenance.supplied());
        Normaliser {
            provenance,
            lineage: Lineage::new(id_base, init_pid),
            origins,
            names: Names::new(),
            aliases: Aliases::default(),
            flows: Flows::new(),
            pace: Pace::default(),
            world_losses: WorldLosses::default(),
            unresolved: 0,
            filter: |_, _, _| false,
            infers: false,
            groups: Vec::new(),
            zero: None,
            phase: Phase::Setup,
            last_event: 0,
            unreadable: 0,
            repeats: false,
            pending: Pending::default(),
            aside: VecDeque::new(),
        }
    }

    /// Tells calls that the sandbox's own filter refuses from those that the kernel refuses. `filter`: by
    /// number, 32-bit entry, and arguments.
    #[must_use]
    pub fn with_filter(self, filter: fn(u32, bool, &[u64; 6]) -> bool) -> Normaliser<P> {
        Normaliser { filter, ..self }
    }

    /// For a kernel that does not tell which capability a call asked for and did not have: it is inferred from
    /// the refusal, and marked.
    #[must_use]
    pub fn with_inferred_capabilities(self) -> Normaliser<P> {
        Normaliser { infers: true, ..self }
    }

    /// The sandbox's own cgroups by the number of their hierarchy: a move below one of them leaves nothing.
    #[must_use]
    pub fn with_groups(self, groups: Vec<(u32, Vec<u8>)>) -> Normaliser<P> {
        Normaliser { groups, ..self }
    }

    fn stays(&self, hierarchy: u32, cgroup: &[u8]) -> bool {
        let mut own = self.groups.iter().filter(|(number, _)| *number == hierarchy);
        own.any(|(_, own)| own.len() > 1 && matches!(cgroup.strip_prefix(&own[..]), Some([] | [b'/', ..])))
    }

    /// True once a program of the image has run.
    pub fn has_started(&self) -> bool {
        self.zero.is_some()
    }

    /// Time zero on the clock of the records (`CLOCK_BOOTTIME` nanoseconds), once known.
    pub fn zero(&self) -> Option<u64> {
        self.zero
    }

    /// What could not be told so far.
    pub fn gaps(&self) -> Gaps {
        let unresolved = self.unresolved + self.names.forgotten + self.aliases.forgotten;
        Gaps {
            strangers: self.lineage.strangers,
            unreadable: self.unreadable,
            unresolved,
            unjoined: self.flows.unjoined,
            world: self.world_losses,
        }
    }

    /// Who is asked about the image.
    pub fn provenance(&self) -> &P {
        &self.provenance
    }

    /// Begins a phase; what follows belongs to it.
    pub fn enter(&mut self, phase: Phase, time: u64) -> Event {
        self.phase = phase;
        self.note(SandboxAct::Phase, time)
    }

    /// An event of the sandbox's own.
    pub fn note(&mut self, act: SandboxAct, time: u64) -> Event {
        self.event(None, time, Act::Sandbox(act), Outcome::Done)
    }

    /// The secret of a bait in what a port of the image's answered: whoever serves it, it was handed out.
    pub fn handed(&mut self, act: BaitAct, time: u64) -> Event {
        self.event(None, time, Act::Bait(act), Outcome::Done)
    }

    /// The same, about the process that is, or was last, known by the pid of `task`.
    pub fn note_of(&mut self, task: Task, act: SandboxAct, time: u64, count: u64) -> Event {
        let process = self.lineage.under(task);
        if let (SandboxAct::Skipped { time: slept }, Some(process)) = (&act, &process) {
            // Sleeps to a point in time do not tell how long they are; what was skipped of them does.
            let (parent, slept) = (self.lineage.parent(process.key), slept.as_nanos());
            self.pace.slept(process.key, parent, u64::try_from(slept).unwrap_or(u64::MAX), time);
        }
        let event = self.event(process, time, Act::Sandbox(act), Outcome::Done);
        Event { count: count.max(1), ..event }
    }

    /// The event that a record tells of; `None` where it is our own, or only bookkeeping, or not decided
    /// yet. More may stand [aside](Normaliser::take_aside).
    pub fn observe(&mut self, record: Record) -> Option<Event> {
        let (count, cut, tid) = (record.count, record.cut, record.task.tid);
        let ended = matches!(record.body, Body::Exit { .. }).then_some(record.task.pid);
        let (time, interrupted) = (record.time, record.body.result().is_some_and(is_interrupted));
        let event = self.event_of(record);
        let event = event.map(|event| Event { count: count.max(1), cut, ..event });
        if let Some(pid) = ended {
            let unfinished = self.pending.ended(pid);
            self.put_aside(unfinished, time);
        }
        let event = event?;
        if let Some(act) = self.returned(&event, time) {
            self.put_aside([Event { act, ..event.clone() }], time);
        }
        if let (Act::File(act), Outcome::Done) = (&event.act, event.outcome)
            && let Some(act) = self.by_other_name(act)
        {
            self.put_aside([Event { act: Act::File(act), ..event.clone() }], time);
        }
        if !interrupted {
            let before = if self.pending.is_empty() { None } else { self.pending.went_on(tid, &event.act) };
            self.put_aside(before, time);
            return Some(event);
        }
        let event = Event { outcome: Outcome::Unfinished, ..event };
        let before = self.pending.keep(tid, event);
        self.put_aside(before, time);
        None
    }

    /// That the far end which an event reaches was reached anew after a pause.
    fn returned(&mut self, event: &Event, time: u64) -> Option<Act> {
        self.pace.tick(time);
        let process = event.process.as_ref()?.key;
        match &event.act {
            Act::Process(ProcessAct::Call { what: ProcessCall::Sleep, call }) => {
                self.pace.slept(process, self.lineage.parent(process), call.detail, time);
                None
            }
            Act::Net(act) if matches!(act.action, NetAction::Connect | NetAction::Send) => {
                let Some(Endpoint::Inet(far)) = act.remote else { return None };
                let kin = self.lineage.line(process);
                let times = self.pace.reached(far, act.name.as_ref(), kin, time)?;
                let action = NetAction::Return { times };
                Some(Act::Net(NetAct { action, local: None, ..act.clone() }))
            }
            _ => None,
        }
    }

    /// The next event that the last record brought beside its own, in their order.
    pub fn take_aside(&mut self) -> Option<Event> {
        self.aside.pop_front()
    }

    /// Decides what is left when no record can follow: calls that never returned. They stand aside.
    pub fn finish(&mut self, time: u64) {
        let unfinished = self.pending.take();
        self.put_aside(unfinished, time);
    }

    /// Told now, whenever it was.
    fn put_aside(&mut self, events: impl IntoIterator<Item = Event>, time: u64) {
        for event in events {
            let now = self.event(event.process, time, event.act, event.outcome);
            self.aside.push_back(Event { count: event.count, cut: event.cut, ..now });
        }
    }

    fn event_of(&mut self, record: Record) -> Option<Event> {
        let Record { time, task, body, cut, count, again } = record;
        self.repeats = again;
        self.learn(time, &task, count, &body);
        match body {
            Body::Unreadable { .. } => {
                self.unreadable += 1;
                None
            }
            Body::Exec { exe, asked, interpreter, argv, env, cwd, comm, tty, capabilities } => {
                let seen = Seen { exe, asked, interpreter, argv, env, cwd, comm, tty, capabilities, cut };
                Some(self.exec(time, &task, seen))
            }
            Body::Fork { child } => self.fork(time, &task, &child),
            Body::Exit { status } => self.exit(time, &task, status),
            Body::Moved { hierarchy, ref cgroup, .. } if self.stays(hierarchy, cgroup) => None,
            Body::Moved { pid, start, hierarchy, cgroup } => {
                let moved = Task { pid, start, ..task };
                let process = self.lineage.process(&moved);
                let act = KernelAct::Moved { hierarchy, cgroup: cgroup.into() };
                Some(self.event(Some(process), time, Act::Kernel(act), Outcome::Done))
            }
            Body::Flow { socket, local, remote, sent, received } => {
                let process = self.lineage.remembered(&task)?;
                let act = self.net(NetAction::Close { sent, received }, &socket, &local, &remote);
                Some(self.event(Some(process), time, act, Outcome::Done))
            }
            Body::Settled { socket, local, remote, error } => {
                let process = self.lineage.remembered(&task)?;
                let act = self.net(NetAction::Settle, &socket, &local, &remote);
                let outcome = error.map_or(Outcome::Done, Outcome::Failed);
                Some(self.event(Some(process), time, act, outcome))
            }
            Body::Source { .. } => None,
            _ if self.lineage.is_own(&task) => None,
            Body::Open { ref file, flags, passed: Some(ref passed), .. } => {
                let mismatch = self.other_file(passed, file, flags, task.inner_pid);
                let (act, outcome) = self.act(&task, body)?;
                let process = self.lineage.process(&task);
                let event = self.event(Some(process.clone()), time, act, outcome);
                if let Some(act) = mismatch {
                    let mismatch = self.event(Some(process), time, Act::Kernel(act), Outcome::Done);
                    self.aside.push_back(mismatch);
                }
                Some(event)
            }
            body => {
                let (act, outcome) = self.act(&task, body)?;
                let process = self.lineage.process(&task);
                Some(self.event(Some(process), time, act, outcome))
            }
        }
    }

    fn event(&mut self, process: Option<Process>, time: u64, act: Act, outcome: Outcome) -> Event {
        self.last_event += 1;
        let since = time.saturating_sub(self.zero.unwrap_or(time));
        Event {
            id: EventId(self.last_event),
            at: Duration::from_nanos(since),
            phase: self.phase,
            process,
            act,
            outcome,
            count: 1,
            cut: false,
        }
    }

    fn exec(&mut self, time: u64, task: &Task, seen: Seen) -> Event {
        self.zero.get_or_insert(time);
        let exe = Arc::new(self.executable(&seen, Start { pid: task.pid, time }, task.inner_pid));
        let program = |id| Program {
            id,
            exe,
            argv: strings(&seen.argv).into(),
            argv_cut: seen.cut,
            cwd: Bytes::from(seen.cwd.as_slice()),
            comm: Bytes::from(seen.comm.as_slice()),
            tty: seen.tty,
            lineage: Arc::from([]),
            lineage_cut: false,
        };
        let process = self.lineage.executed(task, program);
        let capabilities = Some(call::capabilities(seen.capabilities));
        let act = Act::Exec(Exec { asked: seen.asked.into(), env: strings(&seen.env), capabilities });
        self.event(Some(process), time, act, Outcome::Done)
    }

    fn executable(&mut self, seen: &Seen, start: Start, pid: u32) -> Executable {
        let file = self.kernel_file(&seen.exe);
        let sha256 = self.provenance.digest_of(&file, start);
        // bprm->interp differs from bprm->filename only where a script or binfmt took over.
        let is_script = !seen.interpreter.is_empty() && seen.interpreter != seen.asked;
        let script = is_script.then(|| {
            let (text, base) = (seen.asked.clone(), seen.cwd.clone());
            self.argument(
                &PathArgument { text, cwd: base.clone(), base, ..PathArgument::default() },
                Last::Follow,
                pid,
            )
        });
        let script_sha256 = script.as_ref().and_then(|script| self.provenance.digest_of(script, start));
        Executable { file, sha256, deleted: seen.exe.unlinked, script, script_sha256 }
    }

    fn fork(&mut self, time: u64, task: &Task, child: &Task) -> Option<Event> {
        let own = self.lineage.is_own(task);
        self.lineage.forked(task, child);
        if own {
            return None;
        }
        let process = self.lineage.process(task);
        let act = ProcessAct::Fork { child: key(child), child_pid: child.inner_pid };
        Some(self.event(Some(process), time, Act::Process(act), Outcome::Done))
    }

    fn exit(&mut self, time: u64, task: &Task, status: u32) -> Option<Event> {
        let own = self.lineage.is_own(task);
        let process = self.lineage.process(task);
        self.lineage.exited(task);
        if own {
            return None;
        }
        let act = ProcessAct::Exit { code: (status >> 8) as u8, signal: (status & 0x7f) as u8 };
        Some(self.event(Some(process), time, Act::Process(act), Outcome::Done))
    }
}

/// The parts of an exec record.
struct Seen {
    exe: KernelFile,
    asked: Vec<u8>,
    interpreter: Vec<u8>,
    argv: Vec<u8>,
    env: Vec<u8>,
    cwd: Vec<u8>,
    comm: Vec<u8>,
    tty: bool,
    capabilities: record::Capabilities,
    cut: bool,
}

/// A return value as an outcome: only -4095 to -1 are errors (include/linux/err.h, `MAX_ERRNO`). A call
/// that a signal interrupts leaves the kernel with one of its own numbers, which no program sees
/// (include/linux/errno.h, `ERESTARTSYS` to `ERESTART_RESTARTBLOCK`): so do those that the end of the run
/// finds under way.
fn outcome(result: i64) -> Outcome {
    const EINTR: i32 = 4;
    match result {
        -516..=-512 => Outcome::Failed(EINTR),
        -4095..=-1 => Outcome::Failed(-result as i32),
        _ => Outcome::Done,
    }
}

/// A call that is under way was made all the same: a connect that does not block, and whatever was
/// handed to io_uring, whose end is not seen.
fn begun(result: i64) -> Outcome {
    const EINPROGRESS: i64 = 115;
    if result == -EINPROGRESS { Outcome::Done } else { outcome(result) }
}

/// Splits what the kernel laid out with a NUL byte behind each string.
fn strings(block: &[u8]) -> Vec<Bytes> {
    let Some(body) = block.strip_suffix(&[0]).or((!block.is_empty()).then_some(block)) else {
        return Vec::new();
    };
    body.split(|&b| b == 0).map(Bytes::from).collect()
}
