//! Writes an event log, within a bound.

use std::collections::HashSet;
use std::io::Write;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::line::{AncestorOut, EventOut, LineOut, ProcessRef, ProgramOut};
use super::text::digest::hex;
use super::{
    Counters, Header, LINE_MAX, LIST_MAX, LogError, PROGRAM_BYTES_MAX, Trailer, VERSION, program_cost,
};
use crate::event::{Act, Ancestor, Event, Outcome, Process, Program};
use crate::report::document::Recording;

/// Bytes for evidence beyond the bound, as a part of the bound.
const EVIDENCE_SHARE: u64 = 4;

/// Writes one event log. Give it a buffered or cheap `Write`: it writes line by line.
pub struct Writer<W: Write> {
    to: W,
    sum: Sha256,
    line: Vec<u8>,
    bound: u64,
    written: u64,
    program_bytes: u64,
    /// Ids of programs whose own line, or whose line as an ancestor, is written.
    programs: HashSet<u32>,
    ancestors: HashSet<u32>,
    counters: Counters,
}

impl<W: Write> Writer<W> {
    /// Begins a log without a bound.
    pub fn new(to: W, header: &Header) -> Result<Self, LogError> {
        Self::with_bound(to, header, u64::MAX)
    }

    /// Begins a log that takes `bound` bytes of events (before compression), and a quarter more of
    /// evidence.
    pub fn with_bound(to: W, header: &Header, bound: u64) -> Result<Self, LogError> {
        let mut writer = Self {
            to,
            sum: Sha256::new(),
            line: Vec::with_capacity(4096),
            bound,
            written: 0,
            program_bytes: 0,
            programs: HashSet::new(),
            ancestors: HashSet::new(),
            counters: Counters::default(),
        };
        writer.fill(&Versioned { version: VERSION, header })?;
        writer.put_line()?;
        Ok(writer)
    }

    /// Writes an event, and its program where that is new. Past the bound: counts it.
    ///
    /// Events come in the order of their ids.
    pub fn write(&mut self, event: &Event) -> Result<(), LogError> {
        if self.counters.truncated || self.written >= self.bound {
            return self.omit();
        }
        self.write_within_lines(event)
    }

    /// Writes an event that a finding rests on: also past the bound, until a quarter of it more.
    pub fn write_evidence(&mut self, event: &Event) -> Result<(), LogError> {
        if self.written >= self.bound.saturating_add(self.bound / EVIDENCE_SHARE) {
            return self.omit();
        }
        self.write_within_lines(event)
    }

    /// What was written up to now.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Ends the log and gives back what it was written to, flushed, and the trailer as it was written:
    /// with the counters, and the `run`'s facts about the recording.
    pub fn finish(mut self, mut trailer: Trailer) -> Result<(W, Trailer), LogError> {
        trailer.counters = self.counters;
        trailer.run.events.unlogged = self.counters.omitted;
        trailer.run.recording =
            if self.counters.truncated { Recording::Truncated } else { Recording::Complete };
        self.fill(&Last { trailer: &trailer })?;
        // The object stays open: the digest covers everything before its last field.
        self.line.pop();
        self.sum.update(&self.line);
        let sum = hex(&self.sum.clone().finalize().into());
        self.line.extend_from_slice(format!(",\"sha256\":\"{sum}\"}}\n").as_bytes());
        self.to.write_all(&self.line).map_err(LogError::Write)?;
        self.to.flush().map_err(LogError::Write)?;
        Ok((self.to, trailer))
    }

    fn omit(&mut self) -> Result<(), LogError> {
        self.counters.truncated = true;
        self.counters.omitted += 1;
        Ok(())
    }

    /// Writes an event, unless a line of it would be longer than a reader takes.
    fn write_within_lines(&mut self, event: &Event) -> Result<(), LogError> {
        if let Some(process) = &event.process
            && !self.write_program(&process.program)?
        {
            return self.omit();
        }
        self.fill(&LineOut::Event(event_out(event)))?;
        let long_list = matches!(&event.act, Act::Exec(exec) if exec.env.len() > LIST_MAX);
        if self.line.len() >= LINE_MAX || long_list {
            return self.omit();
        }
        self.counters.events += 1;
        self.put_line()
    }

    /// True where the program stands in the log now.
    fn write_program(&mut self, program: &Program) -> Result<bool, LogError> {
        if self.programs.contains(&program.id.0) {
            return Ok(true);
        }
        for ancestor in program.lineage.iter() {
            if !self.write_ancestor(ancestor)? {
                return Ok(false);
            }
        }
        self.fill(&LineOut::Program(program_out(program)))?;
        if !self.put_program_line(program.argv.len())? {
            return Ok(false);
        }
        self.programs.insert(program.id.0);
        self.counters.programs += 1;
        Ok(true)
    }

    fn write_ancestor(&mut self, ancestor: &Ancestor) -> Result<bool, LogError> {
        let id = ancestor.id.0;
        if self.programs.contains(&id) || self.ancestors.contains(&id) {
            return Ok(true);
        }
        self.fill(&LineOut::Ancestor(AncestorOut { id, exe: &ancestor.exe, argv: &ancestor.argv }))?;
        let put = self.put_program_line(ancestor.argv.len())?;
        if put {
            self.ancestors.insert(id);
        }
        Ok(put)
    }

    /// False where the line is too long, or programs already take all that a reader keeps.
    fn put_program_line(&mut self, arguments: usize) -> Result<bool, LogError> {
        // With the newline that is still to come.
        let cost = program_cost(self.line.len() + 1, arguments);
        let fits = self.line.len() < LINE_MAX && arguments <= LIST_MAX;
        if !fits || self.program_bytes + cost > PROGRAM_BYTES_MAX {
            return Ok(false);
        }
        self.program_bytes += cost;
        self.put_line()?;
        Ok(true)
    }

    fn fill(&mut self, value: &impl Serialize) -> Result<(), LogError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value).map_err(|error| LogError::Write(error.into()))
    }

    fn put_line(&mut self) -> Result<(), LogError> {
        self.line.push(b'\n');
        self.written += self.line.len() as u64;
        self.sum.update(&self.line);
        self.to.write_all(&self.line).map_err(LogError::Write)
    }
}

#[derive(Serialize)]
struct Versioned<'a> {
    #[serde(rename = "lazaret.events")]
    version: u64,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Serialize)]
struct Last<'a> {
    trailer: &'a Trailer,
}

fn event_out(event: &Event) -> EventOut<'_> {
    EventOut {
        id: event.id.0,
        ns: u64::try_from(event.at.as_nanos()).unwrap_or(u64::MAX),
        phase: &event.phase,
        process: event.process.as_ref().map(process_ref),
        act: &event.act,
        errno: match event.outcome {
            Outcome::Done | Outcome::Unfinished => None,
            Outcome::Failed(errno) => Some(errno),
        },
        unfinished: event.outcome == Outcome::Unfinished,
        count: event.count,
        cut: event.cut,
    }
}

fn process_ref(process: &Process) -> ProcessRef {
    ProcessRef { key: process.key, pid: process.pid, ids: process.ids, program: process.program.id.0 }
}

fn program_out(program: &Program) -> ProgramOut<'_> {
    ProgramOut {
        id: program.id.0,
        exe: &program.exe,
        argv: &program.argv,
        argv_cut: program.argv_cut,
        cwd: &program.cwd,
        comm: &program.comm,
        tty: program.tty,
        lineage: program.lineage.iter().map(|ancestor| ancestor.id.0).collect(),
        lineage_cut: program.lineage_cut,
    }
}
