//! The whole way: events → log → events → summary, findings, verdict, report.

use std::sync::Arc;
use std::time::Duration;

use super::document::{CoverageState, Decision, Exit, ExitReason, Level, OriginKind, PhaseTime};
use super::log::{Ending, Header, Reader, Trailer, Writer};
use super::*;
use crate::event::{
    Act, Bytes, Call, Endpoint, Event, EventId, Exec, Executable, Family, File, FileAct, FileKind, Ids,
    KernelAct, MemoryAct, NetAct, NetAction, OpenMode, Origin, Outcome, Phase, Process, ProcessAct,
    ProcessCall, ProcessKey, Program, ProgramId, Protocol, Region,
};
use crate::report::document::{Coverage, Report};
use crate::rule::{self, attack};
use crate::verdict::{Policy, decide, shipped};

fn bytes(text: &str) -> Bytes {
    text.as_bytes().into()
}

fn file(path: &str, origin: Origin) -> File {
    File { path: bytes(path), verified: true, inode: None, kind: FileKind::Regular, origin, bait: None }
}

fn process(id: u32, exe: &str, origin: Origin, before: &[&Process]) -> Process {
    let sha256 = Some([id as u8; 32]);
    let exe =
        Executable { file: file(exe, origin), sha256, deleted: false, script: None, script_sha256: None };
    let lineage = before.iter().map(|process| process.program.as_ancestor()).collect();
    let program = Program {
        id: ProgramId(id),
        argv: [exe.file.path.clone()].into(),
        exe: Arc::new(exe),
        argv_cut: false,
        cwd: bytes("/"),
        comm: bytes("x"),
        tty: false,
        lineage,
        lineage_cut: false,
    };
    let key = ProcessKey { pid: 1000 + id, start: 7 };
    Process { key, pid: id, ids: Ids::default(), program: Arc::new(program) }
}

/// Numbers events as a recording does.
struct Story {
    events: Vec<Event>,
}

impl Story {
    fn add(&mut self, process: &Process, act: Act, outcome: Outcome) {
        let id = self.events.len() as u64 + 1;
        let at = Duration::from_millis(id * 100);
        let process = Some(process.clone());
        self.events.push(Event {
            id: EventId(id),
            at,
            phase: Phase::Start,
            process,
            act,
            outcome,
            count: 1,
            cut: false,
        });
    }

    fn exec(&mut self, process: &Process) {
        self.add(process, Act::Exec(Exec { asked: bytes("x"), ..Exec::default() }), Outcome::Done);
    }

    fn file(&mut self, process: &Process, act: FileAct, outcome: Outcome) {
        self.add(process, Act::File(act), outcome);
    }

    fn net(&mut self, process: &Process, action: NetAction, address: &str, outcome: Outcome) {
        let end = Some(Endpoint::Inet(address.parse().unwrap()));
        let (local, remote) = match action {
            NetAction::Socket | NetAction::Accept | NetAction::Close { .. } | NetAction::Return { .. } => {
                (None, None)
            }
            NetAction::Settle | NetAction::Option { .. } => (None, None),
            NetAction::Bind | NetAction::Listen => (end, None),
            NetAction::Connect | NetAction::Send => (None, end),
        };
        self.add(
            process,
            Act::Net(NetAct { action, protocol: Protocol::Tcp, local, remote, name: None }),
            outcome,
        );
    }
}

fn open(path: &str, mode: OpenMode) -> FileAct {
    FileAct::Open { file: file(path, Origin::Written), mode }
}

fn story() -> Vec<Event> {
    let shell = process(1, "/bin/sh", Origin::Layer(1), &[]);
    let miner = process(2, "/tmp/miner", Origin::Written, &[&shell]);
    let write = OpenMode { write: true, ..OpenMode::default() };
    let create = OpenMode { write: true, created: true, ..OpenMode::default() };
    let mut story = Story { events: Vec::new() };
    story.exec(&shell);
    story.file(&shell, open("/tmp/miner", create), Outcome::Done);
    story.file(&shell, open("/tmp/miner", write), Outcome::Done);
    story.file(
        &shell,
        FileAct::Chmod { file: file("/tmp/miner", Origin::Written), mode: 0o755 },
        Outcome::Done,
    );
    story.file(&shell, open("/etc/passwd", OpenMode { read: true, ..OpenMode::default() }), Outcome::Done);
    story.file(
        &shell,
        open("/etc/shadow", OpenMode { read: true, ..OpenMode::default() }),
        Outcome::Failed(13),
    );
    story.file(&shell, open("/nowhere", write), Outcome::Failed(2));
    story.exec(&miner);
    story.net(&miner, NetAction::Connect, "203.0.113.9:3333", Outcome::Done);
    story.net(&miner, NetAction::Connect, "203.0.113.9:3333", Outcome::Failed(111));
    story.net(&miner, NetAction::Listen, "[::]:80", Outcome::Done);
    story.net(&miner, NetAction::Listen, "[::]:80", Outcome::Done);
    story.net(&miner, NetAction::Bind, "0.0.0.0:81", Outcome::Done);
    story.events
}

