//! The deeds of the selftest: by which route each is done, and how its event is recognised.
//!
//! Not here: how they are done. See [`super::doing`].

use super::doing::{FAMILIES, SERVED};
use crate::event::{
    Act, Endpoint, Event, Family, FileAct, FileChange, FileKind, KernelAct, MemoryAct, NetAct, NetAction,
    Origin, ProcessAct, ProcessCall, Protocol, Relation,
};

/// One thing that must be seen.
pub struct Deed {
    pub family: Family,
    /// What is done, and by which route.
    pub route: &'static str,
    pub is_seen: fn(&Event) -> bool,
}

macro_rules! deeds {
    ($($family:ident $route:literal $seen:expr;)*) => {
        &[$(Deed { family: Family::$family, route: $route, is_seen: $seen }),*]
    };
}

/// In the order of doing.
pub static DEEDS: &[Deed] = deeds! {
    Process "exec of a static program" |e| matches!(e.act, Act::Exec(_)) && exe_is(e, b"/deeds");
    Process "fork" |e| matches!(e.act, Act::Process(ProcessAct::Fork { .. }));
    Process "exit" |e| matches!(e.act, Act::Process(ProcessAct::Exit { .. }));
    Process "exec that fails" |e| matches!(&e.act, Act::Exec(exec) if *exec.asked == *b"/absent");
    Process "thread renamed (prctl)" |e| is_call(e, ProcessCall::Name);
    Process "traced (ptrace)" |e| is_call(e, ProcessCall::Trace) || is_denied(e, b"ptrace");
    Process "signal to itself (kill)" |e| matches!(&e.act,
        Act::Process(ProcessAct::Signal { signal: 23, target: Some(target) }) if target.relation == Relation::Own);
    Process "new session (setsid)" |e| is_call(e, ProcessCall::Session) || is_denied(e, b"setsid");
    Process "filters of its own (seccomp)" |e| is_call(e, ProcessCall::Seccomp);
    Process "another way of running (personality)" |e| is_call(e, ProcessCall::Personality)
        || is_denied(e, b"personality");
    Process "subreaper (prctl)" |e| is_control(e, 36);
    Process "dumpable (prctl)" |e| is_control(e, 4);
    Process "memory read (process_vm_readv)" |e| is_call(e, ProcessCall::ReadMemory);
    Process "memory written (process_vm_writev)" |e| is_call(e, ProcessCall::WriteMemory);
    Process "memory opened for writing (/proc/self/mem)" |e| matches!(&e.act,
        Act::File(FileAct::Open { file, mode }) if file.path.ends_with(b"/mem") && mode.write);
    Process "descriptor taken (pidfd_getfd)" |e| is_call(e, ProcessCall::TakeDescriptor)
        || is_denied(e, b"pidfd_getfd");
    Process "descriptor passed (SCM_RIGHTS)" |e| matches!(&e.act, Act::Process(ProcessAct::Call { what, call })
        if *what == ProcessCall::PassDescriptor && call.texts.iter().any(|text| **text == *b"/etc/six"));
    Process "limits of a child (prlimit64)" |e| matches!(&e.act, Act::Process(ProcessAct::Call { call, .. })
        if *call.call == *b"prlimit64" && call.args[0] != 0);
    Process "signal with a code of its own (rt_sigqueueinfo)" |e| matches!(e.act,
        Act::Process(ProcessAct::Signal { signal: 17, .. }));
    Process "groups (setgroups)" |e| is_call(e, ProcessCall::Groups);
    Process "ids changed (setresuid)" |e| matches!(&e.act,
        Act::Process(ProcessAct::Ids { after, .. }) if after.ids.euid == 1000);
    Process "descriptor onto a standard stream (dup2)" |e| matches!(e.act,
        Act::Process(ProcessAct::Dup { onto: 0, .. }));
    Process "exec of a memory file (execveat)" |e| matches!(e.act, Act::Exec(_))
        && e.process.as_ref().is_some_and(|it| it.program.exe.file.origin == Origin::Memfd);
    Memory "writable and executable (mmap)" |e| matches!(&e.act,
        Act::Memory(MemoryAct::Map(region)) if region.write && region.file.is_none());
    Memory "made executable after a write (mprotect)" |e| matches!(&e.act,
        Act::Memory(MemoryAct::Protect(region)) if region.written && region.size == 8192);
    Memory "memory file made (memfd_create)" |e| matches!(e.act, Act::Memory(MemoryAct::Memfd(_)));
    Memory "memory file mapped as code" |e| matches!(&e.act, Act::Memory(MemoryAct::Map(region))
        if region.file.as_ref().is_some_and(|file| file.origin == Origin::Memfd));
    Memory "userfaultfd" |e| matches!(e.act, Act::Memory(MemoryAct::UserFault(_)));
    Memory "memory file sealed (fcntl)" |e| is_kernel(e, b"fcntl");
    Memory "memory that nobody else reads (memfd_secret)" |e| is_denied(e, b"memfd_secret")
        || matches!(e.act, Act::Memory(MemoryAct::SecretMemfd(_)));
    File "open" |e| is_opened(e, b"/etc/one");
    File "openat" |e| is_opened(e, b"/etc/two");
    File "openat2" |e| is_opened(e, b"/etc/three");
    File "open by int 0x80" |e| is_opened(e, b"/etc/four");
    File "path in a page not yet present" |e| is_opened(e, b"/etc/five");
    File "open through /proc/self/fd" |e| is_opened(e, b"/etc/six");
    File "create" |e| matches!(&e.act, Act::File(FileAct::Open { file, mode })
        if *file.path == *b"/etc/made" && mode.created);
    File "mapped for writing (mmap)" |e| matches!(&e.act, Act::File(FileAct::Change { file, change: FileChange::Map })
        if *file.path == *b"/etc/made");
    File "length (truncate)" |e| is_changed(e, |change| matches!(change, FileChange::Truncate { length: 3 }));
    File "owner (chown)" |e| is_changed(e, |change| matches!(change, FileChange::Chown { gid: Some(7), .. }));
    File "times (utimensat)" |e| is_changed(e, |change| matches!(change, FileChange::Times { .. }));
    File "attribute (fsetxattr)" |e| is_changed(e, |change|
        matches!(change, FileChange::SetXattr { name, .. } if **name == *b"user.a"));
    File "file capabilities (setxattr)" |e| is_changed(e, |change|
        matches!(change, FileChange::SetXattr { capabilities: 128, .. }));
    File "filled by the kernel (sendfile)" |e| is_changed(e, |change| *change == FileChange::Copy);
    File "fifo (mknod)" |e| matches!(&e.act, Act::File(FileAct::Change { file, change: FileChange::Mknod { .. } })
        if *file.path == *b"/etc/fifo" && file.kind != FileKind::Regular);
    File "mode (fchmodat2)" |e| matches!(&e.act, Act::File(FileAct::Chmod { mode: 0o4711, .. }))
        || is_denied(e, b"fchmodat2");
    File "two names change places (renameat2)" |e| matches!(e.act, Act::File(FileAct::Exchange { .. }));
    File "file without a name, given one (O_TMPFILE, linkat)" |e| matches!(&e.act,
        Act::File(FileAct::Link { to, .. }) if *to.path == *b"/dev/shm/born");
    File "rename" |e| matches!(e.act, Act::File(FileAct::Rename { .. }));
    File "link" |e| matches!(e.act, Act::File(FileAct::Link { .. }));
    File "symlink" |e| matches!(e.act, Act::File(FileAct::Symlink { .. }));
    File "chmod" |e| matches!(e.act, Act::File(FileAct::Chmod { .. }));
    File "mkdir" |e| matches!(e.act, Act::File(FileAct::Mkdir { .. }));
    File "unlink" |e| matches!(e.act, Act::File(FileAct::Unlink { .. }));
    Network "bind" |e| is_net(e, NetAction::Bind);
    Network "listen" |e| is_net(e, NetAction::Listen);
    Network "connect" |e| is_net(e, NetAction::Connect) && is_to_port(e, 1);
    Network "connect by int 0x80" |e| is_net(e, NetAction::Connect) && is_to_port(e, 2);
    Network "connect that does not block, and its end" |e| is_net(e, NetAction::Settle) && is_to_port(e, 3);
    Network "connect by a call that sends (MSG_FASTOPEN)" |e| is_net(e, NetAction::Connect) && is_to_port(e, 4);
    Network "option of a socket (setsockopt)" |e| matches!(&e.act,
        Act::Net(act) if matches!(act.action, NetAction::Option { level: 6, number: 30, .. }));
    Network "bytes of datagrams" |e| matches!(&e.act,
        Act::Net(act) if matches!(act.action, NetAction::Close { sent: 1.., .. }) && is_to_port(e, 53));
    Network "datagram (sendto)" |e| is_net(e, NetAction::Send) && is_to_port(e, 53);
    Network "datagram (sendmmsg)" |e| is_net(e, NetAction::Send) && is_to_port(e, 54);
    Network "connection taken (accept)" |e| is_net(e, NetAction::Accept);
    Network "bytes of a connection that is open to the end" |e| matches!(&e.act,
        Act::Net(act) if matches!(act.action, NetAction::Close { sent: 5, .. }) && is_to_port(e, SERVED));
    Network "question for a name" |e| matches!(&e.act, Act::Dns(act) if act.question.is_some());
    Network "echo request (ICMP)" |e| is_net(e, NetAction::Send) && is_of(e, Protocol::Icmp);
    Network "raw socket" |e| is_socket(e, Protocol::Raw, FAMILIES.inet);
    Network "packet socket" |e| is_socket(e, Protocol::Packet, FAMILIES.packet);
    Network "netlink" |e| is_socket(e, Protocol::Netlink, FAMILIES.netlink);
    Network "vsock" |e| is_socket(e, Protocol::Vsock, FAMILIES.vsock);
    Network "unix socket with a path" |e| is_unix(e, b"/etc/door");
    Network "unix socket without one" |e| is_unix(e, b"\0hidden");
    Kernel "first call by the 32-bit entry" |e| matches!(e.act, Act::Kernel(KernelAct::Compat(_)));
    Kernel "new user namespace (unshare)" |e| is_kernel(e, b"unshare");
    Kernel "new user namespace (clone3)" |e| is_kernel(e, b"clone3");
    Kernel "mount" |e| is_kernel(e, b"mount");
    Kernel "io_uring" |e| is_kernel(e, b"io_uring_setup");
    Kernel "bpf" |e| is_kernel(e, b"bpf");
    Kernel "key added (add_key)" |e| is_kernel(e, b"add_key");
    Kernel "kernel module (finit_module)" |e| is_kernel(e, b"finit_module");
    Kernel "call of another numbering (x32)" |e| is_denied(e, b"x32_getpid");
    Kernel "missing capability" |e| matches!(e.act, Act::Kernel(KernelAct::Incapable(_)))
        || matches!(&e.act, Act::Denied(call) if call.inferred);
    Kernel "call that the sandbox's filter refuses" |e| matches!(&e.act, Act::Denied(call) if call.filtered);
    Kernel "other namespaces (setns)" |e| is_kernel(e, b"setns");
    Kernel "umount" |e| is_kernel(e, b"umount2");
    Kernel "mount by descriptors (open_tree, move_mount)" |e| is_kernel(e, b"move_mount");
    Kernel "pivot_root" |e| is_kernel(e, b"pivot_root");
    Kernel "perf_event_open" |e| is_kernel(e, b"perf_event_open");
    Kernel "keyctl" |e| is_kernel(e, b"keyctl");
    Kernel "kexec_load" |e| is_kernel(e, b"kexec_load");
    Kernel "the kernel's messages (syslog)" |e| is_kernel(e, b"syslog");
    Kernel "file by its handle (open_by_handle_at)" |e| is_kernel(e, b"open_by_handle_at");
    Kernel "chroot" |e| is_kernel(e, b"chroot");
};

