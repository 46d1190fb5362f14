//! Changes of files that are neither opens nor names: length, owner, times, attributes, nodes.

use super::resolve::Last;
use super::{Normaliser, Provenance, origin};
use crate::event::{File, FileAct, FileChange, FileKind};
use crate::record::{Change, Target};

const SECOND: i64 = 1_000_000_000;

// include/uapi/linux/fs.h
const FS_IMMUTABLE_FL: u32 = 0x10;
const FS_APPEND_FL: u32 = 0x20;
const FS_XFLAG_IMMUTABLE: u32 = 0x8;
const FS_XFLAG_APPEND: u32 = 0x10;

impl<P: Provenance> Normaliser<P> {
    pub(super) fn change(&mut self, target: Target, change: Change, pid: u32, result: i64) -> FileAct {
        let done = result == 0;
        let makes = match change {
            Change::Mknod { mode, .. } => Some(origin::kind(mode as u16)),
            _ => None,
        };
        let changes_content = matches!(change, Change::Truncate { .. } | Change::Copy | Change::Map);
        if done && changes_content && !self.repeats {
            self.wrote(&target, pid);
        }
        let file = match (target, &change) {
            (Target::Name { path, keep: false }, Change::Chown { .. } | Change::Times { .. }) => {
                self.attributed(&path, pid)
            }
            (target, _) => self.target(target, pid),
        };
        let file = File { kind: makes.map_or(file.kind, made), ..file };
        FileAct::Change { file, change: published(change) }
    }

    fn target(&mut self, target: Target, pid: u32) -> File {
        match target {
            Target::File(file) => self.kernel_file(&file),
            Target::Name { path, keep: false } => self.argument(&path, Last::Follow, pid),
            Target::Name { path, keep: true } => self.argument(&path, Last::Keep, pid),
        }
    }

    fn wrote(&mut self, target: &Target, pid: u32) {
        match target {
            Target::File(file) if origin::kind(file.mode) == FileKind::Regular => self.origins.wrote(file),
            Target::File(_) => {}
            Target::Name { path, .. } => {
                let resolved = self.names.resolve(path, Last::Follow, pid, &mut self.provenance);
                self.origins.changed(&resolved.path);
            }
        }
    }
}

/// mknod(2) without a type makes a plain file.
fn made(kind: FileKind) -> FileKind {
    if kind == FileKind::Unknown { FileKind::Regular } else { kind }
}

fn published(change: Change) -> FileChange {
    match change {
        Change::Truncate { length } => FileChange::Truncate { length },
        Change::Chown { uid, gid } => FileChange::Chown { uid: id(uid), gid: id(gid) },
        Change::Times { modified, now } => times(modified, now),
        Change::SetXattr { name, value } => FileChange::SetXattr {
            capabilities: if name == b"security.capability" { capabilities(&value) } else { 0 },
            name: name.into(),
            value: value.into(),
        },
        Change::RemoveXattr { name } => FileChange::RemoveXattr { name: name.into() },
        Change::Mknod { device, .. } => FileChange::Mknod { device },
        Change::SetFlags { flags, extended: false } => FileChange::SetFlags {
            immutable: flags & FS_IMMUTABLE_FL != 0,
            append_only: flags & FS_APPEND_FL != 0,
        },
        Change::SetFlags { flags, extended: true } => FileChange::SetFlags {
            immutable: flags & FS_XFLAG_IMMUTABLE != 0,
            append_only: flags & FS_XFLAG_APPEND != 0,
        },
        Change::Copy => FileChange::Copy,
        Change::Map => FileChange::Map,
    }
}

fn id(passed: u32) -> Option<u32> {
    (passed != u32::MAX).then_some(passed)
}

fn times(modified: Option<i64>, now: i64) -> FileChange {
    let behind = modified.map_or(0, |modified| now.saturating_sub(modified) / SECOND);
    FileChange::Times {
        modified: modified.map(|modified| modified.div_euclid(SECOND)),
        behind: u64::try_from(behind).unwrap_or(0),
    }
}

/// The permitted set of a `struct vfs_cap_data` (include/uapi/linux/capability.h): a word of revision and
/// flags, then pairs of permitted and inheritable, one in revision 1 and two since; all little-endian.
fn capabilities(value: &[u8]) -> u64 {
    let word = |index: usize| {
        let bytes = value.get(index * 4..)?.first_chunk::<4>()?;
        Some(u64::from(u32::from_le_bytes(*bytes)))
    };
    let low = word(1).unwrap_or(0);
    let high = if value.len() >= 20 { word(3).unwrap_or(0) } else { 0 };
    high << 32 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_those_of_the_permitted_set() {
        let check = |hex: &str, expected: u64| {
            let value: Vec<u8> =
                (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..][..2], 16).unwrap()).collect();
            assert_eq!(capabilities(&value), expected, "{hex}");
        };
        check("", 0);
        check("0100000280", 0);
        // setcap cap_setuid+ep, in revisions 2 and 3 (with a root id), and 1
        check("0100000280000000000000000000000000000000", 1 << 7);
        check("010000038000000000000000000000000000000000000100", 1 << 7);
        check("010000018000000000000000", 1 << 7);
        // cap_bpf (39)
        check("0000000200000000000000008000000000000000", 1 << 39);
    }

    #[test]
    fn times_tell_how_far_they_lie_back() {
        let check = |modified, expected| assert_eq!(times(modified, 1_000 * SECOND), expected);
        check(None, FileChange::Times { modified: None, behind: 0 });
        check(Some(10 * SECOND + 5), FileChange::Times { modified: Some(10), behind: 989 });
        check(Some(2_000 * SECOND), FileChange::Times { modified: Some(2_000), behind: 0 });
        check(Some(-1), FileChange::Times { modified: Some(-1), behind: 1_000 });
        check(Some(i64::MIN), FileChange::Times { modified: Some(-9_223_372_037), behind: 9_223_372_036 });
    }

    #[test]
    fn flags_of_both_calls_mean_the_same() {
        let flags = |flags, extended| published(Change::SetFlags { flags, extended });
        assert_eq!(flags(0x10, false), FileChange::SetFlags { immutable: true, append_only: false });
        assert_eq!(flags(0x8, true), FileChange::SetFlags { immutable: true, append_only: false });
        assert_eq!(flags(0x10, true), FileChange::SetFlags { immutable: false, append_only: true });
        assert_eq!(flags(0, false), FileChange::SetFlags { immutable: false, append_only: false });
    }
}
