use std::io::{BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::event::{
    Act, BaitAct, Bytes, Call, Capabilities, Carrier, CommandAct, Credentials, DnsAct, DnsAnswer, DupSource,
    Endpoint, Errand, Event, EventId, Exec, Executable, Family, File, FileAct, FileChange, FileKind, Flow,
    Handshake, HttpAct, Ids, Inode, Kept, KernelAct, MemoryAct, Mismatch, NetAct, NetAction, OpenMode,
    Origin, Outcome, Phase, Process, ProcessAct, ProcessCall, ProcessKey, Program, ProgramId, Protocol,
    Purpose, Question, Region, Relation, SandboxAct, StreamAct, Target, TlsAct, Visit, Why,
};
use crate::report::document::{CoverageState, Exit, ExitReason, Recording};

fn bytes(text: &[u8]) -> Bytes {
    text.into()
}

fn file(path: &[u8], kind: FileKind, origin: Origin) -> File {
    File {
        path: bytes(path),
        verified: true,
        inode: Some(Inode { device: 7, number: u64::MAX }),
        kind,
        origin,
        bait: Some(bytes(b"ssh-key")),
    }
}

fn plain(path: &[u8]) -> File {
    File {
        path: bytes(path),
        verified: false,
        inode: None,
        kind: FileKind::Unknown,
        origin: Origin::Unknown,
        bait: None,
    }
}

fn program(id: u32, exe: &[u8], before: &[&Program]) -> Program {
    Program {
        id: ProgramId(id),
        exe: Arc::new(Executable {
            file: file(exe, FileKind::Regular, Origin::Layer(2)),
            sha256: Some([id as u8; 32]),
            deleted: id == 2,
            script: (id == 2).then(|| plain(b"/tmp/run\xff.sh")),
            script_sha256: (id == 2).then_some([8; 32]),
        }),
        argv: [bytes(exe), bytes(b"-c"), bytes(b"\x1b[2J\0\xfe\xef\xbf\xbd")].into(),
        argv_cut: id == 2,
        cwd: bytes(b"/"),
        comm: bytes(b"sh"),
        tty: id == 2,
        lineage: before.iter().map(|program| program.as_ancestor()).collect(),
        lineage_cut: id == 2,
    }
}

fn process(program: &Arc<Program>) -> Process {
    Process {
        key: ProcessKey { pid: 4242, start: u64::MAX },
        pid: 7,
        ids: Ids { uid: 0, gid: 1, euid: 2, egid: u32::MAX },
        program: program.clone(),
    }
}

fn every_act() -> Vec<Act> {
    let mut acts = vec![
        Act::Exec(Exec {
            asked: bytes(b"./x\xff"),
            env: vec![bytes(b"A=b"), bytes(b"")],
            capabilities: Some(SETS),
        }),
        Act::Process(ProcessAct::Fork { child: ProcessKey { pid: 1, start: 2 }, child_pid: 3 }),
        Act::Process(ProcessAct::Exit { code: 255, signal: 9 }),
        Act::Denied(Call {
            call: bytes(b"add_key"),
            number: 248,
            compat: true,
            args: [u64::MAX, 0, 1, 2, 3, 4],
            detail: u64::MAX,
            texts: vec![bytes(b"user\xff"), bytes(b"")],
            target: Some(target()),
            capability: Some(40),
            filtered: true,
            own_filter: true,
            inferred: true,
        }),
        Act::Sandbox(SandboxAct::Phase),
        Act::Sandbox(SandboxAct::Limit { name: "memory".into() }),
        Act::Sandbox(SandboxAct::Held { time: Duration::new(3, 999_999_999) }),
        Act::Sandbox(SandboxAct::Skipped { time: Duration::new(3599, 1) }),
        Act::Sandbox(SandboxAct::Visited(Visit {
            request: "http_get".into(),
            protocol: Protocol::Tcp,
            remote: "[::1]:80".parse().unwrap(),
            answer: bytes(b"HTTP/1.1 200 OK\r\n\xff"),
            said: 7000,
        })),
        Act::Sandbox(SandboxAct::Ran(Errand {
            purpose: Purpose::Healthcheck,
            argv: vec![bytes(b"/bin/sh"), bytes(b"\xff")],
            code: Some(1),
            signal: None,
            timed_out: true,
        })),
    ];
    let kept = |why| Kept { path: bytes(b"/tmp/x\xff"), sha256: [7; 32], size: 9, why };
    acts.extend([Why::Deleted, Why::Mapped].map(|why| Act::Sandbox(SandboxAct::Kept(kept(why)))));
    acts.extend(Family::ALL.map(|family| Act::Sandbox(SandboxAct::Lost { family, records: 5 })));
    acts.extend(dup_sources().into_iter().map(|source| Act::Process(ProcessAct::Dup { onto: 2, source })));
    acts.extend(process_acts().into_iter().map(Act::Process));
    acts.extend(memory_acts().into_iter().map(Act::Memory));
    acts.extend(kernel_acts().into_iter().map(Act::Kernel));
    acts.extend(file_acts().into_iter().map(Act::File));
    acts.extend([
        Act::Dns(DnsAct { server: None, carrier: Carrier::Tcp, question: None }),
        Act::Dns(DnsAct {
            server: Some(Endpoint::Inet("192.0.2.1:53".parse().unwrap())),
            carrier: Carrier::Udp,
            question: Some(Question { name: bytes(b"a\xff.example"), kind: 16 }),
        }),
    ]);
    acts.extend(net_acts().into_iter().map(Act::Net));
    acts.extend(world_acts());
    acts
}

const SETS: Capabilities = Capabilities { effective: u64::MAX, permitted: 1 };

fn target() -> Target {
    let key = ProcessKey { pid: 9, start: 10 };
    Target { key, pid: 2, exe: bytes(b"/sbin/x\xff"), relation: Relation::Ancestor, verified: true }
}

fn process_acts() -> Vec<ProcessAct> {
    let ids = Ids { uid: 1, gid: 2, euid: 3, egid: 4 };
    let after = Credentials { ids, suid: 5, sgid: 6, fsuid: 7, fsgid: 8, capabilities: SETS };
    let mut acts = vec![
        ProcessAct::Ids { call: bytes(b"setuid"), before: None, after },
        ProcessAct::Ids { call: bytes(b"capset"), before: Some(Credentials::default()), after },
        ProcessAct::Signal { signal: 9, target: None },
    ];
    let relations = [Relation::Own, Relation::Descendant, Relation::Ancestor, Relation::Other];
    acts.extend(relations.map(|relation| {
        let target = Some(Target { relation, verified: false, ..target() });
        ProcessAct::Signal { signal: 64, target }
    }));
    acts.extend(ProcessCall::ALL.map(|what| ProcessAct::Call { what, call: Call::default() }));
    acts
}

fn memory_acts() -> Vec<MemoryAct> {
    let region = Region { size: u64::MAX, write: true, written: true, file: Some(plain(b"memfd:x")) };
    vec![
        MemoryAct::Map(region),
        MemoryAct::Protect(Region::default()),
        MemoryAct::Memfd(Call::default()),
        MemoryAct::SecretMemfd(Call::default()),
        MemoryAct::UserFault(Call::default()),
    ]
}

fn kernel_acts() -> Vec<KernelAct> {
    vec![
        KernelAct::Call(Call::default()),
        KernelAct::Compat(Call::default()),
        KernelAct::Incapable(Call::default()),
        KernelAct::Mismatch(Mismatch {
            call: bytes(b"open"),
            passed: bytes(b"/a\xff"),
            taken: bytes(b"/b"),
            verified: false,
        }),
        KernelAct::Moved { hierarchy: 3, cgroup: bytes(b"/x\xff") },
        KernelAct::Ring { operation: bytes(b"unlinkat"), paths: vec![bytes(b"/etc/x\xff")] },
        KernelAct::Ring { operation: bytes(b"nop"), paths: Vec::new() },
    ]
}

fn dup_sources() -> Vec<DupSource> {
    let remote = Some(Endpoint::Unix(bytes(b"\0abstract\xff")));
    vec![
        DupSource::Socket { protocol: Protocol::Unix, remote, copied: true },
        DupSource::Socket { protocol: Protocol::Tcp, remote: None, copied: false },
        DupSource::Pipe,
        DupSource::File(plain(b"/dev/null")),
        DupSource::Other,
    ]
}

fn file_acts() -> Vec<FileAct> {
    let kinds = [
        (FileKind::Regular, Origin::Layer(u16::MAX)),
        (FileKind::Directory, Origin::Written),
        (FileKind::Link, Origin::Memfd),
        (FileKind::Socket, Origin::Supplied),
        (FileKind::Fifo, Origin::Kernel),
        (FileKind::CharDevice, Origin::Unknown),
        (FileKind::BlockDevice, Origin::Unknown),
        (FileKind::Unknown, Origin::Unknown),
    ];
    let all = OpenMode {
        read: true,
        write: true,
        append: true,
        truncate: true,
        created: true,
        permissions: 0o4755,
    };
    let mut acts: Vec<FileAct> =
        kinds.map(|(kind, origin)| FileAct::Open { file: file(b"/a", kind, origin), mode: all }).into();
    acts.extend([
        FileAct::Open { file: plain(b"/b"), mode: OpenMode::default() },
        FileAct::Rename { from: plain(b"/a"), to: plain(b"/b") },
        FileAct::Exchange { from: plain(b"/a"), to: plain(b"/b") },
        FileAct::Link { from: plain(b"/a"), to: plain(b"/b") },
        FileAct::Symlink { target: bytes(b"../x"), file: plain(b"/l") },
        FileAct::Unlink { file: plain(b"/a") },
        FileAct::Mkdir { file: plain(b"/d") },
        FileAct::Chmod { file: plain(b"/a"), mode: 0o4755 },
        FileAct::Rmdir { file: plain(b"/d") },
    ]);
    acts.extend(file_changes().into_iter().map(|change| FileAct::Change { file: plain(b"/a"), change }));
    acts
}

fn file_changes() -> Vec<FileChange> {
    vec![
        FileChange::Truncate { length: u64::MAX },
        FileChange::Chown { uid: Some(0), gid: None },
        FileChange::Times { modified: Some(i64::MIN), behind: 9 },
        FileChange::Times { modified: None, behind: 0 },
        FileChange::SetXattr { name: bytes(b"user.x"), value: bytes(b"\0\xff"), capabilities: 1 << 40 },
        FileChange::RemoveXattr { name: bytes(b"\xfe") },
        FileChange::Mknod { device: 0x103 },
        FileChange::SetFlags { immutable: true, append_only: false },
        FileChange::Copy,
        FileChange::Map,
    ]
}

fn net_acts() -> Vec<NetAct> {
    let inet = |text: &str| Some(Endpoint::Inet(text.parse().unwrap()));
    let act = |action, protocol, local, remote| NetAct { action, protocol, local, remote, name: None };
    vec![
        act(NetAction::Connect, Protocol::Tcp, None, inet("203.0.113.9:4444")),
        act(NetAction::Bind, Protocol::Udp, inet("[::]:53"), None),
        act(NetAction::Listen, Protocol::Unix, Some(Endpoint::Unix(bytes(b"/run/x"))), None),
        act(NetAction::Send, Protocol::Icmp, None, Some(Endpoint::Other)),
        act(
            NetAction::Close { sent: u64::MAX, received: 0 },
            Protocol::Tcp,
            inet("192.0.2.1:1"),
            inet("192.0.2.2:2"),
        ),
        act(NetAction::Settle, Protocol::Tcp, None, inet("192.0.2.1:1")),
        act(NetAction::Return { times: u32::MAX }, Protocol::Tcp, None, inet("192.0.2.1:1")),
        act(NetAction::Option { level: 1, number: 26, value: u64::MAX }, Protocol::Packet, None, None),
        act(NetAction::Socket, Protocol::Tcp, None, None),
        act(NetAction::Accept, Protocol::Tcp, None, inet("192.0.2.1:1")),
        act(NetAction::Send, Protocol::Raw, None, None),
        act(NetAction::Send, Protocol::Packet, None, None),
        act(NetAction::Send, Protocol::Netlink, None, None),
        act(NetAction::Connect, Protocol::Vsock, None, None),
        act(NetAction::Connect, Protocol::Other(38), None, None),
    ]
}

fn world_acts() -> Vec<Act> {
    let flow = |protocol, name: Option<&[u8]>| Flow {
        protocol,
        client: "[2001:db8::2]:40000".parse().unwrap(),
        server: "192.0.2.1:443".parse().unwrap(),
        name: name.map(bytes),
    };
    let tcp = || flow(Protocol::Tcp, Some(b"a\xff.example"));
    let question = Some(Question { name: bytes(b"a\xff"), kind: 28 });
    let addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let carriers = [Carrier::Udp, Carrier::Tcp, Carrier::Tls, Carrier::Https];
    let mut acts = carriers.map(|carrier| DnsAnswer {
        flow: flow(Protocol::Udp, None),
        carrier,
        question: question.clone(),
        code: 3,
        addresses: addresses.clone(),
    });
    (acts[3].question, acts[3].addresses) = (None, Vec::new());
    let mut acts: Vec<Act> = acts.into_iter().map(Act::DnsAnswer).collect();
    let empty = HttpAct {
        flow: tcp(),
        secure: false,
        server_name: None,
        version: bytes(b"1.0"),
        method: bytes(b"\x1b[2J"),
        host: bytes(b""),
        target: bytes(b"/\xff"),
        headers: Vec::new(),
        headers_omitted: 0,
        body: bytes(b""),
        body_size: 0,
        status: u16::MAX,
        service: bytes(b"web"),
    };
    let headers = vec![bytes(b"host: a\xff"), bytes(b"")];
    let server_name = Some(bytes(b"a.example"));
    let full = HttpAct {
        secure: true,
        server_name,
        headers,
        headers_omitted: 9,
        body_size: u64::MAX,
        ..empty.clone()
    };
    acts.extend([empty, HttpAct { body: bytes(b"\0\xff"), ..full }].map(Act::Http));
    let refused = Handshake::Refused { alert: bytes(b"unknown_ca") };
    acts.extend([Handshake::Done, refused, Handshake::Broken].map(|outcome| {
        let (server_name, alpn) = (Some(bytes(b"\xff")), vec![bytes(b"h2"), bytes(b"\0")]);
        Act::Tls(TlsAct { flow: tcp(), server_name, alpn, ja4: bytes(b"t13"), outcome })
    }));
    let outcome = Handshake::Broken;
    acts.push(Act::Tls(TlsAct { flow: tcp(), server_name: None, alpn: vec![], ja4: bytes(b""), outcome }));
    let (service, verb, text) = (bytes(b"irc"), bytes(b"JOIN"), bytes(b"#\xff"));
    acts.push(Act::Command(CommandAct { flow: tcp(), service: service.clone(), verb, text, size: 7 }));
    for datagrams in [0, 3] {
        let (service, first) = (service.clone(), bytes(b"\x7f"));
        let (sent, received) = (u64::MAX, 0);
        acts.push(Act::Stream(StreamAct { flow: tcp(), service, first, sent, received, datagrams }));
    }
    acts.extend([None, Some(bytes(b"aws"))].map(|used_at| {
        let (name, field) = (bytes(b"ssh-key"), bytes(b"key"));
        let (encoding, place) = (bytes(b"gzip+base64"), bytes(b"dns"));
        Act::Bait(BaitAct { flow: tcp(), name, field, encoding, place, used_at })
    }));
    acts
}

/// One event of every kind, by two programs of which one has an ancestor without events of its own.
fn every_event() -> Vec<Event> {
    let first = program(1, b"/sbin/init", &[]);
    let second = Arc::new(program(2, b"/bin/sh", &[&first]));
    let third = Arc::new(program(3, b"/bin/wget", &[&second, &first]));
    let who = [None, Some(process(&second)), Some(process(&third))];
    let event = |(index, act): (usize, Act)| Event {
        id: EventId(index as u64 * 2 + 1),
        at: Duration::from_nanos(index as u64 * 1_000_000_007),
        phase: Phase::ALL[index % 5],
        process: who[index % 3].clone(),
        act,
        outcome: match index % 4 {
            2 => Outcome::Unfinished,
            3 => Outcome::Failed(13),
            _ => Outcome::Done,
        },
        count: 1 + index as u64 % 2,
        cut: index % 7 == 6,
    };
    every_act().into_iter().enumerate().map(event).collect()
}

fn header() -> Header {
    Header { id: "run-1".into(), created: "2026-01-02T03:04:05Z".into(), ..Header::default() }
}

fn trailer() -> Trailer {
    let mut trailer = Trailer::default();
    trailer.run.exit = Exit { code: Some(0), signal: None, reason: ExitReason::Exited };
    trailer.run.held_seconds = 0.1;
    trailer.coverage.push(Coverage {
        family: "memory".into(),
        state: CoverageState::None,
        reason: "not built yet".into(),
    });
    trailer
}

fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    writer.finish(trailer()).unwrap().0
}

