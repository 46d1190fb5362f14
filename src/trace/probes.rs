//! The probes: from the embedded object to programs in the kernel.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Mutex;
use std::thread::{Builder, JoinHandle};

use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::{BtfTracePoint, Program, ProgramError};
use aya::{Btf, BtfError, Ebpf, EbpfLoader, VerifierLogLevel};
use nix::sys::signal::{SigSet, SigmaskHow};

use super::btf;
use super::packets::{self, FLOWS_LEFT, PACKETS};
use super::watch::Watch;
use super::{KERNEL_BTF, TraceError, thin};
use crate::sys::ring::Ring;
use crate::sys::{bpf, mount};

pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lazaret.bpf.o"));

/// Name of a probe and the tracepoint it hangs on, in the order of attaching: the sieve comes last,
/// when its handlers are in place.
const PROBES: [(&str, &str); 8] = [
    ("fork", "sched_process_fork"),
    ("exit", "sched_process_exit"),
    ("exec", "sched_process_exec"),
    ("moved", "cgroup_attach_task"),
    ("signal", "signal_generate"),
    ("flow", "inet_sock_set_state"),
    ("entered", "sys_enter"),
    ("sys_exit", "sys_exit"),
];

/// Probes on what not every supported kernel has, with the tracepoint's names, newest first; a watch without
/// them says so.
const OPTIONAL: [(&str, &[&str]); 3] = [
    ("uring", &["io_uring_submit_req", "io_uring_submit_sqe"]), // renamed in 6.3
    ("uring_end", &["io_uring_complete"]),
    ("capability", &["cap_capable"]), // since 6.14
];

/// What the sieve calls, by `enum handler` of ebpf/calls.h.
const HANDLERS: [(u32, &str); 18] = [
    (0, "refused"),
    (1, "files"),
    (2, "files"),
    (3, "files"),
    (4, "files"),
    (5, "sockets"),
    (6, "sockets"),
    (7, "calls"),
    (8, "calls"),
    (9, "calls"),
    (10, "calls"),
    (11, "calls"),
    (12, "calls"),
    (13, "calls"),
    (16, "files"),
    (17, "files"),
    (18, "sockets"),
    (19, "sockets"),
];

/// What takes the verifier longest, in that order; begun first, so that no thread ends up alone with one.
const SLOW: [&str; 6] = ["sockets", "files", "calls", "uring_end", "exec", "uring"];

/// More threads than that have nothing to load.
const THREADS_MAX: usize = 4;

/// What may differ from run to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// File with the kernel's types.
    pub btf: PathBuf,
    /// Bytes of the ring for what a flood must not push out; a power of two.
    pub critical: u32,
    /// Bytes of the ring for everything else; a power of two.
    pub bulk: u32,
    /// A ring asks for a drain when this many bytes wait in it.
    pub wake_at: u32,
}

impl Default for Options {
    /// At about 600,000 records of 150 bytes a second (what two processors can do at most), 100 ms are
    /// 9 MB: they fit above the mark of the bulk ring ([`super::Level::is_above_mark`]). Twice the size
    /// with its mark at half had as much room, but let twice as much pile up: a record takes four times
    /// its bytes until it is written, and the runner went over 150 MiB.
    fn default() -> Options {
        Options { btf: PathBuf::from(KERNEL_BTF), critical: 8 << 20, bulk: 16 << 20, wake_at: 256 << 10 }
    }
}

/// Which tasks are the sandbox's.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// A pidfd of the sandbox's init, which is held: it and all that it forks from now on.
    pub init: BorrowedFd<'a>,
    /// The directory of the sandbox's cgroup in the v2 tree: everything in or below it.
    pub cgroup: BorrowedFd<'a>,
}

/// Probes on their way into the kernel, in a thread of their own: the verifier needs time and nothing else,
/// so it begins before anything is known of the run.
///
/// Dropping it leaves the thread to end with the process.
pub struct Loading(io::Result<JoinHandle<Result<Probes, TraceError>>>);