fn summarise(events: &[Event]) -> document::Behaviour {
    let mut summary = Summary::new(&sample::header().subject.layers);
    events.iter().for_each(|event| summary.observe(event));
    summary.finish()
}

#[test]
fn a_summary_lists_programs_changes_connections_and_what_was_dropped() {
    let behaviour = summarise(&story());
    let programs: Vec<_> = behaviour.processes.iter().map(|it| (it.id, it.parent, it.exe.as_str())).collect();
    assert_eq!(programs, [(1, None, "/bin/sh"), (2, Some(1), "/tmp/miner")]);
    assert_eq!(behaviour.processes[0].origin.layer, Some(1));
    assert_eq!(behaviour.processes[0].origin.digest.as_deref(), Some(sample::DIGEST));
    let files: Vec<_> =
        behaviour.files.iter().map(|it| (it.path.as_str(), it.acts.join("+"), it.count)).collect();
    let expected =
        [("/tmp/miner", "create+write+chmod".to_owned(), 3), ("/etc/shadow", "refused".to_owned(), 1)];
    assert_eq!(files, expected);
    let network = &behaviour.network;
    let flows: Vec<_> = network.flows.iter().map(|it| (it.remote.as_str(), it.count, it.failed)).collect();
    assert_eq!(flows, [("203.0.113.9:3333", 2, 1)]);
    assert_eq!((network.listeners.len(), network.listeners[0].local.as_str()), (1, "[::]:80"));
    assert_eq!(behaviour.dropped.len(), 1);
    assert_eq!(behaviour.dropped[0].origin.kind, Some(OriginKind::Written));
    assert_eq!(behaviour.dropped[0].sha256.as_deref(), Some("02".repeat(32).as_str()));
}

#[test]
fn a_summary_lists_memory_that_can_be_run_and_what_was_asked_of_the_kernel() {
    let shell = process(1, "/bin/sh", Origin::Layer(1), &[]);
    let mut story = Story { events: Vec::new() };
    let call =
        |name: &str, text: &str| Call { call: bytes(name), texts: vec![bytes(text)], ..Call::default() };
    let region = |size| Region { size, write: true, ..Region::default() };
    for size in [4096, 8192, 64] {
        story.add(&shell, Act::Memory(MemoryAct::Map(region(size))), Outcome::Done);
    }
    story.add(&shell, Act::Memory(MemoryAct::Memfd(call("memfd_create", "kworker"))), Outcome::Done);
    let filtered = |own_filter: bool| Call { filtered: !own_filter, own_filter, ..call("mount", "/x") };
    story.add(&shell, Act::Denied(filtered(false)), Outcome::Failed(1));
    story.add(&shell, Act::Denied(filtered(false)), Outcome::Failed(1));
    story.add(&shell, Act::Denied(filtered(true)), Outcome::Failed(1));
    let missing = Call { capability: Some(21), ..call("sethostname", "h") };
    story.add(&shell, Act::Kernel(KernelAct::Call(missing)), Outcome::Failed(1));
    let sleep = ProcessAct::Call { what: ProcessCall::Sleep, call: call("nanosleep", "") };
    story.add(&shell, Act::Process(sleep), Outcome::Done);
    let trace = ProcessAct::Call { what: ProcessCall::Trace, call: call("ptrace", "") };
    story.add(&shell, Act::Process(trace), Outcome::Done);
    let behaviour = summarise(&story.events);
    let memory: Vec<_> =
        behaviour.memory.iter().map(|it| (it.act.as_str(), it.what.as_str(), it.bytes, it.count)).collect();
    assert_eq!(memory, [("map", "", 8192, 3), ("memfd", "kworker", 0, 1)]);
    let kernel = behaviour.kernel.iter().map(|it| {
        let (by, capability) = (it.refused_by.as_deref(), it.capability.as_deref());
        (it.act.as_str(), it.call.as_str(), by, capability, it.count, it.failed)
    });
    let expected = [
        ("denied", "mount", Some("sandbox"), None, 2, 2),
        ("denied", "mount", Some("own_filter"), None, 1, 1),
        ("call", "sethostname", Some("kernel"), Some("sys_admin"), 1, 1),
        ("process", "ptrace", None, None, 1, 0),
    ];
    assert_eq!(kernel.collect::<Vec<_>>(), expected);
    assert_eq!(behaviour.kernel[0].about, ["/x"]);
}

