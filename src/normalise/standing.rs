//! Calls that were still under way when the run was ended, as the runner read them of the waiting threads.

use super::{Normaliser, Provenance, call};
use crate::event::{Act, Call, KernelAct, Outcome, ProcessAct, ProcessCall};
use crate::record::Task;

/// A call that has not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// In the initial pid namespace.
    pub pid: u32,
    pub tid: u32,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub number: u32,
    /// Made through the 32-bit entry, with its numbers.
    pub compat: bool,
    pub args: [u64; 6],
    /// What the descriptor in its first argument leads to, as /proc names it.
    pub file: Option<Vec<u8>>,
}

/// What a thread still waited for, or that it was busy, when the run was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// [`ProcessCall::Wait`] or [`ProcessCall::Busy`].
    pub what: ProcessCall,
    /// Nanoseconds: as the two say.
    pub time: u64,
    pub standing: Standing,
}

impl<P: Provenance> Normaliser<P> {
    /// Takes in what threads waited for at this moment; the events stand aside.
    pub fn waited(&mut self, all: Vec<Waiting>, time: u64) {
        for Waiting { what, time: left, standing } in all {
            let Standing { pid, tid, uid, gid, euid, egid, number, compat, args, file } = standing;
            let task = Task { pid, tid, uid, gid, euid, egid, ..Task::default() };
            let Some(process) = self.lineage.by_pid(&task) else { continue };
            let call = match what {
                ProcessCall::Busy => Call::default(),
                _ => call::standing(number, compat, args, file),
            };
            let act = Act::Process(ProcessAct::Call { what, call: Call { detail: left, ..call } });
            let event = self.event(Some(process), time, act, Outcome::Unfinished);
            self.aside.push_back(event);
        }
    }

    /// Takes in what the threads stood in at this moment; the events stand aside. What such a call
    /// returns after all, because the kill reaches it, is not told a second time.
    pub fn stood(&mut self, calls: Vec<Standing>, time: u64) {
        for standing in calls {
            let Standing { pid, tid, uid, gid, euid, egid, number, compat, args, file } = standing;
            let task = Task { pid, tid, uid, gid, euid, egid, ..Task::default() };
            let Some(process) = self.lineage.by_pid(&task) else { continue };
            let act = Act::Kernel(KernelAct::Call(call::standing(number, compat, args, file)));
            let event = self.event(Some(process), time, act, Outcome::Unfinished);
            self.pending.told(tid);
            self.aside.push_back(event);
        }
    }
}