impl Loading {
    pub fn begin(options: Options) -> Loading {
        Loading(spawn(options))
    }

    /// Waits for them.
    pub fn finish(self) -> Result<Probes, TraceError> {
        let thread = self.0.map_err(|source| TraceError::Thread { source })?;
        thread.join().expect("loading does not panic")
    }
}

/// The threads that load take no signal: one that ends the run is for the thread that waits for it.
fn spawn(options: Options) -> io::Result<JoinHandle<Result<Probes, TraceError>>> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let thread = Builder::new().name("probes".into()).spawn(move || Probes::load_with(&options));
    before.thread_set_mask()?;
    thread
}

/// Probes that the kernel has verified and that see nothing yet.
pub struct Probes {
    ebpf: Ebpf,
    sizes: (u32, u32),
    /// Optional probes that this kernel has no place for.
    absent: Vec<&'static str>,
}

impl Probes {
    pub fn load() -> Result<Probes, TraceError> {
        Probes::load_with(&Options::default())
    }

    /// Loads in several threads: the verifier takes most of the time, and works on as many at once.
    pub fn load_with(options: &Options) -> Result<Probes, TraceError> {
        let (btf, upper_at, loader) = std::thread::scope(|scope| {
            let btf = scope.spawn(|| read_btf(&options.btf));
            let upper_at = scope.spawn(|| upper_at(&options.btf));
            let loader = EbpfLoader::new(); // reads the types as well, into its own copy
            let done = "reading does not panic";
            (btf.join().expect(done), upper_at.join().expect(done), loader)
        });
        let btf = btf?;
        // Seeded by the system: the key only has to be unknown to the sandbox.
        let secret = [RandomState::new().hash_one(0), RandomState::new().hash_one(1)];
        let mut ebpf = load_object(loader, options, (&secret, &upper_at), &btf)?;
        let absent = load_programs(&mut ebpf, &btf)?;
        fill_handlers(&mut ebpf)?;
        Ok(Probes { ebpf, sizes: (options.critical, options.bulk), absent })
    }

    /// Marks the sandbox and lets the probes see it: from the return of this call on, nothing that
    /// its tasks do goes by unrecorded or uncounted.
    pub fn attach(mut self, target: &Target<'_>) -> Result<Watch, TraceError> {
        mark(&mut self.ebpf, target)?;
        let critical = self.ring("critical", self.sizes.0)?;
        let bulk = self.ring("bulk", self.sizes.1)?;
        let present = OPTIONAL.iter().map(|(name, _)| name).filter(|name| !self.absent.contains(name));
        for name in present.chain(PROBES.iter().map(|(name, _)| name)) {
            probe(&mut self.ebpf, name)?.attach().map_err(refused(name))?;
        }
        packets::attach(&mut self.ebpf, target.cgroup)?;
        Watch::new(self.ebpf, critical, bulk, self.absent)
    }

    fn ring(&self, name: &'static str, size: u32) -> Result<Ring, TraceError> {
        let map = map_fd(&self.ebpf, name)?;
        Ring::map(map, size).map_err(|source| TraceError::Ring { source })
    }
}

/// Bytes from an overlay's inode to what says whether it has an upper half, where overlayfs is a module; 0
/// where it is none, or where its types cannot be read: the probes then leave the question open.
fn upper_at(path: &Path) -> u32 {
    const OVERLAY_BTF: &str = "/sys/kernel/btf/overlay";
    // Loads the module, where it is one and nothing has been mounted yet.
    let _ = mount::know(c"overlay");
    let distance = || {
        let module = std::fs::read(OVERLAY_BTF).ok()?;
        let base = std::fs::read(path).ok()?;
        let at = |member| btf::member_at(&base, &module, "ovl_inode", member);
        at("__upperdentry")?.checked_sub(at("vfs_inode")?)
    };
    distance().unwrap_or(0)
}