#[test]
fn a_flood_is_counted_and_pushes_nothing_out() {
    let shell = process(1, "/bin/sh", Origin::Layer(1), &[]);
    let mut story = Story { events: Vec::new() };
    let beyond = 10;
    let create = OpenMode { write: true, created: true, ..OpenMode::default() };
    for number in 0..document::FILES_MAX + beyond {
        story.file(&shell, open(&format!("/tmp/{number}"), create), Outcome::Done);
        story.net(&shell, NetAction::Connect, &format!("10.0.0.1:{}", number + 1), Outcome::Done);
        story.net(&shell, NetAction::Listen, &format!("10.0.0.1:{}", number + 1), Outcome::Done);
    }
    for number in 0..document::PROCESSES_MAX + beyond {
        story.exec(&process(2 + number as u32, &format!("/tmp/p{number}"), Origin::Written, &[&shell]));
    }
    let behaviour = summarise(&story.events);
    assert_eq!((behaviour.files.len(), behaviour.files_omitted), (document::FILES_MAX, beyond as u64));
    assert_eq!(behaviour.files[0].path, "/tmp/0");
    let network = &behaviour.network;
    assert_eq!((network.flows.len(), network.flows_omitted), (document::FLOWS_MAX, beyond as u64));
    assert_eq!(
        network.listeners.len() as u64 + network.listeners_omitted,
        (document::FLOWS_MAX + beyond) as u64
    );
    // The shell takes one place.
    assert_eq!(
        (behaviour.processes.len(), behaviour.processes_omitted),
        (document::PROCESSES_MAX, beyond as u64 + 1)
    );
    assert_eq!(
        behaviour.dropped.len() as u64 + behaviour.dropped_omitted,
        (document::PROCESSES_MAX + beyond) as u64
    );
}

#[test]
fn hostile_text_stays_within_its_bound_in_the_summary() {
    let long = "\u{fffd}".repeat(100_000);
    let hostile = process(1, &long, Origin::Memfd, &[]);
    let mut story = Story { events: Vec::new() };
    story.exec(&hostile);
    let json = serde_json::to_string(&summarise(&story.events)).unwrap();
    assert!(json.len() < 8 * document::TEXT_MAX, "{} bytes", json.len());
}

/// Judges a log as a replay does.
fn replayed(log: &[u8]) -> Report {
    let mut reader = Reader::open(log).unwrap();
    let header: Header = reader.header().clone();
    let mut summary = Summary::new(&header.subject.layers);
    for event in reader.by_ref() {
        summary.observe(&event.unwrap());
    }
    let trailer = match reader.ending().unwrap() {
        Ending::Complete(trailer) => (**trailer).clone(),
        Ending::Missing => Trailer::missing(&header),
    };
    let coverage = convert::coverage(&trailer.coverage);
    let case = convert::facts(&header.created, &trailer.subject, &trailer.run, &coverage, &[], 0).unwrap();
    let policy = Policy::parse("default", shipped("default").unwrap().as_bytes()).unwrap();
    let verdict = decide(&policy, &[], &case, "2026-12-01T00:00:00Z".parse().unwrap());
    assemble(Material {
        header: &header,
        subject: trailer.subject,
        run: trailer.run,
        coverage,
        findings: Vec::new(),
        findings_omitted: 0,
        behaviour: summary.finish(),
        verdicts: vec![(sample::named("default"), verdict)],
    })
    .unwrap()
}

fn log() -> Vec<u8> {
    let header = sample::header();
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    for event in story() {
        writer.write(&event).unwrap();
    }
    let mut trailer = Trailer { subject: header.subject.clone(), ..Trailer::default() };
    trailer.run.entrypoint_ran = true;
    trailer.run.exit = Exit { code: Some(0), signal: None, reason: ExitReason::Exited };
    trailer.run.phases.push(PhaseTime { name: "start".into(), seconds: 0.1 + 0.2 });
    let full =
        |family: &str| Coverage { family: family.into(), state: CoverageState::Full, reason: String::new() };
    trailer.coverage = ["process", "file", "network"].map(full).into();
    writer.finish(trailer).unwrap().0
}

