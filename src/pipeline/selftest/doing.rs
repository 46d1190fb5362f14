//! How the deeds of the selftest are done: one call after the other.

use super::program::{Argument, Program};

const AT_FDCWD: u64 = -100i64 as u64;
const O_RDONLY: u64 = 0;
const RX: u64 = 5;
const RW: u64 = 3;
const RWX: u64 = 7;
const PRIVATE_ANONYMOUS: u64 = 0x22;
const SIGURG: u64 = 23;
const O_NONBLOCK: u64 = 0o4000;
const MSG_FASTOPEN: u64 = 0x2000_0000;

const O_RDWR: u64 = 2;
const O_TMPFILE: u64 = 0o20_200_000;
const F_ADD_SEALS: u64 = 1033;
const F_SEAL_SHRINK: u64 = 2;
const FCHMODAT2: i64 = 452;
/// `__X32_SYSCALL_BIT`
const X32: i64 = 0x4000_0000;
/// The port of the deeds' own server.
pub const SERVED: u16 = 4040;

/// Families of sockets, by number.
pub struct Families {
    pub inet: u64,
    pub netlink: u64,
    pub packet: u64,
    pub vsock: u64,
}

pub const FAMILIES: Families = Families { inet: 2, netlink: 16, packet: 17, vsock: 40 };

