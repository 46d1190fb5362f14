//! The loop of a run: drain, read, wait, until nothing is left or the time is up.
//!
//! One thread, because the kernel's parent-death signal of the sandbox is tied to it. Nothing here
//! waits for the workload without a bound.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::output::{Output, Turn};
use super::outside::Outside;
use super::provoke::{News as Provoked, Provocation};
use super::recorder::Recorder;
use super::signals::Signals;
use super::standing;
use super::waiting;
use super::{News, PipelineError};
use crate::event::{Phase, SandboxAct};
use crate::internet::process::Leaving;
use crate::report::document::{Coverage, Exit, ExitReason, Run};
use crate::sandbox::visit::Visitor;
use crate::sandbox::{DISK_FLOOR, DiskMeter, DiskUse, Remains, RunningSandbox, SandboxError, Status};
use crate::sys::process;
use crate::trace::{Drained, Watch};

/// What a ring does not ask for, the timer drains.
const TICK: Duration = Duration::from_millis(100);
/// How long the last tasks may take to be gone after the kill.
const KILL_GRACE: Duration = Duration::from_secs(10);
/// How often the writable layer is measured, and for how long at once: records come meanwhile.
const DISK_TURN: Duration = Duration::from_millis(500);
const DISK_TIME: Duration = Duration::from_millis(20);
/// For the last look, when no more records come.
const LAST_DISK_TIME: Duration = Duration::from_millis(500);

/// When a run has to end.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub duration: Duration,
    pub stop_grace: Duration,
    /// Of the writable layer.
    pub disk: DiskUse,
}

/// Both outputs of the image.
pub struct Ended {
    pub stdout: Output<File>,
    pub stderr: Output<File>,
}

/// A run that is over.
pub struct Watched<'j> {
    pub recorder: Recorder<'j>,
    pub run: Run,
    pub coverage: Vec<Coverage>,
    pub remains: Result<Remains, SandboxError>,
    /// The internet, which need not be waited for before the last step.
    pub leaving: Option<Leaving>,
}

/// Watches a started sandbox to its end.
pub fn watch<'j>(
    sandbox: RunningSandbox,
    ears: (Watch, Outside),
    recorder: Recorder<'j>,
    output: Ended,
    plan: (Bounds, Provocation),
    signals: &Signals,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Watched<'j>, PipelineError> {
    let mut turning = Turning::new(sandbox, ears, recorder, output, plan, tell);
    let turned = turning.turn_until_gone(signals);
    turning.end(turned)
}

struct Turning<'j, 't> {
    sandbox: RunningSandbox,
    watch: Watch,
    outside: Outside,
    recorder: Recorder<'j>,
    output: Ended,
    bounds: Bounds,
    provocation: Provocation,
    /// When the image's first program was seen to run.
    began: Option<Instant>,
    tell: &'t mut dyn FnMut(News<'_>),
    clock: Clock,
    exit: Exit,
    reason: Option<ExitReason>,
    limits: Vec<String>,
    /// The image's first program was refused before it ran.
    refused: Option<crate::sandbox::Refusal>,
    /// No task is left.
    empty: bool,
    meter: DiskMeter,
    next_disk: Instant,
}

/// The times of a run. The time a workload is held does not count against it, up to as much again: who
/// keeps us reading does not stay for ever.
struct Clock {
    start: Instant,
    held: Duration,
    stopping: Option<Instant>,
    killed: Option<Instant>,
}

impl Clock {
    fn deadline(&self, bounds: &Bounds) -> Instant {
        match (self.killed, self.stopping) {
            (Some(killed), _) => killed + KILL_GRACE,
            (None, Some(stopping)) => stopping + bounds.stop_grace + self.held.min(bounds.stop_grace),
            (None, None) => self.start + bounds.duration + self.held.min(bounds.duration),
        }
    }
}

