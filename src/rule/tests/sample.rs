//! Events to match against: some of every kind.

use std::sync::Arc;
use std::time::Duration;

use crate::event::*;

pub fn bytes(text: &str) -> Bytes {
    Arc::from(text.as_bytes())
}

pub fn file(path: &str, origin: Origin) -> File {
    let inode = Some(Inode { device: 1, number: path.len() as u64 });
    File { path: bytes(path), verified: true, inode, kind: FileKind::Regular, origin, bait: None }
}

pub fn program(
    id: u32,
    exe: &str,
    origin: Origin,
    argv: &[&str],
    before: Option<&Arc<Program>>,
) -> Arc<Program> {
    let mut lineage: Vec<Ancestor> = before.map(|program| program.as_ancestor()).into_iter().collect();
    lineage.extend(before.iter().flat_map(|program| program.lineage.iter().cloned()));
    Arc::new(Program {
        id: ProgramId(id),
        exe: Arc::new(Executable {
            file: file(exe, origin),
            sha256: Some([id as u8; 32]),
            deleted: false,
            script: None,
            script_sha256: None,
        }),
        argv: argv.iter().map(|argument| bytes(argument)).collect(),
        argv_cut: false,
        cwd: bytes("/"),
        comm: bytes("x"),
        tty: false,
        lineage: lineage.into(),
        lineage_cut: false,
    })
}

pub fn event(id: u64, program: &Arc<Program>, act: Act) -> Event {
    Event {
        id: EventId(id),
        at: Duration::from_millis(id),
        phase: Phase::Start,
        process: Some(Process {
            key: ProcessKey { pid: 4000 + id as u32, start: id },
            pid: 7,
            ids: Ids::default(),
            program: program.clone(),
        }),
        act,
        outcome: Outcome::Done,
        count: 1,
        cut: false,
    }
}

pub fn exec(env: &[&str]) -> Act {
    Act::Exec(Exec {
        asked: bytes("x"),
        env: env.iter().map(|variable| bytes(variable)).collect(),
        capabilities: Some(Capabilities { effective: 1 << 21, permitted: 1 << 21 }),
    })
}

pub fn open(path: &str, origin: Origin, mode: OpenMode) -> Act {
    Act::File(FileAct::Open { file: file(path, origin), mode })
}

pub const READ: OpenMode =
    OpenMode { read: true, write: false, append: false, truncate: false, created: false, permissions: 0 };
pub const WRITE: OpenMode =
    OpenMode { read: false, write: true, append: true, truncate: true, created: false, permissions: 0 };

pub fn connect(to: &str) -> Act {
    let remote = Some(Endpoint::Inet(to.parse().unwrap()));
    let local = Some(Endpoint::Inet("10.0.0.2:40000".parse().unwrap()));
    Act::Net(NetAct { action: NetAction::Connect, protocol: Protocol::Tcp, local, remote, name: None })
}

fn unix(action: NetAction, protocol: Protocol, path: &str) -> Act {
    Act::Net(NetAct { action, protocol, local: None, remote: Some(Endpoint::Unix(bytes(path))), name: None })
}

fn dup(onto: u8, source: DupSource) -> Act {
    Act::Process(ProcessAct::Dup { onto, source })
}

fn denied(call: &str, arg0: u64) -> Act {
    Act::Denied(Call { call: bytes(call), number: 1, args: [arg0, 0, 0, 0, 0, 0], ..Call::default() })
}

fn target() -> Target {
    let key = ProcessKey { pid: 9, start: 10 };
    Target { key, pid: 2, exe: bytes("/usr/sbin/sshd"), relation: Relation::Other, verified: true }
}

fn flow(protocol: Protocol, server: &str) -> Flow {
    let (client, server) = ("10.0.0.2:40000".parse().unwrap(), server.parse().unwrap());
    Flow { protocol, client, server, name: Some(bytes("pool.minexmr.com")) }
}

