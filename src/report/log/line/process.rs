//! The lines of processes: who, with which rights, what it did to itself and to others.

use serde::{Deserialize, Serialize};

use super::call::CallDef;
use super::file::FileDef;
use super::net::{ProtocolDef, optional_endpoint};
use super::optional::optional;
use super::usual::{is_true, yes};
use crate::event::{
    Bytes, Call, Capabilities, Credentials, DupSource, Endpoint, Exec, File, Ids, ProcessAct, ProcessCall,
    ProcessKey, Protocol, Relation, Target,
};
use crate::report::log::text::{self, arguments};

optional!(optional_capabilities, Capabilities, "CapabilitiesDef");
optional!(optional_credentials, Credentials, "CredentialsDef");
optional!(optional_target, Target, "TargetDef");

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessKey", deny_unknown_fields)]
pub struct ProcessKeyDef {
    pid: u32,
    start: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ids", deny_unknown_fields)]
pub struct IdsDef {
    uid: u32,
    gid: u32,
    euid: u32,
    egid: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Capabilities", deny_unknown_fields)]
pub struct CapabilitiesDef {
    effective: u64,
    permitted: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Credentials", deny_unknown_fields)]
pub struct CredentialsDef {
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
pub struct TargetDef {
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
pub enum RelationDef {
    Own,
    Descendant,
    Ancestor,
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Exec", deny_unknown_fields)]
pub struct ExecDef {
    #[serde(with = "text")]
    asked: Bytes,
    #[serde(with = "arguments")]
    env: Vec<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_capabilities")]
    capabilities: Option<Capabilities>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessAct", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProcessActDef {
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
pub enum ProcessCallDef {
    Trace,
    ReadMemory,
    WriteMemory,
    AdviseMemory,
    TakeDescriptor,
    PassDescriptor,
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
#[serde(remote = "DupSource", rename_all = "snake_case", deny_unknown_fields)]
pub enum DupSourceDef {
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
