//! An event of every kind, with every field.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{
    Act, BaitAct, Bytes, Call, Capabilities, Carrier, CommandAct, Credentials, DnsAct, DnsAnswer, DupSource,
    Endpoint, Errand, Event, EventId, Exec, Executable, Family, File, FileAct, FileChange, FileKind, Flow,
    Handshake, HttpAct, Ids, Inode, Kept, KernelAct, MemoryAct, Mismatch, NetAct, NetAction, OpenMode,
    Origin, Outcome, Phase, Process, ProcessAct, ProcessCall, ProcessKey, Program, ProgramId, Protocol,
    Purpose, Question, Region, Relation, SandboxAct, StreamAct, Target, TlsAct, Visit, Why,
};

pub fn bytes(text: &[u8]) -> Bytes {
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

pub fn program(id: u32, exe: &[u8], before: &[&Program]) -> Program {
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

pub fn process(program: &Arc<Program>) -> Process {
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
    acts.extend([Why::Deleted, Why::Mapped, Why::Tried].map(|why| Act::Sandbox(SandboxAct::Kept(kept(why)))));
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
pub fn every_event() -> Vec<Event> {
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
