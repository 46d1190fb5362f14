//! What the image did: a bounded summary, fed event by event.
//!
//! The first of each kind are kept, so that a flood cannot push out what came before it; what does
//! not fit is counted.

mod kept;
mod kernel;
mod network;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::convert::{arguments, origin, seconds};
use super::document::{
    Behaviour, DROPPED_MAX, Dropped, FILES_MAX, FileUse, KEPT_MAX, KeptFile, Layer, PROCESSES_MAX, Program,
    TEXT_MAX,
};
use super::escape::short_text;
use super::log::hex;
use crate::event::{
    Act, Event, Executable, File, FileAct, FileChange, FileKind, Kept, OpenMode, Origin, Outcome, Process,
    SandboxAct,
};
use kernel::KernelSummary;
use network::NetworkSummary;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EROFS: i32 = 30;

/// Collects a [`Behaviour`].
pub struct Summary {
    layers: Vec<Layer>,
    behaviour: Behaviour,
    programs: HashSet<u32>,
    files: HashMap<String, usize>,
    network: NetworkSummary,
    kernel: KernelSummary,
    dropped: HashSet<(String, Option<String>)>,
}

impl Summary {
    /// `layers` are the subject's, to name the one a file came from.
    pub fn new(layers: &[Layer]) -> Self {
        Self {
            layers: layers.to_vec(),
            behaviour: Behaviour::default(),
            programs: HashSet::new(),
            files: HashMap::new(),
            network: NetworkSummary::new(),
            kernel: KernelSummary::new(),
            dropped: HashSet::new(),
        }
    }

    /// Takes one event in, in the order of the recording.
    pub fn observe(&mut self, event: &Event) {
        if let Some(process) = &event.process {
            self.program(process, event);
        }
        match &event.act {
            Act::File(act) => self.file_act(act, event),
            Act::Exec(_) if event.outcome.is_done() => self.executed(event),
            Act::Sandbox(SandboxAct::Kept(kept)) => self.kept(kept, event),
            Act::Memory(_) | Act::Kernel(_) | Act::Denied(_) | Act::Process(_) => self.kernel.observe(event),
            _ => self.network.observe(event),
        }
    }

    /// What was summed up.
    pub fn finish(mut self) -> Behaviour {
        (self.behaviour.network, self.behaviour.baits, self.behaviour.baits_omitted) = self.network.finish();
        let (memory, kernel) = self.kernel.finish();
        (self.behaviour.memory, self.behaviour.memory_omitted) = memory;
        (self.behaviour.kernel, self.behaviour.kernel_omitted) = kernel;
        self.behaviour
    }

    fn program(&mut self, process: &Process, event: &Event) {
        let program = &process.program;
        if self.programs.contains(&program.id.0) {
            return;
        }
        if self.programs.len() >= PROCESSES_MAX {
            // Counted where it begins, because it is remembered nowhere.
            self.behaviour.processes_omitted += u64::from(matches!(event.act, Act::Exec(_)));
            return;
        }
        self.programs.insert(program.id.0);
        let (argv, argv_omitted) = arguments(&program.argv, TEXT_MAX);
        self.behaviour.processes.push(Program {
            id: program.id.0,
            parent: program.lineage.first().map(|ancestor| ancestor.id.0),
            exe: short_text(&program.exe.file.path, TEXT_MAX),
            argv,
            argv_omitted,
            cwd: short_text(&program.cwd, TEXT_MAX),
            pid: process.pid,
            uid: process.ids.euid,
            origin: origin(program.exe.file.origin, &self.layers),
            sha256: program.exe.sha256.as_ref().map(hex),
            first_seen: seconds(event.at),
        });
    }

    /// Notes a program that came about during the run, and a script that did.
    fn executed(&mut self, event: &Event) {
        let Some(exe) = event.process.as_ref().map(|process| process.program.exe.clone()) else { return };
        let Executable { file, sha256, script, script_sha256, .. } = &*exe;
        self.dropped(file, sha256.as_ref().map(hex), event.at);
        if let Some(script) = script {
            self.dropped(script, script_sha256.as_ref().map(hex), event.at);
        }
    }

