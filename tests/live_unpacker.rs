//! An unpacker that was taken over: a program of ours in its place, confined as it is, that tries to
//! reach what is not the layer. Each attempt is a process of its own, since most are killed for it.
//!
//! Has its own `main`: this very program is also the unpacker that it starts. Needs root.
#![allow(unsafe_code)] // system calls by number, as an attacker makes them; the result is all we want
#![allow(clippy::unwrap_used)] // the functions around the tests, too

mod support;

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use lazaret::image::{Cache, Image, ImageError, Limits, Reference, hostile_unpacker_main, is_unpacker};
use support::host::Host;
use support::image::{ImageBuilder, LayerBuilder, Packing};
use support::live;

/// A call that the filter does not let through, with arguments that would do harm.
const KILLED: &[(&str, libc::c_long, [libc::c_long; 4])] = &[
    ("kill-all", libc::SYS_kill, [-1, 9, 0, 0]),
    ("kill-runner", libc::SYS_kill, [1, 9, 0, 0]),
    ("tgkill", libc::SYS_tgkill, [1, 1, 9, 0]),
    ("pidfd-open", libc::SYS_pidfd_open, [1, 0, 0, 0]),
    ("pidfd-send", libc::SYS_pidfd_send_signal, [0, 9, 0, 0]),
    ("ptrace", libc::SYS_ptrace, [16, 1, 0, 0]),
    ("read-memory", libc::SYS_process_vm_readv, [1, 0, 0, 0]),
    ("kcmp", libc::SYS_kcmp, [1, 1, 0, 0]),
    ("fork", libc::SYS_fork, [0; 4]),
    ("clone", libc::SYS_clone, [0x1000_0000, 0, 0, 0]),
    ("clone3", libc::SYS_clone3, [0; 4]),
    ("execve", libc::SYS_execve, [0; 4]),
    ("execveat", libc::SYS_execveat, [0; 4]),
    ("socket", libc::SYS_socket, [1, 1, 0, 0]),
    ("vsock", libc::SYS_socket, [40, 1, 0, 0]),
    ("connect", libc::SYS_connect, [1, 0, 0, 0]),
    ("sendmsg", libc::SYS_sendmsg, [1, 0, 0, 0]),
    ("recvmsg", libc::SYS_recvmsg, [1, 0, 0, 0]),
    ("mount", libc::SYS_mount, [0; 4]),
    ("open-tree", libc::SYS_open_tree, [-100, 0, 0, 0]),
    ("unshare", libc::SYS_unshare, [0x1000_0000, 0, 0, 0]),
    ("setns", libc::SYS_setns, [0, 0, 0, 0]),
    ("chroot", libc::SYS_chroot, [0; 4]),
    ("pivot-root", libc::SYS_pivot_root, [0; 4]),
    ("bpf", libc::SYS_bpf, [0; 4]),
    ("perf", libc::SYS_perf_event_open, [0; 4]),
    ("io-uring", libc::SYS_io_uring_setup, [1, 0, 0, 0]),
    ("userfaultfd", libc::SYS_userfaultfd, [0; 4]),
    ("keyctl", libc::SYS_keyctl, [0; 4]),
    ("handle", libc::SYS_open_by_handle_at, [0; 4]),
    ("ioctl", libc::SYS_ioctl, [0, 0x5412, 0, 0]),
    ("prctl", libc::SYS_prctl, [4, 1, 0, 0]),
    ("setuid", libc::SYS_setresuid, [1, 1, 1, 0]),
    ("rename", libc::SYS_renameat2, [-100, 0, -100, 0]),
    ("truncate", libc::SYS_ftruncate, [0, 0, 0, 0]),
    ("memfd", libc::SYS_memfd_create, [0; 4]),
    ("shm", libc::SYS_shmget, [0, 4096, 0o1000, 0]),
    ("inotify", libc::SYS_inotify_init1, [0; 4]),
    ("sched", libc::SYS_sched_setaffinity, [1, 0, 0, 0]),
    ("limits", libc::SYS_prlimit64, [1, 7, 0, 0]),
];

/// A name, what is done, and what must come of it.
type Attempt = (&'static str, fn() -> String, &'static str);

