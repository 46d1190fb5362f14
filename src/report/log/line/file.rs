//! The lines of files: which one, where it comes from, what was done to it.

use serde::{Deserialize, Serialize};

use super::optional::optional;
use super::usual::{is_false, is_plain, is_zero};
use super::world::optional_text;
use crate::event::{Bytes, Executable, File, FileAct, FileChange, FileKind, Inode, OpenMode, Origin};
use crate::report::log::text::{self, digest};

optional!(optional_file, File, "FileDef");
optional!(optional_inode, Inode, "InodeDef");

#[derive(Serialize, Deserialize)]
#[serde(remote = "Executable", deny_unknown_fields)]
pub struct ExecutableDef {
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
pub struct FileDef {
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
pub struct InodeDef {
    device: u32,
    number: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FileKind", rename_all = "snake_case")]
pub enum FileKindDef {
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
pub enum OriginDef {
    Layer(u16),
    Written,
    Memfd,
    Supplied,
    Kernel,
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FileAct", rename_all = "snake_case", deny_unknown_fields)]
pub enum FileActDef {
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
#[serde(remote = "OpenMode", deny_unknown_fields)]
pub struct OpenModeDef {
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
#[serde(remote = "FileChange", rename_all = "snake_case", deny_unknown_fields)]
pub enum FileChangeDef {
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
