//! The deeds of the selftest: what is done, by which route, and how its event is recognised.

use super::program::{Argument, Program};
use crate::event::{
    Act, Event, Family, FileAct, FileChange, KernelAct, MemoryAct, NetAction, Origin, ProcessAct,
    ProcessCall, Relation,
};

/// One thing that must be seen.
pub struct Deed {
    pub family: Family,
    /// What is done, and by which route.
    pub route: &'static str,
    pub is_seen: fn(&Event) -> bool,
}

const AT_FDCWD: u64 = -100i64 as u64;
const O_RDONLY: u64 = 0;
const RX: u64 = 5;
const RW: u64 = 3;
const RWX: u64 = 7;
const PRIVATE_ANONYMOUS: u64 = 0x22;
const SIGURG: u64 = 23;
const O_NONBLOCK: u64 = 0o4000;
const MSG_FASTOPEN: u64 = 0x2000_0000;

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
    Kernel "first call by the 32-bit entry" |e| matches!(e.act, Act::Kernel(KernelAct::Compat(_)));
    Kernel "new user namespace (unshare)" |e| is_kernel(e, b"unshare");
    Kernel "new user namespace (clone3)" |e| is_kernel(e, b"clone3");
    Kernel "mount" |e| is_kernel(e, b"mount");
    Kernel "io_uring" |e| is_kernel(e, b"io_uring_setup");
    Kernel "bpf" |e| is_kernel(e, b"bpf");
    Kernel "key added (add_key)" |e| is_kernel(e, b"add_key");
    Kernel "kernel module (finit_module)" |e| is_kernel(e, b"finit_module");
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
    use crate::event::Endpoint;
    matches!(&event.act, Act::Net(act)
        if matches!(act.remote, Some(Endpoint::Inet(address)) if address.port() == port))
}

/// Names in /etc that the deeds open; the image must have them.
pub const OPENED: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// The program that does them all.
pub fn program() -> Program {
    let mut program = Program::default();
    files(&mut program);
    sockets(&mut program);
    memory(&mut program);
    kernel(&mut program);
    processes(&mut program);
    program
}

fn n(number: u64) -> Argument {
    Argument::Number(number)
}

fn files(it: &mut Program) {
    let names = OPENED.map(|name| format!("/etc/{name}"));
    let [one, two, three, four] = [0, 1, 2, 3].map(|index| it.text(&names[index]));
    let five = it.untouched(&names[4]);
    let six = it.text(&names[5]);
    it.call(libc::SYS_open, &[n(one), n(O_RDONLY)]);
    it.call(libc::SYS_openat, &[n(AT_FDCWD), n(two), n(O_RDONLY)]);
    let how = it.bytes(&[0; 24]);
    it.call(libc::SYS_openat2, &[n(AT_FDCWD), n(three), n(how), n(24)]);
    it.compat_call(5, [four, O_RDONLY]);
    it.call(libc::SYS_open, &[n(five), n(O_RDONLY)]);
    // O_PATH gives a descriptor without an open for reading; dup2 gives it a known number.
    let path = it.call(libc::SYS_open, &[n(six), n(0o10_000_000)]);
    it.call(libc::SYS_dup2, &[path.into(), n(50)]);
    let alias = it.text("/proc/self/fd/50");
    it.call(libc::SYS_open, &[n(alias), n(O_RDONLY)]);
    let [made, moved, second, points, folder] =
        ["/etc/made", "/etc/moved", "/etc/second", "/etc/points", "/etc/folder"].map(|name| it.text(name));
    it.call(libc::SYS_creat, &[n(made), n(0o600)]);
    let both = it.call(libc::SYS_open, &[n(made), n(2)]);
    it.call(libc::SYS_mmap, &[n(0), n(4096), n(RW), n(1), both.into(), n(0)]);
    it.call(libc::SYS_rename, &[n(made), n(moved)]);
    it.call(libc::SYS_link, &[n(moved), n(second)]);
    it.call(libc::SYS_symlink, &[n(one), n(points)]);
    it.call(libc::SYS_chmod, &[n(moved), n(0o755)]);
    it.call(libc::SYS_mkdir, &[n(folder), n(0o700)]);
    it.call(libc::SYS_unlink, &[n(second)]);
}