fn read(log: &[u8]) -> Result<(Vec<Event>, Ending), LogError> {
    let mut reader = Reader::open(log)?;
    let events = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    let ending = reader.ending().unwrap().clone();
    Ok((events, ending))
}

/// Replaces the first `from` by `to`, and repairs the digest so that only the change is found.
fn edited(log: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(log).unwrap();
    assert!(text.contains(from), "{from} is not in the log");
    let text = text.replacen(from, to, 1);
    let (body, _) = text.rsplit_once(",\"sha256\"").unwrap();
    use sha2::Digest as _;
    let sum = text::digest::hex(&sha2::Sha256::digest(body.as_bytes()).into());
    format!("{body},\"sha256\":\"{sum}\"}}\n").into_bytes()
}

#[test]
fn every_kind_of_event_comes_back_as_it_was() {
    let events = every_event();
    let (again, ending) = read(&written(&events)).unwrap();
    assert_eq!(again, events);
    let Ending::Complete(end) = ending else { panic!("no trailer") };
    assert_eq!(end.coverage, trailer().coverage);
    assert_eq!(end.run.recording, Recording::Complete);
    assert_eq!(
        end.counters,
        Counters { events: events.len() as u64, programs: 2, omitted: 0, truncated: false }
    );
}

#[test]
fn header_comes_back_as_it_was() {
    let log = written(&[]);
    assert!(log.starts_with(b"{\"lazaret.events\":1,\"id\":\"run-1\""), "{}", String::from_utf8_lossy(&log));
    assert_eq!(*Reader::open(log.as_slice()).unwrap().header(), header());
}