    fn dropped(&mut self, file: &File, sha256: Option<String>, at: Duration) {
        if !matches!(file.origin, Origin::Written | Origin::Memfd) {
            return;
        }
        let path = short_text(&file.path, TEXT_MAX);
        let key = (path.clone(), sha256.clone());
        if self.dropped.contains(&key) {
            return;
        }
        if self.dropped.len() >= DROPPED_MAX {
            self.behaviour.dropped_omitted += 1;
            return;
        }
        self.dropped.insert(key);
        let origin = origin(file.origin, &self.layers);
        self.behaviour.dropped.push(Dropped { path, sha256, origin, first_seen: seconds(at) });
    }

    fn kept(&mut self, kept: &Kept, event: &Event) {
        if self.behaviour.kept.len() >= KEPT_MAX {
            self.behaviour.kept_omitted += 1;
            return;
        }
        let exe = event.process.as_ref().map(|process| &process.program.exe.file.path);
        self.behaviour.kept.push(KeptFile {
            path: short_text(&kept.path, TEXT_MAX),
            sha256: hex(&kept.sha256),
            bytes: kept.size,
            why: kept.why.name().into(),
            exe: exe.map(|path| short_text(path, TEXT_MAX)).unwrap_or_default(),
            first_seen: seconds(event.at),
        });
    }

    fn file_act(&mut self, act: &FileAct, event: &Event) {
        if let (FileAct::Open { file: File { path, bait: Some(bait), .. }, mode }, Outcome::Done) =
            (act, event.outcome)
            && mode.read
        {
            self.network.bait_read(bait, path, event);
        }
        for (file, name) in changes(act) {
            match event.outcome {
                Outcome::Done => self.file(file, name, event),
                Outcome::Failed(EPERM | EACCES | EROFS) => self.file(file, "refused", event),
                Outcome::Failed(_) | Outcome::Unfinished => {}
            }
        }
        if let (FileAct::Open { file, mode }, Outcome::Failed(EPERM | EACCES)) = (act, event.outcome)
            && !mode.write
        {
            self.file(file, "refused", event);
        }
    }

    fn file(&mut self, file: &File, act: &str, event: &Event) {
        let path = short_text(&file.path, TEXT_MAX);
        if let Some(&place) = self.files.get(&path) {
            let known = &mut self.behaviour.files[place];
            known.count = known.count.saturating_add(event.count);
            known.verified &= file.verified;
            if !known.acts.iter().any(|name| name == act) {
                known.acts.push(act.to_owned());
            }
            return;
        }
        if self.files.len() >= FILES_MAX {
            self.behaviour.files_omitted = self.behaviour.files_omitted.saturating_add(event.count);
            return;
        }
        self.files.insert(path.clone(), self.behaviour.files.len());
        self.behaviour.files.push(FileUse {
            path,
            acts: vec![act.to_owned()],
            count: event.count,
            first_seen: seconds(event.at),
            origin: origin(file.origin, &self.layers),
            verified: file.verified,
        });
    }
}

/// What an act changes, and the word for it. Writing to a device changes no file.
fn changes(act: &FileAct) -> Vec<(&File, &'static str)> {
    match act {
        FileAct::Open { file, mode: OpenMode { created: true, .. } } => vec![(file, "create")],
        FileAct::Open { file, mode: OpenMode { write: true, .. } } if file.kind != FileKind::CharDevice => {
            vec![(file, "write")]
        }
        FileAct::Open { .. } => Vec::new(),
        FileAct::Rename { from, to } | FileAct::Exchange { from, to } => {
            vec![(from, "rename"), (to, "rename")]
        }
        FileAct::Link { to, .. } => vec![(to, "link")],
        FileAct::Symlink { file, .. } => vec![(file, "link")],
        FileAct::Unlink { file } => vec![(file, "delete")],
        FileAct::Mkdir { file } => vec![(file, "mkdir")],
        FileAct::Chmod { file, .. } => vec![(file, "chmod")],
        FileAct::Rmdir { file } => vec![(file, "delete")],
        FileAct::Change { file, change } => vec![(file, changed(change))],
    }
}

fn changed(change: &FileChange) -> &'static str {
    match change {
        FileChange::Truncate { .. } | FileChange::Copy | FileChange::Map => "write",
        FileChange::Chown { .. } => "chown",
        FileChange::Times { .. } => "times",
        FileChange::SetXattr { .. } | FileChange::RemoveXattr { .. } | FileChange::SetFlags { .. } => {
            "attributes"
        }
        FileChange::Mknod { .. } => "create",
    }
}