#[test]
fn a_replay_gives_an_equal_report_and_it_survives_json() {
    let report = replayed(&log());
    assert_eq!(report.verdict.result, Decision::Pass);
    assert_eq!(report, replayed(&log()));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    assert_eq!(report.valid_until, "2026-12-25T22:14:44Z");
    assert_eq!(report.coverage.len(), 9);
    let memory = report.coverage.iter().find(|entry| entry.family == "memory").unwrap();
    assert_eq!((memory.state, memory.reason.as_str()), (CoverageState::None, "not built yet"));
    assert!(report.limits.iter().any(|text| text.contains("memory was not watched: not built yet")));
}

#[test]
fn a_recording_that_breaks_off_is_inconclusive() {
    let whole = log();
    let start = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap();
    for length in [start + 1, start - 5, whole.len() - 1] {
        let report = replayed(&whole[..length]);
        assert_eq!(report.verdict.result, Decision::Inconclusive);
        let said: Vec<&str> = report.verdict.reasons.iter().map(|it| it.clause.as_str()).collect();
        assert!(said.contains(&"the recording is not complete"), "{said:?}");
    }
}

#[test]
fn a_report_gives_the_same_verdict_again() {
    for report in [sample::calm(), sample::malicious(), sample::blind(), sample::hostile()] {
        let case = convert::case(&report).unwrap();
        let policy = Policy::parse("default", shipped("default").unwrap().as_bytes()).unwrap();
        let verdict = decide(&policy, &[], &case, "2030-01-01T00:00:00Z".parse().unwrap());
        let again = publish(&[(sample::named("default"), verdict)]).unwrap();
        assert_eq!(again.result, report.verdict.result);
        if report.findings_omitted == 0 {
            assert_eq!(again, report.verdict);
        }
    }
}

#[test]
fn a_report_that_hides_findings_passes_nobody() {
    let report = Report { findings_omitted: 1, ..sample::calm() };
    let policy = Policy::parse("default", shipped("default").unwrap().as_bytes()).unwrap();
    let verdict =
        decide(&policy, &[], &convert::case(&report).unwrap(), "2026-12-01T00:00:00Z".parse().unwrap());
    assert_eq!(verdict.decision.name(), "inconclusive");
    let undated = Report { created: "yesterday".into(), ..sample::calm() };
    assert!(convert::case(&undated).is_err());
}

#[test]
fn the_kill_chain_follows_the_tactics_then_the_time() {
    let report = sample::malicious();
    let steps: Vec<_> =
        report.kill_chain.iter().map(|step| (step.tactic.as_str(), step.findings.len())).collect();
    let expected = [("execution", 1), ("stealth", 1), ("credential-access", 1), ("command-and-control", 1)];
    assert_eq!(steps, expected);
    assert_eq!(report.kill_chain[0].first_seen, 1.234);
    assert_eq!(report.findings[0].level, Level::Critical);
}

#[test]
fn the_names_that_others_rely_on_are_there() {
    let json = serde_json::to_value(sample::malicious()).unwrap();
    #[rustfmt::skip]
    let names = [
        "/schema", "/id", "/created", "/valid_until", "/request/id", "/request/requester", "/request/labels", "/previous",
        "/subject/reference", "/subject/manifest_digest", "/subject/config_digest", "/subject/platform",
        "/subject/layers/0/digest", "/subject/layers/0/diff_id", "/subject/layers/0/created_by",
        "/subject/unchanged/before", "/subject/unchanged/after", "/subject/unchanged/same",
        "/inputs/policy/name", "/inputs/policy/digest", "/inputs/profile", "/inputs/rules/0/name",
        "/inputs/rules/0/digest", "/inputs/attack_version", "/inputs/exceptions", "/inputs/world",
        "/environment/lazaret", "/environment/kernel", "/environment/tier", "/environment/isolation",
        "/run/phases/0/name", "/run/phases/0/seconds", "/run/exit/code", "/run/exit/signal", "/run/exit/reason",
        "/run/events/seen", "/run/events/lost", "/run/events/cut", "/run/held_seconds", "/run/skipped_seconds",
        "/run/limits_hit", "/run/visibility/explained", "/run/visibility/all", "/run/unexplained",
        "/coverage/0/family", "/coverage/0/state", "/coverage/0/reason",
        "/verdict/result", "/verdict/reasons/0/clause", "/verdict/reasons/0/findings/0", "/verdict/policies",
        "/verdict/exceptions", "/verdict/allowed_by", "/verdict/next_step",
        "/findings/0/id", "/findings/0/rule", "/findings/0/title", "/findings/0/level", "/findings/0/confidence",
        "/findings/0/class", "/findings/0/origin", "/findings/0/attack/0/technique", "/findings/0/attack/0/name",
        "/findings/0/attack/0/tactics/0", "/findings/0/count", "/findings/0/first_seen",
        "/findings/0/process/exe", "/findings/0/process/argv/0", "/findings/0/process/lineage/0",
        "/findings/0/evidence/0/event", "/findings/0/evidence/0/text", "/findings/0/meaning", "/findings/0/advice",
        "/findings_omitted", "/kill_chain/0", "/behaviour/processes", "/behaviour/files", "/behaviour/network/dns",
        "/behaviour/network/flows", "/behaviour/network/listeners", "/behaviour/baits", "/behaviour/dropped",
        "/limits/0",
    ];
    for name in names {
        assert!(json.pointer(name).is_some(), "{name}");
    }
    assert_eq!(json["schema"], "lazaret.report/v1");
    assert_eq!(json["findings"][2]["process"], serde_json::Value::Null);
}

