//! Reads an event log line by line, in bounded memory, trusting nothing in it.

use std::collections::HashMap;
use std::io::{BufRead, ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::line::{AncestorIn, EventIn, LineIn, ProcessRef, ProgramIn};
use super::text::digest::{hex, parse};
use super::{Header, LINE_MAX, LogError, PROGRAM_BYTES_MAX, Trailer, VERSION, program_cost};
use crate::event::{Ancestor, Event, EventId, Outcome, Process, Program, ProgramId};

/// Reads one event log: an iterator over its events, in the order of their ids. After an error it
/// yields nothing more.
pub struct Reader<R: BufRead> {
    from: R,
    header: Header,
    sum: Sha256,
    line: Vec<u8>,
    number: u64,
    programs: HashMap<u32, Arc<Program>>,
    ancestors: HashMap<u32, Ancestor>,
    program_bytes: u64,
    last_event: u64,
    events: u64,
    state: State,
}

/// How a log ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    Complete(Box<Trailer>),
    /// The log breaks off: its writer was killed, or bytes are missing at the end.
    Missing,
}

#[derive(PartialEq)]
enum State {
    Reading,
    Ended(Ending),
    Failed,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header of an uncompressed log.
    pub fn open(from: R) -> Result<Self, LogError> {
        let mut reader = Self {
            from,
            header: Header::default(),
            sum: Sha256::new(),
            line: Vec::new(),
            number: 0,
            programs: HashMap::new(),
            ancestors: HashMap::new(),
            program_bytes: 0,
            last_event: 0,
            events: 0,
            state: State::Reading,
        };
        if !reader.next_line()? {
            return Err(LogError::NoHeader { reason: "it is empty or cut off".into() });
        }
        reader.header = parse_header(&reader.line)?;
        reader.sum.update(&reader.line);
        Ok(reader)
    }