/// `struct sockaddr_in` of 127.0.0.1.
fn loopback(port: u16) -> Vec<u8> {
    [&[2, 0][..], &port.to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat()
}

fn sockets(it: &mut Program) {
    let tcp = it.call(libc::SYS_socket, &[n(2), n(1)]);
    let any = it.bytes(&loopback(0));
    it.call(libc::SYS_bind, &[tcp.into(), n(any), n(16)]);
    it.call(libc::SYS_listen, &[tcp.into(), n(1)]);
    let client = it.call(libc::SYS_socket, &[n(2), n(1)]);
    let closed = it.bytes(&loopback(1));
    it.call(libc::SYS_connect, &[client.into(), n(closed), n(16)]);
    // socketcall(2) takes its arguments from memory: the descriptor must be known beforehand.
    it.call(libc::SYS_dup2, &[client.into(), n(51)]);
    let other = it.bytes(&loopback(2));
    let packed = it.bytes(&[51u32, other as u32, 16].map(u32::to_le_bytes).concat());
    it.compat_call(102, [3, packed]);
    let udp = it.call(libc::SYS_socket, &[n(2), n(2)]);
    let [dns, next] = [53, 54].map(|port| it.bytes(&loopback(port)));
    let text = it.text("x");
    it.call(libc::SYS_sendto, &[udp.into(), n(text), n(1), n(0), n(dns), n(16)]);
    let part = it.bytes(&[text, 1].map(u64::to_le_bytes).concat());
    let message = it.bytes(&[next, 16, part, 1, 0, 0, 0, 0].map(u64::to_le_bytes).concat());
    it.call(libc::SYS_sendmmsg, &[udp.into(), n(message), n(1), n(0)]);
    it.call(libc::SYS_dup2, &[client.into(), n(0)]);
    let [later, fast] = [3, 4].map(|port| it.bytes(&loopback(port)));
    let one = it.bytes(&1u32.to_le_bytes());
    let waiting = it.call(libc::SYS_socket, &[n(2), n(1 | O_NONBLOCK)]);
    it.call(libc::SYS_connect, &[waiting.into(), n(later), n(16)]);
    let sender = it.call(libc::SYS_socket, &[n(2), n(1)]);
    it.call(libc::SYS_setsockopt, &[sender.into(), n(6), n(30), n(one), n(4)]);
    it.call(libc::SYS_sendto, &[sender.into(), n(text), n(1), n(MSG_FASTOPEN), n(fast), n(16)]);
}

fn memory(it: &mut Program) {
    let nowhere = n(u64::MAX);
    it.call(libc::SYS_mmap, &[n(0), n(4096), n(RWX), n(PRIVATE_ANONYMOUS), nowhere, n(0)]);
    let page = it.call(libc::SYS_mmap, &[n(0), n(8192), n(RW), n(PRIVATE_ANONYMOUS), nowhere, n(0)]);
    // The kernel writes into it, as read(2) from a file does.
    it.call(libc::SYS_uname, &[page.into()]);
    it.call(libc::SYS_mprotect, &[page.into(), n(8192), n(RX)]);
    let name = it.text("selftest");
    let file = it.call(libc::SYS_memfd_create, &[n(name), n(0)]);
    it.call(libc::SYS_ftruncate, &[file.into(), n(4096)]);
    it.call(libc::SYS_mmap, &[n(0), n(4096), n(RX), n(1), file.into(), n(0)]);
    it.call(libc::SYS_userfaultfd, &[n(1)]);
}

fn kernel(it: &mut Program) {
    const CLONE_NEWUSER: u64 = 0x1000_0000;
    let clone = it.bytes(&[CLONE_NEWUSER, 0, 0, 0, 17, 0, 0, 0].map(u64::to_le_bytes).concat());
    let [root, kind, key] = ["/", "user", "selftest"].map(|text| it.text(text));
    let room = it.bytes(&[0; 128]);
    it.call(libc::SYS_unshare, &[n(CLONE_NEWUSER)]);
    // Refused in the sandbox; where it is not, the child ends at once.
    it.forking_call(libc::SYS_clone3, &[n(clone), n(64)]);
    it.call(libc::SYS_mount, &[n(kind), n(root), n(kind)]);
    it.call(libc::SYS_io_uring_setup, &[n(4), n(room)]);
    it.call(libc::SYS_bpf, &[n(0), n(room), n(128)]);
    it.call(libc::SYS_add_key, &[n(kind), n(key), n(key), n(1), n(-3i64 as u64)]);
    it.call(libc::SYS_finit_module, &[n(0), n(root), n(0)]);
    it.call(libc::SYS_chroot, &[n(root)]);
}

fn processes(it: &mut Program) {
    let child = it.forking_call(libc::SYS_fork, &[]);
    it.call(libc::SYS_wait4, &[child.into()]);
    let [absent, name, own] = ["/absent", "selftest", "/deeds"].map(|text| it.text(text));
    let none = it.bytes(&[0; 8]);
    it.call(libc::SYS_execve, &[n(absent), n(none), n(none)]);
    it.call(libc::SYS_prctl, &[n(15), n(name)]);
    let me = it.call(libc::SYS_getpid, &[]);
    it.call(libc::SYS_kill, &[me.into(), n(SIGURG)]);
    // What runs from memory is a program that only ends.
    let end = it.bytes(&ending().elf());
    let file = it.call(libc::SYS_memfd_create, &[n(name), n(0)]);
    it.call(libc::SYS_write, &[file.into(), n(end), n(ending().elf().len() as u64)]);
    it.call(libc::SYS_ptrace, &[n(16), me.into()]);
    it.call(libc::SYS_setresuid, &[n(1000), n(1000), n(1000)]);
    let arguments = it.bytes(&[own, 0].map(u64::to_le_bytes).concat());
    let empty = it.text("");
    it.call(libc::SYS_execveat, &[file.into(), n(empty), n(arguments), n(none), n(0x1000)]);
    it.call(libc::SYS_exit_group, &[n(1)]);
}

/// A program that does nothing but end.
fn ending() -> Program {
    let mut program = Program::default();
    program.call(libc::SYS_exit_group, &[n(0)]);
    program
}
