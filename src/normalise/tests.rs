use std::collections::HashMap;

use super::*;
use crate::event::ProcessCall;

/// An image in which the named paths stand in the named layers.
pub(super) struct Image(HashMap<&'static [u8], u16>);

impl Provenance for Image {
    fn layer_of(&mut self, path: &[u8]) -> Option<u16> {
        self.0.get(path).copied()
    }
    fn entry_at(&mut self, path: &[u8]) -> ImageEntry {
        if self.0.contains_key(path) { ImageEntry::Other } else { ImageEntry::Absent }
    }
    fn digest_of(&mut self, file: &File, _: Start) -> Option<[u8; 32]> {
        (file.origin == Origin::Written).then_some([7; 32])
    }
}

const BASE: u32 = 1_000_000;
pub(super) const INIT: Task =
    Task { pid: 10, tid: 10, start: 1, inner_pid: 1, uid: BASE, gid: BASE, euid: BASE, egid: BASE };

pub(super) fn normaliser() -> Normaliser<Image> {
    let image = Image(HashMap::from([(&b"/bin/sh"[..], 0), (&b"/usr/bin/app"[..], 1)]));
    Normaliser::new(image, BASE, 10)
}

pub(super) fn task(pid: u32) -> Task {
    Task { pid, tid: pid, start: u64::from(pid), inner_pid: pid - 9, ..INIT }
}

pub(super) fn overlay_file(path: &str, inode: u64) -> KernelFile {
    KernelFile {
        path: path.into(),
        device: 44,
        inode,
        mode: 0o100_755,
        magic: 0x794c_7630,
        unlinked: false,
        upper: None,
    }
}

pub(super) fn record(time: u64, task: Task, body: Body) -> Record {
    Record { time, task, body, cut: false, count: 1 }
}

fn exec_of(file: KernelFile, argv: &str) -> Body {
    Body::Exec {
        asked: file.path.clone(),
        exe: file,
        interpreter: Vec::new(),
        argv: argv.replace(' ', "\0").into_bytes(),
        env: b"PATH=/bin\0".to_vec(),
        cwd: b"/".to_vec(),
        comm: b"x".to_vec(),
        tty: false,
        capabilities: record::Capabilities::default(),
    }
}

pub(super) fn fork_and_exec(normaliser: &mut Normaliser<Image>, pid: u32, file: KernelFile) -> Event {
    normaliser.observe(record(100, INIT, Body::Fork { child: task(pid) }));
    normaliser.observe(record(200, task(pid), exec_of(file, "sh -c true\0"))).expect("an exec is an event")
}

#[test]
fn the_first_exec_is_time_zero_and_inits_own_acts_are_silent() {
    let mut normaliser = normaliser();
    let open = Body::Open { file: overlay_file("/etc/passwd", 5), flags: 0, created: false };
    assert_eq!(normaliser.observe(record(50, INIT, open)), None);
    let event = fork_and_exec(&mut normaliser, 11, overlay_file("/bin/sh", 3));
    assert_eq!((event.id, event.at), (EventId(1), Duration::ZERO));
    let process = event.process.expect("a process");
    assert_eq!(process.pid, 2);
    assert_eq!(process.ids.uid, 0);
    assert_eq!(process.program.exe.file.origin, Origin::Layer(0));
    let argv: Vec<&[u8]> = process.program.argv.iter().map(|arg| &arg[..]).collect();
    assert_eq!(argv, [&b"sh"[..], b"-c", b"true"]);
}

#[test]
fn a_file_written_and_renamed_into_place_is_written_wherever_it_runs() {
    let mut normaliser = normaliser();
    fork_and_exec(&mut normaliser, 11, overlay_file("/bin/sh", 3));
    let dropped = overlay_file("/tmp/x", 99);
    let open = Body::Open { file: dropped, flags: 0o1101, created: true };
    normaliser.observe(record(300, task(11), open));
    let rename = Body::Rename {
        from: PathArgument { text: b"/tmp/x".to_vec(), ..PathArgument::default() },
        to: PathArgument {
            text: b"../usr/bin/app".to_vec(),
            base: b"/tmp".to_vec(),
            ..PathArgument::default()
        },
        flags: 0,
        result: 0,
    };
    let event = normaliser.observe(record(310, task(11), rename)).expect("an event");
    let Act::File(FileAct::Rename { to, .. }) = event.act else { panic!("a rename") };
    assert_eq!((&to.path[..], to.origin), (&b"/usr/bin/app"[..], Origin::Written));
    let event = normaliser.observe(record(320, task(11), exec_of(overlay_file("/usr/bin/app", 99), "app\0")));
    let process = event.and_then(|event| event.process).expect("a process");
    assert_eq!(process.program.exe.file.origin, Origin::Written);
    assert_eq!(process.program.exe.sha256, Some([7; 32]));
    assert_eq!(&process.program.lineage[0].exe.file.path[..], b"/bin/sh");
}

#[test]
fn the_origin_follows_the_kernels_facts() {
    let check = |change: fn(&mut KernelFile), expected| {
        let mut normaliser = normaliser();
        let mut file = overlay_file("/bin/sh", 3);
        change(&mut file);
        assert_eq!(normaliser.kernel_file(&file).origin, expected, "{file:?}");
    };
    check(|_| {}, Origin::Layer(0));
    check(|file| file.upper = Some(true), Origin::Layer(0));
    check(|file| file.path = b"/opt/new".to_vec(), Origin::Written);
    check(|file| (file.path, file.upper) = (b"/gone".to_vec(), Some(false)), Origin::Unknown);
    check(|file| file.path = b"/etc/hosts".to_vec(), Origin::Supplied);
    check(|file| (file.path, file.magic) = (b"/proc/1/mem".to_vec(), 0x9fa0), Origin::Kernel);
    check(|file| (file.path, file.magic) = (b"memfd:x".to_vec(), 0x0102_1994), Origin::Memfd);
    check(|file| (file.path, file.magic) = (b"/memfd:x".to_vec(), 0x0102_1994), Origin::Written);
    check(|file| file.mode = 0o020_666, Origin::Kernel);
}

#[test]
fn a_process_that_was_never_introduced_is_kept_and_counted() {
    let mut normaliser = normaliser();
    fork_and_exec(&mut normaliser, 11, overlay_file("/bin/sh", 3));
    let open = Body::Open { file: overlay_file("/bin/sh", 3), flags: 0, created: false };
    let event = normaliser.observe(record(300, task(500), open)).expect("an event");
    assert!(event.process.expect("a process").program.lineage_cut);
    assert_eq!(normaliser.gaps().strangers, 1);
}

#[test]
fn a_long_chain_of_execs_keeps_the_nearest_and_the_first() {
    let mut normaliser = normaliser();
    fork_and_exec(&mut normaliser, 11, overlay_file("/bin/sh", 3));
    let mut last = None;
    for turn in 0..100 {
        last = normaliser.observe(record(300 + turn, task(11), exec_of(overlay_file("/bin/sh", 3), "sh\0")));
    }
    let program = last.and_then(|event| event.process).expect("a process").program;
    assert_eq!(program.lineage.len(), Program::LINEAGE_MAX);
    assert!(program.lineage_cut);
    assert_eq!(program.lineage.last().map(|ancestor| ancestor.id.0), Some(1));
}

#[test]
fn outcomes_tell_refusal_from_progress() {
    assert_eq!(outcome(-13), Outcome::Failed(13));
    assert_eq!(outcome(3), Outcome::Done);
    assert_eq!(begun(-115), Outcome::Done);
    assert_eq!(begun(-111), Outcome::Failed(111));
}

#[test]
fn strings_are_split_as_the_kernel_laid_them_out() {
    let check = |block: &[u8], expected: &[&[u8]]| {
        let split = strings(block);
        assert_eq!(split.iter().map(|part| &part[..]).collect::<Vec<_>>(), expected);
    };
    check(b"", &[]);
    check(b"a\0", &[b"a"]);
    check(b"a\0\0b\0", &[b"a", b"", b"b"]);
    check(b"a\0cut", &[b"a", b"cut"]);
    check(b"\0", &[b""]);
}

fn call_body(about: record::About, number: u32, args: [u64; 6], result: i64) -> Body {
    let call = record::Call { number, args, capability: Some(21), ..record::Call::default() };
    Body::Call { about, call, result }
}

/// A normaliser in which a program of the image, pid 20, has forked 21 and 22.
fn family() -> Normaliser<Image> {
    let mut normaliser = normaliser();
    fork_and_exec(&mut normaliser, 20, overlay_file("/bin/sh", 3));
    for child in [21, 22] {
        normaliser.observe(record(300, task(20), Body::Fork { child: task(child) }));
    }
    normaliser
}

#[test]
fn a_refused_call_is_denied_and_any_other_belongs_to_its_family() {
    use record::About;
    let mut normaliser = family();
    let mut act = |body: Body| normaliser.observe(record(400, task(20), body)).unwrap().act;
    let refused = act(call_body(About::Kernel, 165, [0; 6], -1));
    assert!(
        matches!(&refused, Act::Denied(call) if *call.call == *b"mount" && call.capability == Some(21)),
        "{refused:?}"
    );
    let done = act(call_body(About::Kernel, 165, [0; 6], 0));
    assert!(matches!(done, Act::Kernel(KernelAct::Call(_))), "{done:?}");
    let missed = act(call_body(About::Kernel, 165, [0; 6], -2));
    assert!(matches!(missed, Act::Kernel(KernelAct::Call(_))), "{missed:?}");
    // Attempts on memory stay with memory, so that a rule finds them in one place.
    let fault = act(call_body(About::Memory, 323, [0; 6], -1));
    assert!(matches!(fault, Act::Memory(MemoryAct::UserFault(_))), "{fault:?}");
    let x32 =
        act(Body::Denied { number: 0x4000_0027, compat: false, args: [0; 6], result: -38, capability: None });
    assert!(matches!(&x32, Act::Denied(call) if *call.call == *b"x32_getpid"), "{x32:?}");
}

#[test]
fn a_target_is_named_with_its_program_and_its_relation() {
    use crate::event::Relation;
    let mut normaliser = family();
    let mut relation = |from: u32, to: u32| {
        let target = record::SignalTarget::Process { pid: to, start: task(to).start };
        let body = Body::Signal { signal: 9, target, code: 0, result: 0 };
        match normaliser.observe(record(400, task(from), body)).unwrap().act {
            Act::Process(ProcessAct::Signal { target, .. }) => target.map(|target| {
                assert_eq!(*target.exe, *b"/bin/sh");
                assert!(target.verified);
                target.relation
            }),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(relation(20, 20), Some(Relation::Own));
    assert_eq!(relation(20, 21), Some(Relation::Descendant));
    assert_eq!(relation(21, 20), Some(Relation::Ancestor));
    assert_eq!(relation(21, 22), Some(Relation::Other));
    assert_eq!(relation(21, 99), None);
}

#[test]
fn a_process_that_left_the_cgroup_is_the_one_that_acts() {
    let mut normaliser = family();
    let body = Body::Moved { pid: 21, start: task(21).start, hierarchy: 0, cgroup: b"/".to_vec() };
    let event = normaliser.observe(record(400, task(20), body)).unwrap();
    assert_eq!(event.process.unwrap().key.pid, 21);
    assert!(matches!(event.act, Act::Kernel(KernelAct::Moved { .. })));
    assert_eq!(normaliser.gaps().strangers, 0);
}

#[test]
fn a_call_that_a_signal_interrupts_failed_with_eintr() {
    let check = |result, expected| assert_eq!(outcome(result), expected, "{result}");
    check(-512, Outcome::Failed(4));
    check(-516, Outcome::Failed(4));
    check(-511, Outcome::Failed(511));
    check(-1, Outcome::Failed(1));
    check(0, Outcome::Done);
    check(-4096, Outcome::Done);
}

#[test]
fn an_event_of_the_sandboxs_own_names_whom_it_concerns_alive_or_just_ended() {
    let mut normaliser = family();
    let act = SandboxAct::Skipped { time: Duration::from_secs(9) };
    let mut concerned = |pid: u32| {
        let task = Task { pid, uid: BASE + 7, ..Task::default() };
        let event = normaliser.note_of(task, act.clone(), 500, 3);
        assert_eq!(event.count, 3);
        event.process.map(|process| (process.pid, process.ids.uid, process.program.exe.file.path.clone()))
    };
    assert_eq!(concerned(21), Some((12, 7, b"/bin/sh"[..].into())));
    assert_eq!(concerned(99), None);
    // Init is nobody of the image's.
    assert_eq!(concerned(10), None);
    normaliser.observe(record(600, task(21), Body::Exit { status: 0 }));
    let task = Task { pid: 21, uid: BASE, ..Task::default() };
    let event = normaliser.note_of(task, act, 700, 1);
    assert_eq!(event.process.map(|process| process.pid), Some(12));
}

#[test]
fn a_sleep_is_told_by_its_calls_of_either_entry() {
    use record::About;
    let mut normaliser = family();
    for (number, compat) in [(35, false), (230, false), (162, true), (267, true), (407, true)] {
        let call = record::Call { number, compat, detail: 5, ..record::Call::default() };
        let body = Body::Call { about: About::Process, call, result: 0 };
        let act = normaliser.observe(record(400, task(20), body)).unwrap().act;
        let Act::Process(ProcessAct::Call { what: ProcessCall::Sleep, call }) = &act else {
            panic!("{act:?}")
        };
        assert_eq!((call.detail, call.number), (5, number));
    }
}
