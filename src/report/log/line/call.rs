//! The lines of calls that no other line tells: on memory, on the kernel, and every refused one.

use serde::{Deserialize, Serialize};

use super::file::optional_file;
use super::process::optional_target;
use super::usual::{is_false, is_true, is_zero, yes};
use crate::event::{Bytes, Call, File, KernelAct, MemoryAct, Mismatch, Region, Target};
use crate::report::log::text::{self, arguments};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Call", deny_unknown_fields)]
pub struct CallDef {
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
#[serde(remote = "MemoryAct", rename_all = "snake_case", deny_unknown_fields)]
pub enum MemoryActDef {
    Map(#[serde(with = "RegionDef")] Region),
    Protect(#[serde(with = "RegionDef")] Region),
    Memfd(#[serde(with = "CallDef")] Call),
    SecretMemfd(#[serde(with = "CallDef")] Call),
    UserFault(#[serde(with = "CallDef")] Call),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Region", deny_unknown_fields)]
pub struct RegionDef {
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
pub enum KernelActDef {
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
pub struct MismatchDef {
    #[serde(with = "text")]
    call: Bytes,
    #[serde(with = "text")]
    passed: Bytes,
    #[serde(with = "text")]
    taken: Bytes,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    verified: bool,
}
