//! How fields are read from a subject.

use std::net::{IpAddr, SocketAddr};

use super::Visit;
use crate::event::{
    Act, Bytes, Call, Carrier, Credentials, DupSource, Endpoint, Exec, FileAct, FileChange, FileKind, Inode,
    KernelAct, MemoryAct, Mismatch, NetAct, NetAction, OpenMode, Origin, ProcessAct, ProcessCall, Protocol,
    Region, SandboxAct, Target,
};
use crate::rule::capability;
use crate::rule::subject::{Subject, origin_name};

pub(super) fn origin(origin: Origin) -> &'static [u8] {
    origin_name(origin).as_bytes()
}

pub(super) fn layer(origin: Origin) -> Option<u64> {
    match origin {
        Origin::Layer(number) => Some(number.into()),
        _ => None,
    }
}

pub(super) fn outcome(s: Subject<'_>) -> Option<&[u8]> {
    Some(match s.event.outcome {
        crate::event::Outcome::Done => b"done",
        crate::event::Outcome::Failed(_) => b"failed",
        crate::event::Outcome::Unfinished => b"unfinished",
    })
}

pub(super) fn errno(s: Subject<'_>) -> Option<u64> {
    match s.event.outcome {
        crate::event::Outcome::Failed(errno) => u64::try_from(errno).ok(),
        crate::event::Outcome::Done | crate::event::Outcome::Unfinished => None,
    }
}

pub(super) fn asked(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Exec(exec) => Some(&exec.asked),
        _ => None,
    }
}

pub(super) fn env(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match &s.event.act {
        Act::Exec(exec) => exec.env.iter().any(|it| visit(it)),
        _ => false,
    }
}

pub(super) fn file_actions(s: Subject<'_>, visit: Visit<'_>) -> bool {
    let name: &[u8] = match s.file_act() {
        None => return false,
        Some(FileAct::Open { mode, .. }) => return open_actions(*mode, visit),
        Some(FileAct::Rename { .. } | FileAct::Exchange { .. }) => b"rename",
        Some(FileAct::Link { .. }) => b"link",
        Some(FileAct::Symlink { .. }) => b"symlink",
        Some(FileAct::Unlink { .. }) => b"unlink",
        Some(FileAct::Mkdir { .. }) => b"mkdir",
        Some(FileAct::Chmod { .. }) => b"chmod",
        Some(FileAct::Rmdir { .. }) => b"rmdir",
        Some(FileAct::Change { change, .. }) => change_action(change),
    };
    visit(name)
}

fn change_action(change: &FileChange) -> &'static [u8] {
    match change {
        FileChange::Truncate { .. } => b"truncate",
        FileChange::Chown { .. } => b"chown",
        FileChange::Times { .. } => b"times",
        FileChange::SetXattr { .. } => b"setxattr",
        FileChange::RemoveXattr { .. } => b"removexattr",
        FileChange::Mknod { .. } => b"mknod",
        FileChange::SetFlags { .. } => b"setflags",
        FileChange::Copy => b"copy",
        FileChange::Map => b"map",
    }
}

pub(super) fn file_change(s: Subject<'_>) -> Option<&FileChange> {
    match s.file_act()? {
        FileAct::Change { change, .. } => Some(change),
        _ => None,
    }
}

pub(super) fn owner(s: Subject<'_>) -> Option<(Option<u32>, Option<u32>)> {
    match file_change(s)? {
        FileChange::Chown { uid, gid } => Some((*uid, *gid)),
        _ => None,
    }
}

pub(super) fn times(s: Subject<'_>) -> Option<(Option<i64>, u64)> {
    match file_change(s)? {
        FileChange::Times { modified, behind } => Some((*modified, *behind)),
        _ => None,
    }
}

pub(super) fn xattr(s: Subject<'_>) -> Option<&[u8]> {
    match file_change(s)? {
        FileChange::SetXattr { name, .. } | FileChange::RemoveXattr { name } => Some(name),
        _ => None,
    }
}

pub(super) fn xattr_value(s: Subject<'_>) -> Option<&[u8]> {
    match file_change(s)? {
        FileChange::SetXattr { value, .. } => Some(value),
        _ => None,
    }
}

pub(super) fn file_capabilities(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match file_change(s) {
        Some(FileChange::SetXattr { capabilities, .. }) => {
            capability::names(*capabilities).any(|name| visit(name.as_bytes()))
        }
        _ => false,
    }
}

/// Immutable, append-only.
pub(super) fn file_flags(s: Subject<'_>) -> Option<(bool, bool)> {
    match file_change(s)? {
        FileChange::SetFlags { immutable, append_only } => Some((*immutable, *append_only)),
        _ => None,
    }
}

