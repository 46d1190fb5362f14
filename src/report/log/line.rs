//! How each line of the event log is laid out.
//!
//! The types of [`crate::event`] know nothing of JSON. Here each has a twin of the same shape
//! (serde's `remote`), so that the compiler refuses a log that forgets a field of an event. Fields
//! that have their usual value are left out; an unknown field is an error. Here are the lines themselves,
//! beside this file the twins, by what they are about.

mod call;
mod file;
mod net;
mod optional;
mod process;
mod sandbox;
mod usual;
mod world;

use serde::{Deserialize, Serialize};

use super::text::{self, arguments};
use crate::event::{
    Act, BaitAct, Bytes, Call, CommandAct, DnsAct, DnsAnswer, Exec, Executable, FileAct, HttpAct, Ids,
    KernelAct, MemoryAct, NetAct, Phase, ProcessAct, ProcessKey, SandboxAct, StreamAct, TlsAct,
};
use call::{CallDef, KernelActDef, MemoryActDef};
use file::{ExecutableDef, FileActDef};
use net::{DnsActDef, NetActDef};
use process::{ExecDef, IdsDef, ProcessActDef, ProcessKeyDef};
use sandbox::SandboxActDef;
use usual::{is_false, is_one, one};
use world::{BaitActDef, CommandActDef, DnsAnswerDef, HttpActDef, StreamActDef, TlsActDef};

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
