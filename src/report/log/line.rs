//! How each line of the event log is laid out.
//!
//! The types of [`crate::event`] know nothing of JSON. Here each has a twin of the same shape
//! (serde's `remote`), so that the compiler refuses a log that forgets a field of an event. Fields
//! that have their usual value are left out; an unknown field is an error.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::provoke::{ErrandDef, VisitDef};
use super::text::{self, arguments, digest, plain_digest};
use super::world::{
    BaitActDef, CarrierDef, CommandActDef, DnsAnswerDef, HttpActDef, StreamActDef, TlsActDef, is_udp,
    optional_text,
};
use crate::event::{
    Act, BaitAct, Bytes, Call, Capabilities, Carrier, CommandAct, Credentials, DnsAct, DnsAnswer, DupSource,
    Endpoint, Errand, Exec, Executable, Family, File, FileAct, FileChange, FileKind, HttpAct, Ids, Inode,
    Kept, KernelAct, MemoryAct, Mismatch, NetAct, NetAction, OpenMode, Origin, Phase, ProcessAct,
    ProcessCall, ProcessKey, Protocol, Question, Region, Relation, SandboxAct, StreamAct, Target, TlsAct,
    Visit, Why,
};

/// A line as it is written.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineOut<'a> {
    Ancestor(AncestorOut<'a>),
    Program(ProgramOut<'a>),
    Event(EventOut<'a>),
}

/// A line as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineIn {
    Ancestor(AncestorIn),
    Program(ProgramIn),
    Event(EventIn),
}

#[derive(Serialize)]
pub struct AncestorOut<'a> {
    pub id: u32,
    #[serde(with = "ExecutableDef")]
    pub exe: &'a Executable,
    #[serde(with = "arguments")]
    pub argv: &'a [Bytes],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AncestorIn {
    pub id: u32,
    #[serde(with = "ExecutableDef")]
    pub exe: Executable,
    #[serde(with = "arguments")]
    pub argv: Vec<Bytes>,
}

#[derive(Serialize)]
pub struct ProgramOut<'a> {
    pub id: u32,
    #[serde(with = "ExecutableDef")]
    pub exe: &'a Executable,
    #[serde(with = "arguments")]
    pub argv: &'a [Bytes],
    #[serde(skip_serializing_if = "is_false")]
    pub argv_cut: bool,
    #[serde(with = "text")]
    pub cwd: &'a [u8],
    #[serde(with = "text")]
    pub comm: &'a [u8],
    #[serde(skip_serializing_if = "is_false")]
    pub tty: bool,
    pub lineage: Vec<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub lineage_cut: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramIn {
    pub id: u32,
    #[serde(with = "ExecutableDef")]
    pub exe: Executable,
    #[serde(with = "arguments")]
    pub argv: Vec<Bytes>,
    #[serde(default)]
    pub argv_cut: bool,
    #[serde(with = "text")]
    pub cwd: Bytes,
    #[serde(with = "text")]
    pub comm: Bytes,
    #[serde(default)]
    pub tty: bool,
    pub lineage: Vec<u32>,
    #[serde(default)]
    pub lineage_cut: bool,
}

#[derive(Serialize)]
pub struct EventOut<'a> {
    pub id: u64,
    pub ns: u64,
    #[serde(with = "PhaseDef")]
    pub phase: &'a Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    #[serde(with = "ActDef")]
    pub act: &'a Act,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    #[serde(skip_serializing_if = "is_false")]
    pub unfinished: bool,
    #[serde(skip_serializing_if = "is_one")]
    pub count: u64,
    #[serde(skip_serializing_if = "is_false")]
    pub cut: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventIn {
    pub id: u64,
    pub ns: u64,
    #[serde(with = "PhaseDef")]
    pub phase: Phase,
    #[serde(default)]
    pub process: Option<ProcessRef>,
    #[serde(with = "ActDef")]
    pub act: Act,
    #[serde(default)]
    pub errno: Option<i32>,
    #[serde(default)]
    pub unfinished: bool,
    #[serde(default = "one")]
    pub count: u64,
    #[serde(default)]
    pub cut: bool,
}

/// Who did it; the program by its id.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRef {
    #[serde(with = "ProcessKeyDef")]
    pub key: ProcessKey,
    pub pid: u32,
    #[serde(with = "IdsDef")]
    pub ids: Ids,
    pub program: u32,
}

pub(super) fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn yes() -> bool {
    true
}

pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_one(count: &u64) -> bool {
    *count == 1
}

fn is_plain(permissions: &u16) -> bool {
    *permissions == 0
}

fn one() -> u64 {
    1
}

/// Durations are nanoseconds; 584 years fit.
mod nanoseconds {
    use super::{Deserialize, Duration, Serialize};

    pub fn serialize<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).serialize(to)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}

/// Lets a twin stand inside an `Option`, which serde's `with` does not do by itself.
macro_rules! optional {
    ($module:ident, $type:ty, $twin:literal) => {
        pub(super) mod $module {
            use super::*;

            #[derive(Serialize)]
            struct Out<'a>(#[serde(with = $twin)] &'a $type);
            #[derive(Deserialize)]
            struct In(#[serde(with = $twin)] $type);

            pub fn serialize<S: serde::Serializer>(value: &Option<$type>, to: S) -> Result<S::Ok, S::Error> {
                value.as_ref().map(Out).serialize(to)
            }

            pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<$type>, D::Error> {
                Ok(Option::<In>::deserialize(from)?.map(|value| value.0))
            }
        }
    };
}

optional!(optional_inode, Inode, "InodeDef");
optional!(optional_file, File, "FileDef");
optional!(optional_endpoint, Endpoint, "EndpointDef");
optional!(optional_capabilities, Capabilities, "CapabilitiesDef");
optional!(optional_credentials, Credentials, "CredentialsDef");
optional!(optional_target, Target, "TargetDef");
optional!(optional_question, Question, "QuestionDef");