/// `O_TRUNC` changes the file even where it is opened for reading only.
pub(super) fn open_actions(mode: OpenMode, visit: Visit<'_>) -> bool {
    visit(b"open")
        || (mode.read && visit(b"read"))
        || ((mode.write || mode.truncate) && visit(b"write"))
        || (mode.created && visit(b"create"))
}

pub(super) fn open_mode(s: Subject<'_>) -> Option<OpenMode> {
    match s.file_act()? {
        FileAct::Open { mode, .. } => Some(*mode),
        _ => None,
    }
}

pub(super) fn new_mode(s: Subject<'_>) -> Option<u32> {
    match s.file_act()? {
        FileAct::Chmod { mode, .. } => Some(*mode),
        FileAct::Open { mode, .. } if mode.created => Some(mode.permissions.into()),
        _ => None,
    }
}

pub(super) fn symlink_target(s: Subject<'_>) -> Option<&[u8]> {
    match s.file_act()? {
        FileAct::Symlink { target, .. } => Some(target),
        _ => None,
    }
}

pub(super) fn file_kind(kind: FileKind) -> &'static [u8] {
    match kind {
        FileKind::Regular => b"regular",
        FileKind::Directory => b"directory",
        FileKind::Link => b"link",
        FileKind::Socket => b"socket",
        FileKind::Fifo => b"fifo",
        FileKind::CharDevice => b"char_device",
        FileKind::BlockDevice => b"block_device",
        FileKind::Unknown => b"unknown",
    }
}

/// By inode where both are known; an unlink may know the path only.
pub(super) fn is_own_exe(s: Subject<'_>) -> Option<bool> {
    let (exe, file) = (s.exe()?, s.file()?);
    let same = |own: &crate::event::File| match (own.inode, file.inode) {
        (Some(own), Some(other)) => own == other,
        _ => own.path == file.path,
    };
    Some(same(&exe.file) || exe.script.as_ref().is_some_and(same))
}

pub(super) fn net_act(s: Subject<'_>) -> Option<&NetAct> {
    match &s.event.act {
        Act::Net(act) => Some(act),
        _ => None,
    }
}

/// Sent, received.
pub(super) fn flow(s: Subject<'_>) -> Option<(u64, u64)> {
    match net_act(s)?.action {
        NetAction::Close { sent, received } => Some((sent, received)),
        _ => None,
    }
}

pub(super) fn returns(s: Subject<'_>) -> Option<u64> {
    match net_act(s)?.action {
        NetAction::Return { times } => Some(times.into()),
        _ => None,
    }
}

/// The name that a name server gave the far end's address.
pub(super) fn flow_name(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Net(act) => act.name.as_deref(),
        act => act.flow()?.name.as_deref(),
    }
}

pub(super) fn visit_all(texts: &[Bytes], visit: Visit<'_>) -> bool {
    texts.iter().any(|text| visit(text))
}

pub(super) fn protocol(s: Subject<'_>) -> Option<Protocol> {
    match &s.event.act {
        Act::Net(act) => Some(act.protocol),
        Act::Dns(act) => Some(if act.carrier == Carrier::Udp { Protocol::Udp } else { Protocol::Tcp }),
        Act::Process(ProcessAct::Dup { source: DupSource::Socket { protocol, .. }, .. }) => Some(*protocol),
        act => Some(act.flow()?.protocol),
    }
}

pub(super) fn protocol_name(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tcp => b"tcp",
        Protocol::Udp => b"udp",
        Protocol::Icmp => b"icmp",
        Protocol::Raw => b"raw",
        Protocol::Packet => b"packet",
        Protocol::Netlink => b"netlink",
        Protocol::Unix => b"unix",
        Protocol::Vsock => b"vsock",
        Protocol::Other(_) => b"other",
    }
}

