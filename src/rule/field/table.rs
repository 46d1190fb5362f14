//! The table of fields, in the order in which they are listed.

use super::read::file::{
    exe_inodes, exe_written_inodes, file_actions, file_capabilities, file_flags, file_inode, file_kind,
    is_own_exe, layer, new_mode, open_mode, origin, owner, suffix_added, symlink_target, times, xattr,
    xattr_value,
};
use super::read::net::{
    flow, flow_name, ip, is_local, net_act, protocol, protocol_name, public, returns, socket_option,
    unix_path,
};
use super::read::{
    arg, asked, call, call_texts, capabilities, changed, dup, env, errno, gained, kept, kernel_act,
    kernel_action, memory_action, mismatch, namespaces, outcome, process_act, process_action, region,
    ring_paths, sandbox_action, sleep_milliseconds, target, visit,
};
use super::{Category, Field, Read};
use crate::event::{Act, DupSource, KernelAct, Origin, Phase, ProcessAct, Protocol, SandboxAct, option_name};
use crate::rule::capability;
use crate::rule::identity;
use crate::rule::subject::{directory, extension, hidden, name, proc_pid, stem, suffix, temporary, top};

const ACTORS: &[Category] = &[
    Category::Exec,
    Category::Process,
    Category::Memory,
    Category::File,
    Category::Net,
    Category::Dns,
    Category::DnsAnswer,
    Category::Http,
    Category::Tls,
    Category::Command,
    Category::Stream,
    Category::Bait,
    Category::Kernel,
    Category::Denied,
];
const EXEC: &[Category] = &[Category::Exec];
const PROCESS: &[Category] = &[Category::Process];
const FILE: &[Category] = &[Category::File];
const NET: &[Category] = &[Category::Net];
const REMOTE: &[Category] = &[
    Category::Net,
    Category::Dns,
    Category::Process,
    Category::DnsAnswer,
    Category::Http,
    Category::Tls,
    Category::Command,
    Category::Stream,
    Category::Bait,
];
/// Sockets, and what was said through them.
const LOCAL: &[Category] = &[
    Category::Net,
    Category::DnsAnswer,
    Category::Http,
    Category::Tls,
    Category::Command,
    Category::Stream,
    Category::Bait,
];
const MEMORY: &[Category] = &[Category::Memory];
const KERNEL: &[Category] = &[Category::Kernel];
const CALLS: &[Category] = &[Category::Process, Category::Memory, Category::Kernel, Category::Denied];
const SANDBOX: &[Category] = &[Category::Sandbox];

pub(super) const fn event(
    categories: &'static [Category],
    name: &'static str,
    read: Read,
    doc: &'static str,
) -> Field {
    Field { name, doc, categories, values: &[], stable: false, of_program: false, read }
}

const fn program(name: &'static str, read: Read, doc: &'static str) -> Field {
    Field { of_program: true, ..event(ACTORS, name, read, doc) }
}

pub(super) const fn stable(field: Field) -> Field {
    Field { stable: true, ..field }
}

/// A field with a fixed set of values.
pub(super) const fn one_of(values: &'static [&'static str], field: Field) -> Field {
    Field { values, stable: true, ..field }
}

const ORIGINS: &[&str] = &["layer", "written", "memfd", "supplied", "kernel", "unknown"];