impl<'j, 't> Turning<'j, 't> {
    fn new(
        sandbox: RunningSandbox,
        (watch, outside): (Watch, Outside),
        mut recorder: Recorder<'j>,
        output: Ended,
        (bounds, provocation): (Bounds, Provocation),
        tell: &'t mut dyn FnMut(News<'_>),
    ) -> Turning<'j, 't> {
        let now = Instant::now();
        if outside.is_simulated() {
            recorder.listen();
        }
        recorder.losses.narrowness = outside.narrowness();
        Turning {
            meter: sandbox.disk_meter(),
            sandbox,
            watch,
            outside,
            recorder,
            output,
            bounds,
            provocation,
            began: None,
            tell,
            clock: Clock { start: now, held: Duration::ZERO, stopping: None, killed: None },
            exit: Exit::default(),
            reason: None,
            limits: Vec::new(),
            refused: None,
            empty: false,
            next_disk: now + DISK_TURN,
        }
    }

    /// Turns until every task is gone, or a signal to lazaret itself ends it before.
    fn turn_until_gone(&mut self, signals: &Signals) -> Result<(), PipelineError> {
        // Who empties the rings must not wait for those who fill them. Where that is not allowed, it does.
        let nice = process::raise_priority();
        let turned = self.turn_all(signals);
        if let Ok(nice) = nice {
            let _ = process::set_priority(nice);
        }
        turned
    }

    fn turn_all(&mut self, signals: &Signals) -> Result<(), PipelineError> {
        while !self.empty {
            self.wait(signals)?;
            // First, so that the records of its time come after it and let it through.
            self.recorder.hear(self.outside.read());
            self.drain()?;
            self.recorder.skipped(self.sandbox.skips(), self.tell)?;
            self.read_output()?;
            self.read_status()?;
            self.provoke()?;
            self.check_limits()?;
            self.check_time()?;
            self.show();
        }
        Ok(())
    }

    /// Waits for anything to happen, a tick at most.
    fn wait(&mut self, signals: &Signals) -> Result<(), PipelineError> {
        let left = self.clock.deadline(&self.bounds).saturating_duration_since(Instant::now());
        let tick = PollTimeout::try_from(TICK.min(left)).unwrap_or(PollTimeout::ZERO);
        let [critical, bulk] = self.watch.fds();
        let mut ears = vec![critical, bulk, self.sandbox.status_fd(), signals.fd()];
        ears.extend(self.provocation.visitor().map(Visitor::fd));
        ears.extend(self.outside.fd());
        let outputs = [&self.output.stdout, &self.output.stderr];
        ears.extend(
            outputs.into_iter().filter(|output| output.is_open()).map(|output| output.source().as_fd()),
        );
        let mut ears: Vec<PollFd<'_>> =
            ears.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut ears, tick) {
            Ok(_) | Err(Errno::EINTR) => signals.check(),
            Err(errno) => Err(PipelineError::io("wait for the sandbox")(errno.into())),
        }
    }

    /// Drains the rings; above their mark, with the workload held, so that nothing is lost.
    fn drain(&mut self) -> Result<(), PipelineError> {
        let fill = self.watch.fill();
        if !(fill.critical.is_above_mark() || fill.bulk.is_above_mark()) {
            return self.drain_once().map(drop);
        }
        let since = Instant::now();
        (self.tell)(News::Held);
        self.sandbox.hold()?;
        // A hold takes up to 40 ms to reach every task, and records go on coming meanwhile. It ends
        // when a drain finds little, whatever the group says of itself.
        let drained = self.drain_until_low();
        self.sandbox.release()?;
        drained?;
        let time = since.elapsed();
        self.clock.held += time;
        self.recorder.note(SandboxAct::Held { time }, self.tell)
    }

    fn drain_until_low(&mut self) -> Result<(), PipelineError> {
        const FEW: u64 = 64;
        let until = Instant::now() + Duration::from_secs(10);
        while self.drain_once()?.records > FEW && Instant::now() < until {}
        Ok(())
    }

    fn drain_once(&mut self) -> Result<Drained, PipelineError> {
        let recorder = &mut self.recorder;
        let drained = self.watch.drain(&mut |bytes| recorder.push(bytes));
        self.recorder.advance(drained, self.tell)?;
        Ok(drained)
    }

    fn read_output(&mut self) -> Result<(), PipelineError> {
        for (name, output) in [("stdout", &mut self.output.stdout), ("stderr", &mut self.output.stderr)] {
            if output.is_open() {
                let _: Turn = output.drain().map_err(PipelineError::io("keep the image's output"))?;
            }
            if output.is_cut() && !self.limits.iter().any(|limit| limit == name) {
                self.limits.push(name.into());
                self.recorder.note(SandboxAct::Limit { name: name.into() }, self.tell)?;
            }
        }
        Ok(())
    }

    fn read_status(&mut self) -> Result<(), PipelineError> {
        loop {
            let status = self.sandbox.next_status();
            match status.map_err(PipelineError::io("hear from the sandbox's init"))? {
                None => return Ok(()),
                Some(Status::Started { .. } | Status::Heard) => {}
                Some(Status::ProgramExited { code, signal }) => self.exit = exit(code, signal),
                Some(Status::Refused(refusal)) => self.refused = Some(refusal),
                Some(Status::ErrandStarted { pid, .. }) => self.provocation.started(pid),
                Some(Status::ErrandEnded { errand, code, signal }) => {
                    if let Some(news) = self.provocation.ended(errand, code, signal) {
                        self.record(news)?;
                    }
                }
                Some(Status::Empty) => {
                    self.reason.get_or_insert(ExitReason::Exited);
                }
                Some(Status::Failed { step, detail }) => {
                    return Err(SandboxError::Cage { step, detail }.into());
                }
                Some(Status::Unreadable) => {
                    return Err(SandboxError::Lost { what: "init said what we cannot read" }.into());
                }
                Some(Status::Gone) => {
                    self.empty = true;
                    return Ok(());
                }
            }
        }
    }

    /// Moves the provocation on, until the image is asked to stop.
    fn provoke(&mut self) -> Result<(), PipelineError> {
        if self.clock.stopping.is_some() || self.clock.killed.is_some() || !self.recorder.has_started() {
            return Ok(());
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let mut news = Vec::new();
        self.provocation.turn(began, &mut self.recorder.doors, &self.sandbox, &mut news)?;
        news.into_iter().try_for_each(|news| self.record(news))
    }

    fn record(&mut self, news: Provoked) -> Result<(), PipelineError> {
        match news {
            Provoked::Enter(phase) => self.recorder.enter(phase, self.tell),
            Provoked::Visited(visit) => self.recorder.visited(visit, self.tell),
            Provoked::Ran(errand, pid) => self.recorder.ran(errand, pid, self.tell),
        }
    }

    fn check_limits(&mut self) -> Result<(), PipelineError> {
        let now = Instant::now();
        if self.clock.killed.is_some() || (now < self.next_disk && !self.meter.is_walking()) {
            return Ok(());
        }
        self.next_disk = now + DISK_TURN;
        let bound = self.bounds.disk;
        let used = self.sandbox.measure_disk(&mut self.meter, bound, now + DISK_TIME);
        let room = self.sandbox.disk_room().map_err(PipelineError::io("look at the disk's room"))?;
        let over = [
            (used.bytes > bound.bytes || room.bytes < DISK_FLOOR.bytes, "disk"),
            (used.entries > bound.entries || room.entries < DISK_FLOOR.entries, "disk_files"),
        ];
        for (_, name) in over.into_iter().filter(|(over, _)| *over) {
            self.limit(name)?;
            self.kill(ExitReason::Limit)?;
        }
        Ok(())
    }

    /// What was written since the last turn, and by a run that was over before the first.
    fn fills_the_disk(&mut self) -> Vec<&'static str> {
        let bound = self.bounds.disk;
        let used = self.sandbox.measure_disk(&mut self.meter, bound, Instant::now() + LAST_DISK_TIME);
        let over = [(used.bytes > bound.bytes, "disk"), (used.entries > bound.entries, "disk_files")];
        over.into_iter().filter(|(over, _)| *over).map(|(_, name)| name).collect()
    }

    fn limit(&mut self, name: &str) -> Result<(), PipelineError> {
        if self.limits.iter().any(|limit| limit == name) {
            return Ok(());
        }
        self.limits.push(name.into());
        self.recorder.note(SandboxAct::Limit { name: name.into() }, self.tell)
    }

    fn check_time(&mut self) -> Result<(), PipelineError> {
        if self.empty || Instant::now() < self.clock.deadline(&self.bounds) {
            return Ok(());
        }
        match (self.clock.stopping, self.clock.killed) {
            (None, None) => self.stop(),
            (Some(_), None) => self.kill(ExitReason::Deadline),
            // The kill reaches every task that can die; what cannot is for the clean-up to name.
            (_, Some(_)) => {
                self.empty = true;
                Ok(())
            }
        }
    }

    fn stop(&mut self) -> Result<(), PipelineError> {
        self.reason.get_or_insert(ExitReason::Deadline);
        self.clock.stopping = Some(Instant::now());
        self.clock.held = Duration::ZERO;
        let waiting = waiting::look(&self.sandbox.target().cgroup);
        self.recorder.waited(waiting, self.tell)?;
        self.recorder.enter(Phase::Stop, self.tell)?;
        Ok(self.sandbox.stop()?)
    }

    fn kill(&mut self, reason: ExitReason) -> Result<(), PipelineError> {
        self.reason.get_or_insert(reason);
        self.clock.killed = Some(Instant::now());
        let stood = standing::look(&self.sandbox.target().cgroup);
        self.recorder.stood(stood, self.tell)?;
        Ok(self.sandbox.kill()?)
    }

    fn show(&mut self) {
        let time = self.clock.start.elapsed();
        let events = self.recorder.events;
        (self.tell)(News::Running {
            time,
            of: self.bounds.duration + self.clock.held.min(self.bounds.duration),
            events,
        });
    }

    /// After the last task, or after a failure: everything that is left is read, then the cage goes.
    fn end(mut self, turned: Result<(), PipelineError>) -> Result<Watched<'j>, PipelineError> {
        let limits = self.sandbox.limits_hit();
        let filled = self.fills_the_disk();
        let skips = self.sandbox.skips();
        let _ = self.sandbox.kill();
        let turned = turned.and_then(|()| self.drain_once().map(drop));
        self.outside.dismiss();
        let remains = self.sandbox.end();
        if let Some(refusal) = self.refused {
            return Err(failed(PipelineError::Refused(refusal), remains));
        }
        if let Err(error) = turned {
            return Err(failed(error, remains));
        }
        let rest = self.outside.stop();
        self.recorder.hear(rest.testimony);
        self.recorder.losses.deaf = rest.fault;
        let captured = (rest.captured.truncated || rest.captured.dropped > 0).then_some("capture");
        let drained = {
            let recorder = &mut self.recorder;
            self.watch.drain_rest(&mut |bytes| recorder.push(bytes))
        };
        self.recorder.advance(drained, self.tell)?;
        self.recorder.finish_stream(self.tell)?;
        self.recorder.finish_skips(skips, self.tell)?;
        self.recorder.finish_kept(self.tell)?;
        for output in [&mut self.output.stdout, &mut self.output.stderr] {
            while output.is_open() && output.drain().is_ok_and(|turn| turn == Turn::More) {}
        }
        let ours = self.recorder.limits_hit()?.into_iter().chain(filled).chain(captured);
        for name in limits.into_iter().map(|hit| hit.name).chain(ours) {
            if !self.limits.iter().any(|limit| limit == name) {
                self.limits.push(name.into());
                self.recorder.note(SandboxAct::Limit { name: name.into() }, self.tell)?;
            }
        }
        for errand in self.provocation.left().collect::<Vec<_>>() {
            self.recorder.ran(errand, 0, self.tell)?;
        }
        self.recorder.lost(&self.watch.losses()?, self.tell)?;
        self.exit.reason = self.reason.unwrap_or_default();
        if self.exit.code.is_none() && self.clock.killed.is_some() {
            // Init died by the same kill, and could not tell.
            self.exit.signal.get_or_insert_with(|| "SIGKILL".into());
        }
        let mut run = self.recorder.run(self.exit, self.limits);
        self.recorder.losses.unvisited = self.provocation.is_blind();
        self.recorder.losses.absent = self.watch.absent().to_vec();
        if let Ok(remains) = &remains {
            self.recorder.compare(&remains.upper(), &mut run);
        }
        let coverage = self.recorder.losses.coverage();
        Ok(Watched { recorder: self.recorder, run, coverage, remains, leaving: rest.leaving })
    }
}