pub(super) fn ip(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

pub(super) fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

pub(super) fn public(s: Subject<'_>) -> Option<bool> {
    let ip = ip(s.far()?);
    Some(flow_name(s).map_or(is_public(ip), |name| !is_local(ip) && is_public_name(name)))
}

/// Names that only mean something inside somebody's network (RFC 6762, RFC 8375, and by custom).
fn is_public_name(name: &[u8]) -> bool {
    const INSIDE: [&[u8]; 7] =
        [b".local", b".internal", b".lan", b".home.arpa", b".localdomain", b".localhost", b".svc"];
    name.contains(&b'.') && !INSIDE.iter().any(|inside| name.ends_with(inside))
}

fn is_public(ip: IpAddr) -> bool {
    if is_local(ip) || ip.is_multicast() {
        return false;
    }
    match ip {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            let benchmark = v4.octets()[0] == 198 && v4.octets()[1] & 0xfe == 18;
            !(v4.is_private() || v4.is_link_local() || v4.is_broadcast() || shared || benchmark)
        }
        IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

pub(super) fn unix_path(s: Subject<'_>) -> Option<&[u8]> {
    match (s.remote(), s.local()) {
        (Some(Endpoint::Unix(path)), _) | (_, Some(Endpoint::Unix(path))) => Some(path),
        _ => None,
    }
}

pub(super) fn process_act(s: Subject<'_>) -> Option<&ProcessAct> {
    match &s.event.act {
        Act::Process(act) => Some(act),
        _ => None,
    }
}

pub(super) fn process_action(s: Subject<'_>) -> Option<&[u8]> {
    Some(match process_act(s)? {
        ProcessAct::Fork { .. } => b"fork",
        ProcessAct::Exit { .. } => b"exit",
        ProcessAct::Dup { .. } => b"dup",
        ProcessAct::Ids { .. } => b"ids",
        ProcessAct::Signal { .. } => b"signal",
        ProcessAct::Call { what, .. } => what.name().as_bytes(),
    })
}

pub(super) fn dup(s: Subject<'_>) -> Option<(u8, &DupSource)> {
    match process_act(s)? {
        ProcessAct::Dup { onto, source } => Some((*onto, source)),
        _ => None,
    }
}

/// The call that an event tells of, whatever its category.
pub(super) fn call(s: Subject<'_>) -> Option<&Call> {
    match &s.event.act {
        Act::Denied(call)
        | Act::Process(ProcessAct::Call { call, .. })
        | Act::Memory(MemoryAct::Memfd(call) | MemoryAct::SecretMemfd(call) | MemoryAct::UserFault(call))
        | Act::Kernel(KernelAct::Call(call) | KernelAct::Compat(call) | KernelAct::Incapable(call)) => {
            Some(call)
        }
        _ => None,
    }
}

pub(super) fn arg(s: Subject<'_>, index: usize) -> Option<u64> {
    call(s)?.args.get(index).copied()
}

pub(super) fn call_texts(s: Subject<'_>, visit: Visit<'_>) -> bool {
    call(s).is_some_and(|call| call.texts.iter().any(|text| visit(text)))
}

pub(super) fn target(s: Subject<'_>) -> Option<&Target> {
    match process_act(s) {
        Some(ProcessAct::Signal { target, .. }) => target.as_ref(),
        _ => call(s)?.target.as_ref(),
    }
}

/// Credentials before and after a change.
pub(super) fn changed(s: Subject<'_>) -> Option<(Option<&Credentials>, &Credentials)> {
    match process_act(s)? {
        ProcessAct::Ids { before, after, .. } => Some((before.as_ref(), after)),
        _ => None,
    }
}

pub(super) fn gained(s: Subject<'_>, visit: Visit<'_>) -> bool {
    let Some((Some(before), after)) = changed(s) else { return false };
    let set = after.capabilities.effective & !before.capabilities.effective;
    capability::names(set).any(|name| visit(name.as_bytes()))
}

pub(super) fn capabilities(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match &s.event.act {
        Act::Exec(Exec { capabilities: Some(sets), .. }) => {
            capability::names(sets.effective).any(|name| visit(name.as_bytes()))
        }
        _ => false,
    }
}

pub(super) fn region(s: Subject<'_>) -> Option<&Region> {
    match &s.event.act {
        Act::Memory(MemoryAct::Map(region) | MemoryAct::Protect(region)) => Some(region),
        _ => None,
    }
}

pub(super) fn memory_action(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Memory(MemoryAct::Map(_)) => Some(b"map"),
        Act::Memory(MemoryAct::Protect(_)) => Some(b"protect"),
        Act::Memory(MemoryAct::Memfd(_)) => Some(b"memfd"),
        Act::Memory(MemoryAct::SecretMemfd(_)) => Some(b"secret_memfd"),
        Act::Memory(MemoryAct::UserFault(_)) => Some(b"user_fault"),
        _ => None,
    }
}

pub(super) fn kernel_act(s: Subject<'_>) -> Option<&KernelAct> {
    match &s.event.act {
        Act::Kernel(act) => Some(act),
        _ => None,
    }
}

pub(super) fn kernel_action(s: Subject<'_>) -> Option<&[u8]> {
    Some(match kernel_act(s)? {
        KernelAct::Call(_) => b"call",
        KernelAct::Compat(_) => b"compat",
        KernelAct::Incapable(_) => b"capability",
        KernelAct::Mismatch(_) => b"argument_mismatch",
        KernelAct::Moved { .. } => b"moved",
        KernelAct::Ring { .. } => b"ring",
    })
}

pub(super) fn mismatch(s: Subject<'_>) -> Option<&Mismatch> {
    match kernel_act(s)? {
        KernelAct::Mismatch(mismatch) => Some(mismatch),
        _ => None,
    }
}

/// Level, name and value of a socket's option.
pub(super) fn socket_option(s: Subject<'_>) -> Option<(u32, u32, u64)> {
    match net_act(s)?.action {
        NetAction::Option { level, number, value } => Some((level, number, value)),
        _ => None,
    }
}

pub(super) fn ring_paths(s: Subject<'_>, visit: Visit<'_>) -> bool {
    match kernel_act(s) {
        Some(KernelAct::Ring { paths, .. }) => paths.iter().any(|path| visit(path)),
        _ => false,
    }
}

/// Flags of include/uapi/linux/sched.h. A refused call of the 32- or 64-bit unshare has them in its first
/// register, setns in its second.
pub(super) fn namespaces(s: Subject<'_>, visit: Visit<'_>) -> bool {
    const FLAGS: [(u64, &str); 8] = [
        (0x1000_0000, "user"),
        (0x2000_0000, "pid"),
        (0x0002_0000, "mount"),
        (0x4000_0000, "net"),
        (0x0400_0000, "uts"),
        (0x0800_0000, "ipc"),
        (0x0200_0000, "cgroup"),
        (0x80, "time"),
    ];
    let Some(call) = call(s) else { return false };
    let flags = match &*call.call {
        b"clone" | b"clone3" if call.detail != 0 => call.detail,
        b"unshare" | b"clone" => call.args[0],
        b"setns" => call.args[1],
        _ => return false,
    };
    // The lowest byte of clone's flags is the signal at exit, not a namespace.
    let flags = if &*call.call == b"clone" { flags & !0xff } else { flags };
    FLAGS.iter().any(|(flag, name)| flags & flag != 0 && visit(name.as_bytes()))
}

pub(super) fn sandbox_action(s: Subject<'_>) -> Option<&[u8]> {
    match &s.event.act {
        Act::Sandbox(SandboxAct::Phase) => Some(b"phase"),
        Act::Sandbox(SandboxAct::Limit { .. }) => Some(b"limit"),
        Act::Sandbox(SandboxAct::Held { .. }) => Some(b"held"),
        Act::Sandbox(SandboxAct::Skipped { .. }) => Some(b"skipped"),
        Act::Sandbox(SandboxAct::Visited(_)) => Some(b"visited"),
        Act::Sandbox(SandboxAct::Ran(_)) => Some(b"ran"),
        Act::Sandbox(SandboxAct::Kept(_)) => Some(b"kept"),
        Act::Sandbox(SandboxAct::Lost { .. }) => Some(b"lost"),
        _ => None,
    }
}
/// What a new name adds to the old one.
pub(super) fn suffix_added(s: Subject<'_>) -> Option<&[u8]> {
    let added = s.file()?.path.strip_prefix(&*s.from()?.path)?;
    (!added.is_empty() && !added.contains(&b'/')).then_some(added)
}

/// The inode of the file that an act is about, where the kernel told it.
pub(super) fn file_inode(subject: Subject<'_>) -> Option<Vec<u8>> {
    let moved = subject.from().and_then(|file| file.inode);
    subject.file()?.inode.or(moved).map(inode_text)
}

/// The inodes of the executable and of its script.
pub(super) fn exe_inodes(subject: Subject<'_>, visit: Visit<'_>) -> bool {
    running(subject).filter_map(|file| file.inode).any(|inode| visit(&inode_text(inode)))
}

/// Of them, those that no image layer holds.
pub(super) fn exe_written_inodes(subject: Subject<'_>, visit: Visit<'_>) -> bool {
    let written = running(subject).filter(|file| file.origin == Origin::Written);
    written.filter_map(|file| file.inode).any(|inode| visit(&inode_text(inode)))
}

fn running<'a>(subject: Subject<'a>) -> impl Iterator<Item = &'a crate::event::File> {
    let files = subject.exe().map(|exe| [Some(&exe.file), exe.script.as_ref()]);
    files.into_iter().flatten().flatten()
}

fn inode_text(inode: Inode) -> Vec<u8> {
    format!("{}:{}", inode.device, inode.number).into_bytes()
}

/// How long a call asks to sleep.
pub(super) fn sleep_milliseconds(s: Subject<'_>) -> Option<u64> {
    use ProcessCall::{Busy, Sleep, Timer, Wait};
    match &s.event.act {
        Act::Process(ProcessAct::Call { what: Sleep | Timer | Wait | Busy, call }) => {
            Some(call.detail / 1_000_000)
        }
        _ => None,
    }
}

/// A content that was put away.
pub(super) fn kept(s: Subject<'_>) -> Option<&crate::event::Kept> {
    match &s.event.act {
        Act::Sandbox(SandboxAct::Kept(kept)) => Some(kept),
        _ => None,
    }
}

/// A request to a port of the image's.
pub(super) fn visit<'e>(s: Subject<'e>) -> Option<&'e crate::event::Visit> {
    match &s.event.act {
        Act::Sandbox(SandboxAct::Visited(visit)) => Some(visit),
        _ => None,
    }
}