#[test]
fn the_same_events_give_the_same_bytes() {
    let log = written(&every_event());
    let (events, _) = read(&log).unwrap();
    assert_eq!(written(&events), log);
}

#[test]
fn a_log_cut_anywhere_after_its_header_has_no_trailer() {
    let log = written(&every_event()[..4]);
    let header_length = log.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for length in header_length..log.len() {
        assert_eq!(read(&log[..length]).unwrap().1, Ending::Missing, "cut at {length}");
    }
}

#[test]
fn a_cut_compressed_log_has_no_trailer() {
    let mut compressor = compress(Vec::new()).unwrap();
    compressor.write_all(&written(&every_event())).unwrap();
    let packed = compressor.finish().unwrap();
    let unpack = |packed: &[u8]| {
        let mut reader = Reader::open(BufReader::new(decompress(packed).unwrap()))?;
        let count = reader.by_ref().collect::<Result<Vec<_>, _>>()?.len();
        Ok::<_, LogError>((count, reader.ending().cloned()))
    };
    assert_eq!(unpack(&packed).unwrap().0, every_event().len());
    // Flushed in the middle, as after a kill: whole blocks, and no end.
    let mut flushed = compress(Vec::new()).unwrap();
    let log = written(&every_event());
    flushed.write_all(&log[..log.len() / 2]).unwrap();
    flushed.flush().unwrap();
    assert_eq!(unpack(flushed.get_ref()).unwrap().1, Some(Ending::Missing));
}

