//! Says in one line what an event is, for people. Every byte that the image chose is escaped.

mod world;

use std::fmt::Write;

use super::capability;
use super::capability::name as capability_name;
use crate::event::{
    Act, Bytes, Call, Credentials, DnsAct, DupSource, Endpoint, Errand, Event, File, FileAct, FileChange,
    Kept, KernelAct, MemoryAct, NetAct, NetAction, OpenMode, Outcome, Process, ProcessAct, ProcessCall,
    Protocol, Region, SandboxAct, Target, Visit, Why, option_name,
};

/// The longest name that is shown whole, in bytes.
const SHOWN_MAX: usize = 240;

/// One sentence: who, what, and how it ended.
pub fn event(event: &Event) -> String {
    let nobody = if event.act.flow().is_some() { "an unknown process" } else { "the sandbox" };
    let mut text = event.process.as_ref().map_or_else(|| nobody.to_owned(), who);
    text.push(' ');
    text.push_str(&act(&event.act, event.outcome.is_done()));
    if let Outcome::Failed(errno) = event.outcome {
        let _ = write!(text, ", refused with {}", errno_name(errno));
    }
    if event.outcome == Outcome::Unfinished {
        text.push_str(", which had not returned at the end");
    }
    if event.count > 1 {
        let _ = write!(text, " ({} times)", event.count);
    }
    text
}

/// Shows bytes on one line: printable ASCII and valid UTF-8 without control or direction characters as
/// they are, the rest as `\xNN`; cut where it is long.
pub fn escape(bytes: &[u8]) -> String {
    let (shown, rest) = bytes.split_at(bytes.len().min(SHOWN_MAX));
    let mut text = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        for character in chunk.valid().chars() {
            let plain = character == ' ' || (character.is_alphanumeric() || character.is_ascii_graphic());
            if plain && character != '\\' {
                text.push(character);
            } else {
                let mut buffer = [0; 4];
                hex_escape(&mut text, character.encode_utf8(&mut buffer).as_bytes());
            }
        }
        hex_escape(&mut text, chunk.invalid());
    }
    if !rest.is_empty() {
        let _ = write!(text, "… ({} more bytes)", rest.len());
    }
    text
}

fn hex_escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

fn who(process: &Process) -> String {
    let exe = &process.program.exe;
    match &exe.script {
        Some(script) => format!("{} (run by {})", escape(&script.path), escape(&exe.file.path)),
        None => escape(&exe.file.path),
    }
}

fn act(act: &Act, done: bool) -> String {
    match act {
        Act::Exec(exec) if done => format!("began to run, asked for as {}", escape(&exec.asked)),
        Act::Exec(exec) => format!("tried to run {}", escape(&exec.asked)),
        Act::Process(act) => process_act(act),
        Act::File(act) => format!("{}{}", if done { "" } else { "tried: " }, file_act(act)),
        Act::Net(act) => net_act(act),
        Act::Dns(act) => dns_act(act),
        Act::DnsAnswer(act) => world::dns_answer(act),
        Act::Http(act) => world::http(act),
        Act::Tls(act) => world::tls(act),
        Act::Command(act) => world::command(act),
        Act::Stream(act) => world::stream(act),
        Act::Bait(act) => world::bait(act),
        Act::Memory(act) => memory_act(act),
        Act::Kernel(act) => kernel_act(act),
        Act::Denied(call) => format!("called {}", called(call)),
        Act::Sandbox(act) => sandbox_act(act),
    }
}

fn process_act(act: &ProcessAct) -> String {
    match act {
        ProcessAct::Fork { child_pid, .. } => format!("made process {child_pid}"),
        ProcessAct::Exit { code, signal: 0 } => format!("ended with status {code}"),
        ProcessAct::Exit { signal, .. } => format!("was ended by signal {signal}"),
        ProcessAct::Dup { onto, source: source @ DupSource::Socket { copied: false, .. } } => {
            format!("opened {} as standard {}", dup_source(source), stream(*onto))
        }
        ProcessAct::Dup { onto, source } => {
            format!("copied {} onto standard {}", dup_source(source), stream(*onto))
        }
        ProcessAct::Ids { before, after, .. } => ids(before.as_ref(), after),
        ProcessAct::Signal { signal, target } => format!("sent signal {signal} to {}", aim(target.as_ref())),
        ProcessAct::Call { what, call } => process_call(*what, call),
    }
}