/// What was said to the world outside.
fn world() -> Vec<Act> {
    let (flow, name) = (flow(Protocol::Tcp, "203.0.113.9:443"), bytes("pool.minexmr.com"));
    let question = Some(Question { name: name.clone(), kind: 16 });
    let addresses = vec!["203.0.113.9".parse().unwrap()];
    let http = HttpAct {
        flow: flow.clone(),
        secure: true,
        server_name: Some(bytes("a.example")),
        version: bytes("1.1"),
        method: bytes("POST"),
        host: bytes("api.telegram.org"),
        target: bytes("/bot1:a/sendDocument?x"),
        headers: vec![
            bytes("user-agent: curl/8"),
            bytes("content-type: application/json"),
            bytes("authorization: Basic YTpi"),
        ],
        headers_omitted: 0,
        body: bytes("{}"),
        body_size: 2,
        status: 200,
        service: bytes("web"),
    };
    let refused = Handshake::Refused { alert: bytes("unknown_ca") };
    let (ja4, alpn) = (bytes("t13d1516h2_8daaf6152771_b186095e22b6"), vec![bytes("h2")]);
    let tls = TlsAct { flow: flow.clone(), server_name: Some(name), alpn, ja4, outcome: refused };
    let (verb, text) = (bytes("mining.authorize"), bytes("x"));
    let command = CommandAct { flow: flow.clone(), service: bytes("stratum"), verb, text, size: 20 };
    let (service, first) = (bytes("raw"), bytes("#!/bin/sh"));
    let stream = StreamAct { flow: flow.clone(), service, first, sent: 1 << 30, received: 2, datagrams: 0 };
    let bait = BaitAct {
        flow: flow.clone(),
        name: bytes("aws-credentials"),
        field: bytes("secret_access_key"),
        encoding: bytes("base64"),
        place: bytes("https"),
        used_at: Some(bytes("aws")),
    };
    vec![
        Act::DnsAnswer(DnsAnswer { flow, carrier: Carrier::Https, question, code: 0, addresses }),
        Act::Http(http),
        Act::Tls(tls),
        Act::Command(command),
        Act::Stream(stream),
        Act::Bait(bait),
    ]
}

/// Programs of several origins, one descending from the other.
pub fn programs() -> Vec<Arc<Program>> {
    let shell = program(1, "/usr/bin/bash", Origin::Layer(0), &["bash", "/opt/start.sh"], None);
    let dropped =
        program(2, "/tmp/.x/w", Origin::Written, &["[kworker/0:1]", "-o", "stratum+tcp://a:1"], Some(&shell));
    let cat = program(3, "/bin/busybox", Origin::Layer(0), &["cat", "/etc/shadow"], Some(&dropped));
    let mut memory = (*program(4, "memfd:a", Origin::Memfd, &["a"], Some(&shell))).clone();
    let exe = Arc::make_mut(&mut memory.exe);
    exe.deleted = true;
    exe.script = Some(file("/tmp/run.sh", Origin::Written));
    let python =
        program(5, "/usr/bin/python3.11", Origin::Layer(1), &["python3", "-c", "import os"], Some(&cat));
    vec![shell, dropped, cat, Arc::new(memory), python]
}