#[test]
fn any_changed_byte_is_noticed() {
    let log = written(&every_event()[..3]);
    for index in 0..log.len() {
        let mut changed = log.clone();
        changed[index] ^= 1;
        let result = read(&changed);
        assert!(
            !matches!(result, Ok((_, Ending::Complete(_)))),
            "byte {index} of {}",
            String::from_utf8_lossy(&changed)
        );
    }
    let digit = edited(&log, "\"start\"", "\"start\"").len() - 4;
    let mut changed = log.clone();
    changed[digit] = if changed[digit] == b'0' { b'1' } else { b'0' };
    assert!(matches!(read(&changed), Err(LogError::Digest { .. })));
}

#[test]
fn another_version_is_told_apart() {
    let log = edited(&written(&[]), "\"lazaret.events\":1", "\"lazaret.events\":2");
    assert!(matches!(read(&log), Err(LogError::Version { found: 2 })));
    for start in ["", "{}\n", "[]\n", "hello\n", "{\"lazaret.events\":\"1\"}\n", "{\"lazaret.events\":1"] {
        assert!(matches!(read(start.as_bytes()), Err(LogError::NoHeader { .. })), "{start:?}");
    }
}

#[test]
fn errors_name_the_line_and_the_field() {
    let cases = [
        ("\"argv\":[", "\"argv\":[7,", "argv"),
        ("\"deleted\":true", "\"deleted\":1", "exe.deleted"),
        ("\"deleted\":true", "\"erased\":true", "unknown field `erased`"),
        ("\"phase\":\"setup\"", "\"phase\":\"night\"", "unknown variant `night`"),
        (",\"count\":2", ",\"count\":0", "event.count: is 0"),
        (",\"count\":2", ",\"count\":-1", "event.count"),
        ("\"event\":{\"id\":3", "\"event\":{\"id\":0", "event.id: 0 does not follow 1"),
        ("\"program\":2}", "\"program\":9}", "event.process.program: program 9 does not stand before"),
        ("\"lineage\":[1]", "\"lineage\":[4]", "program.lineage: program 4 does not stand before"),
        ("run\u{fffd}ff.sh", "run\u{fffd}FF.sh", "two lower-case hexadecimal digits"),
        ("\"events\":5,", "\"events\":6,", "trailer.counters: do not agree"),
    ];
    for (from, to, said) in cases {
        let log = edited(&written(&every_event()[..5]), from, to);
        let error = read(&log).unwrap_err();
        let LogError::Field { line, .. } = &error else { panic!("{from}: {error}") };
        assert_eq!(*line, line_of(&log, to), "{from}: {error}");
        assert!(error.to_string().contains(said), "{from}: {error}");
    }
}

