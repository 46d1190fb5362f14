//! The fields that rules may name: one table with each field's name, type, meaning and way to read it.
//!
//! A field is a fact about the kernel's objects wherever the kernel has one; text that a program chose
//! (arguments, thread names) is offered too and says so. What would need a program in a rule (joining,
//! resolving, comparing) is computed here and offered as a field of its own.

use std::net::IpAddr;

use crate::event::{
    Act, Denied, DupSource, Endpoint, Event, FileAct, FileKind, NetAct, OpenMode, Origin, Phase, ProcessAct,
    Protocol, SandboxAct,
};

use super::identity;
use super::subject::{Subject, directory, extension, hidden, name, origin_name, proc_pid, temporary};

/// A kind of event, as `logsource.category` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    Exec,
    Process,
    File,
    Net,
    Denied,
    Sandbox,
}

impl Category {
    pub const ALL: [Category; 6] = [
        Category::Exec,
        Category::Process,
        Category::File,
        Category::Net,
        Category::Denied,
        Category::Sandbox,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Category::Exec => "exec",
            Category::Process => "process",
            Category::File => "file",
            Category::Net => "net",
            Category::Denied => "denied",
            Category::Sandbox => "sandbox",
        }
    }

    pub fn of(event: &Event) -> Category {
        match event.act {
            Act::Exec(_) => Category::Exec,
            Act::Process(_) => Category::Process,
            Act::File(_) => Category::File,
            Act::Net(_) => Category::Net,
            Act::Denied(_) => Category::Denied,
            Act::Sandbox(_) => Category::Sandbox,
        }
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Flag,
    Address,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "a number",
            Kind::Flag => "true or false",
            Kind::Address => "an IP address",
        }
    }
}

/// One entry of the table.
pub struct Field {
    pub name: &'static str,
    /// One sentence, for `rules fields`.
    pub doc: &'static str,
    /// The categories in which it can be present.
    pub categories: &'static [Category],
    /// The only values it ever has; empty where it may have any.
    pub values: &'static [&'static str],
    /// The same from run to run, so that it may be part of a finding's identity.
    pub stable: bool,
    /// It is a fact about the program, so it is the same for all events of one program.
    pub of_program: bool,
    pub(super) read: Read,
}