fn read_btf(path: &Path) -> Result<Btf, TraceError> {
    let bytes = std::fs::read(path)
        .map_err(|source| TraceError::NoBtf { path: path.to_owned(), source: Some(source) })?;
    if bytes.is_empty() {
        return Err(TraceError::NoBtf { path: path.to_owned(), source: None });
    }
    let tracepoints: Vec<_> = tracepoints().map(|name| format!("btf_trace_{name}")).collect();
    let thin = thin::names(OBJECT).and_then(|mut names| {
        names.extend(tracepoints.iter().map(String::as_bytes));
        thin::thin(&bytes, &names)
    });
    // What cannot be made thin is for the library to refuse.
    Btf::parse(&thin.unwrap_or(bytes), aya::Endianness::default())
        .map_err(|source| TraceError::BadBtf { path: path.to_owned(), source: source.into() })
}

/// All that any probe hangs on.
fn tracepoints() -> impl Iterator<Item = &'static str> {
    let optional = OPTIONAL.iter().flat_map(|(_, tracepoints)| tracepoints.iter().copied());
    PROBES.iter().map(|(_, tracepoint)| *tracepoint).chain(optional)
}

fn load_object<'a>(
    mut loader: EbpfLoader<'a>,
    options: &'a Options,
    (secret, upper_at): (&'a [u64; 2], &'a u32),
    btf: &'a Btf,
) -> Result<Ebpf, TraceError> {
    loader
        .btf(Some(btf))
        .allow_unsupported_maps() // task storage
        // Of a program that is refused, the reason alone; one that is accepted is verified without.
        .verifier_log_level(VerifierLogLevel::STATS)
        .map_max_entries("critical", options.critical)
        .map_max_entries("bulk", options.bulk)
        .override_global("secret", secret, true)
        .override_global("wake_at", &options.wake_at, true)
        .override_global("upper_at", upper_at, true);
    loader.load(OBJECT).map_err(|source| refusal(source.into()))
}

/// EPERM has one cause and one cure; everything else is the kernel's own reason.
fn refusal(source: Box<dyn Error + Send + Sync>) -> TraceError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&*source);
    while let Some(error) = cause {
        let denied = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        if denied {
            return TraceError::NotPermitted { source };
        }
        cause = error.source();
    }
    TraceError::Load { source }
}

fn refused<E: Into<Box<dyn Error + Send + Sync>>>(probe: &'static str) -> impl FnOnce(E) -> TraceError {
    move |source| TraceError::Refused { probe, source: source.into() }
}

/// Loads every program of the object: a thread for each processor takes the next one from a list. The names
/// of those that the kernel has no place for.
fn load_programs(ebpf: &mut Ebpf, btf: &Btf) -> Result<Vec<&'static str>, TraceError> {
    let probes = PROBES.iter().map(|(name, tracepoint)| (*name, slice::from_ref(tracepoint)));
    let handlers = HANDLERS.iter().map(|(_, name)| (*name, &["sys_exit"][..]));
    let packets = PACKETS.iter().map(|(name, _)| *name).chain([FLOWS_LEFT]).map(|name| (name, &[][..]));
    let mut wanted: HashMap<_, _> = probes.chain(OPTIONAL).chain(handlers).chain(packets).collect();
    let mut list = Vec::new();
    for (name, program) in ebpf.programs_mut() {
        let Some((name, tracepoints)) = wanted.remove_entry(name) else { continue };
        list.push((name, tracepoints, program));
    }
    if let Some((name, _)) = wanted.into_iter().next() {
        return Err(TraceError::Missing { name });
    }
    // Taken from the end.
    list.sort_by_key(|(name, ..)| Reverse(SLOW.iter().position(|slow| slow == name).unwrap_or(SLOW.len())));
    let list = Mutex::new(list);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| load_all(&list, btf))).collect();
        let here = load_all(&list, btf);
        let others = others.into_iter().map(|other| other.join().expect("loading does not panic"));
        let absent: Result<Vec<_>, _> = std::iter::once(here).chain(others).collect();
        let mut absent = absent?.concat();
        absent.sort_unstable();
        Ok(absent)
    })
}

