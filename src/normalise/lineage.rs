//! Which process runs which program, and which programs led to it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{
    Ancestor, Bytes, Executable, File, FileKind, Ids, Origin, Process, ProcessKey, Program, ProgramId,
    Relation, Target,
};
use crate::record::Task;

/// The sandbox's own init, as a program.
const OWN: ProgramId = ProgramId(1);

/// Ids of one run: the container's 0 is the host's `base`.
pub(super) const ID_RANGE: u32 = 65_536;

/// How many processes are remembered after their end.
const ENDED_MAX: usize = 4096;

/// The processes of a run that are alive, by what the kernel calls them.
pub(super) struct Lineage {
    id_base: u32,
    /// Its pid is not used again while the run lasts, so the pid is enough.
    init_pid: u32,
    own: Arc<Program>,
    alive: HashMap<ProcessKey, Arc<Program>>,
    kin: Kin,
    /// The last that ended: their connections may end after them.
    ended: VecDeque<Ended>,
    last_program: u32,
    /// Processes that acted without a fork or exec of theirs having been seen.
    pub(super) strangers: u64,
}

struct Ended {
    key: ProcessKey,
    /// Its pid as the image itself saw it.
    inner: u32,
    program: Arc<Program>,
}

impl Lineage {
    pub(super) fn new(id_base: u32, init_pid: u32) -> Lineage {
        let own = Arc::new(unseen_program(OWN, b"init", Origin::Supplied));
        Lineage {
            id_base,
            init_pid,
            own,
            alive: HashMap::new(),
            kin: Kin::default(),
            ended: VecDeque::new(),
            last_program: OWN.0,
            strangers: 0,
        }
    }

    /// The sandbox's own init, or a child of it that has not yet become a program of the image.
    pub(super) fn is_own(&self, task: &Task) -> bool {
        match self.alive.get(&key(task)) {
            Some(program) => program.id == OWN,
            None => task.pid == self.init_pid,
        }
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
        self.kin.add(child, Some(key(parent)));
    }

    /// Gives the process its new program; the one before becomes the nearest entry of its lineage.
    pub(super) fn executed(&mut self, task: &Task, start: impl FnOnce(ProgramId) -> Program) -> Process {
        let before = self.process(task).program;
        let mut program = start(self.next_id());
        (program.lineage, program.lineage_cut) = lineage_after(&before);
        let program = Arc::new(program);
        self.alive.insert(key(task), program.clone());
        Process { key: key(task), pid: task.inner_pid, ids: self.ids(task), program }
    }