fn acts() -> Vec<Act> {
    let paths = [
        "/etc/shadow",
        "/etc/passwd",
        "/etc/cron.d/x",
        "/var/spool/cron/root",
        "/root/.ssh/id_rsa",
        "/tmp/a.txt",
        "/root/.ssh/authorized_keys",
        "/etc/ld.so.preload",
        "/proc/9/mem",
        "/proc/9/environ",
        "/usr/bin/sudo",
        "/proc/sys/kernel/core_pattern",
        "/dev/sda",
        "/root/.aws/credentials",
        "/root/.bash_history",
        "/tmp/.x/w",
    ];
    let mut acts = vec![exec(&["PATH=/bin"]), exec(&["LD_PRELOAD=/tmp/x.so"]), connect("203.0.113.9:3333")];
    acts.extend([
        connect("127.0.0.1:80"),
        connect("[::ffff:169.254.169.254]:80"),
        connect("[2001:4860::8]:443"),
    ]);
    acts.push(unix(NetAction::Connect, Protocol::Unix, "/var/run/docker.sock"));
    acts.push(Act::Net(NetAct {
        action: NetAction::Option { level: 1, number: 26, value: 7 },
        protocol: Protocol::Packet,
        local: None,
        remote: None,
        name: None,
    }));
    acts.push(Act::Net(NetAct {
        action: NetAction::Return { times: 8 },
        protocol: Protocol::Tcp,
        local: None,
        remote: Some(Endpoint::Inet("192.0.2.1:443".parse().unwrap())),
        name: None,
    }));
    acts.push(Act::Net(NetAct {
        action: NetAction::Close { sent: 1, received: 2 },
        protocol: Protocol::Tcp,
        local: None,
        remote: Some(Endpoint::Inet("192.0.2.1:443".parse().unwrap())),
        name: Some(bytes("a.example")),
    }));
    let question = Question { name: bytes("pool.minexmr.com"), kind: 16 };
    let server = Some(Endpoint::Inet("192.0.2.53:53".parse().unwrap()));
    acts.push(Act::Dns(DnsAct { server, carrier: Carrier::Udp, question: Some(question) }));
    acts.push(unix(NetAction::Send, Protocol::Other(40), "x"));
    acts.extend(world());
    let bait =
        File { bait: Some(bytes("aws-credentials")), ..file("/root/.aws/credentials", Origin::Supplied) };
    acts.push(Act::File(FileAct::Open { file: bait, mode: READ }));
    for path in paths {
        let (from, to) = (file("/tmp/f", Origin::Written), file(path, Origin::Written));
        acts.push(open(path, Origin::Layer(0), READ));
        acts.push(open(path, Origin::Layer(0), WRITE));
        acts.push(open(path, Origin::Written, OpenMode { created: true, ..WRITE }));
        acts.push(Act::File(FileAct::Rename { from: from.clone(), to: to.clone() }));
        let longer = file(&format!("{path}.locked"), Origin::Written);
        acts.push(Act::File(FileAct::Rename { from: to.clone(), to: longer }));
        acts.push(Act::File(FileAct::Link { from: to.clone(), to: from }));
        acts.push(Act::File(FileAct::Symlink { target: bytes("/dev/null"), file: to.clone() }));
        acts.push(Act::File(FileAct::Unlink { file: to.clone() }));
        acts.extend(changes().map(|change| Act::File(FileAct::Change { file: to.clone(), change })));
        acts.push(Act::File(FileAct::Mkdir { file: to.clone() }));
        acts.push(Act::File(FileAct::Chmod { file: to, mode: 0o6755 }));
    }
    for remote in [Some("203.0.113.9:4444"), Some("127.0.0.1:4444"), None] {
        let remote = remote.map(|address| Endpoint::Inet(address.parse().unwrap()));
        acts.extend([0, 1, 2].map(|onto| (onto, remote.clone())).map(|(onto, remote)| {
            dup(onto, DupSource::Socket { protocol: Protocol::Tcp, remote, copied: onto < 2 })
        }));
    }
    let other = DupSource::Socket {
        protocol: Protocol::Other(30),
        remote: Some(Endpoint::Unix(bytes("\0x"))),
        copied: true,
    };
    acts.extend([
        dup(0, other),
        dup(1, DupSource::File(file("/dev/null", Origin::Kernel))),
        dup(2, DupSource::Pipe),
    ]);
    acts.push(Act::Process(ProcessAct::Fork { child: ProcessKey { pid: 1, start: 1 }, child_pid: 2 }));
    acts.push(Act::Process(ProcessAct::Exit { code: 1, signal: 0 }));
    let call = |name: &str| Call {
        call: bytes(name),
        args: [0x1000_0000, 0x2000_0000, 0, 0, 0, 0],
        texts: vec![bytes("kworker/0:1"), bytes("/mnt")],
        target: Some(target()),
        capability: Some(21),
        filtered: true,
        own_filter: true,
        inferred: true,
        ..Call::default()
    };
    acts.extend(
        ["mount", "unshare", "setns", "bpf", "chroot"].map(|it| Act::Kernel(KernelAct::Call(call(it)))),
    );
    acts.push(Act::Kernel(KernelAct::Compat(call("open"))));
    acts.push(Act::Kernel(KernelAct::Incapable(call("sethostname"))));
    acts.push(Act::Kernel(KernelAct::Mismatch(Mismatch {
        call: bytes("open"),
        passed: bytes("/tmp/x"),
        taken: bytes("/etc/shadow"),
        verified: true,
    })));
    acts.push(Act::Kernel(KernelAct::Moved { hierarchy: 0, cgroup: bytes("/") }));
    acts.push(Act::Kernel(KernelAct::Ring { operation: bytes("unlinkat"), paths: vec![bytes("/etc/x")] }));
    acts.extend(ProcessCall::ALL.map(|what| Act::Process(ProcessAct::Call { what, call: call("ptrace") })));
    acts.push(Act::Process(ProcessAct::Signal { signal: 9, target: Some(target()) }));
    let after = Credentials {
        capabilities: Capabilities { effective: u64::MAX, permitted: u64::MAX },
        ..Credentials::default()
    };
    let before = Credentials { ids: Ids { uid: 9, gid: 9, euid: 9, egid: 9 }, ..Credentials::default() };
    acts.push(Act::Process(ProcessAct::Ids { call: bytes("setuid"), before: Some(before), after }));
    for file in [None, Some(file("memfd:x", Origin::Memfd)), Some(file("/tmp/x.so", Origin::Written))] {
        let region = Region { size: 4096, write: true, written: file.is_none(), file };
        acts.push(Act::Memory(MemoryAct::Map(region.clone())));
        acts.push(Act::Memory(MemoryAct::Protect(Region { write: false, written: true, ..region })));
    }
    acts.push(Act::Memory(MemoryAct::Memfd(call("memfd_create"))));
    acts.push(Act::Memory(MemoryAct::UserFault(call("userfaultfd"))));
    acts.extend(["mount", "unshare", "bpf", "ptrace", "socket", "clone3"].map(|call| denied(call, 17)));
    acts
}