#[test]
fn a_finding_is_published_with_its_process_and_within_its_bounds() {
    let shell = process(1, "/bin/sh", Origin::Layer(1), &[]);
    let miner = process(2, "/tmp/miner", Origin::Written, &[&shell]);
    let attack::Lookup::Known(technique) = attack::technique("T1496") else { panic!("unknown technique") };
    let evidence =
        |event| rule::Evidence { event: EventId(event), text: "x".repeat(9000), fields: Vec::new() };
    let found = rule::Finding {
        id: rule::FindingId([7; 32]),
        rule: "miner".into(),
        title: "A miner".into(),
        level: rule::Level::High,
        confidence: rule::Confidence::Medium,
        class: rule::Class::Malicious,
        attack: vec![technique],
        count: 9,
        first_seen: Duration::from_nanos(1_234_567_891),
        process: Some(miner),
        evidence: (1..9).map(evidence).collect(),
        meaning: "m".into(),
        advice: "a".into(),
    };
    let mut told = found.clone();
    told.evidence = vec![rule::Evidence {
        event: EventId(1),
        text: "/bin/sh began to run".into(),
        fields: vec![
            ("exe.path", "/bin/sh".into()),
            ("command_line", "sh -i".into()),
            ("process.uid", "7".into()),
        ],
    }];
    let text = &convert::finding(&told, &[]).evidence[0].text;
    assert_eq!(text, "/bin/sh began to run; command_line: sh -i, process.uid: 7");
    let published = convert::finding(&found, &sample::header().subject.layers);
    assert_eq!(published.id, "07".repeat(32));
    assert_eq!((published.level, published.count, published.first_seen), (Level::High, 9, 1.234568));
    assert_eq!(published.origin.kind, Some(OriginKind::Written));
    assert_eq!(
        (published.attack[0].technique.as_str(), &published.attack[0].name),
        ("T1496", &technique.name)
    );
    let process = published.process.unwrap();
    assert_eq!((process.exe.as_str(), process.lineage[0].exe.as_str()), ("/tmp/miner", "/bin/sh"));
    assert_eq!(published.evidence.len(), document::EVIDENCE_MAX);
    assert!(published.evidence.iter().all(|it| it.text.len() <= document::TEXT_MAX));
    let many = rule::FindingList {
        findings: vec![found; document::FINDINGS_MAX + 3],
        omitted: 4,
        ..Default::default()
    };
    let (findings, omitted) = convert::findings(&many, &[]);
    assert_eq!((findings.len(), omitted), (document::FINDINGS_MAX, 7));
}

#[test]
fn what_a_correlation_forgot_lowers_the_families_it_looks_at() {
    use rule::field::Category;
    let categories = vec![Category::Exec, Category::Denied];
    let forgotten = [rule::GivenUp { rule: "a".into(), categories, events: 3 }];
    let full = |family: Family| Coverage {
        family: family.name().into(),
        state: CoverageState::Full,
        reason: String::new(),
    };
    let known = [full(Family::Process), full(Family::File)];
    let coverage = convert::lowered(convert::coverage(&known), &forgotten);
    let check = |family: Family, state, reason: &str| {
        let entry = coverage.iter().find(|entry| entry.family == family.name()).unwrap();
        assert_eq!((entry.state, entry.reason.as_str()), (state, reason));
    };
    check(Family::Process, CoverageState::Partial, "3 events forgotten by rule a");
    check(Family::Kernel, CoverageState::None, "not built yet; 3 events forgotten by rule a");
    check(Family::File, CoverageState::Full, "");
}