    pub(super) fn exited(&mut self, task: &Task) {
        self.kin.remove(task);
        let Some(program) = self.alive.remove(&key(task)) else { return };
        self.ended.push_back(Ended { key: key(task), inner: task.inner_pid, program });
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// The process that the kernel itself names, as the target of an act of `task`. `start` may be
    /// unknown: then it is whoever is alive under this pid.
    pub(super) fn target(&self, task: &Task, pid: u32, start: Option<u64>) -> Option<Target> {
        let key = match start {
            Some(start) => ProcessKey { pid, start },
            None => *self.kin.by_pid.get(&pid)?,
        };
        self.target_of(task, key, true)
    }

    /// The process that is meant by a number of the sender's own pid namespace. In a nested namespace a
    /// number can mean another process; it is not verified.
    pub(super) fn asked(&self, task: &Task, inner: u32) -> Option<Target> {
        self.target_of(task, *self.kin.by_inner.get(&inner)?, false)
    }

    fn target_of(&self, task: &Task, target: ProcessKey, verified: bool) -> Option<Target> {
        let program = self.alive.get(&target)?;
        let relation = self.kin.relation(key(task), target);
        let pid = self.kin.inner(target);
        Some(Target { key: target, pid, exe: program.exe.file.path.clone(), relation, verified })
    }

    /// The process of the image that is, or was last, alive under the pid of `task`.
    pub(super) fn under(&self, task: Task) -> Option<Process> {
        let alive = self.kin.by_pid.get(&task.pid).map(|key| (*key, self.kin.inner(*key)));
        let ended = || self.ended.iter().rev().find(|ended| ended.key.pid == task.pid);
        let (key, inner_pid) = alive.or_else(|| ended().map(|ended| (ended.key, ended.inner)))?;
        self.remembered(&Task { start: key.start, inner_pid, ..task })
    }

    /// A process of the image that may have ended by now; `None` where it is not known any more.
    pub(super) fn remembered(&self, task: &Task) -> Option<Process> {
        let ended =
            || self.ended.iter().rev().find(|ended| ended.key == key(task)).map(|ended| &ended.program);
        let program = self.alive.get(&key(task)).or_else(ended).filter(|program| program.id != OWN)?;
        Some(Process { key: key(task), pid: task.inner_pid, ids: self.ids(task), program: program.clone() })
    }

    pub(super) fn parent(&self, process: ProcessKey) -> Option<ProcessKey> {
        self.kin.parents.get(&process).and_then(|(_, parent)| *parent)
    }

    /// The process and those that led to it, the nearest first, without the sandbox's own.
    pub(super) fn line(&self, process: ProcessKey) -> impl Iterator<Item = ProcessKey> {
        const DEPTH_MAX: usize = 4;
        let own = |key: &ProcessKey| self.alive.get(key).is_some_and(|program| program.id == OWN);
        std::iter::successors(Some(process), |key| self.parent(*key))
            .take(DEPTH_MAX)
            .take_while(move |key| !own(key))
    }

    /// The process of the image that is alive under this pid.
    pub(super) fn by_pid(&self, task: &Task) -> Option<Process> {
        let key = *self.kin.by_pid.get(&task.pid)?;
        let program = self.alive.get(&key).filter(|program| program.id != OWN)?.clone();
        Some(Process { key, pid: self.kin.inner(key), ids: self.ids(task), program })
    }

    fn take_in(&mut self, task: &Task) -> Arc<Program> {
        let program = if task.pid == self.init_pid {
            self.own.clone()
        } else {
            self.strangers += 1;
            Arc::new(unseen_program(self.next_id(), b"", Origin::Unknown))
        };
        self.alive.insert(key(task), program.clone());
        self.kin.add(task, None);
        program
    }

    fn next_id(&mut self) -> ProgramId {
        self.last_program += 1;
        ProgramId(self.last_program)
    }

    /// An id of the host as the container sees it.
    pub(super) fn id(&self, id: u32) -> u32 {
        inside(self.id_base, id)
    }

    pub(super) fn ids(&self, task: &Task) -> Ids {
        let inside = |id| inside(self.id_base, id);
        Ids { uid: inside(task.uid), gid: inside(task.gid), euid: inside(task.euid), egid: inside(task.egid) }
    }
}

/// Who is whose child, and who has which number.
#[derive(Default)]
struct Kin {
    parents: HashMap<ProcessKey, (u32, Option<ProcessKey>)>,
    by_pid: HashMap<u32, ProcessKey>,
    by_inner: HashMap<u32, ProcessKey>,
}

impl Kin {
    fn add(&mut self, task: &Task, parent: Option<ProcessKey>) {
        self.parents.insert(key(task), (task.inner_pid, parent));
        self.by_pid.insert(task.pid, key(task));
        self.by_inner.insert(task.inner_pid, key(task));
    }

    fn remove(&mut self, task: &Task) {
        let gone = key(task);
        let Some((inner, _)) = self.parents.remove(&gone) else { return };
        for (numbers, number) in [(&mut self.by_pid, task.pid), (&mut self.by_inner, inner)] {
            if numbers.get(&number) == Some(&gone) {
                numbers.remove(&number);
            }
        }
    }

    fn inner(&self, process: ProcessKey) -> u32 {
        self.parents.get(&process).map_or(0, |(inner, _)| *inner)
    }

    fn relation(&self, actor: ProcessKey, target: ProcessKey) -> Relation {
        match () {
            () if actor == target => Relation::Own,
            () if self.descends(target, actor) => Relation::Descendant,
            () if self.descends(actor, target) => Relation::Ancestor,
            () => Relation::Other,
        }
    }

    /// A parent that has ended breaks the chain, as it does in the kernel.
    fn descends(&self, process: ProcessKey, from: ProcessKey) -> bool {
        const DEPTH_MAX: usize = 256;
        let parent = |process: &ProcessKey| self.parents.get(process).and_then(|(_, parent)| *parent);
        std::iter::successors(Some(process), parent).take(DEPTH_MAX).any(|process| process == from)
    }
}

/// A program that was running before anything was seen of it.
fn unseen_program(id: ProgramId, name: &[u8], origin: Origin) -> Program {
    let file = File {
        path: Bytes::from(name),
        verified: false,
        inode: None,
        kind: FileKind::Unknown,
        origin,
        bait: None,
    };
    Program {
        id,
        exe: Arc::new(Executable { file, sha256: None, deleted: false, script: None, script_sha256: None }),
        argv: Arc::from([]),
        argv_cut: false,
        cwd: Bytes::from(&b""[..]),
        comm: Bytes::from(name),
        tty: false,
        lineage: Arc::from([]),
        lineage_cut: origin == Origin::Unknown,
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
