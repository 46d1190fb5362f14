//! Records on their way through: decoded, joined to events, written to the log, held against rules.

use std::path::Path;
use std::time::Duration;

use super::capture::{Book, Found, Tally, Written};
use super::compare::Before;
use super::coverage::Losses;
use super::handed::Handed;
use super::hearing::Hearing;
use super::judge::Judge;
use super::provenance::Layers;
use super::provoke::Doors;
use super::scribe::{LogFile, Scribe};
use super::skips::Skips;
use super::standing::Stood;
use super::{News, PipelineError};
use crate::bait::Baits;
use crate::event::{
    self, Act, Errand, Event, FileAct, KernelAct, MemoryAct, Origin, Outcome, Phase, ProcessAct, ProcessKey,
    Protocol, SandboxAct,
};
use crate::internet::testimony::Testimony;
use crate::normalise::{Normaliser, Waiting};
use crate::reconcile::Ledger;
use crate::record::{Record, Stream, Task};
use crate::report::document::{
    ARGUMENTS_MAX, Captured, EventCount, Exit, PhaseTime, RanCommand, Recording, Run, TEXT_MAX,
};
use crate::report::escape::short_text;
use crate::report::log::Trailer;
use crate::sandbox::Skip;
use crate::sandbox::visit::{Transport, Visit};
use crate::trace::{Drained, Loss};

/// The kernel's answer to a process with too many open files, errno-base.h.
const EMFILE: i32 = 24;

/// Takes in bytes of the probes, keeps everything that a verdict needs.
pub struct Recorder<'r> {
    stream: Stream,
    normaliser: Normaliser<Layers>,
    log: Scribe,
    pub judge: Judge<'r>,
    pub losses: Losses,
    pub events: u64,
    pub cut: u64,
    /// The ports that the image opens.
    pub doors: Doors,
    commands: Vec<RanCommand>,
    first: FirstProgram,
    out_of_descriptors: bool,
    /// Each phase and when it began.
    phases: Vec<(Phase, u64)>,
    /// On the clock of the records, up to which all is known.
    time: u64,
    held: Duration,
    hearing: Hearing,
    handed: Handed,
    skips: Skips,
    ledger: Ledger,
    /// What was written in the run, held until it is deleted; `None` where this host cannot.
    pub written: Option<Written>,
    /// The writable places before the start.
    before: Before,
}

/// What is known of the image's first program: did it get past its loader?
#[derive(Default)]
struct FirstProgram {
    process: Option<ProcessKey>,
    acted: bool,
}

