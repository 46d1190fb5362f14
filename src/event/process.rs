//! Who did it: processes, the programs they run, and the programs that led to them.

use std::sync::Arc;

use super::{Bytes, Call, Endpoint, File, Protocol};

/// What makes a process the same process, whatever it calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Thread-group id in the initial pid namespace.
    pub pid: u32,
    /// `start_boottime` of the thread-group leader, nanoseconds.
    pub start: u64,
}

/// A process at the moment of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub key: ProcessKey,
    /// Thread-group id as the image itself sees it.
    pub pid: u32,
    pub ids: Ids,
    pub program: Arc<Program>,
}

/// Ids as the image itself sees them (0 is the container's root).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
}

/// The place of a program in its recording, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramId(pub u32);

/// One successful exec: what a process runs until its next exec. Its forks share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub id: ProgramId,
    pub exe: Arc<Executable>,
    pub argv: Arc<[Bytes]>,
    /// The argument vector was longer than the probe's bound.
    pub argv_cut: bool,
    pub cwd: Bytes,
    /// The thread name the kernel gave it at exec.
    pub comm: Bytes,
    /// A controlling terminal is attached.
    pub tty: bool,
    /// The programs that led to this one, nearest first: earlier programs of the same process, then
    /// those of its parents. Bounded by [`Program::LINEAGE_MAX`]; where it was longer, the middle is
    /// left out and [`Program::lineage_cut`] is set. Flat, so that a long chain of execs costs no
    /// recursion.
    pub lineage: Arc<[Ancestor]>,
    pub lineage_cut: bool,
}

impl Program {
    /// So many of the programs that led to one are kept, nearest first.
    pub const LINEAGE_MAX: usize = 32;

    /// This program as an entry of a later program's lineage.
    pub fn as_ancestor(&self) -> Ancestor {
        Ancestor { id: self.id, exe: self.exe.clone(), argv: self.argv.clone() }
    }
}

/// A program as its descendants remember it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ancestor {
    pub id: ProgramId,
    pub exe: Arc<Executable>,
    pub argv: Arc<[Bytes]>,
}

/// The file that a program runs from: for a script, the script's interpreter.
#[derive(Clone, Debug, PartialEq)]
pub struct Executable {
    pub file: File,
    /// Where it could be read: the content's sha256.
    pub sha256: Option<[u8; 32]>,
    /// It had no name any more when it ran (unlinked, or never linked).
    pub deleted: bool,
    /// The script that the kernel was asked to run, where the file itself is only its interpreter.
    pub script: Option<File>,
    /// The sha256 of that script, where it could be read.
    pub script_sha256: Option<[u8; 32]>,
}

/// An act on processes that is not an exec.
#[derive(Clone, Debug, PartialEq)]
pub enum ProcessAct {
    /// A child process; threads are not reported.
    Fork {
        child: ProcessKey,
        child_pid: u32,
    },
    Exit {
        code: u8,
        signal: u8,
    },
    /// A descriptor was copied onto standard input, output or error, or a connection got that number.
    Dup {
        onto: u8,
        source: DupSource,
    },
    /// Ids or capabilities changed, or were to: then `after` is what they stayed.
    Ids {
        /// The call, by name.
        call: Bytes,
        /// What they were; `None` where nothing of the process was seen before.
        before: Option<Credentials>,
        after: Credentials,
    },
    Signal {
        signal: u32,
        /// `None`: nobody, or whoever the sender's own numbers mean.
        target: Option<Target>,
    },
    /// A call on itself or on other processes.
    Call {
        what: ProcessCall,
        call: Call,
    },
}

