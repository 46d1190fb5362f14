//! What this host lets us see, learnt by really loading: one-instruction programs of each kind, then all
//! that a run loads.
//!
//! Never from lists or configuration: a kernel that names LSM among its modules may still refuse
//! every trampoline.

use std::error::Error;
use std::iter;
use std::path::Path;

use super::btf::{self, Kind};
use super::{KERNEL_BTF, Options, Probes, TraceError};
use crate::sys::bpf::{ProgramKind, load_nothing};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub what: &'static str,
    /// Without it nothing can be watched.
    pub needed: bool,
    /// Why it does not work; `None` if it does.
    pub refused: Option<String>,
    /// What to do about it, or what it means.
    pub advice: &'static str,
}

/// A kind of program, by `enum bpf_prog_type` and `enum bpf_attach_type` of include/uapi/linux/bpf.h,
/// and the type of the kernel that it attaches to.
struct Attempt {
    what: &'static str,
    needed: bool,
    program: u32,
    attach: u32,
    /// By its names, newest first.
    target: Option<(Kind, &'static [&'static str])>,
    advice: &'static str,
}

const NEEDS_PRIVILEGE: &str = "run as root, or with CAP_BPF and CAP_PERFMON; kernel 6.1 or later";

const ATTEMPTS: [Attempt; 8] = [
    Attempt {
        what: "BTF tracepoint on the end of system calls",
        needed: true,
        program: 26,
        attach: 23,
        target: Some((Kind::Typedef, &["btf_trace_sys_exit"])),
        advice: NEEDS_PRIVILEGE,
    },
    Attempt {
        what: "BTF tracepoint on program starts",
        needed: true,
        program: 26,
        attach: 23,
        target: Some((Kind::Typedef, &["btf_trace_sched_process_exec"])),
        advice: NEEDS_PRIVILEGE,
    },
    Attempt {
        what: "BTF tracepoint on io_uring requests",
        needed: false,
        program: 26,
        attach: 23,
        target: Some((Kind::Typedef, &["btf_trace_io_uring_submit_req", "btf_trace_io_uring_submit_sqe"])),
        advice: "a kernel with CONFIG_IO_URING and its tracepoints; where images cannot use io_uring, nothing is missed",
    },
    Attempt {
        what: "BTF tracepoint on capabilities that are asked for",
        needed: false,
        program: 26,
        attach: 23,
        target: Some((Kind::Typedef, &["btf_trace_cap_capable"])),
        advice: "kernel 6.14 or later; without it a refused call is told, but not for want of which \
            capability, and the family kernel counts as seen in part",
    },
    Attempt {
        what: "cgroup hook on connect",
        needed: false,
        program: 18,
        attach: 10,
        target: None,
        advice: "kernel with CONFIG_CGROUP_BPF",
    },
    Attempt {
        what: "traffic classifier",
        needed: false,
        program: 3,
        attach: 0,
        target: None,
        advice: "kernel with CONFIG_NET_CLS_BPF; CAP_NET_ADMIN",
    },
    Attempt {
        what: "function entry (fentry)",
        needed: false,
        program: 26,
        attach: 24,
        target: Some((Kind::Function, &["vfs_open"])),
        advice: "not needed: the probes of tier B are complete without trampolines",
    },
    Attempt {
        what: "security hook (LSM)",
        needed: false,
        program: 29,
        attach: 27,
        target: Some((Kind::Function, &["bpf_lsm_file_open"])),
        advice: "not needed: the probes of tier B are complete without trampolines",
    },
];

/// Tries everything on this host.
pub fn survey() -> Vec<Answer> {
    survey_with(Path::new(KERNEL_BTF))
}

/// The same with the kernel's types from another file.
pub fn survey_with(path: &Path) -> Vec<Answer> {
    let types = std::fs::read(path);
    let mut answers = vec![Answer {
        what: "the kernel's types (BTF)",
        needed: true,
        refused: types.as_ref().err().map(|error| format!("{KERNEL_BTF}: {error}")),
        advice: "a kernel with CONFIG_DEBUG_INFO_BTF, as Debian's and Ubuntu's have",
    }];
    let types = types.unwrap_or_default();
    answers.extend(ATTEMPTS.iter().map(|attempt| attempt.answer(&types)));
    answers.push(Answer {
        what: "every probe of this version",
        needed: true,
        refused: Probes::load_with(&Options { btf: path.to_owned(), ..Options::default() }).err().map(reason),
        advice: "tell the authors of lazaret this reason and the kernel's version; meanwhile boot another \
            kernel, 6.1 or later",
    });
    answers
}

/// An error with its causes, in one line.
fn reason(error: TraceError) -> String {
    let causes = iter::successors(Some(&error as &dyn Error), |&error| error.source());
    let mut texts: Vec<String> = causes.map(|cause| cause.to_string().replace('\n', "; ")).collect();
    // What wraps a cause may have said all of it.
    texts.dedup_by(|next, before| before.contains(next.as_str()));
    texts.join(": ")
}

impl Attempt {
    fn answer(&self, types: &[u8]) -> Answer {
        Answer { what: self.what, needed: self.needed, refused: self.refusal(types), advice: self.advice }
    }

    fn refusal(&self, types: &[u8]) -> Option<String> {
        let btf_id = match self.target {
            None => 0,
            Some((kind, names)) => match names.iter().find_map(|name| btf::find(types, kind, name)) {
                Some(id) => id,
                None => return Some(format!("the kernel has no {}", names.join(" and no "))),
            },
        };
        let kind = ProgramKind { program: self.program, attach: self.attach, btf_id };
        load_nothing(kind).err().map(|error| error.to_string())
    }
}