fn exit(code: u8, signal: u8) -> Exit {
    let name = nix::sys::signal::Signal::try_from(i32::from(signal)).ok();
    Exit {
        code: (signal == 0).then_some(i32::from(code)),
        signal: (signal != 0).then(|| name.map_or_else(|| format!("SIG{signal}"), |name| name.to_string())),
        reason: ExitReason::default(),
    }
}

/// The first failure, and a failed clean-up with it.
fn failed(first: PipelineError, remains: Result<Remains, SandboxError>) -> PipelineError {
    match remains.and_then(Remains::remove) {
        Ok(()) => first,
        Err(then) => PipelineError::CleanUp { first: Box::new(first), then },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_time_prolongs_a_run_by_as_much_again_at_most() {
        let start = Instant::now();
        let second = Duration::from_secs;
        let bounds =
            Bounds { duration: second(60), stop_grace: second(10), disk: DiskUse { bytes: 0, entries: 0 } };
        let check = |held: u64, stopping: Option<u64>, killed: Option<u64>, expected: u64| {
            let at = |seconds: u64| start + second(seconds);
            let clock =
                Clock { start, held: second(held), stopping: stopping.map(at), killed: killed.map(at) };
            assert_eq!(clock.deadline(&bounds), start + second(expected), "{held} {stopping:?} {killed:?}");
        };
        check(0, None, None, 60);
        check(20, None, None, 80);
        check(500, None, None, 120);
        check(4, Some(100), None, 114);
        check(500, Some(100), None, 120);
        check(500, Some(100), Some(110), 120);
    }
}