/// The line, counted from 1, in which a piece of text stands first.
fn line_of(log: &[u8], piece: &str) -> u64 {
    let text = std::str::from_utf8(log).unwrap();
    let place = text.find(piece).unwrap();
    1 + text[..place].matches('\n').count() as u64
}

#[test]
fn nothing_may_follow_the_trailer() {
    for rest in ["\n", "x", "{\"event\":{}}\n"] {
        let log = [written(&[]), rest.into()].concat();
        assert!(matches!(read(&log), Err(LogError::AfterTrailer { .. })), "{rest:?}");
    }
}

#[test]
fn an_endless_line_is_refused_within_bounded_memory() {
    let log = written(&[]);
    let header_length = log.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let endless = log[..header_length].chain(std::io::repeat(b'x'));
    let mut reader = Reader::open(BufReader::new(endless)).unwrap();
    assert!(matches!(reader.next(), Some(Err(LogError::LongLine { line: 2 }))));
    assert!(reader.next().is_none());
    assert!(reader.ending().is_none());
}

#[test]
fn beyond_its_bound_a_log_takes_evidence_only_and_says_so() {
    let events = every_event();
    let bound = written(&events[..6]).len() as u64;
    let mut writer = Writer::with_bound(Vec::new(), &header(), bound).unwrap();
    let (last, others) = events.split_last().unwrap();
    for event in others {
        writer.write(event).unwrap();
    }
    let before = writer.counters();
    writer.write_evidence(last).unwrap();
    assert!(before.truncated && before.omitted > 10);
    let (again, ending) = read(&writer.finish(trailer()).unwrap().0).unwrap();
    assert_eq!(again.last(), Some(last));
    let Ending::Complete(end) = ending else { panic!("no trailer") };
    assert_eq!(end.run.recording, Recording::Truncated);
    assert_eq!(end.run.events.unlogged, before.omitted);
    assert_eq!(end.counters.events + end.counters.omitted, events.len() as u64);
}