/// Those of the program, its ancestors, its process, and of what the probes tell.
pub(super) static FIELDS: &[Field] = &[
    // The program that acted.
    program(
        "exe.path",
        Read::Text(|s| Some(&s.exe()?.file.path)),
        "path of the file that runs, from the kernel; for a script, its interpreter",
    ),
    program(
        "program",
        Read::Number(|s| Some(s.program?.program.id.0.into())),
        "number of the program in the recording: the same for all that happens between one exec and the next, forks included",
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
        "exe.inodes",
        Read::Texts(exe_inodes),
        "the files that run, executable and script, as device:inode; the same whatever they are called",
    ),
    program(
        "exe.written_inodes",
        Read::Texts(exe_written_inodes),
        "those of exe.inodes that were made or changed during the run",
    ),
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
        "parent.program",
        Read::Number(|s| Some(s.parent()?.id.0.into())),
        "program of the program before this one",
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
        &["done", "failed", "unfinished"],
        event(
            &Category::ALL,
            "outcome",
            Read::Text(outcome),
            "how the kernel answered: done (or under way), failed, unfinished (it had not returned at the end)",
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
    event(
        EXEC,
        "capabilities",
        Read::Texts(capabilities),
        "each effective capability of the new program, by name (sys_admin)",
    ),
    event(EXEC, "env", Read::Texts(env), "each variable of the environment as NAME=value"),
    // file
    one_of(
        &[
            "open",
            "create",
            "read",
            "write",
            "rename",
            "link",
            "symlink",
            "unlink",
            "rmdir",
            "mkdir",
            "chmod",
            "truncate",
            "chown",
            "times",
            "setxattr",
            "removexattr",
            "mknod",
            "setflags",
            "copy",
            "map",
        ],
        event(
            FILE,
            "file.action",
            Read::Texts(file_actions),
            "what was done; an open is also read, write, create as it was opened; copy is filled by the kernel from another descriptor, map is mapped shared and writable; a failed one is what was tried",
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
    event(
        FILE,
        "file.suffix",
        Read::Text(|s| suffix(&s.file()?.path)),
        "the end of file.name that may have been added to another: .bak, ~",
    ),
    event(
        FILE,
        "file.stem",
        Read::Text(|s| stem(&s.file()?.path)),
        "file.path without file.extension and its dot: what a copy with one more suffix is a copy of",
    ),
    event(
        FILE,
        "file.top",
        Read::Text(|s| top(&s.file()?.path)),
        "first directory of file.path, as /home or /srv",
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
    stable(event(
        FILE,
        "file.bait",
        Read::Text(|s| s.file()?.bait.as_deref()),
        "the bait that was planted as this file, by name: aws-credentials, ssh-key, …",
    )),
    event(
        FILE,
        "file.inode",
        Read::Made(file_inode),
        "the file as device:inode, where the kernel told it; the same whatever it is called",
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
    event(
        FILE,
        "file.suffix_added",
        Read::Text(suffix_added),
        "what a rename or link in place adds to the old name: .locked, of x.txt to x.txt.locked",
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
        "permission bits that a chmod sets or a new file got, with set-id and sticky (0o4755)",
    ),
    event(
        FILE,
        "file.setuid",
        Read::Flag(|s| Some(new_mode(s)? & 0o4000 != 0)),
        "a chmod sets the set-user-id bit, or a file is made with it",
    ),
    event(
        FILE,
        "file.setgid",
        Read::Flag(|s| Some(new_mode(s)? & 0o2000 != 0)),
        "a chmod sets the set-group-id bit, or a file is made with it",
    ),
    event(
        FILE,
        "file.executable",
        Read::Flag(|s| Some(new_mode(s)? & 0o111 != 0)),
        "a chmod allows someone to run the file, or it is made so",
    ),
    event(
        FILE,
        "file.world_writable",
        Read::Flag(|s| Some(new_mode(s)? & 0o002 != 0)),
        "a chmod allows everyone to write the file, or it is made so",
    ),
    stable(event(
        FILE,
        "file.uid",
        Read::Number(|s| owner(s)?.0.map(Into::into)),
        "the new owner, of a chown that changes it",
    )),
    stable(event(
        FILE,
        "file.gid",
        Read::Number(|s| owner(s)?.1.map(Into::into)),
        "the new group, of a chown that changes it",
    )),
    event(
        FILE,
        "file.time",
        Read::Number(|s| u64::try_from(times(s)?.0?).ok()),
        "the time of change that was set, in seconds since 1970; absent where it was left or set to the present",
    ),
    event(
        FILE,
        "file.time.behind",
        Read::Number(|s| Some(times(s)?.1)),
        "by how many seconds the time of change that was set lies before the present",
    ),
    stable(event(
        FILE,
        "file.xattr",
        Read::Text(xattr),
        "name of the extended attribute that was set or removed",
    )),
    event(FILE, "file.xattr.value", Read::Text(xattr_value), "its new value, up to 256 bytes"),
    stable(event(
        FILE,
        "file.capabilities",
        Read::Texts(file_capabilities),
        "each capability that a new security.capability permits, by name (sys_admin)",
    )),
    stable(event(
        FILE,
        "file.immutable",
        Read::Flag(|s| Some(file_flags(s)?.0)),
        "the flags that were set forbid every change",
    )),
    stable(event(
        FILE,
        "file.append_only",
        Read::Flag(|s| Some(file_flags(s)?.1)),
        "the flags that were set allow only appending",
    )),
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
        &["connect", "bind", "listen", "send", "socket", "accept", "close", "settle", "return", "option"],
        event(
            NET,
            "net.action",
            Read::Text(|s| Some(net_act(s)?.action.name().as_bytes())),
            "what was done with the socket; send is a datagram with an address of its own, accept took a connection of dst, close ended one, settle is the end of a connect that did not block, return tells that dst was reached anew after a pause, option set one of the socket",
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
        Read::Address(|s| Some(ip(s.far()?))),
        "address of the far end (IPv4 in IPv6 is read as IPv4); of a copied socket, its peer",
    ),
    stable(event(REMOTE, "dst.port", Read::Number(|s| Some(s.far()?.port().into())), "port of the far end")),
    event(
        REMOTE,
        "dst.loopback",
        Read::Flag(|s| Some(is_local(ip(s.far()?)))),
        "the far end is this container itself (loopback, or the unspecified address)",
    ),
    event(
        REMOTE,
        "dst.public",
        Read::Flag(public),
        "the far end is none of loopback, private, link-local, shared, benchmarking or multicast; one with a \
         dst.name is as public as that name, since the simulated internet made up its address",
    ),
    stable(event(
        LOCAL,
        "dst.name",
        Read::Text(flow_name),
        "the name for which a name server gave the far end's address, in lower case, where it was asked before",
    )),
    event(
        LOCAL,
        "src.ip",
        Read::Address(|s| Some(ip(s.near()?))),
        "local address; of bind and listen, where it listens",
    ),
    event(
        LOCAL,
        "src.port",
        Read::Number(|s| Some(s.near()?.port().into())),
        "local port; of bind and listen, where it listens (0: the kernel chooses)",
    ),
    stable(event(
        NET,
        "net.option",
        Read::Text(|s| {
            let (level, number, _) = socket_option(s)?;
            Some(option_name(level, number).unwrap_or("other").as_bytes())
        }),
        "the option of the socket that was set, by the kernel's name (so_attach_filter)",
    )),
    event(
        NET,
        "net.option.value",
        Read::Number(|s| Some(socket_option(s)?.2)),
        "its value, or the first eight bytes of it",
    ),
    event(
        REMOTE,
        "unix.path",
        Read::Text(unix_path),
        "path or abstract name (begins with NUL) of a unix socket",
    ),
    // process
    one_of(
        &[
            "fork",
            "exit",
            "dup",
            "ids",
            "signal",
            "trace",
            "read_memory",
            "write_memory",
            "advise_memory",
            "take_descriptor",
            "pass_descriptor",
            "session",
            "seccomp",
            "personality",
            "groups",
            "name",
            "sleep",
            "timer",
            "wait",
            "busy",
            "control",
        ],
        event(
            PROCESS,
            "process.action",
            Read::Text(process_action),
            "what happened; dup: a descriptor was copied onto a standard stream; ids: credentials changed; \
             sleep: also select(2) and poll(2) of nothing; timer: one of a minute or more was set; wait: a call \
             still waited for its time when the run was over; busy: it used a processor for most of its life, \
             and still did when the run was over; control: prctl(2) with any other option of note",
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
        "dup.copied",
        Read::Flag(|s| Some(!matches!(dup(s)?.1, DupSource::Socket { copied: false, .. }))),
        "a descriptor was copied; else a connection was opened, and got the number because it was free",
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
    event(NET, "flow.sent", Read::Number(|s| Some(flow(s)?.0)), "bytes that an ended TCP connection sent"),
    event(
        NET,
        "flow.received",
        Read::Number(|s| Some(flow(s)?.1)),
        "bytes that an ended TCP connection received",
    ),
    event(
        NET,
        "net.returns",
        Read::Number(returns),
        "of net.action return: how often this far end was reached anew after a pause, by now",
    ),
    stable(event(
        PROCESS,
        "signal.number",
        Read::Number(|s| match process_act(s)? {
            ProcessAct::Signal { signal, .. } => Some((*signal).into()),
            _ => None,
        }),
        "the signal that was sent",
    )),
    event(
        CALLS,
        "target.pid",
        Read::Number(|s| Some(target(s)?.pid.into())),
        "the process that the act is aimed at, as the image sees it",
    ),
    event(
        CALLS,
        "target.exe.path",
        Read::Text(|s| Some(&target(s)?.exe)),
        "the file that this process runs from",
    ),
    event(
        CALLS,
        "target.exe.name",
        Read::Text(|s| Some(name(&target(s)?.exe))),
        "last component of target.exe.path",
    ),
    one_of(
        &["own", "descendant", "ancestor", "other"],
        event(
            CALLS,
            "target.relation",
            Read::Text(|s| Some(target(s)?.relation.name().as_bytes())),
            "how this process stands to the one that acts; own is itself",
        ),
    ),
    event(
        CALLS,
        "target.verified",
        Read::Flag(|s| Some(target(s)?.verified)),
        "the target is the kernel's own, not found by the number that was passed",
    ),
    stable(event(
        PROCESS,
        "from.euid",
        Read::Number(|s| Some(changed(s)?.0?.ids.euid.into())),
        "effective user id before the change, of process.action ids",
    )),
    stable(event(
        PROCESS,
        "to.euid",
        Read::Number(|s| Some(changed(s)?.1.ids.euid.into())),
        "effective user id after the change",
    )),
    stable(event(
        PROCESS,
        "to.uid",
        Read::Number(|s| Some(changed(s)?.1.ids.uid.into())),
        "real user id after the change",
    )),
    stable(event(
        PROCESS,
        "to.egid",
        Read::Number(|s| Some(changed(s)?.1.ids.egid.into())),
        "effective group id after the change",
    )),
    event(
        PROCESS,
        "gained",
        Read::Texts(gained),
        "each capability that became effective by the change, by name (sys_admin)",
    ),
    // memory
    one_of(
        &["map", "protect", "memfd", "secret_memfd", "user_fault"],
        event(
            MEMORY,
            "memory.action",
            Read::Text(memory_action),
            "what was done; map and protect: memory became executable, beyond what a loader maps from the image",
        ),
    ),
    stable(event(
        MEMORY,
        "memory.write",
        Read::Flag(|s| Some(region(s)?.write)),
        "the executable region is writable as well",
    )),
    stable(event(
        MEMORY,
        "memory.written",
        Read::Flag(|s| Some(region(s)?.written)),
        "something was written into the region before it became executable",
    )),
    stable(event(
        MEMORY,
        "memory.anonymous",
        Read::Flag(|s| Some(region(s)?.file.is_none())),
        "no file is mapped there",
    )),
    event(MEMORY, "memory.size", Read::Number(|s| Some(region(s)?.size)), "bytes of the region"),
    event(
        MEMORY,
        "memory.path",
        Read::Text(|s| Some(&region(s)?.file.as_ref()?.path)),
        "the file that is mapped",
    ),
    one_of(
        ORIGINS,
        event(
            MEMORY,
            "memory.origin",
            Read::Text(|s| Some(origin(region(s)?.file.as_ref()?.origin))),
            "where the mapped file came from, as exe.origin",
        ),
    ),
    // kernel
    one_of(
        &["call", "compat", "moved", "ring", "capability", "argument_mismatch"],
        event(
            KERNEL,
            "kernel.action",
            Read::Text(kernel_action),
            "call: one that was not refused; compat: the process's first 32-bit call; moved: to \
             another cgroup; ring: handed to io_uring; capability: the call asked for one that was not \
             there; argument_mismatch: an argument was rewritten during the call",
        ),
    ),
    event(
        KERNEL,
        "kernel.cgroup",
        Read::Text(|s| match kernel_act(s)? {
            KernelAct::Moved { cgroup, .. } => Some(cgroup),
            _ => None,
        }),
        "the cgroup that a process was moved to, from the root of its hierarchy",
    ),
    stable(event(
        KERNEL,
        "mismatch.call",
        Read::Text(|s| Some(&mismatch(s)?.call)),
        "the call whose argument was rewritten: open, connect, bind, send, or one on names (rename, unlinkat, …)",
    )),
    event(
        KERNEL,
        "mismatch.passed",
        Read::Text(|s| Some(&mismatch(s)?.passed)),
        "what stood in the program's memory when the call had returned: a path, or address:port; of a call on \
         names what stood there when it began",
    ),
    event(
        KERNEL,
        "mismatch.taken",
        Read::Text(|s| Some(&mismatch(s)?.taken)),
        "what the kernel took instead, by its own file, socket or packet; of a call on names what stood there \
         when it had returned",
    ),
    stable(event(
        KERNEL,
        "mismatch.verified",
        Read::Flag(|s| Some(mismatch(s)?.verified)),
        "mismatch.taken is the kernel's own; false: which of the two it took is not known",
    )),
    stable(event(
        KERNEL,
        "ring.operation",
        Read::Text(|s| match kernel_act(s)? {
            KernelAct::Ring { operation, .. } => Some(operation),
            _ => None,
        }),
        "name of the operation handed to io_uring",
    )),
    event(KERNEL, "ring.path", Read::Texts(ring_paths), "each path of the operation"),
    event(
        &[Category::Kernel, Category::Denied],
        "namespaces",
        Read::Texts(namespaces),
        "each namespace that clone, clone3, unshare or setns is about: user, pid, mount, net, uts, ipc, \
         cgroup, time",
    ),
    // calls: refused, or told by their registers
    stable(event(CALLS, "call", Read::Text(|s| Some(&call(s)?.call)), "name of the system call")),
    stable(event(CALLS, "call.number", Read::Number(|s| Some(call(s)?.number.into())), "its number")),
    stable(event(
        CALLS,
        "call.compat",
        Read::Flag(|s| Some(call(s)?.compat)),
        "made through the 32-bit entry (int 0x80)",
    )),
    event(
        CALLS,
        "call.sleep",
        Read::Number(sleep_milliseconds),
        "of sleep and timer: the milliseconds that are asked for; 0 where a time to wake up at is named; of \
         wait: what was left of them; of busy: of the processor's time",
    ),
    event(CALLS, "call.arg0", Read::Number(|s| arg(s, 0)), "first argument register"),
    event(CALLS, "call.arg1", Read::Number(|s| arg(s, 1)), "second argument register"),
    event(CALLS, "call.arg2", Read::Number(|s| arg(s, 2)), "third argument register"),
    event(CALLS, "call.arg3", Read::Number(|s| arg(s, 3)), "fourth argument register"),
    event(CALLS, "call.arg4", Read::Number(|s| arg(s, 4)), "fifth argument register"),
    event(CALLS, "call.arg5", Read::Number(|s| arg(s, 5)), "sixth argument register"),
    event(
        CALLS,
        "call.detail",
        Read::Number(|s| Some(call(s)?.detail)),
        "of clone, clone3 and unshare the flags, of bpf the type of the program or map; else 0",
    ),
    event(
        CALLS,
        "call.text",
        Read::Texts(call_texts),
        "each string among the arguments, read when the call returned; the program's word",
    ),
    stable(event(
        CALLS,
        "call.capability",
        Read::Text(|s| Some(capability::name(call(s)?.capability?).as_bytes())),
        "the capability that the call asked for and did not have, by name (sys_admin), where the kernel tells",
    )),
    stable(event(
        CALLS,
        "call.inferred",
        Read::Flag(|s| Some(call(s)?.inferred)),
        "the kernel did not tell call.capability: it is what the call asks for, which was refused with EPERM",
    )),
    stable(event(
        CALLS,
        "call.filtered",
        Read::Flag(|s| Some(call(s)?.filtered)),
        "the sandbox's own filter refused it, and the kernel was never asked",
    )),
    stable(event(
        CALLS,
        "call.own_filter",
        Read::Flag(|s| Some(call(s)?.own_filter)),
        "a seccomp filter or a tracer of the image's own answered it, perhaps with success, and the kernel was \
         never asked",
    )),
    // sandbox
    one_of(
        &["phase", "limit", "held", "skipped", "visited", "ran", "kept", "lost"],
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
    event(
        SANDBOX,
        "visit.request",
        Read::Text(|s| Some(visit(s)?.request.as_bytes())),
        "what a port of the image's was asked: greeting, http_get, http_post, tls_hello, redis_ping, socks_hello, \
         line, datagram",
    ),
    event(SANDBOX, "visit.answer", Read::Text(|s| Some(&visit(s)?.answer)), "the first bytes of its answer"),
    stable(event(
        SANDBOX,
        "visit.port",
        Read::Number(|s| Some(visit(s)?.remote.port().into())),
        "the port that was called at",
    )),
    one_of(
        &["deleted", "mapped", "tried"],
        event(
            SANDBOX,
            "kept.why",
            Read::Text(|s| Some(kept(s)?.why.name().as_bytes())),
            "why a file that was written in the run was kept: deleted (it lost its last name), mapped (as code), tried (to be executed, and no program came of it)",
        ),
    ),
    event(SANDBOX, "kept.path", Read::Text(|s| Some(&kept(s)?.path)), "its last name, from the kernel"),
    event(SANDBOX, "kept.size", Read::Number(|s| Some(kept(s)?.size)), "its bytes"),
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