fn exe_is(event: &Event, path: &[u8]) -> bool {
    event.process.as_ref().is_some_and(|process| *process.program.exe.file.path == *path)
}

fn is_call(event: &Event, wanted: ProcessCall) -> bool {
    matches!(event.act, Act::Process(ProcessAct::Call { what, .. }) if what == wanted)
}

fn is_denied(event: &Event, name: &[u8]) -> bool {
    matches!(&event.act, Act::Denied(call) if *call.call == *name)
}

/// Done or refused: both must be seen.
fn is_kernel(event: &Event, name: &[u8]) -> bool {
    is_denied(event, name) || matches!(&event.act, Act::Kernel(KernelAct::Call(call)) if *call.call == *name)
}

fn is_opened(event: &Event, path: &[u8]) -> bool {
    matches!(&event.act, Act::File(FileAct::Open { file, mode })
        if *file.path == *path && file.verified && mode.read)
}

fn is_net(event: &Event, action: NetAction) -> bool {
    matches!(&event.act, Act::Net(act) if act.action == action)
}

fn is_to_port(event: &Event, port: u16) -> bool {
    matches!(&event.act, Act::Net(act)
        if matches!(act.remote, Some(Endpoint::Inet(address)) if address.port() == port))
}

fn is_of(event: &Event, protocol: Protocol) -> bool {
    matches!(&event.act, Act::Net(act) if act.protocol == protocol)
}

/// Made or refused: both must be seen.
fn is_socket(event: &Event, protocol: Protocol, family: u64) -> bool {
    (is_net(event, NetAction::Socket) && is_of(event, protocol))
        || matches!(&event.act, Act::Denied(call) if *call.call == *b"socket" && call.args[0] == family)
}

fn is_unix(event: &Event, name: &[u8]) -> bool {
    matches!(&event.act, Act::Net(NetAct { action: NetAction::Bind, local: Some(Endpoint::Unix(path)), .. })
        if **path == *name)
}

fn is_changed(event: &Event, wanted: fn(&FileChange) -> bool) -> bool {
    matches!(&event.act, Act::File(FileAct::Change { change, .. }) if wanted(change))
}

/// prctl(2) with this option.
fn is_control(event: &Event, option: u64) -> bool {
    matches!(&event.act, Act::Process(ProcessAct::Call { what: ProcessCall::Control, call })
        if *call.call == *b"prctl" && call.args[0] == option)
}