/// Every act by every program, and the sandbox's own.
pub fn events() -> Vec<Event> {
    let (programs, acts) = (programs(), acts());
    let mut events = Vec::new();
    for act in &acts {
        for program in &programs {
            events.push(event(events.len() as u64 + 1, program, act.clone()));
        }
    }
    let own = [
        SandboxAct::Phase,
        SandboxAct::Limit { name: "pids".into() },
        SandboxAct::Held { time: Duration::from_millis(3) },
        SandboxAct::Skipped { time: Duration::from_secs(3600) },
        SandboxAct::Visited(Visit {
            request: "line".into(),
            protocol: Protocol::Tcp,
            remote: "127.0.0.1:4444".parse().unwrap(),
            answer: bytes("42013"),
            said: 6,
        }),
        SandboxAct::Ran(Errand {
            purpose: Purpose::Exec,
            argv: vec![bytes("id")],
            code: Some(0),
            signal: None,
            timed_out: false,
        }),
        SandboxAct::Kept(Kept { path: bytes("/tmp/.x"), sha256: [3; 32], size: 7, why: Why::Deleted }),
        SandboxAct::Lost { family: Family::File, records: 2 },
    ];
    for act in own {
        let id = events.len() as u64 + 1;
        events.push(Event { process: None, ..event(id, &programs[0], Act::Sandbox(act)) });
    }
    events[0].outcome = Outcome::Failed(13);
    events
}

/// An event as it is, and refused.
pub fn variants(event: &Event) -> [Event; 2] {
    [event.clone(), Event { outcome: Outcome::Failed(13), ..event.clone() }]
}

fn changes() -> impl Iterator<Item = FileChange> {
    [
        FileChange::Chown { uid: Some(0), gid: Some(0) },
        FileChange::Times { modified: Some(1_000_000_000), behind: 5 },
        FileChange::SetXattr { name: bytes("security.capability"), value: bytes("x"), capabilities: 1 << 7 },
        FileChange::SetFlags { immutable: true, append_only: true },
    ]
    .into_iter()
}