fn process_call(what: ProcessCall, call: &Call) -> String {
    let target = || aim(call.target.as_ref());
    match what {
        ProcessCall::Trace if call.args[0] == 0 => "asked to be traced by its parent".to_owned(),
        ProcessCall::Trace => format!("traced {} (request {:#x})", target(), call.args[0]),
        ProcessCall::ReadMemory => format!("read the memory of {}", target()),
        ProcessCall::WriteMemory => format!("wrote into the memory of {}", target()),
        ProcessCall::TakeDescriptor => format!("took a descriptor from {}", target()),
        ProcessCall::PassDescriptor => format!("passed a descriptor of {}", texts(&call.texts)),
        ProcessCall::Name => format!("named its thread {}", texts(&call.texts)),
        ProcessCall::Session => "began a session of its own".to_owned(),
        ProcessCall::Wait => format!("still waited in {} when the run was over", called(call)),
        ProcessCall::Busy => "kept a processor busy until the run was over".to_owned(),
        _ => format!("called {}", called(call)),
    }
}

fn aim(target: Option<&Target>) -> String {
    match target {
        Some(target) => {
            format!("process {} ({}, {})", target.pid, escape(&target.exe), target.relation.name())
        }
        None => "a process that was not found".to_owned(),
    }
}

fn ids(before: Option<&Credentials>, after: &Credentials) -> String {
    let shown = |it: &Credentials| {
        let (uid, gid, caps) = (it.ids.euid, it.ids.egid, it.capabilities.effective);
        format!("user {uid}, group {gid}, capabilities {caps:#x}")
    };
    match before {
        Some(before) => format!("changed from {} to {}", shown(before), shown(after)),
        None => format!("became {}", shown(after)),
    }
}

fn memory_act(act: &MemoryAct) -> String {
    match act {
        MemoryAct::Map(region) => format!("mapped {}", memory_region(region)),
        MemoryAct::Protect(region) => format!("made executable: {}", memory_region(region)),
        MemoryAct::Memfd(call) => format!("made a file in memory, {}", texts(&call.texts)),
        MemoryAct::SecretMemfd(_) => "made a secret file in memory".to_owned(),
        MemoryAct::UserFault(_) => "asked to handle page faults (userfaultfd)".to_owned(),
    }
}

fn memory_region(region: &Region) -> String {
    let what = match &region.file {
        Some(file) => format!("of {}", escape(&file.path)),
        None => "of anonymous memory".to_owned(),
    };
    let write = if region.write { "writable and executable" } else { "executable" };
    let written = if region.written { ", written before" } else { "" };
    format!("{} bytes {what} ({write}{written})", region.size)
}

fn kernel_act(act: &KernelAct) -> String {
    match act {
        KernelAct::Call(call) => format!("called {}", called(call)),
        KernelAct::Compat(call) => format!("used the 32-bit entry of the kernel, first for {}", called(call)),
        KernelAct::Incapable(call) => format!("asked for what it may not do in {}", called(call)),
        KernelAct::Mismatch(mismatch) if !mismatch.verified => format!(
            "passed {} to {}, and had rewritten it to {} when the call returned",
            escape(&mismatch.passed),
            escape(&mismatch.call),
            escape(&mismatch.taken)
        ),
        KernelAct::Mismatch(mismatch) => format!(
            "passed {} to {}, and rewrote it during the call: the kernel took {}",
            escape(&mismatch.passed),
            escape(&mismatch.call),
            escape(&mismatch.taken)
        ),
        KernelAct::Moved { cgroup, .. } => format!("was moved to the cgroup {}", escape(cgroup)),
        KernelAct::Ring { operation, paths } if paths.is_empty() => {
            format!("handed {} to io_uring", escape(operation))
        }
        KernelAct::Ring { operation, paths } => {
            format!("handed {} of {} to io_uring", escape(operation), texts(paths))
        }
    }
}

/// The call with its strings, and what was missing.
fn called(call: &Call) -> String {
    let mut text = escape(&call.call);
    if !call.texts.is_empty() {
        let _ = write!(text, " ({})", texts(&call.texts));
    }
    if let Some(target) = &call.target {
        let _ = write!(text, " on {}", aim(Some(target)));
    }
    if let Some(capability) = call.capability {
        let _ = write!(text, ", which needs {}", capability_name(capability));
    }
    text
}