/// How a field is read from a subject; absence is `None`.
pub(super) enum Read {
    Text(for<'a> fn(Subject<'a>) -> Option<&'a [u8]>),
    /// Text that must be put together.
    Made(fn(Subject<'_>) -> Option<Vec<u8>>),
    /// Several texts; the visitor says `true` to stop, and that is the answer.
    Texts(fn(Subject<'_>, Visit<'_>) -> bool),
    Number(fn(Subject<'_>) -> Option<u64>),
    Flag(fn(Subject<'_>) -> Option<bool>),
    Address(fn(Subject<'_>) -> Option<IpAddr>),
}

pub(super) type Visit<'v> = &'v mut dyn FnMut(&[u8]) -> bool;

impl Field {
    pub fn kind(&self) -> Kind {
        match self.read {
            Read::Text(_) | Read::Made(_) | Read::Texts(_) => Kind::Text,
            Read::Number(_) => Kind::Number,
            Read::Flag(_) => Kind::Flag,
            Read::Address(_) => Kind::Address,
        }
    }

    /// It can hold several values; a test holds where it holds for one of them.
    pub fn is_list(&self) -> bool {
        matches!(self.read, Read::Texts(_))
    }

    /// Hands every value to `visit` as text, for evidence and identity.
    pub(super) fn show(&self, subject: Subject<'_>, visit: &mut dyn FnMut(&[u8])) {
        let mut all = |value: &[u8]| {
            visit(value);
            false
        };
        match self.read {
            Read::Text(read) => read(subject).map(&mut all),
            Read::Made(read) => read(subject).map(|text| all(&text)),
            Read::Texts(read) => Some(read(subject, &mut all)),
            Read::Number(read) => read(subject).map(|number| all(number.to_string().as_bytes())),
            Read::Flag(read) => read(subject).map(|flag| all(if flag { b"true" } else { b"false" })),
            Read::Address(read) => read(subject).map(|ip| all(ip.to_string().as_bytes())),
        };
    }
}

/// Finds a field by its name.
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

const ACTORS: &[Category] =
    &[Category::Exec, Category::Process, Category::File, Category::Net, Category::Denied];
const EXEC: &[Category] = &[Category::Exec];
const PROCESS: &[Category] = &[Category::Process];
const FILE: &[Category] = &[Category::File];
const NET: &[Category] = &[Category::Net];
const REMOTE: &[Category] = &[Category::Net, Category::Process];
const DENIED: &[Category] = &[Category::Denied];
const SANDBOX: &[Category] = &[Category::Sandbox];

const fn event(categories: &'static [Category], name: &'static str, read: Read, doc: &'static str) -> Field {
    Field { name, doc, categories, values: &[], stable: false, of_program: false, read }
}

const fn program(name: &'static str, read: Read, doc: &'static str) -> Field {
    Field { of_program: true, ..event(ACTORS, name, read, doc) }
}

const fn stable(field: Field) -> Field {
    Field { stable: true, ..field }
}

/// A field with a fixed set of values.
const fn one_of(values: &'static [&'static str], field: Field) -> Field {
    Field { values, stable: true, ..field }
}

const ORIGINS: &[&str] = &["layer", "written", "memfd", "supplied", "kernel", "unknown"];

/// All fields, in the order in which they are listed.
pub static FIELDS: &[Field] = &[
    // The program that acted.
    program(
        "exe.path",
        Read::Text(|s| Some(&s.exe()?.file.path)),
        "path of the file that runs, from the kernel; for a script, its interpreter",
    ),
    program("exe.name", Read::Text(|s| Some(name(&s.exe()?.file.path))), "last component of exe.path"),
    program("exe.dir", Read::Text(|s| Some(directory(&s.exe()?.file.path))), "directory of exe.path"),
    program(
        "exe.sha256",
        Read::Text(|s| s.program?.sha256()),
        "SHA-256 of the executable's content in lower-case hexadecimal, where it could be read",
    ),
    one_of(
        ORIGINS,
        program(
            "exe.origin",
            Read::Text(|s| Some(origin(s.exe()?.file.origin))),
            "where the executable came from: layer, written (during the run), memfd, supplied, kernel, unknown",
        ),
    ),
    program(
        "exe.layer",
        Read::Number(|s| layer(s.exe()?.file.origin)),
        "the image layer that the executable stands in, from 0 at the bottom",
    ),
    stable(program(
        "exe.in_image",
        Read::Flag(|s| Some(layer(s.exe()?.file.origin).is_some())),
        "the executable stands unchanged as the image has it",
    )),
    stable(program(
        "exe.written",
        Read::Flag(|s| Some(s.exe()?.file.origin == Origin::Written)),
        "the executable was made or changed during the run",
    )),
    stable(program(
        "exe.memfd",
        Read::Flag(|s| Some(s.exe()?.file.origin == Origin::Memfd)),
        "the executable lives in memory only",
    )),
    stable(program(
        "exe.deleted",
        Read::Flag(|s| Some(s.exe()?.deleted)),
        "the executable had no name any more when it began to run",
    )),
    program(
        "exe.temporary",
        Read::Flag(|s| Some(temporary(&s.exe()?.file.path))),
        "the executable lies below a directory in which everyone may make files (/tmp, /dev/shm, …)",
    ),
    program(
        "exe.hidden",
        Read::Flag(|s| Some(hidden(&s.exe()?.file.path))),
        "a component of exe.path begins with a dot",
    ),
    stable(program(
        "exe.identity",
        Read::Made(|s| Some(identity::executable(s.exe()?))),
        "the executable as findings name it: path in the image, or content hash if written in the run",
    )),
    program(
        "argv",
        Read::Texts(|s, visit| s.program.is_some_and(|p| p.program.argv.iter().any(|it| visit(it)))),
        "each argument, argv[0] included; the program's own words",
    ),
    program(
        "argv0",
        Read::Text(|s| s.program?.program.argv.first().map(|it| &**it)),
        "the first argument: the name that the program was given",
    ),
    program(
        "argc",
        Read::Number(|s| Some(s.program?.program.argv.len() as u64)),
        "number of arguments, argv[0] included",
    ),
    program(
        "command_line",
        Read::Text(|s| Some(s.program?.command_line())),
        "the arguments joined by spaces",
    ),
    program("cwd", Read::Text(|s| Some(&s.program?.program.cwd)), "working directory when the program began"),
    program(
        "comm",
        Read::Text(|s| Some(&s.program?.program.comm)),
        "thread name that the kernel gave the program when it began (15 bytes)",
    ),
    program("tty", Read::Flag(|s| Some(s.program?.program.tty)), "a controlling terminal is attached"),
    program(
        "script.path",
        Read::Text(|s| Some(&s.script()?.path)),
        "the script that the kernel was asked to run, where exe is only its interpreter",
    ),
    program("script.name", Read::Text(|s| Some(name(&s.script()?.path))), "last component of script.path"),
    one_of(
        ORIGINS,
        program(
            "script.origin",
            Read::Text(|s| Some(origin(s.script()?.origin))),
            "where the script came from, as exe.origin",
        ),
    ),
    stable(program(
        "script.written",
        Read::Flag(|s| Some(s.script()?.origin == Origin::Written)),
        "the script was made or changed during the run",
    )),
    program(
        "script.temporary",
        Read::Flag(|s| Some(temporary(&s.script()?.path))),
        "the script lies below a directory in which everyone may make files",
    ),
    // The programs that led to it.
    program(
        "parent.exe.path",
        Read::Text(|s| Some(&s.parent()?.exe.file.path)),
        "exe.path of the program before this one: the parent's, or this process's own before its exec",
    ),
    program(
        "parent.exe.name",
        Read::Text(|s| Some(name(&s.parent()?.exe.file.path))),
        "last component of parent.exe.path",
    ),
    one_of(
        ORIGINS,
        program(
            "parent.exe.origin",
            Read::Text(|s| Some(origin(s.parent()?.exe.file.origin))),
            "where the parent's executable came from, as exe.origin",
        ),
    ),
    program(
        "parent.argv",
        Read::Texts(|s, visit| s.parent().is_some_and(|p| p.argv.iter().any(|it| visit(it)))),
        "each argument of the program before this one",
    ),
    program(
        "parent.command_line",
        Read::Text(|s| Some(s.program?.ancestor_command_lines().first()?)),
        "arguments of the program before this one, joined by spaces",
    ),
    program(
        "ancestors.exe.path",
        Read::Texts(|s, visit| s.lineage().iter().any(|it| visit(&it.exe.file.path))),
        "exe.path of each program that led to this one",
    ),
    program(
        "ancestors.exe.name",
        Read::Texts(|s, visit| s.lineage().iter().any(|it| visit(name(&it.exe.file.path)))),
        "last component of each ancestors.exe.path",
    ),
    one_of(
        ORIGINS,
        program(
            "ancestors.exe.origin",
            Read::Texts(|s, visit| s.lineage().iter().any(|it| visit(origin(it.exe.file.origin)))),
            "where each program that led to this one came from, as exe.origin",
        ),
    ),
    program(
        "ancestors.command_line",
        Read::Texts(|s, visit| {
            s.program.is_some_and(|p| p.ancestor_command_lines().iter().any(|it| visit(it)))
        }),
        "arguments of each program that led to this one, joined by spaces",
    ),
    // The process.
    event(ACTORS, "pid", Read::Number(|s| Some(s.process()?.pid.into())), "process id, as the image sees it"),
    stable(event(
        ACTORS,
        "uid",
        Read::Number(|s| Some(s.process()?.ids.uid.into())),
        "real user id, as the image sees it",
    )),
    stable(event(
        ACTORS,
        "gid",
        Read::Number(|s| Some(s.process()?.ids.gid.into())),
        "real group id, as the image sees it",
    )),
    stable(event(
        ACTORS,
        "euid",
        Read::Number(|s| Some(s.process()?.ids.euid.into())),
        "effective user id, as the image sees it",
    )),
    stable(event(
        ACTORS,
        "egid",
        Read::Number(|s| Some(s.process()?.ids.egid.into())),
        "effective group id, as the image sees it",
    )),
    // Every event.
    one_of(
        &["done", "failed"],
        event(
            &Category::ALL,
            "outcome",
            Read::Text(|s| Some(if s.event.outcome.is_done() { b"done" } else { b"failed" })),
            "how the kernel answered: done (or under way), failed",
        ),
    ),
    event(ACTORS, "errno", Read::Number(errno), "errno of what failed (1 EPERM, 2 ENOENT, 13 EACCES, …)"),
    one_of(
        &["setup", "start", "probe", "idle", "stop"],
        event(
            &Category::ALL,
            "phase",
            Read::Text(|s| Some(Phase::name(s.event.phase).as_bytes())),
            "what the sandbox was doing meanwhile",
        ),
    ),
    event(
        &Category::ALL,
        "count",
        Read::Number(|s| Some(s.event.count)),
        "how many identical acts this stands for",
    ),
    // exec
    event(EXEC, "asked", Read::Text(asked), "the name passed to execve(2), unresolved; the program's word"),
    event(EXEC, "env", Read::Texts(env), "each variable of the environment as NAME=value"),
    // file
    one_of(
        &["open", "create", "read", "write", "rename", "link", "symlink", "unlink", "mkdir", "chmod"],
        event(
            FILE,
            "file.action",
            Read::Texts(file_actions),
            "what was done; an open is also read, write, create as it was opened; a failed one is what was tried",
        ),
    ),
    event(
        FILE,
        "file.path",
        Read::Text(|s| Some(&s.file()?.path)),
        "the file; of a rename or link, the new name",
    ),
    event(FILE, "file.name", Read::Text(|s| Some(name(&s.file()?.path))), "last component of file.path"),
    event(FILE, "file.dir", Read::Text(|s| Some(directory(&s.file()?.path))), "directory of file.path"),
    event(
        FILE,
        "file.extension",
        Read::Text(|s| extension(&s.file()?.path)),
        "what follows the last dot of file.name",
    ),
    one_of(
        ORIGINS,
        event(
            FILE,
            "file.origin",
            Read::Text(|s| Some(origin(s.file()?.origin))),
            "where the file came from, as exe.origin",
        ),
    ),
    event(
        FILE,
        "file.layer",
        Read::Number(|s| layer(s.file()?.origin)),
        "the image layer the file stands in",
    ),
    stable(event(
        FILE,
        "file.in_image",
        Read::Flag(|s| Some(layer(s.file()?.origin).is_some())),
        "the file stands unchanged as the image has it",
    )),
    stable(event(
        FILE,
        "file.written",
        Read::Flag(|s| Some(s.file()?.origin == Origin::Written)),
        "the file was made or changed during the run",
    )),
    one_of(
        &["regular", "directory", "link", "socket", "fifo", "char_device", "block_device", "unknown"],
        event(FILE, "file.kind", Read::Text(|s| Some(file_kind(s.file()?.kind))), "type of the file"),
    ),
    event(
        FILE,
        "file.verified",
        Read::Flag(|s| Some(s.file()?.verified)),
        "the path is the kernel's own, not the string that the program passed",
    ),
    event(
        FILE,
        "file.temporary",
        Read::Flag(|s| Some(temporary(&s.file()?.path))),
        "the file lies below a directory in which everyone may make files",
    ),
    event(
        FILE,
        "file.hidden",
        Read::Flag(|s| Some(hidden(&s.file()?.path))),
        "a component of file.path begins with a dot",
    ),
    event(FILE, "file.from", Read::Text(|s| Some(&s.from()?.path)), "the old name, of a rename or link"),
    event(FILE, "file.from.name", Read::Text(|s| Some(name(&s.from()?.path))), "last component of file.from"),
    one_of(
        ORIGINS,
        event(
            FILE,
            "file.from.origin",
            Read::Text(|s| Some(origin(s.from()?.origin))),
            "where the file with the old name came from, as exe.origin",
        ),
    ),
    event(
        FILE,
        "file.same_dir",
        Read::Flag(|s| Some(directory(&s.from()?.path) == directory(&s.file()?.path))),
        "the old and the new name of a rename or link are in the same directory",
    ),
    event(FILE, "file.target", Read::Text(symlink_target), "the text of a new symbolic link"),
    event(FILE, "file.read", Read::Flag(|s| Some(open_mode(s)?.read)), "opened for reading"),
    event(FILE, "file.write", Read::Flag(|s| Some(open_mode(s)?.write)), "opened for writing"),
    event(FILE, "file.append", Read::Flag(|s| Some(open_mode(s)?.append)), "opened for appending"),
    event(FILE, "file.truncate", Read::Flag(|s| Some(open_mode(s)?.truncate)), "emptied when opened"),
    event(FILE, "file.created", Read::Flag(|s| Some(open_mode(s)?.created)), "the open made the file"),
    event(
        FILE,
        "file.mode",
        Read::Number(|s| Some(new_mode(s)?.into())),
        "permission bits of a chmod, with set-id and sticky (0o4755)",
    ),
    event(
        FILE,
        "file.setuid",
        Read::Flag(|s| Some(new_mode(s)? & 0o4000 != 0)),
        "a chmod sets the set-user-id bit",
    ),
    event(
        FILE,
        "file.setgid",
        Read::Flag(|s| Some(new_mode(s)? & 0o2000 != 0)),
        "a chmod sets the set-group-id bit",
    ),
    event(
        FILE,
        "file.executable",
        Read::Flag(|s| Some(new_mode(s)? & 0o111 != 0)),
        "a chmod allows someone to run the file",
    ),
    event(
        FILE,
        "file.world_writable",
        Read::Flag(|s| Some(new_mode(s)? & 0o002 != 0)),
        "a chmod allows everyone to write the file",
    ),
    event(
        FILE,
        "file.is_own_exe",
        Read::Flag(is_own_exe),
        "the file is the one that the process itself runs from",
    ),
    event(
        FILE,
        "file.of_other_process",
        Read::Flag(|s| Some(proc_pid(&s.file()?.path)? != s.process()?.pid)),
        "for a file below /proc/N: N is another process than the one that acts",
    ),
    stable(event(
        FILE,
        "file.place",
        Read::Made(|s| Some(identity::place(s.file()?))),
        "the file as findings name it: its path, or directory class and suffix if written in the run",
    )),
    // net, and sockets copied onto standard streams
    one_of(
        &["connect", "bind", "listen", "send"],
        event(
            NET,
            "net.action",
            Read::Text(|s| Some(net_act(s)?.action.name().as_bytes())),
            "what was done with the socket; send is a datagram with an address of its own",
        ),
    ),
    one_of(
        &["tcp", "udp", "icmp", "raw", "packet", "netlink", "unix", "vsock", "other"],
        event(
            REMOTE,
            "net.protocol",
            Read::Text(|s| Some(protocol_name(protocol(s)?))),
            "the socket's protocol",
        ),
    ),
    event(
        REMOTE,
        "net.family",
        Read::Number(|s| match protocol(s)? {
            Protocol::Other(n) => Some(n.into()),
            _ => None,
        }),
        "number of the address family, where net.protocol is other",
    ),
    event(
        REMOTE,
        "dst.ip",
        Read::Address(|s| ip(s.remote()?)),
        "address of the far end (IPv4 in IPv6 is read as IPv4); of a copied socket, its peer",
    ),
    stable(event(REMOTE, "dst.port", Read::Number(|s| port(s.remote()?)), "port of the far end")),
    event(
        REMOTE,
        "dst.loopback",
        Read::Flag(|s| Some(is_local(ip(s.remote()?)?))),
        "the far end is this container itself (loopback, or the unspecified address)",
    ),
    event(
        REMOTE,
        "dst.public",
        Read::Flag(|s| Some(is_public(ip(s.remote()?)?))),
        "the far end is none of loopback, private, link-local, shared, multicast or documentation",
    ),
    event(
        NET,
        "src.ip",
        Read::Address(|s| ip(s.local()?)),
        "local address; of bind and listen, where it listens",
    ),
    event(
        NET,
        "src.port",
        Read::Number(|s| port(s.local()?)),
        "local port; of bind and listen, where it listens (0: the kernel chooses)",
    ),
    event(
        REMOTE,
        "unix.path",
        Read::Text(unix_path),
        "path or abstract name (begins with NUL) of a unix socket",
    ),
    // process
    one_of(
        &["fork", "exit", "dup"],
        event(
            PROCESS,
            "process.action",
            Read::Text(process_action),
            "what happened; dup: a descriptor was copied onto a standard stream",
        ),
    ),
    stable(event(
        PROCESS,
        "exit.code",
        Read::Number(|s| match process_act(s)? {
            ProcessAct::Exit { code, .. } => Some((*code).into()),
            _ => None,
        }),
        "exit status",
    )),
    stable(event(
        PROCESS,
        "exit.signal",
        Read::Number(|s| match process_act(s)? {
            ProcessAct::Exit { signal, .. } => Some((*signal).into()),
            _ => None,
        }),
        "signal that ended it, 0 for none",
    )),
    stable(event(
        PROCESS,
        "dup.onto",
        Read::Number(|s| Some(dup(s)?.0.into())),
        "the standard stream that was replaced: 0 input, 1 output, 2 error",
    )),
    one_of(
        &["socket", "pipe", "file", "other"],
        event(
            PROCESS,
            "dup.source",
            Read::Text(|s| {
                Some(match dup(s)?.1 {
                    DupSource::Socket { .. } => b"socket",
                    DupSource::Pipe => b"pipe",
                    DupSource::File(_) => b"file",
                    DupSource::Other => b"other",
                })
            }),
            "what the copied descriptor leads to",
        ),
    ),
    event(
        PROCESS,
        "dup.path",
        Read::Text(|s| match dup(s)?.1 {
            DupSource::File(file) => Some(&file.path),
            _ => None,
        }),
        "path of the copied file",
    ),
    // denied
    stable(event(DENIED, "call", Read::Text(|s| Some(&denied(s)?.call)), "name of the refused system call")),
    stable(event(DENIED, "call.number", Read::Number(|s| Some(denied(s)?.number.into())), "its number")),
    stable(event(
        DENIED,
        "call.compat",
        Read::Flag(|s| Some(denied(s)?.compat)),
        "made through the 32-bit entry (int 0x80)",
    )),
    event(DENIED, "call.arg0", Read::Number(|s| Some(denied(s)?.args[0])), "first argument register"),
    event(DENIED, "call.arg1", Read::Number(|s| Some(denied(s)?.args[1])), "second argument register"),
    event(DENIED, "call.arg2", Read::Number(|s| Some(denied(s)?.args[2])), "third argument register"),
    event(DENIED, "call.arg3", Read::Number(|s| Some(denied(s)?.args[3])), "fourth argument register"),
    event(DENIED, "call.arg4", Read::Number(|s| Some(denied(s)?.args[4])), "fifth argument register"),
    event(DENIED, "call.arg5", Read::Number(|s| Some(denied(s)?.args[5])), "sixth argument register"),
    // sandbox
    one_of(
        &["phase", "limit", "held", "lost"],
        event(SANDBOX, "sandbox.action", Read::Text(sandbox_action), "what the sandbox did or noticed"),
    ),
    stable(event(
        SANDBOX,
        "limit.name",
        Read::Text(|s| match &s.event.act {
            Act::Sandbox(SandboxAct::Limit { name }) => Some(name.as_bytes()),
            _ => None,
        }),
        "the limit that was reached: memory, pids, stdout, stderr, disk, log",
    )),
    stable(event(
        SANDBOX,
        "lost.family",
        Read::Text(|s| match &s.event.act {
            Act::Sandbox(SandboxAct::Lost { family, .. }) => Some(family.name().as_bytes()),
            _ => None,
        }),
        "the family of which records were lost",
    )),
];

fn origin(origin: Origin) -> &'static [u8] {
    origin_name(origin).as_bytes()
}

fn layer(origin: Origin) -> Option<u64> {
    match origin {
        Origin::Layer(number) => Some(number.into()),
        _ => None,
    }
}

fn errno(s: Subject<'_>) -> Option<u64> {
    match s.event.outcome {
        crate::event::Outcome::Failed(errno) => u64::try_from(errno).ok(),
        crate::event::Outcome::Done => None,
    }
}

fn asked(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Exec(exec) => Some(&exec.asked),
        _ => None,
    }
}

fn env(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match &s.event.act {
        Act::Exec(exec) => exec.env.iter().any(|it| visit(it)),
        _ => false,
    }
}

fn file_actions(s: Subject<'_>, visit: Visit<'_>) -> bool {
    let name: &[u8] = match s.file_act() {
        None => return false,
        Some(FileAct::Open { mode, .. }) => return open_actions(*mode, visit),
        Some(FileAct::Rename { .. }) => b"rename",
        Some(FileAct::Link { .. }) => b"link",
        Some(FileAct::Symlink { .. }) => b"symlink",
        Some(FileAct::Unlink { .. }) => b"unlink",
        Some(FileAct::Mkdir { .. }) => b"mkdir",
        Some(FileAct::Chmod { .. }) => b"chmod",
    };
    visit(name)
}

/// `O_TRUNC` changes the file even where it is opened for reading only.
fn open_actions(mode: OpenMode, visit: Visit<'_>) -> bool {
    visit(b"open")
        || (mode.read && visit(b"read"))
        || ((mode.write || mode.truncate) && visit(b"write"))
        || (mode.created && visit(b"create"))
}

fn open_mode(s: Subject<'_>) -> Option<OpenMode> {
    match s.file_act()? {
        FileAct::Open { mode, .. } => Some(*mode),
        _ => None,
    }
}

fn new_mode(s: Subject<'_>) -> Option<u32> {
    match s.file_act()? {
        FileAct::Chmod { mode, .. } => Some(*mode),
        _ => None,
    }
}

fn symlink_target(s: Subject<'_>) -> Option<&[u8]> {
    match s.file_act()? {
        FileAct::Symlink { target, .. } => Some(target),
        _ => None,
    }
}

fn file_kind(kind: FileKind) -> &'static [u8] {
    match kind {
        FileKind::Regular => b"regular",
        FileKind::Directory => b"directory",
        FileKind::Link => b"link",
        FileKind::Socket => b"socket",
        FileKind::Fifo => b"fifo",
        FileKind::CharDevice => b"char_device",
        FileKind::BlockDevice => b"block_device",
        FileKind::Unknown => b"unknown",
    }
}

/// By inode where both are known; an unlink may know the path only.
fn is_own_exe(s: Subject<'_>) -> Option<bool> {
    let (exe, file) = (s.exe()?, s.file()?);
    let same = |own: &crate::event::File| match (own.inode, file.inode) {
        (Some(own), Some(other)) => own == other,
        _ => own.path == file.path,
    };
    Some(same(&exe.file) || exe.script.as_ref().is_some_and(same))
}

fn net_act(s: Subject<'_>) -> Option<&NetAct> {
    match &s.event.act {
        Act::Net(act) => Some(act),
        _ => None,
    }
}

fn protocol(s: Subject<'_>) -> Option<Protocol> {
    match &s.event.act {
        Act::Net(act) => Some(act.protocol),
        Act::Process(ProcessAct::Dup { source: DupSource::Socket { protocol, .. }, .. }) => Some(*protocol),
        _ => None,
    }
}

fn protocol_name(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tcp => b"tcp",
        Protocol::Udp => b"udp",
        Protocol::Icmp => b"icmp",
        Protocol::Raw => b"raw",
        Protocol::Packet => b"packet",
        Protocol::Netlink => b"netlink",
        Protocol::Unix => b"unix",
        Protocol::Vsock => b"vsock",
        Protocol::Other(_) => b"other",
    }
}

fn ip(endpoint: &Endpoint) -> Option<IpAddr> {
    match endpoint {
        Endpoint::Inet(address) => Some(address.ip().to_canonical()),
        _ => None,
    }
}

fn port(endpoint: &Endpoint) -> Option<u64> {
    match endpoint {
        Endpoint::Inet(address) => Some(address.port().into()),
        _ => None,
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

fn is_public(ip: IpAddr) -> bool {
    if is_local(ip) || ip.is_multicast() {
        return false;
    }
    match ip {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_private() || v4.is_link_local() || v4.is_broadcast() || v4.is_documentation() || shared)
        }
        IpAddr::V6(v6) => {
            let documentation = v6.segments()[..2] == [0x2001, 0xdb8];
            !(v6.is_unique_local() || v6.is_unicast_link_local() || documentation)
        }
    }
}

fn unix_path(s: Subject<'_>) -> Option<&[u8]> {
    match (s.remote(), s.local()) {
        (Some(Endpoint::Unix(path)), _) | (_, Some(Endpoint::Unix(path))) => Some(path),
        _ => None,
    }
}

fn process_act(s: Subject<'_>) -> Option<&ProcessAct> {
    match &s.event.act {
        Act::Process(act) => Some(act),
        _ => None,
    }
}

fn process_action(s: Subject<'_>) -> Option<&[u8]> {
    Some(match process_act(s)? {
        ProcessAct::Fork { .. } => b"fork",
        ProcessAct::Exit { .. } => b"exit",
        ProcessAct::Dup { .. } => b"dup",
    })
}

fn dup(s: Subject<'_>) -> Option<(u8, &DupSource)> {
    match process_act(s)? {
        ProcessAct::Dup { onto, source } => Some((*onto, source)),
        _ => None,
    }
}

fn denied(s: Subject<'_>) -> Option<&Denied> {
    match &s.event.act {
        Act::Denied(denied) => Some(denied),
        _ => None,
    }
}

fn sandbox_action(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Sandbox(SandboxAct::Phase) => Some(b"phase"),
        Act::Sandbox(SandboxAct::Limit { .. }) => Some(b"limit"),
        Act::Sandbox(SandboxAct::Held { .. }) => Some(b"held"),
        Act::Sandbox(SandboxAct::Lost { .. }) => Some(b"lost"),
        _ => None,
    }
}