impl<'r> Recorder<'r> {
    pub fn new(
        normaliser: Normaliser<Layers>,
        log: Scribe,
        judge: Judge<'r>,
        before: Before,
    ) -> Recorder<'r> {
        let mut ledger = Ledger::default();
        before.introduce(normaliser.provenance().rootfs(), &mut ledger);
        Recorder {
            stream: Stream::new(),
            normaliser,
            log,
            judge,
            losses: Losses::default(),
            events: 0,
            cut: 0,
            doors: Doors::default(),
            commands: Vec::new(),
            first: FirstProgram::default(),
            out_of_descriptors: false,
            phases: Vec::new(),
            time: 0,
            held: Duration::ZERO,
            hearing: Hearing::default(),
            handed: Handed::default(),
            skips: Skips::default(),
            ledger,
            written: None,
            before,
        }
    }

    pub fn has_started(&self) -> bool {
        self.normaliser.has_started()
    }

    /// True where the image's first program did more than look for the libraries it needs. A dynamic
    /// loader that finds none opens files, and exits with 127 (elf/dl-error.c of glibc, `dlstart.c` of
    /// musl); a shell ends so too, but has then done something.
    fn entrypoint_ran(&self, exit_code: Option<i32>) -> bool {
        self.has_started() && (self.first.acted || exit_code != Some(127))
    }

    /// Looks for the secrets of these in what the image's ports answer.
    pub fn look_for(&mut self, baits: Baits) {
        self.handed = Handed::new(baits);
    }

    /// Bytes of one record.
    pub fn push(&mut self, bytes: &[u8]) {
        self.stream.push(bytes);
    }

    /// From now on somebody listens to all that is said to the world.
    pub fn listen(&mut self) {
        self.losses.heard = true;
    }

    /// What the world heard. It becomes events when the records of its time are in.
    pub fn hear(&mut self, said: Vec<Testimony>) {
        said.into_iter().for_each(|testimony| self.hearing.push(testimony));
    }

    /// Judges and writes all that a drain has completed.
    pub fn advance(&mut self, drained: Drained, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        let records = self.stream.take(drained.watermark);
        self.take_in(records, tell)?;
        // Only now: what is noted between two records must not be told as later than the second.
        self.time = self.time.max(drained.watermark);
        let found = self.written.as_ref().map(Written::take).unwrap_or_default();
        self.tell_kept(found, tell)?;
        self.take_in_heard(drained.watermark, tell)?;
        Ok(self.log.pass_on()?)
    }

    /// The last contents that are put away, when no task is left.
    pub fn finish_kept(&mut self, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        let mut found = self.written.as_mut().map(Written::finish).unwrap_or_default();
        found.extend(self.normaliser.provenance().book().map(Book::tried).unwrap_or_default());
        self.tell_kept(found, tell)
    }

    fn tell_kept(&mut self, found: Vec<Found>, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        for Found { pid, kept } in found {
            let task = Task { pid, ..Task::default() };
            let event = self.normaliser.note_of(task, SandboxAct::Kept(kept), self.time, 1);
            self.keep(event, tell)?;
        }
        Ok(())
    }

    /// The same for whatever is left at the end.
    pub fn finish_stream(&mut self, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        let records = self.stream.finish();
        self.take_in(records, tell)?;
        self.take_in_heard(u64::MAX, tell)?;
        let rest = self.hearing.rest();
        self.keep_heard(rest, tell)?;
        self.normaliser.finish(self.time);
        self.keep_aside(tell)
    }

    /// Takes in the calls that threads stand in before the kill.
    pub fn stood(&mut self, stood: Stood, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        self.losses.unasked += stood.omitted;
        self.normaliser.stood(stood.calls, self.time);
        self.keep_aside(tell)
    }

    /// Takes in what was still waited for.
    pub fn waited(
        &mut self,
        waiting: Vec<Waiting>,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<(), PipelineError> {
        self.normaliser.waited(waiting, self.time);
        self.keep_aside(tell)
    }

    /// What the last record brought beside its own event.
    fn keep_aside(&mut self, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        while let Some(event) = self.normaliser.take_aside() {
            self.keep(event, tell)?;
        }
        Ok(())
    }

    pub fn enter(&mut self, phase: Phase, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        self.phases.push((phase, self.time));
        let event = self.normaliser.enter(phase, self.time);
        self.keep(event, tell)
    }

    pub fn note(&mut self, act: SandboxAct, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        if let SandboxAct::Held { time } = act {
            self.held += time;
        }
        let event = self.normaliser.note(act, self.time);
        self.keep(event, tell)
    }

    /// A visitor's request, and what came of it.
    pub fn visited(&mut self, visit: Visit, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        let Visit { door, ask, errno, answer, said } = visit;
        let protocol = match door.transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        let (request, answer) = (ask.name().to_owned(), answer.into());
        let visit = event::Visit { request, protocol, remote: door.address, answer, said };
        let handed = self.handed.look(&visit);
        let event = self.normaliser.note(SandboxAct::Visited(visit), self.time);
        let outcome = if errno == 0 { Outcome::Done } else { Outcome::Failed(errno) };
        self.keep(Event { outcome, ..event }, tell)?;
        for act in handed {
            let event = self.normaliser.handed(act, self.time);
            self.keep(event, tell)?;
        }
        Ok(())
    }

    /// A command that was run inside, by its pid on the host, and has ended; pid 0: it never ran.
    pub fn ran(
        &mut self,
        errand: Errand,
        pid: u32,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<(), PipelineError> {
        self.commands.push(ran_command(&errand));
        let task = Task { pid, ..Task::default() };
        let event = self.normaliser.note_of(task, SandboxAct::Ran(errand), self.time, 1);
        self.keep(event, tell)
    }

    /// Takes in sleeps that were skipped.
    pub fn skipped(&mut self, skips: Vec<Skip>, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        self.skips.add(skips);
        self.tell_skips(self.time, tell)
    }

    /// The last of them, when no record comes any more.
    pub fn finish_skips(
        &mut self,
        skips: Vec<Skip>,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<(), PipelineError> {
        self.skips.add(skips);
        self.tell_skips(u64::MAX, tell)
    }

    fn tell_skips(&mut self, until: u64, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        for Skip { pid, ids: [uid, euid, gid, egid], time, sleeps, .. } in self.skips.until(until) {
            let task = Task { pid, uid, euid, gid, egid, ..Task::default() };
            let event = self.normaliser.note_of(task, SandboxAct::Skipped { time }, self.time, sleeps);
            self.keep(event, tell)?;
        }
        Ok(())
    }

    /// How the run went, for the report.
    pub fn run(&self, exit: Exit, limits_hit: Vec<String>) -> Run {
        Run {
            phases: self.phase_times(),
            entrypoint_ran: self.entrypoint_ran(exit.code),
            exit,
            events: EventCount { seen: self.events, lost: self.losses.total(), cut: self.cut, unlogged: 0 },
            recording: Recording::Complete,
            held_seconds: self.held.as_secs_f64(),
            skipped_seconds: self.skips.total.as_secs_f64(),
            limits_hit,
            commands: self.commands.clone(),
            captured: self.captured(),
            ..Run::default()
        }
    }

    fn captured(&self) -> Option<Captured> {
        let layers = self.normaliser.provenance();
        let Tally { mut files, mut bytes, mut omitted } = layers.book()?.tally();
        let others = self.written.as_ref().map(Written::tally);
        for tally in others.into_iter().chain(layers.memory()) {
            (files, bytes, omitted) = (files + tally.files, bytes + tally.bytes, omitted + tally.omitted);
        }
        let missed = self.written.as_ref().map_or(0, Written::missed);
        Some(Captured { files, bytes, omitted, missed })
    }

    fn phase_times(&self) -> Vec<PhaseTime> {
        let ends = self.phases.iter().skip(1).map(|(_, time)| *time).chain([self.time]);
        let time = |((phase, start), end): (&(Phase, u64), u64)| PhaseTime {
            name: phase.name().into(),
            seconds: Duration::from_nanos(end.saturating_sub(*start)).as_secs_f64(),
        };
        self.phases.iter().zip(ends).map(time).collect()
    }

    /// Adds what the probes could not keep; each family is an event of its own.
    pub fn lost(&mut self, losses: &[Loss], tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        for loss in losses {
            *self.losses.records.entry(loss.family).or_default() += loss.records;
        }
        for (family, records) in self.losses.records.clone() {
            self.note(SandboxAct::Lost { family, records }, tell)?;
        }
        let (counters, gaps) = (self.stream.counters(), self.normaliser.gaps());
        self.losses.unreadable = counters.unreadable;
        self.losses.unjoined = counters.orphaned;
        self.losses.strangers = gaps.strangers;
        self.losses.unresolved = gaps.unresolved;
        (self.losses.flows, self.losses.world) = (gaps.unjoined, gaps.world);
        let layers = self.normaliser.provenance();
        self.losses.unhashed = layers.unhashed();
        match layers.book().map(Book::missed) {
            // Said already, with the reason.
            None => {}
            Some(None) => self.losses.capture = "the capture of executed files ended early".into(),
            Some(Some(missed)) => self.losses.uncaptured = missed,
        }
        Ok(())
    }

    /// Ends the log with its trailer, and gives the trailer as it was written.
    pub fn close(self, trailer: Trailer) -> Result<(Judge<'r>, LogFile, Trailer), PipelineError> {
        let (file, trailer) = self.log.end()?.finish(trailer)?;
        Ok((self.judge, file, trailer))
    }

    /// Holds what the run left against its events, once all are read. `upper` is the overlay's writable
    /// directory; no task of the sandbox is left.
    pub fn compare(&mut self, upper: &Path, run: &mut Run) {
        match self.before.compare(upper, self.normaliser.provenance().rootfs(), &self.ledger) {
            Ok(compared) => {
                self.losses.unexplained = compared.visibility.all - compared.visibility.explained;
                run.visibility = Some(compared.visibility);
                (run.unexplained, run.unexplained_omitted) = (compared.unexplained, compared.omitted);
            }
            Err(error) => {
                self.losses.comparison = format!("the changed files could not be compared: {error}");
            }
        }
    }

    fn take_in(&mut self, records: Vec<Record>, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        for record in records {
            self.time = self.time.max(record.time);
            self.take_in_heard(record.time, tell)?;
            let started = self.has_started();
            if let Some(event) = self.normaliser.observe(record) {
                self.first.observe(&event);
                self.keep(event, tell)?;
            }
            self.keep_aside(tell)?;
            if !started && self.has_started() {
                self.enter(Phase::Start, tell)?;
            }
        }
        Ok(())
    }

    /// The testimony before `time`. Before the image's first program ran there was nobody to be heard.
    fn take_in_heard(&mut self, time: u64, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        if !self.has_started() {
            return Ok(());
        }
        let due = self.hearing.due(time, &self.normaliser);
        self.keep_heard(due, tell)
    }

    fn keep_heard(
        &mut self,
        heard: Vec<Testimony>,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<(), PipelineError> {
        for testimony in heard {
            for event in self.normaliser.hear(testimony) {
                self.keep(event, tell)?;
            }
        }
        Ok(())
    }

    /// Limits that show in what was recorded.
    pub fn limits_hit(&mut self) -> Result<Vec<&'static str>, PipelineError> {
        let omitted = self.normaliser.provenance().book().map_or(0, |book| book.tally().omitted);
        let hits = [
            (self.out_of_descriptors, "open_files"),
            (self.log.counters()?.truncated, "event_log"),
            (omitted > 0, "captured_files"),
        ];
        Ok(hits.into_iter().filter(|(hit, _)| *hit).map(|(_, name)| name).collect())
    }

    fn keep(&mut self, event: Event, tell: &mut dyn FnMut(News<'_>)) -> Result<(), PipelineError> {
        self.out_of_descriptors |= event.outcome == Outcome::Failed(EMFILE);
        self.events = self.events.saturating_add(event.count);
        self.ledger.observe(&event);
        self.doors.observe(&event);
        if let (Some(written), Some((pid, file))) = (&self.written, mapped(&event)) {
            written.want(pid, file);
        }
        if event.cut {
            self.count_cut(&event);
        }
        let is_evidence = self.judge.observe(&event, &mut |finding| tell(News::Finding(finding)));
        Ok(self.log.write(event, is_evidence)?)
    }

    fn count_cut(&mut self, event: &Event) {
        self.cut += 1;
        match event.act {
            Act::Exec(_) => self.losses.cut_arguments += 1,
            _ => self.losses.cut_paths += 1,
        }
    }
}

fn ran_command(errand: &Errand) -> RanCommand {
    let Errand { purpose, argv, code, signal, timed_out } = errand;
    let argv = argv.iter().take(ARGUMENTS_MAX).map(|text| short_text(text, TEXT_MAX)).collect();
    let (code, signal, timed_out) = (*code, *signal, *timed_out);
    RanCommand { purpose: purpose.name().into(), argv, code, signal, timed_out }
}

/// A file of the run that was mapped as code, and by whom. What a program maps of its own file was kept
/// when it began to run; by now other bytes may stand there.
fn mapped(event: &Event) -> Option<(u32, &event::File)> {
    let (Act::Memory(MemoryAct::Map(region) | MemoryAct::Protect(region)), Outcome::Done) =
        (&event.act, event.outcome)
    else {
        return None;
    };
    let file = region.file.as_ref().filter(|file| file.origin == Origin::Written)?;
    let process = event.process.as_ref()?;
    let exe = &process.program.exe;
    let is_kept = exe.sha256.is_some() && exe.file.inode == file.inode;
    (!is_kept).then_some((process.key.pid, file))
}

impl FirstProgram {
    fn observe(&mut self, event: &Event) {
        let Some(process) = &event.process else { return };
        let first = *self.process.get_or_insert(process.key);
        self.acted |= process.key != first || is_more_than_loading(event);
    }
}

/// A loader opens and reads; anything else is the program itself.
fn is_more_than_loading(event: &Event) -> bool {
    match &event.act {
        Act::File(FileAct::Open { mode, .. }) => mode.write || mode.created,
        Act::Process(ProcessAct::Exit { .. }) => false,
        Act::Exec(_) => !event.outcome.is_done(),
        // How the kernel is entered, not what for: a 32-bit loader's first call.
        Act::Kernel(KernelAct::Compat(_)) => false,
        _ => true,
    }
}