/// Loads it for the first of the tracepoints that the kernel has; false if it has none.
fn load_first(program: &mut BtfTracePoint, tracepoints: &[&str], btf: &Btf) -> Result<bool, ProgramError> {
    for tracepoint in tracepoints {
        match program.load(tracepoint, btf) {
            Err(ProgramError::Btf(BtfError::UnknownBtfTypeName { .. })) => {}
            result => return result.map(|()| true),
        }
    }
    Ok(false)
}

/// A probe that waits to be loaded, and the names of its tracepoint.
type Waiting<'e> = (&'static str, &'static [&'static str], &'e mut Program);

/// Loads what the list still holds; the names of optional ones that the kernel has no place for.
fn load_all(list: &Mutex<Vec<Waiting<'_>>>, btf: &Btf) -> Result<Vec<&'static str>, TraceError> {
    let next = || list.lock().expect("no thread panics with the list in hand").pop();
    let mut absent = Vec::new();
    while let Some((name, tracepoints, program)) = next() {
        let loaded = match program {
            Program::BtfTracePoint(program) => load_first(program, tracepoints, btf),
            Program::CgroupSkb(program) => program.load().map(|()| true),
            _ => return Err(TraceError::Missing { name }),
        };
        match loaded.map_err(refused(name))? {
            true => {}
            false if OPTIONAL.iter().any(|(optional, _)| *optional == name) => absent.push(name),
            false => return Err(TraceError::NoTracepoint { probe: name }),
        }
    }
    Ok(absent)
}

fn probe<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut BtfTracePoint, TraceError> {
    ebpf.program_mut(name).and_then(|program| program.try_into().ok()).ok_or(TraceError::Missing { name })
}

fn fill_handlers(ebpf: &mut Ebpf) -> Result<(), TraceError> {
    let mut fds = Vec::with_capacity(HANDLERS.len());
    for (index, name) in HANDLERS {
        let fd = probe(ebpf, name)?.fd().and_then(|fd| Ok(fd.try_clone()?));
        fds.push((index, name, fd.map_err(refused(name))?));
    }
    let map = ebpf.map_mut("handlers").ok_or(TraceError::Missing { name: "handlers" })?;
    let mut handlers =
        ProgramArray::try_from(map).map_err(|source| TraceError::Load { source: source.into() })?;
    for (index, name, fd) in &fds {
        handlers.set(*index, fd, 0).map_err(refused(name))?;
    }
    Ok(())
}

/// Init by its pidfd (what it forks inherits the mark), the cgroup by its descriptor.
fn mark(ebpf: &mut Ebpf, target: &Target<'_>) -> Result<(), TraceError> {
    /// `struct ours` of ebpf/task.h: `seeded`, the fold table, credentials, the last question, a key.
    const OURS: usize = 8 + 16 * (6 + 3) * 8 + 48 + 8 + 16 + 8 + 48;
    let mut seeded = [0; OURS];
    seeded[0] = 1;
    let tasks = map_fd(ebpf, "tasks")?;
    bpf::update(tasks, target.init.as_raw_fd() as u32, &seeded)
        .map_err(|source| TraceError::Mark { what: "its init", source })?;
    let cage = map_fd(ebpf, "cage")?;
    let fd = target.cgroup.as_raw_fd() as u32;
    bpf::update(cage, 0, &fd.to_ne_bytes()).map_err(|source| TraceError::Mark { what: "its cgroup", source })
}

fn map_fd<'a>(ebpf: &'a Ebpf, name: &'static str) -> Result<BorrowedFd<'a>, TraceError> {
    let missing = TraceError::Missing { name };
    let data: &MapData = match ebpf.map(name) {
        Some(Map::RingBuf(data) | Map::CgroupArray(data) | Map::Unsupported(data)) => data,
        _ => return Err(missing),
    };
    Ok(data.fd().as_fd())
}
