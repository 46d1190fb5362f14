//! Which process runs which program, and which programs led to it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{
    Ancestor, Bytes, Executable, File, FileKind, Ids, Origin, Process, ProcessKey, Program, ProgramId,
};
use crate::record::Task;

/// Ids of one run: the container's 0 is the host's `base`.
pub(super) const ID_RANGE: u32 = 65_536;

/// The processes of a run that are alive, by what the kernel calls them.
pub(super) struct Lineage {
    id_base: u32,
    init: ProcessKey,
    alive: HashMap<ProcessKey, Arc<Program>>,
    last_program: u32,
    /// Processes that acted without a fork or exec of theirs having been seen.
    pub(super) strangers: u64,
}

impl Lineage {
    pub(super) fn new(id_base: u32, init: ProcessKey) -> Lineage {
        let mut lineage = Lineage { id_base, init, alive: HashMap::new(), last_program: 0, strangers: 0 };
        let program = lineage.unseen_program(b"init");
        lineage.alive.insert(init, program);
        lineage
    }

    /// The sandbox's own init, or a child of it that has not yet become a program of the image.
    pub(super) fn is_own(&self, task: &Task) -> bool {
        self.alive.get(&key(task)).is_some_and(|program| program.id == ProgramId(1))
    }

    pub(super) fn is_init(&self, task: &Task) -> bool {
        key(task) == self.init
    }

    /// The process that acted. One that was never introduced is taken in, and counted.
    pub(super) fn process(&mut self, task: &Task) -> Process {
        let program = match self.alive.get(&key(task)) {
            Some(program) => program.clone(),
            None => self.take_in(task),
        };
        Process { key: key(task), pid: task.inner_pid, ids: self.ids(task), program }
    }

    pub(super) fn forked(&mut self, parent: &Task, child: &Task) {
        let program = self.process(parent).program;
        self.alive.insert(key(child), program);
    }

    /// Gives the process its new program; the one before becomes the nearest entry of its lineage.
    pub(super) fn executed(&mut self, task: &Task, start: impl FnOnce(ProgramId) -> Program) -> Process {
        let before = self.alive.get(&key(task)).cloned();
        if before.is_none() {
            self.strangers += 1;
        }
        let mut program = start(self.next_id());
        (program.lineage, program.lineage_cut) = match before {
            Some(before) => lineage_after(&before),
            None => (Arc::from([]), true),
        };
        let program = Arc::new(program);
        self.alive.insert(key(task), program.clone());
        Process { key: key(task), pid: task.inner_pid, ids: self.ids(task), program }
    }

    pub(super) fn exited(&mut self, task: &Task) {
        if !self.is_init(task) {
            self.alive.remove(&key(task));
        }
    }

    fn take_in(&mut self, task: &Task) -> Arc<Program> {
        self.strangers += 1;
        let program = self.unseen_program(b"");
        self.alive.insert(key(task), program.clone());
        program
    }

    fn next_id(&mut self) -> ProgramId {
        self.last_program += 1;
        ProgramId(self.last_program)
    }

    /// A program that was running before anything was seen of it.
    fn unseen_program(&mut self, name: &[u8]) -> Arc<Program> {
        let id = self.next_id();
        let empty = || Bytes::from(&b""[..]);
        let file = File {
            path: Bytes::from(name),
            verified: false,
            inode: None,
            kind: FileKind::Unknown,
            origin: if id == ProgramId(1) { Origin::Supplied } else { Origin::Unknown },
        };
        Arc::new(Program {
            id,
            exe: Arc::new(Executable { file, sha256: None, deleted: false, script: None }),
            argv: Arc::from([]),
            argv_cut: false,
            cwd: empty(),
            comm: Bytes::from(name),
            tty: false,
            lineage: Arc::from([]),
            lineage_cut: id != ProgramId(1),
        })
    }

    fn ids(&self, task: &Task) -> Ids {
        let inside = |id| inside(self.id_base, id);
        Ids { uid: inside(task.uid), gid: inside(task.gid), euid: inside(task.euid), egid: inside(task.egid) }
    }
}

pub(super) fn key(task: &Task) -> ProcessKey {
    ProcessKey { pid: task.pid, start: task.start }
}

/// A host id as the container sees it; one outside its range is the overflow id, as in the kernel
/// (`DEFAULT_OVERFLOWUID`, include/linux/highuid.h).
fn inside(base: u32, id: u32) -> u32 {
    id.checked_sub(base).filter(|&id| id < ID_RANGE).unwrap_or(65_534)
}

/// The lineage of a program that follows `before`. The oldest entry is kept when the list is full,
/// because it tells what the image itself started.
fn lineage_after(before: &Program) -> (Arc<[Ancestor]>, bool) {
    let mut list: Vec<Ancestor> = Vec::with_capacity(before.lineage.len() + 1);
    list.push(before.as_ancestor());
    list.extend(before.lineage.iter().cloned());
    let full = list.len() > Program::LINEAGE_MAX;
    if full {
        list.remove(Program::LINEAGE_MAX - 1);
    }
    (Arc::from(list), before.lineage_cut || full)
}