fn texts(texts: &[Bytes]) -> String {
    texts.iter().map(|text| format!("\"{}\"", escape(text))).collect::<Vec<_>>().join(", ")
}

fn stream(number: u8) -> &'static str {
    match number {
        0 => "input",
        1 => "output",
        _ => "error",
    }
}

fn dup_source(source: &DupSource) -> String {
    match source {
        DupSource::Socket { protocol, remote: Some(remote), .. } => {
            format!("a {} socket to {}", protocol_name(*protocol), endpoint(remote))
        }
        DupSource::Socket { protocol, remote: None, .. } => format!("a {} socket", protocol_name(*protocol)),
        DupSource::Pipe => "a pipe".to_owned(),
        DupSource::File(file) => escape(&file.path),
        DupSource::Other => "a descriptor".to_owned(),
    }
}

fn file_act(act: &FileAct) -> String {
    let path = |file: &File| escape(&file.path);
    match act {
        FileAct::Open { file, mode } => format!("{} {}", opened(*mode), path(file)),
        FileAct::Exchange { from, to } => format!("swapped {} and {}", path(from), path(to)),
        FileAct::Rename { from, to } => format!("renamed {} to {}", path(from), path(to)),
        FileAct::Link { from, to } => format!("linked {} as {}", path(from), path(to)),
        FileAct::Symlink { target, file } => format!("linked {} to {}", path(file), escape(target)),
        FileAct::Unlink { file } => format!("removed {}", path(file)),
        FileAct::Mkdir { file } => format!("made directory {}", path(file)),
        FileAct::Rmdir { file } => format!("removed directory {}", path(file)),
        FileAct::Change { file, change } => changed(change, &path(file)),
        FileAct::Chmod { file, mode } => format!("set mode {mode:o} on {}", path(file)),
    }
}

fn changed(change: &FileChange, path: &str) -> String {
    match change {
        FileChange::Truncate { length } => format!("set the length of {path} to {length}"),
        FileChange::Chown { uid, gid } => {
            let id = |id: &Option<u32>| id.map_or("-".to_owned(), |id| id.to_string());
            format!("gave {path} to {}:{}", id(uid), id(gid))
        }
        FileChange::Times { modified: None, .. } => format!("set the times of {path} to the present"),
        FileChange::Times { behind, .. } => {
            format!("set the time of change of {path} to {behind} seconds before the present")
        }
        FileChange::SetXattr { name, capabilities: 0, .. } => {
            format!("set attribute {} of {path}", escape(name))
        }
        FileChange::SetXattr { capabilities, .. } => {
            let names: Vec<_> = capability::names(*capabilities).collect();
            format!("gave {path} the capabilities {}", names.join(", "))
        }
        FileChange::RemoveXattr { name } => format!("removed attribute {} of {path}", escape(name)),
        FileChange::Mknod { device: 0 } => format!("made node {path}"),
        FileChange::Mknod { device } => format!("made {path} for device {device:#x}"),
        FileChange::SetFlags { immutable: true, .. } => format!("made {path} immutable"),
        FileChange::SetFlags { append_only: true, .. } => format!("made {path} append-only"),
        FileChange::SetFlags { .. } => format!("set flags of {path}"),
        FileChange::Copy => format!("copied into {path}"),
        FileChange::Map => format!("mapped {path} for writing"),
    }
}

fn opened(mode: OpenMode) -> &'static str {
    match mode {
        OpenMode { created: true, .. } => "created",
        OpenMode { truncate: true, .. } => "emptied and opened for writing",
        OpenMode { append: true, write: true, .. } => "opened for appending",
        OpenMode { write: true, .. } => "opened for writing",
        OpenMode { read: true, .. } => "opened for reading",
        _ => "opened",
    }
}