    /// What was run, with what.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How the log ended; `None` until every event was read without error.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            State::Reading | State::Failed => None,
        }
    }

    fn next_event(&mut self) -> Result<Option<Event>, LogError> {
        while self.state == State::Reading {
            if !self.next_line()? {
                self.state = State::Ended(Ending::Missing);
            } else if self.line.starts_with(b"{\"trailer\"") {
                self.end()?;
            } else if let Some(event) = self.take_line()? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Fills `line` with the next line. False at the end, also where the last line has no newline, or
    /// the compressed stream breaks off.
    fn next_line(&mut self) -> Result<bool, LogError> {
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut self.from).take(LINE_MAX as u64);
        match bounded.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.last() == Some(&b'\n') => Ok(true),
            Ok(length) if length == LINE_MAX => Err(LogError::LongLine { line: self.number }),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(LogError::Read { line: self.number - 1, source }),
        }
    }

    fn take_line(&mut self) -> Result<Option<Event>, LogError> {
        self.sum.update(&self.line);
        match parse_line(&self.line, self.number)? {
            LineIn::Ancestor(ancestor) => self.keep_ancestor(ancestor).map(|()| None),
            LineIn::Program(program) => self.keep_program(program).map(|()| None),
            LineIn::Event(event) => self.event(event).map(Some),
        }
    }

    fn keep_ancestor(&mut self, line: AncestorIn) -> Result<(), LogError> {
        self.bound_programs(line.argv.len())?;
        if self.ancestors.contains_key(&line.id) {
            return Err(self.wrong("ancestor.id", format!("{} is already taken", line.id)));
        }
        let ancestor = Ancestor { id: ProgramId(line.id), exe: Arc::new(line.exe), argv: line.argv.into() };
        self.ancestors.insert(line.id, ancestor);
        Ok(())
    }

    fn keep_program(&mut self, line: ProgramIn) -> Result<(), LogError> {
        self.bound_programs(line.argv.len())?;
        if self.programs.contains_key(&line.id) {
            return Err(self.wrong("program.id", format!("{} is already taken", line.id)));
        }
        let program = Arc::new(Program {
            id: ProgramId(line.id),
            lineage: self.lineage(&line.lineage)?,
            exe: Arc::new(line.exe),
            argv: line.argv.into(),
            argv_cut: line.argv_cut,
            cwd: line.cwd,
            comm: line.comm,
            tty: line.tty,
            lineage_cut: line.lineage_cut,
        });
        // As an ancestor it may be known already, then with the same words.
        self.ancestors.entry(line.id).or_insert_with(|| program.as_ancestor());
        self.programs.insert(line.id, program);
        Ok(())
    }

    fn bound_programs(&mut self, arguments: usize) -> Result<(), LogError> {
        self.program_bytes += program_cost(self.line.len(), arguments);
        if self.program_bytes > PROGRAM_BYTES_MAX {
            return Err(self.wrong("program", format!("programs take more than {PROGRAM_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    fn lineage(&self, ids: &[u32]) -> Result<Arc<[Ancestor]>, LogError> {
        if ids.len() > Program::LINEAGE_MAX {
            let reason = format!("has {} entries, at most {} are written", ids.len(), Program::LINEAGE_MAX);
            return Err(self.wrong("program.lineage", reason));
        }
        let known = |id: &u32| {
            let ancestor = self.ancestors.get(id).cloned();
            ancestor
                .ok_or_else(|| self.wrong("program.lineage", format!("program {id} does not stand before")))
        };
        ids.iter().map(known).collect()
    }

    fn event(&mut self, line: EventIn) -> Result<Event, LogError> {
        if line.id <= self.last_event {
            return Err(self.wrong("event.id", format!("{} does not follow {}", line.id, self.last_event)));
        }
        if line.count == 0 {
            return Err(self.wrong("event.count", "is 0".into()));
        }
        self.last_event = line.id;
        self.events += 1;
        Ok(Event {
            id: EventId(line.id),
            at: Duration::from_nanos(line.ns),
            phase: line.phase,
            process: line.process.map(|process| self.process(process)).transpose()?,
            act: line.act,
            outcome: match (line.errno, line.unfinished) {
                (Some(_), true) => return Err(self.wrong("event.unfinished", "has an errno".into())),
                (Some(errno), false) => Outcome::Failed(errno),
                (None, true) => Outcome::Unfinished,
                (None, false) => Outcome::Done,
            },
            count: line.count,
            cut: line.cut,
        })
    }

    fn process(&self, line: ProcessRef) -> Result<Process, LogError> {
        let Some(program) = self.programs.get(&line.program).cloned() else {
            let reason = format!("program {} does not stand before", line.program);
            return Err(self.wrong("event.process.program", reason));
        };
        Ok(Process { key: line.key, pid: line.pid, ids: line.ids, program })
    }

    /// Reads the trailer, checks digest and counters, and that nothing follows.
    fn end(&mut self) -> Result<(), LogError> {
        let (body, expected) = split_digest(&self.line)
            .ok_or_else(|| self.wrong("sha256", "the trailer does not end with a digest".into()))?;
        self.sum.update(body);
        let found = self.sum.clone().finalize().into();
        if expected != found {
            return Err(LogError::Digest { expected: hex(&expected), found: hex(&found) });
        }
        let trailer: Trailer = parse_trailer(body, self.number)?;
        if trailer.counters.events != self.events || trailer.counters.programs != self.programs.len() as u64 {
            return Err(self.wrong("trailer.counters", "do not agree with the lines before".into()));
        }
        if self.next_line()? || !self.line.is_empty() {
            return Err(LogError::AfterTrailer { line: self.number });
        }
        self.state = State::Ended(Ending::Complete(Box::new(trailer)));
        Ok(())
    }

    fn wrong(&self, field: &str, reason: String) -> LogError {
        LogError::Field { line: self.number, field: field.into(), reason }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_event();
        if next.is_err() {
            self.state = State::Failed;
        }
        next.transpose()
    }
}

/// Splits a trailer line into what the digest covers, and the digest.
fn split_digest(line: &[u8]) -> Option<(&[u8], [u8; 32])> {
    let line = line.strip_suffix(b"\"}\n")?;
    let (rest, digits) = line.split_at_checked(line.len().checked_sub(64)?)?;
    let body = rest.strip_suffix(b",\"sha256\":\"")?;
    Some((body, parse(std::str::from_utf8(digits).ok()?)?))
}

fn parse_header(line: &[u8]) -> Result<Header, LogError> {
    let no_header = |reason: &dyn ToString| LogError::NoHeader { reason: reason.to_string() };
    let mut value: Value = serde_json::from_slice(line).map_err(|error| no_header(&error))?;
    let version = value.as_object_mut().and_then(|fields| fields.remove("lazaret.events"));
    match version.as_ref().and_then(Value::as_u64) {
        None => return Err(no_header(&"it has no number \"lazaret.events\"")),
        Some(VERSION) => {}
        Some(found) => return Err(LogError::Version { found }),
    }
    let text = value.to_string();
    parse_json(text.as_bytes(), 1)
}

fn parse_line(line: &[u8], number: u64) -> Result<LineIn, LogError> {
    parse_json(line, number)
}

fn parse_trailer(body: &[u8], number: u64) -> Result<Trailer, LogError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Last {
        trailer: Trailer,
    }
    let closed = [body, b"}"].concat();
    parse_json(&closed, number).map(|last: Last| last.trailer)
}

/// Parses at full speed; only where that fails it is done again, slowly, to name the field.
fn parse_json<T: DeserializeOwned>(json: &[u8], line: u64) -> Result<T, LogError> {
    serde_json::from_slice(json).map_err(|first| {
        let mut again = serde_json::Deserializer::from_slice(json);
        let (field, reason) = match serde_path_to_error::deserialize::<_, T>(&mut again) {
            Err(error) => (error.path().to_string(), error.inner().to_string()),
            Ok(_) => (".".into(), first.to_string()),
        };
        LogError::Field { line, field, reason }
    })
}