/// What a call on processes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProcessCall {
    /// ptrace(2)
    Trace,
    /// process_vm_readv(2)
    ReadMemory,
    /// process_vm_writev(2)
    WriteMemory,
    /// process_madvise(2)
    AdviseMemory,
    /// pidfd_getfd(2)
    TakeDescriptor,
    /// sendmsg(2) with descriptors in it (SCM_RIGHTS): the call's text is the first one's file
    PassDescriptor,
    /// setsid(2)
    Session,
    /// seccomp(2), or prctl(2) to the same end
    Seccomp,
    /// personality(2)
    Personality,
    /// setgroups(2)
    Groups,
    /// prctl(PR_SET_NAME): the thread's new name is the call's text
    Name,
    /// nanosleep(2), clock_nanosleep(2), and select(2) or poll(2) of nothing: [`Call::detail`] are the
    /// nanoseconds that it asked for, 0 where it named a time to wake up at
    Sleep,
    /// alarm(2), setitimer(2), timer_settime(2), timerfd_settime(2) of a minute or more: [`Call::detail`] as
    /// above
    Timer,
    /// Any call that still waited for its time, beside whatever else it waited for, when the run was over:
    /// [`Call::detail`] are the nanoseconds that were left, as far as that can be told, else what it asked for
    Wait,
    /// No call: a thread that used a processor for most of its process's life, and still did when the run was
    /// over. [`Call::detail`] are the nanoseconds of processor time
    Busy,
    /// prctl(2) with any other option of note
    Control,
}

impl ProcessCall {
    /// Every kind.
    pub const ALL: [ProcessCall; 16] = [
        ProcessCall::Trace,
        ProcessCall::ReadMemory,
        ProcessCall::WriteMemory,
        ProcessCall::AdviseMemory,
        ProcessCall::TakeDescriptor,
        ProcessCall::PassDescriptor,
        ProcessCall::Session,
        ProcessCall::Seccomp,
        ProcessCall::Personality,
        ProcessCall::Groups,
        ProcessCall::Name,
        ProcessCall::Sleep,
        ProcessCall::Timer,
        ProcessCall::Wait,
        ProcessCall::Busy,
        ProcessCall::Control,
    ];

    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            ProcessCall::Trace => "trace",
            ProcessCall::ReadMemory => "read_memory",
            ProcessCall::WriteMemory => "write_memory",
            ProcessCall::AdviseMemory => "advise_memory",
            ProcessCall::TakeDescriptor => "take_descriptor",
            ProcessCall::PassDescriptor => "pass_descriptor",
            ProcessCall::Session => "session",
            ProcessCall::Seccomp => "seccomp",
            ProcessCall::Personality => "personality",
            ProcessCall::Groups => "groups",
            ProcessCall::Name => "name",
            ProcessCall::Sleep => "sleep",
            ProcessCall::Timer => "timer",
            ProcessCall::Wait => "wait",
            ProcessCall::Busy => "busy",
            ProcessCall::Control => "control",
        }
    }
}

/// Capability sets, bit N for capability N (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub effective: u64,
    pub permitted: u64,
}

/// What a process may do, by the kernel's own `struct cred`; ids as the image itself sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub ids: Ids,
    pub suid: u32,
    pub sgid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    pub capabilities: Capabilities,
}

/// The process that an act is aimed at.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub key: ProcessKey,
    /// As the image itself sees it.
    pub pid: u32,
    /// The file it runs from.
    pub exe: Bytes,
    pub relation: Relation,
    /// True: the kernel's own task. False: found by the number that the program passed.
    pub verified: bool,
}

/// How the target stands to the process that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    Own,
    Descendant,
    Ancestor,
    Other,
}

impl Relation {
    /// The name in rules, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Relation::Own => "own",
            Relation::Descendant => "descendant",
            Relation::Ancestor => "ancestor",
            Relation::Other => "other",
        }
    }
}

/// What a descriptor led to when it was copied.
#[derive(Clone, Debug, PartialEq)]
pub enum DupSource {
    /// `copied`: else the connection was opened at a number that was free.
    Socket {
        protocol: Protocol,
        remote: Option<Endpoint>,
        copied: bool,
    },
    Pipe,
    File(File),
    Other,
}