const TRIED: &[Attempt] = &[
    // The host's files, by any way that a path or a descriptor could lead.
    ("host-path", || open("/etc/passwd"), "ENOENT"),
    ("climb", || open("../../../../../../etc/passwd"), "ENOENT"),
    ("proc", || open("/proc/self/root"), "ENOENT"),
    ("link-out", || link_then_open("/../../../etc/passwd"), "ENOENT"),
    ("cache", || open("/../tally.json"), "ENOENT"),
    ("blob-for-writing", || write_to(0), "EBADF"),
    ("descriptors", descriptors, "0 1 2 and the tree"),
    ("descriptor-climb", descriptor_climb, "the root"),
    // Nodes that would be a way to a device.
    ("disk-node", || node(libc::S_IFBLK, 8 << 8), "EACCES or EPERM"),
    ("memory-node", || node(libc::S_IFCHR, (1 << 8) | 1), "EACCES or EPERM"),
    // A signal by way of a descriptor's owner: there is no other process to name.
    ("signal-by-owner", || own_descriptor(2), "ESRCH"),
    ("signal-to-group", || own_descriptor(-2), "ESRCH"),
    // Ids beyond the range.
    ("owner-beyond", owner_beyond, "EINVAL"),
    ("file-capability", capability, "EPERM"),
];

fn main() -> ExitCode {
    if is_unpacker() {
        return hostile_unpacker_main(act);
    }
    if std::env::args().any(|argument| argument == "--list") {
        println!("an_unpacker_that_was_taken_over_reaches_nothing: test");
        return ExitCode::SUCCESS;
    }
    let passed = std::panic::catch_unwind(an_unpacker_that_was_taken_over_reaches_nothing).is_ok();
    println!(
        "test result: {}. {} passed; {} failed; 0 ignored",
        word(passed),
        u8::from(passed),
        u8::from(!passed)
    );
    ExitCode::from(u8::from(!passed))
}

fn word(passed: bool) -> &'static str {
    if passed { "ok" } else { "FAILED" }
}

fn an_unpacker_that_was_taken_over_reaches_nothing() {
    if !live() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let mut victim = Victim::new();
    let before = Host::look();
    for (name, _, _) in KILLED {
        let end = unpack(place.path(), name);
        let ImageError::Unpacker { reason, .. } = &end else { panic!("{name}: {end}") };
        assert_eq!(reason, "was killed by signal 31", "{name}");
    }
    for (name, _, expected) in TRIED {
        let end = unpack(place.path(), name);
        let ImageError::Stream { reason, .. } = &end else { panic!("{name}: {end}") };
        assert!(expected.split(" or ").any(|expected| expected == reason), "{name}: {reason}");
    }
    before.assert_same();
    assert_eq!(victim.0.try_wait().unwrap(), None, "it reached a process");
    println!("{} attempts", KILLED.len() + TRIED.len());
}

/// A process of the host that must outlive every attempt.
struct Victim(Child);

impl Victim {
    fn new() -> Victim {
        Victim(Command::new("sleep").arg("600").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets the hostile unpacker take an image whose layer begins with the attempt's name.
fn unpack(place: &Path, attempt: &str) -> ImageError {
    let lower = || ImageBuilder::new().layer(LayerBuilder::new().file("lower", b"x", 0o644));
    let layer = LayerBuilder::new().file(attempt, b"x", 0o644);
    let take = |builder: ImageBuilder, program: &Path| {
        let layout = place.join("layout");
        let _ = fs::remove_dir_all(&layout);
        builder.write_layout(&layout);
        let image = Image::open(&Reference::parse(layout.as_os_str()).unwrap(), &Limits::default()).unwrap();
        let cache = Cache::open(&place.join("state")).unwrap().with_unpacker(program);
        cache.unpack(&image, &Limits::default(), |_| ControlFlow::Continue(()))
    };
    // The layer below honestly, so that there is an overlay.
    drop(take(lower(), Path::new(env!("CARGO_BIN_EXE_lazaret"))).unwrap());
    take(lower().packed(layer, Packing::Plain), &std::env::current_exe().unwrap()).unwrap_err()
}

/// Runs in the unpacker: the name of the attempt is the first member's name.
fn act(mut blob: File) -> String {
    let mut name = [0; 100];
    let read = blob.read(&mut name).unwrap_or(0);
    let name = name[..read].split(|byte| *byte == 0).next().unwrap_or_default();
    for (tried, number, arguments) in KILLED {
        if tried.as_bytes() == name {
            let [a, b, c, d] = *arguments;
            // SAFETY: the filter kills this process for it; where it did not, the test fails, and what
            // the call did to this process matters no more.
            return answer(unsafe { libc::syscall(*number, a, b, c, d) });
        }
    }
    let tried = TRIED.iter().find(|(tried, ..)| tried.as_bytes() == name);
    tried.map_or_else(
        || format!("no attempt is named {:?}", String::from_utf8_lossy(name)),
        |(_, act, _)| act(),
    )
}

/// The name of the error, or `done`.
fn answer(result: libc::c_long) -> String {
    if result >= 0 {
        return "done".to_owned();
    }
    format!("{:?}", nix::errno::Errno::last())
}

fn open(path: &str) -> String {
    let path = CString::new(path).unwrap();
    // SAFETY: a path that ends in NUL, and numbers.
    answer(i64::from(unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), libc::O_RDONLY) }))
}