/// Names in /etc that the deeds open; the image must have them.
pub const OPENED: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// The program that does them all.
pub fn program() -> Program {
    let mut program = Program::default();
    files(&mut program);
    attributes(&mut program);
    sockets(&mut program);
    kinds_of_sockets(&mut program);
    memory(&mut program);
    kernel(&mut program);
    more_of_the_kernel(&mut program);
    others(&mut program);
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

/// What is changed of a file beside its names.
fn attributes(it: &mut Program) {
    let [moved, other, fifo, user, capability, empty] =
        ["/etc/moved", "/etc/points", "/etc/fifo", "user.a", "security.capability", ""]
            .map(|text| it.text(text));
    // cap_setuid, as the kernel lays it out (struct vfs_cap_data).
    let set = it.bytes(&[&[1, 0, 0, 2, 0x80][..], &[0; 15]].concat());
    it.call(libc::SYS_truncate, &[n(moved), n(3)]);
    it.call(libc::SYS_chown, &[n(moved), n(u64::MAX), n(7)]);
    it.call(libc::SYS_utimensat, &[n(AT_FDCWD), n(moved), n(0), n(0)]);
    let file = it.call(libc::SYS_open, &[n(moved), n(O_RDWR)]);
    it.call(libc::SYS_fsetxattr, &[file.into(), n(user), n(set), n(4), n(0)]);
    it.call(libc::SYS_setxattr, &[n(moved), n(capability), n(set), n(20), n(0)]);
    let source = it.call(libc::SYS_open, &[n(moved), n(O_RDONLY)]);
    it.call(libc::SYS_sendfile, &[file.into(), source.into(), n(0), n(2)]);
    it.call(libc::SYS_mknod, &[n(fifo), n(0o10600), n(0)]);
    it.call(FCHMODAT2, &[n(AT_FDCWD), n(moved), n(0o4711), n(0)]);
    it.call(libc::SYS_renameat2, &[n(AT_FDCWD), n(moved), n(AT_FDCWD), n(other), n(2)]);
    let [folder, born] = ["/dev/shm", "/dev/shm/born"].map(|text| it.text(text));
    let nameless = it.call(libc::SYS_open, &[n(folder), n(O_TMPFILE | O_RDWR), n(0o600)]);
    it.call(libc::SYS_dup2, &[nameless.into(), n(52)]);
    it.call(libc::SYS_linkat, &[n(52), n(empty), n(AT_FDCWD), n(born), n(0x1000)]);
    let alias = it.text("/proc/self/fd/52");
    it.call(libc::SYS_linkat, &[n(AT_FDCWD), n(alias), n(AT_FDCWD), n(born), n(0x400)]);
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

/// A question for `a.test`.
const QUESTION: &[u8] = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";

/// A server with a client, and sockets of every family.
fn kinds_of_sockets(it: &mut Program) {
    let served = it.bytes(&loopback(SERVED));
    let text = it.text("hello");
    let server = it.call(libc::SYS_socket, &[n(FAMILIES.inet), n(1)]);
    it.call(libc::SYS_bind, &[server.into(), n(served), n(16)]);
    it.call(libc::SYS_listen, &[server.into(), n(1)]);
    let client = it.call(libc::SYS_socket, &[n(FAMILIES.inet), n(1)]);
    it.call(libc::SYS_connect, &[client.into(), n(served), n(16)]);
    it.call(libc::SYS_accept, &[server.into(), n(0), n(0)]);
    it.call(libc::SYS_sendto, &[client.into(), n(text), n(5), n(0), n(0), n(0)]);
    let [dns, echo] = [it.bytes(&loopback(53)), it.bytes(&loopback(0))];
    let question = it.bytes(QUESTION);
    let udp = it.call(libc::SYS_socket, &[n(FAMILIES.inet), n(2)]);
    it.call(libc::SYS_sendto, &[udp.into(), n(question), n(QUESTION.len() as u64), n(0), n(dns), n(16)]);
    let request = it.bytes(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    let ping = it.call(libc::SYS_socket, &[n(FAMILIES.inet), n(2), n(1)]);
    it.call(libc::SYS_sendto, &[ping.into(), n(request), n(8), n(0), n(echo), n(16)]);
    for (family, kind) in
        [(FAMILIES.inet, 3), (FAMILIES.packet, 3), (FAMILIES.netlink, 3), (FAMILIES.vsock, 1)]
    {
        it.call(libc::SYS_socket, &[n(family), n(kind), n(u64::from(family == FAMILIES.inet))]);
    }
    for name in ["/etc/door", "\0hidden"] {
        let address = it.bytes(&[&[1, 0], name.as_bytes()].concat());
        let unix = it.call(libc::SYS_socket, &[n(1), n(2)]);
        it.call(libc::SYS_bind, &[unix.into(), n(address), n(2 + name.len() as u64)]);
        it.call(libc::SYS_dup2, &[unix.into(), n(53)]);
    }
    pass(it);
}

/// Sends descriptor 50 (of /etc/six) to the socket 53 itself.
fn pass(it: &mut Program) {
    let address = it.bytes(b"\x01\x00\x00hidden");
    let text = it.text("x");
    let part = it.bytes(&[text, 1].map(u64::to_le_bytes).concat());
    // struct cmsghdr: length, SOL_SOCKET, SCM_RIGHTS, the descriptor.
    let control = it.bytes(&[20, 1 | 1 << 32, 50].map(u64::to_le_bytes).concat());
    let message = it.bytes(&[address, 9, part, 1, control, 24, 0].map(u64::to_le_bytes).concat());
    it.call(libc::SYS_sendmsg, &[n(53), n(message), n(0)]);
}

fn memory(it: &mut Program) {
    let nowhere = n(u64::MAX);
    it.call(libc::SYS_mmap, &[n(0), n(4096), n(RWX), n(PRIVATE_ANONYMOUS), nowhere, n(0)]);
    let page = it.call(libc::SYS_mmap, &[n(0), n(8192), n(RW), n(PRIVATE_ANONYMOUS), nowhere, n(0)]);
    // The kernel writes into it, as read(2) from a file does.
    it.call(libc::SYS_uname, &[page.into()]);
    it.call(libc::SYS_mprotect, &[page.into(), n(8192), n(RX)]);
    let name = it.text("selftest");
    let file = it.call(libc::SYS_memfd_create, &[n(name), n(2)]);
    it.call(libc::SYS_memfd_secret, &[n(0)]);
    it.call(libc::SYS_ftruncate, &[file.into(), n(4096)]);
    it.call(libc::SYS_mmap, &[n(0), n(4096), n(RX), n(1), file.into(), n(0)]);
    it.call(libc::SYS_fcntl, &[file.into(), n(F_ADD_SEALS), n(F_SEAL_SHRINK)]);
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

/// What else is asked of the kernel; all of it is refused in the sandbox.
fn more_of_the_kernel(it: &mut Program) {
    let [root, room] = [it.text("/"), it.bytes(&[0; 128])];
    it.call(X32 | libc::SYS_getpid, &[]);
    it.call(libc::SYS_setns, &[n(0), n(0)]);
    it.call(libc::SYS_umount2, &[n(room), n(0)]);
    it.call(libc::SYS_move_mount, &[n(AT_FDCWD), n(root), n(AT_FDCWD), n(root), n(0)]);
    it.call(libc::SYS_pivot_root, &[n(root), n(root)]);
    it.call(libc::SYS_perf_event_open, &[n(room), n(0), n(u64::MAX), n(u64::MAX), n(0)]);
    it.call(libc::SYS_keyctl, &[n(0), n(-3i64 as u64), n(0)]);
    it.call(libc::SYS_kexec_load, &[]);
    it.call(libc::SYS_syslog, &[n(10)]);
    it.call(libc::SYS_open_by_handle_at, &[n(AT_FDCWD), n(room), n(0)]);
}

/// What is done to itself as to another process.
fn others(it: &mut Program) {
    let me = it.call(libc::SYS_getpid, &[]);
    let byte = it.bytes(&[0; 8]);
    let part = it.bytes(&[byte, 1].map(u64::to_le_bytes).concat());
    for call in [libc::SYS_process_vm_readv, libc::SYS_process_vm_writev] {
        it.call(call, &[me.into(), n(part), n(1), n(part), n(1), n(0)]);
    }
    let memory = it.text("/proc/self/mem");
    it.call(libc::SYS_open, &[n(memory), n(O_RDWR)]);
    let own = it.call(libc::SYS_pidfd_open, &[me.into(), n(0)]);
    it.call(libc::SYS_pidfd_getfd, &[own.into(), n(0), n(0)]);
    it.call(libc::SYS_setsid, &[]);
    it.call(libc::SYS_seccomp, &[n(2), n(0), n(byte)]);
    it.call(libc::SYS_personality, &[n(0x0004_0000)]);
    it.call(libc::SYS_prctl, &[n(36), n(1)]);
    it.call(libc::SYS_prctl, &[n(4), n(1)]);
    it.call(libc::SYS_setgroups, &[n(0), n(0)]);
    // struct siginfo: signal, error, a code of its own. SIGCHLD does nothing.
    let info = it.bytes(&[&[17, 0, 0, 0, 0, 0, 0, 0, 0xd6, 0xff, 0xff, 0xff][..], &[0; 116]].concat());
    it.call(libc::SYS_rt_sigqueueinfo, &[me.into(), n(17), n(info)]);
}

fn processes(it: &mut Program) {
    let child = it.forking_call(libc::SYS_fork, &[]);
    let limits = it.bytes(&[64u64, 64].map(u64::to_le_bytes).concat());
    it.call(libc::SYS_prlimit64, &[child.into(), n(7), n(limits), n(0)]);
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