#[test]
fn evidence_has_a_bound_too() {
    let events = every_event();
    let mut writer = Writer::with_bound(Vec::new(), &header(), 1000).unwrap();
    for id in 1..1000 {
        writer.write_evidence(&Event { id: EventId(id), ..events[0].clone() }).unwrap();
    }
    assert!(writer.counters().omitted > 900);
    assert!(writer.finish(trailer()).unwrap().0.len() < 4000);
}

#[test]
fn a_list_that_the_kernel_would_not_take_is_refused_on_both_sides() {
    let mut event = every_event().remove(0);
    event.act =
        Act::Exec(Exec { asked: bytes(b"x"), env: vec![bytes(b""); LIST_MAX + 1], ..Exec::default() });
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    writer.write(&event).unwrap();
    assert_eq!(writer.counters().omitted, 1);
    let log = edited(
        &written(&every_event()[..1]),
        "\"A=b\"",
        &"\"\",".repeat(LIST_MAX).as_str()[..3 * LIST_MAX - 1],
    );
    let error = read(&log).unwrap_err().to_string();
    assert!(error.contains("more than"), "{error}");
}

#[test]
fn programs_take_no_more_memory_than_the_bound() {
    let mut writer = Writer::new(std::io::sink(), &header()).unwrap();
    let base = program(1, b"/bin/sh", &[]);
    let argv: Arc<[Bytes]> = vec![bytes(b""); LIST_MAX].into();
    for id in 1..=6 {
        let program = Arc::new(Program { id: ProgramId(id), argv: argv.clone(), ..base.clone() });
        let event =
            Event { id: EventId(u64::from(id)), process: Some(process(&program)), ..every_event().remove(0) };
        writer.write_evidence(&event).unwrap();
    }
    assert_eq!((writer.counters().programs, writer.counters().omitted), (3, 3));
}

#[test]
fn a_mangled_log_is_an_error_or_an_ending_and_never_a_panic() {
    let log = written(&every_event());
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut endings = 0;
    for _ in 0..3000 {
        let mut mangled = log.clone();
        for _ in 0..1 + random(4) {
            if mangled.is_empty() {
                break;
            }
            let place = random(mangled.len());
            match random(4) {
                0 => mangled[place] = b"{}[]\",:0n\n\\\xff"[random(11)],
                1 => drop(mangled.drain(place..(place + random(40)).min(mangled.len()))),
                2 => mangled.truncate(place + 1),
                _ => mangled.extend_from_within(place..),
            }
        }
        let Ok(reader) = Reader::open(mangled.as_slice()) else { continue };
        endings += usize::from(reader.take(1000).all(|event| event.is_ok()));
    }
    assert!(endings > 0);
}