fn link_then_open(target: &str) -> String {
    let target = CString::new(target).unwrap();
    // SAFETY: both paths end in NUL.
    unsafe { libc::symlinkat(target.as_ptr(), libc::AT_FDCWD, c"/out".as_ptr()) };
    open("/out")
}

fn write_to(descriptor: i32) -> String {
    // SAFETY: one byte is there to be written.
    answer(unsafe { libc::write(descriptor, b"x".as_ptr().cast(), 1) } as i64)
}

/// Which descriptors lead to a directory, beside the standard ones.
fn descriptors() -> String {
    let root = status(libc::AT_FDCWD, c"/").unwrap();
    let mut odd = String::new();
    for number in 3..512 {
        let Some(found) = status(number, c"") else { continue };
        let directory = found.st_mode & libc::S_IFMT == libc::S_IFDIR;
        // The overlay's root, and the layer's own directory below it, have other numbers, and the same owner.
        if directory && found.st_uid != root.st_uid {
            odd += &format!("{number} ");
        }
    }
    if odd.is_empty() { "0 1 2 and the tree".to_owned() } else { odd }
}

/// From each directory that is open, upwards as far as it goes, and then to a file of the host.
fn descriptor_climb() -> String {
    for number in 3..512 {
        for path in [c"../../../../../../../../../../etc/passwd", c"../tally.json", c"../../../../proc/self"]
        {
            // SAFETY: a path that ends in NUL, and numbers.
            let opened = unsafe { libc::openat(number, path.as_ptr(), libc::O_RDONLY) };
            if opened >= 0 {
                return format!("{number} leads to {path:?}");
            }
        }
    }
    "the root".to_owned()
}

fn status(directory: i32, path: &std::ffi::CStr) -> Option<libc::stat> {
    // SAFETY: all zeros is a stat; the kernel fills it.
    let mut found = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL, `found` is ours.
    let result = unsafe { libc::fstatat(directory, path.as_ptr(), &mut found, libc::AT_EMPTY_PATH) };
    (result == 0).then_some(found)
}

fn node(kind: libc::mode_t, device: libc::dev_t) -> String {
    // SAFETY: a path that ends in NUL, and numbers.
    answer(i64::from(unsafe { libc::mknodat(libc::AT_FDCWD, c"/node".as_ptr(), kind | 0o666, device) }))
}

fn own_descriptor(pid: i32) -> String {
    // SAFETY: numbers only.
    answer(i64::from(unsafe { libc::fcntl(1, libc::F_SETOWN, pid) }))
}

fn owner_beyond() -> String {
    // SAFETY: a path that ends in NUL, and numbers.
    answer(i64::from(unsafe { libc::fchownat(libc::AT_FDCWD, c"/".as_ptr(), 70_000, 70_000, 0) }))
}

/// A capability that would count on the host: version 2, all of them, of the initial user namespace.
fn capability() -> String {
    // SAFETY: paths that end in NUL, numbers.
    let file =
        unsafe { libc::openat(libc::AT_FDCWD, c"/file".as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o755) };
    if file < 0 {
        return answer(-1);
    }
    let mut value = [0xff_u8; 20];
    value[..4].copy_from_slice(&0x0200_0001_u32.to_le_bytes());
    // SAFETY: the name ends in NUL, the value is as long as said.
    let set =
        unsafe { libc::fsetxattr(file, c"trusted.overlay.opaque".as_ptr(), value.as_ptr().cast(), 20, 0) };
    answer(i64::from(set))
}
