//! Memory that can be run, and what was asked of the kernel itself, in bounded lists.

use super::kept::Kept;
use crate::event::{Act, Call, Event, KernelAct, MemoryAct, Outcome, ProcessAct, ProcessCall, Region};
use crate::report::convert::seconds;
use crate::report::document::{ABOUT_MAX, KERNEL_MAX, KernelUse, MEMORY_MAX, MemoryUse, TEXT_MAX};
use crate::report::escape::short_text;
use crate::rule::capability_name;

type Key = (&'static str, String, Option<String>, Option<String>, String);

/// Collects both.
pub struct KernelSummary {
    memory: Kept<(&'static str, String, bool, bool, String), MemoryUse>,
    kernel: Kept<Key, KernelUse>,
}

/// One entry to be.
#[derive(Default)]
struct Deed {
    act: &'static str,
    call: String,
    about: Vec<String>,
    capability: Option<String>,
    refused_by: Option<&'static str>,
}

impl KernelSummary {
    pub fn new() -> KernelSummary {
        KernelSummary { memory: Kept::new(MEMORY_MAX), kernel: Kept::new(KERNEL_MAX) }
    }

    pub fn observe(&mut self, event: &Event) {
        match &event.act {
            Act::Memory(act) => self.memory(act, event),
            Act::Kernel(act) => self.kernel(kernel_deed(act, event.outcome), event),
            Act::Denied(call) => self.kernel(deed("denied", call, event.outcome), event),
            Act::Process(ProcessAct::Call { what, call }) if is_of_note(*what) => {
                self.kernel(deed("process", call, event.outcome), event);
            }
            _ => {}
        }
    }

    /// Each list, with how much was left out of it.
    pub fn finish(self) -> ((Vec<MemoryUse>, u64), (Vec<KernelUse>, u64)) {
        (self.memory.finish(), self.kernel.finish())
    }

    fn memory(&mut self, act: &MemoryAct, event: &Event) {
        let (act, what, region) = match act {
            MemoryAct::Map(region) => ("map", file_of(region), Some(region)),
            MemoryAct::Protect(region) => ("protect", file_of(region), Some(region)),
            MemoryAct::Memfd(call) => ("memfd", first_text(call), None),
            MemoryAct::SecretMemfd(call) => ("secret_memfd", first_text(call), None),
            MemoryAct::UserFault(call) => ("user_fault", first_text(call), None),
        };
        let (write, written) = region.map_or((false, false), |region| (region.write, region.written));
        let exe = exe(event);
        let made = || MemoryUse {
            act: act.into(),
            what: what.clone(),
            write,
            written,
            exe: exe.clone(),
            first_seen: seconds(event.at),
            ..MemoryUse::default()
        };
        let key = (act, what.clone(), write, written, exe.clone());
        let Some(known) = self.memory.entry(key, event.count, made) else { return };
        known.count = known.count.saturating_add(event.count);
        known.failed = known.failed.saturating_add(failed(event));
        known.bytes = known.bytes.max(region.map_or(0, |region| region.size));
    }

    fn kernel(&mut self, deed: Deed, event: &Event) {
        let Deed { act, call, about, capability, refused_by } = deed;
        let (exe, refused_by) = (exe(event), refused_by.map(str::to_owned));
        let key = (act, call.clone(), capability.clone(), refused_by.clone(), exe.clone());
        let made = || KernelUse {
            act: act.into(),
            call,
            capability,
            refused_by,
            exe,
            first_seen: seconds(event.at),
            ..KernelUse::default()
        };
        let Some(known) = self.kernel.entry(key, event.count, made) else { return };
        known.count = known.count.saturating_add(event.count);
        known.failed = known.failed.saturating_add(failed(event));
        for text in about {
            if known.about.len() < ABOUT_MAX && !known.about.contains(&text) {
                known.about.push(text);
            }
        }
    }
}

/// What a process does to itself or others beyond its own affairs.
fn is_of_note(what: ProcessCall) -> bool {
    !matches!(
        what,
        ProcessCall::Session
            | ProcessCall::Groups
            | ProcessCall::Name
            | ProcessCall::Sleep
            | ProcessCall::PassDescriptor
            | ProcessCall::Control
    )
}

fn kernel_deed(act: &KernelAct, outcome: Outcome) -> Deed {
    let text = |bytes: &[u8]| short_text(bytes, TEXT_MAX);
    match act {
        KernelAct::Call(call) => deed("call", call, outcome),
        KernelAct::Compat(call) => deed("compat", call, outcome),
        // Whether it was refused for that, another event tells.
        KernelAct::Incapable(call) => Deed { refused_by: None, ..deed("capability", call, outcome) },
        KernelAct::Mismatch(mismatch) => Deed {
            act: "argument_mismatch",
            call: text(&mismatch.call),
            about: vec![text(&mismatch.passed), text(&mismatch.taken)],
            ..Deed::default()
        },
        KernelAct::Moved { cgroup, .. } => {
            Deed { act: "moved", call: String::new(), about: vec![text(cgroup)], ..Deed::default() }
        }
        KernelAct::Ring { operation, paths } => Deed {
            act: "ring",
            call: text(operation),
            about: paths.iter().map(|path| text(path)).collect(),
            ..Deed::default()
        },
    }
}

fn deed(act: &'static str, call: &Call, outcome: Outcome) -> Deed {
    let texts = call.texts.iter().filter(|text| !text.is_empty()).map(|text| short_text(text, TEXT_MAX));
    let target = call.target.iter().map(|target| short_text(&target.exe, TEXT_MAX));
    Deed {
        act,
        call: short_text(&call.call, TEXT_MAX),
        about: texts.chain(target).collect(),
        capability: call.capability.map(|number| capability_name(number).to_owned()),
        refused_by: match outcome {
            _ if call.own_filter => Some("own_filter"),
            _ if call.filtered => Some("sandbox"),
            Outcome::Failed(_) => Some("kernel"),
            Outcome::Done | Outcome::Unfinished => None,
        },
    }
}

fn file_of(region: &Region) -> String {
    region.file.as_ref().map(|file| short_text(&file.path, TEXT_MAX)).unwrap_or_default()
}

fn first_text(call: &Call) -> String {
    call.texts.first().map(|text| short_text(text, TEXT_MAX)).unwrap_or_default()
}

fn exe(event: &Event) -> String {
    let exe = event.process.as_ref().map(|process| &process.program.exe.file.path);
    exe.map(|path| short_text(path, TEXT_MAX)).unwrap_or_default()
}

fn failed(event: &Event) -> u64 {
    if event.outcome.is_done() { 0 } else { event.count }
}