#[derive(Serialize, Deserialize)]
#[serde(remote = "Phase", rename_all = "snake_case")]
enum PhaseDef {
    Setup,
    Start,
    Probe,
    Idle,
    Stop,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Family", rename_all = "snake_case")]
enum FamilyDef {
    Process,
    Memory,
    File,
    Network,
    Dns,
    Http,
    Tls,
    Kernel,
    Sandbox,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessKey", deny_unknown_fields)]
struct ProcessKeyDef {
    pid: u32,
    start: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ids", deny_unknown_fields)]
struct IdsDef {
    uid: u32,
    gid: u32,
    euid: u32,
    egid: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Executable", deny_unknown_fields)]
struct ExecutableDef {
    #[serde(with = "FileDef")]
    file: File,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digest")]
    sha256: Option<[u8; 32]>,
    #[serde(default, skip_serializing_if = "is_false")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_file")]
    script: Option<File>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digest")]
    script_sha256: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "File", deny_unknown_fields)]
struct FileDef {
    #[serde(with = "text")]
    path: Bytes,
    verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_inode")]
    inode: Option<Inode>,
    #[serde(with = "FileKindDef")]
    kind: FileKind,
    #[serde(with = "OriginDef")]
    origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    bait: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Inode", deny_unknown_fields)]
struct InodeDef {
    device: u32,
    number: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FileKind", rename_all = "snake_case")]
enum FileKindDef {
    Regular,
    Directory,
    Link,
    Socket,
    Fifo,
    CharDevice,
    BlockDevice,
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Origin", rename_all = "snake_case")]
enum OriginDef {
    Layer(u16),
    Written,
    Memfd,
    Supplied,
    Kernel,
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Act", rename_all = "snake_case")]
enum ActDef {
    Exec(#[serde(with = "ExecDef")] Exec),
    Process(#[serde(with = "ProcessActDef")] ProcessAct),
    Memory(#[serde(with = "MemoryActDef")] MemoryAct),
    File(#[serde(with = "FileActDef")] FileAct),
    Net(#[serde(with = "NetActDef")] NetAct),
    Dns(#[serde(with = "DnsActDef")] DnsAct),
    DnsAnswer(#[serde(with = "DnsAnswerDef")] DnsAnswer),
    Http(#[serde(with = "HttpActDef")] HttpAct),
    Tls(#[serde(with = "TlsActDef")] TlsAct),
    Command(#[serde(with = "CommandActDef")] CommandAct),
    Stream(#[serde(with = "StreamActDef")] StreamAct),
    Bait(#[serde(with = "BaitActDef")] BaitAct),
    Kernel(#[serde(with = "KernelActDef")] KernelAct),
    Denied(#[serde(with = "CallDef")] Call),
    Sandbox(#[serde(with = "SandboxActDef")] SandboxAct),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Exec", deny_unknown_fields)]
struct ExecDef {
    #[serde(with = "text")]
    asked: Bytes,
    #[serde(with = "arguments")]
    env: Vec<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_capabilities")]
    capabilities: Option<Capabilities>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessAct", rename_all = "snake_case", deny_unknown_fields)]
enum ProcessActDef {
    Fork {
        #[serde(with = "ProcessKeyDef")]
        child: ProcessKey,
        child_pid: u32,
    },
    Exit {
        code: u8,
        signal: u8,
    },
    Dup {
        onto: u8,
        #[serde(with = "DupSourceDef")]
        source: DupSource,
    },
    Ids {
        #[serde(with = "text")]
        call: Bytes,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_credentials")]
        before: Option<Credentials>,
        #[serde(with = "CredentialsDef")]
        after: Credentials,
    },
    Signal {
        signal: u32,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_target")]
        target: Option<Target>,
    },
    Call {
        #[serde(with = "ProcessCallDef")]
        what: ProcessCall,
        #[serde(with = "CallDef")]
        call: Call,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessCall", rename_all = "snake_case")]
enum ProcessCallDef {
    Trace,
    ReadMemory,
    WriteMemory,
    AdviseMemory,
    TakeDescriptor,
    Session,
    Seccomp,
    Personality,
    Groups,
    Name,
    Sleep,
    Timer,
    Wait,
    Busy,
    Control,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Capabilities", deny_unknown_fields)]
struct CapabilitiesDef {
    effective: u64,
    permitted: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Credentials", deny_unknown_fields)]
struct CredentialsDef {
    #[serde(with = "IdsDef")]
    ids: Ids,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    #[serde(with = "CapabilitiesDef")]
    capabilities: Capabilities,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Target", deny_unknown_fields)]
struct TargetDef {
    #[serde(with = "ProcessKeyDef")]
    key: ProcessKey,
    pid: u32,
    #[serde(with = "text")]
    exe: Bytes,
    #[serde(with = "RelationDef")]
    relation: Relation,
    verified: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Relation", rename_all = "snake_case")]
enum RelationDef {
    Own,
    Descendant,
    Ancestor,
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MemoryAct", rename_all = "snake_case", deny_unknown_fields)]
enum MemoryActDef {
    Map(#[serde(with = "RegionDef")] Region),
    Protect(#[serde(with = "RegionDef")] Region),
    Memfd(#[serde(with = "CallDef")] Call),
    SecretMemfd(#[serde(with = "CallDef")] Call),
    UserFault(#[serde(with = "CallDef")] Call),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Region", deny_unknown_fields)]
struct RegionDef {
    size: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    write: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    written: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_file")]
    file: Option<File>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "KernelAct", rename_all = "snake_case", deny_unknown_fields)]
enum KernelActDef {
    Call(#[serde(with = "CallDef")] Call),
    Compat(#[serde(with = "CallDef")] Call),
    Incapable(#[serde(with = "CallDef")] Call),
    Mismatch(#[serde(with = "MismatchDef")] Mismatch),
    Moved {
        hierarchy: u32,
        #[serde(with = "text")]
        cgroup: Bytes,
    },
    Ring {
        #[serde(with = "text")]
        operation: Bytes,
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "arguments")]
        paths: Vec<Bytes>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Mismatch", deny_unknown_fields)]
struct MismatchDef {
    #[serde(with = "text")]
    call: Bytes,
    #[serde(with = "text")]
    passed: Bytes,
    #[serde(with = "text")]
    taken: Bytes,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    verified: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DupSource", rename_all = "snake_case", deny_unknown_fields)]
enum DupSourceDef {
    Socket {
        #[serde(with = "ProtocolDef")]
        protocol: Protocol,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_endpoint")]
        remote: Option<Endpoint>,
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        copied: bool,
    },
    Pipe,
    File(#[serde(with = "FileDef")] File),
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FileAct", rename_all = "snake_case", deny_unknown_fields)]
enum FileActDef {
    Open {
        #[serde(with = "FileDef")]
        file: File,
        #[serde(with = "OpenModeDef")]
        mode: OpenMode,
    },
    Rename {
        #[serde(with = "FileDef")]
        from: File,
        #[serde(with = "FileDef")]
        to: File,
    },
    Exchange {
        #[serde(with = "FileDef")]
        from: File,
        #[serde(with = "FileDef")]
        to: File,
    },
    Link {
        #[serde(with = "FileDef")]
        from: File,
        #[serde(with = "FileDef")]
        to: File,
    },
    Symlink {
        #[serde(with = "text")]
        target: Bytes,
        #[serde(with = "FileDef")]
        file: File,
    },
    Unlink {
        #[serde(with = "FileDef")]
        file: File,
    },
    Rmdir {
        #[serde(with = "FileDef")]
        file: File,
    },
    Mkdir {
        #[serde(with = "FileDef")]
        file: File,
    },
    Chmod {
        #[serde(with = "FileDef")]
        file: File,
        mode: u32,
    },
    Change {
        #[serde(with = "FileDef")]
        file: File,
        #[serde(with = "FileChangeDef")]
        change: FileChange,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FileChange", rename_all = "snake_case", deny_unknown_fields)]
enum FileChangeDef {
    Truncate {
        length: u64,
    },
    Chown {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<u32>,
    },
    Times {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        modified: Option<i64>,
        #[serde(default, skip_serializing_if = "is_zero")]
        behind: u64,
    },
    SetXattr {
        #[serde(with = "text")]
        name: Bytes,
        #[serde(with = "text")]
        value: Bytes,
        #[serde(default, skip_serializing_if = "is_zero")]
        capabilities: u64,
    },
    RemoveXattr {
        #[serde(with = "text")]
        name: Bytes,
    },
    Mknod {
        device: u64,
    },
    SetFlags {
        immutable: bool,
        append_only: bool,
    },
    Copy,
    Map,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OpenMode", deny_unknown_fields)]
struct OpenModeDef {
    #[serde(default, skip_serializing_if = "is_false")]
    read: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    write: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    append: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    truncate: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    created: bool,
    #[serde(default, skip_serializing_if = "is_plain")]
    permissions: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NetAct", deny_unknown_fields)]
struct NetActDef {
    #[serde(with = "NetActionDef")]
    action: NetAction,
    #[serde(with = "ProtocolDef")]
    protocol: Protocol,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_endpoint")]
    local: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_endpoint")]
    remote: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    name: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DnsAct", deny_unknown_fields)]
struct DnsActDef {
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_endpoint")]
    server: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "is_udp", with = "CarrierDef")]
    carrier: Carrier,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_question")]
    question: Option<Question>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Question", deny_unknown_fields)]
struct QuestionDef {
    #[serde(with = "text")]
    name: Bytes,
    kind: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NetAction", rename_all = "snake_case")]
enum NetActionDef {
    Connect,
    Bind,
    Listen,
    Send,
    Socket,
    Accept,
    Close { sent: u64, received: u64 },
    Settle,
    Return { times: u32 },
    Option { level: u32, number: u32, value: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Protocol", rename_all = "snake_case")]
pub(super) enum ProtocolDef {
    Tcp,
    Udp,
    Icmp,
    Raw,
    Packet,
    Netlink,
    Unix,
    Vsock,
    Other(u16),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Endpoint", rename_all = "snake_case")]
enum EndpointDef {
    Inet(SocketAddr),
    Unix(#[serde(with = "text")] Bytes),
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Call", deny_unknown_fields)]
struct CallDef {
    #[serde(with = "text")]
    call: Bytes,
    number: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    compat: bool,
    args: [u64; 6],
    #[serde(default, skip_serializing_if = "is_zero")]
    detail: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "arguments")]
    texts: Vec<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_target")]
    target: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capability: Option<u8>,
    #[serde(default, skip_serializing_if = "is_false")]
    inferred: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    filtered: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    own_filter: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SandboxAct", rename_all = "snake_case", deny_unknown_fields)]
enum SandboxActDef {
    Phase,
    Limit {
        name: String,
    },
    Held {
        #[serde(with = "nanoseconds")]
        time: Duration,
    },
    Skipped {
        #[serde(with = "nanoseconds")]
        time: Duration,
    },
    Visited(#[serde(with = "VisitDef")] Visit),
    Ran(#[serde(with = "ErrandDef")] Errand),
    Kept(#[serde(with = "KeptDef")] Kept),
    Lost {
        #[serde(with = "FamilyDef")]
        family: Family,
        records: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Kept", deny_unknown_fields)]
struct KeptDef {
    #[serde(with = "text")]
    path: Bytes,
    #[serde(with = "plain_digest")]
    sha256: [u8; 32],
    size: u64,
    #[serde(with = "WhyDef")]
    why: Why,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Why", rename_all = "snake_case")]
enum WhyDef {
    Deleted,
    Mapped,
}