fn net_act(act: &NetAct) -> String {
    let protocol = protocol_name(act.protocol);
    let at = |end: &Option<Endpoint>| {
        let address = end.as_ref().map(endpoint).unwrap_or_else(|| "no address".to_owned());
        match (&act.name, end == &act.remote) {
            (Some(name), true) => format!("{} ({address})", escape(name)),
            _ => address,
        }
    };
    match act.action {
        NetAction::Connect => format!("connected ({protocol}) to {}", at(&act.remote)),
        NetAction::Send => format!("sent a datagram ({protocol}) to {}", at(&act.remote)),
        NetAction::Bind => format!("bound a {protocol} socket to {}", at(&act.local)),
        NetAction::Close { sent, received } => format!(
            "ended a connection ({protocol}) with {} after {sent} bytes sent and {received} received",
            at(&act.remote)
        ),
        NetAction::Settle => format!("was connected ({protocol}) to {}", at(&act.remote)),
        NetAction::Return { times } => {
            format!("came back ({protocol}) to {} after a pause, {times} times by now", at(&act.remote))
        }
        NetAction::Option { level, number, value } => {
            let name = option_name(level, number)
                .map_or_else(|| format!("option {level}/{number}"), |name| format!("option {name}"));
            format!("set {name} of a {protocol} socket to {value}")
        }
        NetAction::Socket => format!("made a {protocol} socket"),
        NetAction::Accept => format!("took a connection ({protocol}) from {}", at(&act.remote)),
        NetAction::Listen => format!("listened ({protocol}) on {}", at(&act.local)),
    }
}

fn dns_act(act: &DnsAct) -> String {
    let server = act.server.as_ref().map(|server| format!(" at {}", endpoint(server))).unwrap_or_default();
    match &act.question {
        Some(_) => format!("asked{server} for {}", world::question(act.question.as_ref())),
        None => format!("sent what is no question{server}"),
    }
}

fn protocol_name(protocol: Protocol) -> String {
    match protocol {
        Protocol::Other(family) => format!("family {family}"),
        named => format!("{named:?}").to_lowercase(),
    }
}

fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Inet(address) => address.to_string(),
        Endpoint::Unix(path) => match path.strip_prefix(b"\0") {
            Some(name) => format!("@{}", escape(name)),
            None => escape(path),
        },
        Endpoint::Other => "an address of another family".to_owned(),
    }
}

fn sandbox_act(act: &SandboxAct) -> String {
    match act {
        SandboxAct::Phase => "began a new phase".to_owned(),
        SandboxAct::Limit { name } => format!("saw the limit {name:?} reached"),
        SandboxAct::Held { time } => format!("held the workload for {} ms", time.as_millis()),
        SandboxAct::Skipped { time } => format!("skipped {} s of its sleep", time.as_secs()),
        SandboxAct::Visited(Visit { request, remote, said, .. }) => {
            format!("called at {remote} ({request}), and heard {said} bytes")
        }
        SandboxAct::Ran(Errand { purpose, timed_out: true, .. }) => {
            format!("ended the {} command, which took too long", purpose.name())
        }
        SandboxAct::Ran(Errand { purpose, code, signal, .. }) => match (code, signal) {
            (Some(code), _) => format!("ran the {} command, which ended with {code}", purpose.name()),
            (None, Some(signal)) => {
                format!("ran the {} command, which signal {signal} ended", purpose.name())
            }
            (None, None) => format!("could not run the {} command", purpose.name()),
        },
        SandboxAct::Kept(Kept { path, why, .. }) => {
            let why = match why {
                Why::Deleted => "deleted",
                Why::Mapped => "mapped as code",
                Why::Tried => "to be executed",
            };
            format!("kept {}, which was {why}", escape(path))
        }
        SandboxAct::Lost { family, records } => format!("lost {records} records of family {}", family.name()),
    }
}

/// Names of errno values that refusals have (Linux, asm-generic/errno.h); the number of any other.
fn errno_name(errno: i32) -> String {
    let name = match errno {
        1 => "EPERM",
        2 => "ENOENT",
        3 => "ESRCH",
        4 => "EINTR",
        13 => "EACCES",
        17 => "EEXIST",
        20 => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        30 => "EROFS",
        38 => "ENOSYS",
        101 => "ENETUNREACH",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        113 => "EHOSTUNREACH",
        other => return format!("errno {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_the_image_reaches_a_terminal_unescaped() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(escape(bytes), expected);
        check(b"/usr/bin/id", "/usr/bin/id");
        check("/tmp/naïve".as_bytes(), "/tmp/naïve");
        check(b"a\x1b[2Jb\n", r"a\x1b[2Jb\x0a");
        check(b"\xff\\x", r"\xff\x5cx");
        check("\u{202e}".as_bytes(), r"\xe2\x80\xae");
        assert!(escape(&[b'a'; 300]).ends_with("… (60 more bytes)"));
    }
}
