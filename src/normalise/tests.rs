use std::collections::HashMap;

use super::*;
use crate::event::{FileAct, MemoryAct, Mismatch, Origin, ProcessCall};
use crate::record::KernelSocket;

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
    Record { time, task, body, cut: false, count: 1, again: false }
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
    let open = Body::Open { file: overlay_file("/etc/passwd", 5), flags: 0, created: false, passed: None };
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
    let open = Body::Open { file: dropped, flags: 0o1101, created: true, passed: None };
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
fn a_count_of_what_was_done_to_a_file_that_is_gone_is_not_about_the_one_in_its_place() {
    let mut normaliser = normaliser();
    fork_and_exec(&mut normaliser, 11, overlay_file("/bin/sh", 3));
    let written = |inode| Body::Open {
        file: overlay_file("/tmp/x", inode),
        flags: 0o2001,
        created: false,
        passed: None,
    };
    let unlink = || {
        let path = PathArgument { text: b"/tmp/x".to_vec(), ..PathArgument::default() };
        Body::Unlink { path, directory: false, result: 0 }
    };
    normaliser.observe(record(300, task(11), written(99)));
    normaliser.observe(record(310, task(11), unlink()));
    normaliser.observe(record(320, task(11), written(100)));
    let counted = Record { again: true, ..record(330, task(11), written(99)) };
    assert!(normaliser.observe(counted).is_some());
    let event = normaliser.observe(record(340, task(11), unlink())).expect("an event");
    let Act::File(FileAct::Unlink { file }) = event.act else { panic!("a removal") };
    assert_eq!(file.inode.map(|inode| inode.number), Some(100));
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
    let open = Body::Open { file: overlay_file("/bin/sh", 3), flags: 0, created: false, passed: None };
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
    let x32 = act(Body::Denied {
        number: 0x4000_0027,
        compat: false,
        args: [0; 6],
        result: -38,
        capability: None,
        barred: false,
    });
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

/// The event of a record, and those that stood aside.
fn all_of(normaliser: &mut Normaliser<Image>, record: Record) -> Vec<Event> {
    let event = normaliser.observe(record);
    event.into_iter().chain(std::iter::from_fn(|| normaliser.take_aside())).collect()
}

fn started() -> Normaliser<Image> {
    let mut normaliser = normaliser();
    fork_and_exec(&mut normaliser, 11, overlay_file("/bin/sh", 3));
    normaliser
}

#[test]
fn a_string_that_leads_elsewhere_than_the_file_is_a_mismatch() {
    let check = |text: &str, file: KernelFile, flags: u32, expected: Option<(&str, &str)>| {
        let mut normaliser = started();
        let link = |target: &[u8], path: &str| Body::Symlink {
            target: target.to_vec(),
            path: PathArgument { text: path.into(), ..PathArgument::default() },
            result: 0,
        };
        normaliser.observe(record(300, task(11), link(b"/etc", "/tmp/e")));
        let passed =
            Some(PathArgument { text: text.into(), base: b"/tmp".to_vec(), ..PathArgument::default() });
        let open = Body::Open { file, flags, created: false, passed };
        let events = all_of(&mut normaliser, record(400, task(11), open));
        assert!(matches!(events[0].act, Act::File(FileAct::Open { .. })));
        let expected = expected.map(|(passed, taken)| {
            let (call, passed, taken) = (&b"open"[..], passed.as_bytes(), taken.as_bytes());
            KernelAct::Mismatch(Mismatch {
                call: call.into(),
                passed: passed.into(),
                taken: taken.into(),
                verified: true,
            })
        });
        let told = events.get(1).map(|event| event.act.clone());
        assert_eq!(told, expected.map(Act::Kernel), "{text}");
        assert!(events.len() <= 2 && events.iter().all(|event| event.process.is_some()));
    };
    let shadow = || overlay_file("/etc/shadow", 5);
    check("/tmp/x", shadow(), 0, Some(("/tmp/x", "/etc/shadow")));
    check("x", shadow(), 0, Some(("/tmp/x", "/etc/shadow")));
    check("/etc/shadow", shadow(), 0, None);
    check("../etc/./shadow", shadow(), 0, None);
    check("e/shadow", shadow(), 0, None);
    // Where the walk is not sure, or a file has no name: nothing is said.
    check("/proc/99/cwd/x", shadow(), 0, None);
    check("x", KernelFile { unlinked: true, ..shadow() }, 0, None);
    check("x", KernelFile { path: b"memfd:x".to_vec(), ..shadow() }, 0, None);
    check("/tmp", shadow(), 0o20_200_002, None);
    let own = KernelFile { path: b"/proc/11/maps".to_vec(), magic: 0x9fa0, ..shadow() };
    check("/proc/self/maps", own.clone(), 0, None);
    check("/tmp/x", own, 0, Some(("/tmp/x", "/proc/11/maps")));
    // The links of /sys are the kernel's own.
    let disk =
        KernelFile { path: b"/sys/devices/virtual/block/loop1/dev".to_vec(), magic: 0x6265_6572, ..shadow() };
    check("/sys/block/loop1/dev", disk.clone(), 0, None);
    check("/tmp/x", disk, 0, Some(("/tmp/x", "/sys/devices/virtual/block/loop1/dev")));
}

#[test]
fn links_made_through_io_uring_leave_the_walk_in_doubt() {
    let mut normaliser = started();
    let ring = |opcode| Body::Ring { opcode, fd: 0, paths: [Vec::new(), Vec::new()] };
    let open = || Body::Open {
        file: overlay_file("/etc/shadow", 5),
        flags: 0,
        created: false,
        passed: Some(PathArgument { text: b"/x".to_vec(), ..PathArgument::default() }),
    };
    all_of(&mut normaliser, record(300, task(11), ring(9)));
    assert_eq!(all_of(&mut normaliser, record(400, task(11), open())).len(), 2);
    all_of(&mut normaliser, record(500, task(11), ring(38)));
    assert_eq!(all_of(&mut normaliser, record(600, task(11), open())).len(), 1);
}

#[test]
fn an_address_that_was_rewritten_shows_both() {
    let mut normaliser = started();
    let mismatch = Body::Mismatch {
        call: record::Addressed::Connect,
        socket: KernelSocket { family: 2, kind: 1, protocol: 6 },
        passed: vec![2, 0, 1, 187, 192, 0, 2, 1],
        actual: vec![2, 0, 0x11, 0x5c, 203, 0, 113, 9],
        result: -115,
    };
    let events = all_of(&mut normaliser, record(300, task(11), mismatch));
    let [Event { act: Act::Kernel(KernelAct::Mismatch(seen)), outcome: Outcome::Done, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    let texts =
        [&seen.call, &seen.passed, &seen.taken].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(texts, ["connect", "192.0.2.1:443", "203.0.113.9:4444"]);
}

fn connect(result: i64) -> Body {
    let socket = KernelSocket { family: 2, kind: 1, protocol: 6 };
    Body::Connect { socket, local: Vec::new(), remote: vec![2, 0, 1, 187, 192, 0, 2, 1], result }
}

fn outcomes(events: &[Event]) -> Vec<(bool, Outcome)> {
    events.iter().map(|event| (matches!(event.act, Act::Net(_)), event.outcome)).collect()
}

#[test]
fn an_interrupted_call_is_told_once_by_what_came_of_it() {
    let exit = || Body::Exit { status: 9 };
    let other = || Body::ExecFailed { asked: b"/x".to_vec(), result: -2 };
    let check = |bodies: Vec<Body>, expected: &[(bool, Outcome)]| {
        let mut normaliser = started();
        let mut events = Vec::new();
        for (time, body) in (300..).zip(bodies) {
            events.extend(all_of(&mut normaliser, record(time, task(11), body)));
        }
        normaliser.finish(900);
        events.extend(std::iter::from_fn(|| normaliser.take_aside()));
        assert_eq!(outcomes(&events), expected);
        assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id));
    };
    let failed = |errno| Outcome::Failed(errno);
    // Held and made again.
    check(vec![connect(-512), connect(0)], &[(true, Outcome::Done)]);
    check(vec![connect(-512), connect(-512), connect(-111)], &[(true, failed(111))]);
    // A signal ended it, and the thread did something else.
    check(vec![connect(-512), other()], &[(false, failed(2)), (true, failed(4))]);
    // It never returned: the process, or the run, ended.
    check(vec![connect(-512), exit()], &[(false, Outcome::Done), (true, Outcome::Unfinished)]);
    check(vec![connect(-512)], &[(true, Outcome::Unfinished)]);
}

#[test]
fn a_call_that_a_thread_still_stands_in_is_told_once() {
    let mut normaliser = started();
    let standing = |pid, number| Standing {
        compat: false,
        pid,
        tid: pid,
        uid: BASE,
        gid: BASE,
        euid: BASE,
        egid: BASE,
        number,
        args: [3, 2, 0, 0, 0, 0],
        file: Some(b"/srv/lock".to_vec()),
    };
    // One that nobody knows is not the image's.
    normaliser.stood(vec![standing(11, 73), standing(12, 73)], 300);
    let events: Vec<_> = std::iter::from_fn(|| normaliser.take_aside()).collect();
    let [Event { act: Act::Kernel(KernelAct::Call(call)), outcome: Outcome::Unfinished, process, .. }] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((&*call.call, &*call.texts[0]), (&b"flock"[..], &b"/srv/lock"[..]));
    assert_eq!(process.as_ref().expect("a process").pid, 2);
    // The kill reached it after all: not a second time.
    assert_eq!(all_of(&mut normaliser, record(400, task(11), connect(-512))), []);
    normaliser.finish(500);
    assert_eq!(normaliser.take_aside(), None);
}

#[test]
fn a_move_below_the_sandboxs_own_group_leaves_nothing() {
    let mut normaliser = started().with_groups(vec![(0, b"/c-1".to_vec()), (4, b"/".to_vec())]);
    let mut check = |hierarchy, cgroup: &str, expected: usize| {
        let moved = Body::Moved { pid: 11, start: 11, hierarchy, cgroup: cgroup.into() };
        assert_eq!(all_of(&mut normaliser, record(300, task(11), moved)).len(), expected, "{cgroup}");
    };
    check(0, "/c-1/inner", 0);
    check(0, "/c-1", 0);
    check(0, "/c-10", 1);
    check(0, "/", 1);
    check(4, "/c-1/inner", 1);
}

#[test]
fn what_the_filter_refuses_is_told_from_what_the_kernel_refuses() {
    let mut normaliser = started().with_filter(|number, _, args| number == 101 && args[0] == 16);
    let mut check = |number, first, expected| {
        let args = [first, 0, 0, 0, 0, 0];
        let denied =
            Body::Denied { number, compat: false, args, result: -1, capability: None, barred: false };
        let events = all_of(&mut normaliser, record(300, task(11), denied));
        let [Event { act: Act::Denied(call), .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(call.filtered, expected);
    };
    check(101, 16, true);
    check(101, 17, false);
    check(170, 16, false);
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
