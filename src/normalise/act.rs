//! The acts that a record tells by itself: files by the kernel's own object or by the program's string,
//! sockets, memory.

use crate::event::{
    Act, Bytes, DnsAct, DupSource, Endpoint, Exec, File, FileAct, FileKind, MemoryAct, NetAct, NetAction,
    OpenMode, Origin, Outcome, ProcessAct, Region,
};
use crate::record::{self, Body, KernelFile, KernelSocket, PathArgument, Task};

use super::call::By;
use super::resolve::Last;
use super::{Normaliser, Provenance, begun, call, dns, inferred, mismatch, net, origin, outcome, uring};

// include/uapi/linux/fcntl.h, include/uapi/linux/fs.h; O_NOFOLLOW is that of x86-64.
const AT_SYMLINK_FOLLOW: u32 = 0x400;
const RENAME_EXCHANGE: u32 = 1 << 1;
const O_NOFOLLOW: u32 = 0o400_000;

impl<P: Provenance> Normaliser<P> {
    /// The acts that need only the record itself and the files of the run.
    pub(super) fn act(&mut self, task: &Task, body: Body) -> Option<(Act, Outcome)> {
        let pid = task.inner_pid;
        let done = Outcome::Done;
        Some(match body {
            Body::ExecFailed { asked, result } => {
                (Act::Exec(Exec { asked: asked.into(), ..Exec::default() }), outcome(result))
            }
            Body::Open { file, flags, created, .. } => (Act::File(self.open(&file, flags, created)), done),
            Body::OpenFailed { path, flags, result } => {
                let last = if flags & O_NOFOLLOW == 0 { Last::Follow } else { Last::Keep };
                // Nothing was opened: wherever the name leads, nothing happened there unseen.
                let resolved = self.names.resolve(&path, last, pid, &mut self.provenance);
                let file = self.named_file(&resolved.path);
                (Act::File(FileAct::Open { file, mode: open_mode(flags, false) }), begun(result))
            }
            Body::FileChmod { file, mode, result } => {
                let file = self.kernel_file(&file);
                (Act::File(FileAct::Chmod { file, mode: mode & 0o7777 }), outcome(result))
            }
            Body::Change { target, change, result } => {
                (Act::File(self.change(target, change, pid, result)), outcome(result))
            }
            Body::Dup { onto, source } => {
                let source = self.dup_source(source);
                (Act::Process(ProcessAct::Dup { onto: onto as u8, source }), done)
            }
            Body::Mapping { mapping, result } => (Act::Memory(self.mapping(mapping)), outcome(result)),
            body @ (Body::Denied { .. } | Body::Call { .. } | Body::Ids { .. } | Body::Signal { .. }) => {
                self.call(task, body)?
            }
            Body::Ring { opcode, paths, .. } => {
                if uring::moves_names(opcode) {
                    self.names.doubt();
                }
                (call::ring(opcode, paths), done)
            }
            Body::Mismatch { call, passed, actual, result, .. } => {
                (Act::Kernel(mismatch::other_address(call, &passed, &actual)), begun(result))
            }
            Body::Rewritten { number, compat, before, after, result } => {
                let act = mismatch::other_name(call::name(number, compat), before, after);
                (Act::Kernel(act), outcome(result))
            }
            Body::SocketOption { socket, level, name, value, result } => {
                let action = NetAction::Option { level, number: name, value };
                (self.net(action, &socket, &[], &[]), outcome(result))
            }
            Body::Incapable { capability, number, compat } => {
                (call::incapable(capability, number, compat), done)
            }
            Body::Connect { socket, local, remote, result } => {
                (self.net(NetAction::Connect, &socket, &local, &remote), begun(result))
            }
            Body::Bind { socket, local, result } => {
                (self.net(NetAction::Bind, &socket, &local, &[]), outcome(result))
            }
            Body::Listen { socket, local, result } => {
                (self.net(NetAction::Listen, &socket, &local, &[]), outcome(result))
            }
            Body::Send { socket, local, remote, result } => {
                (self.net(NetAction::Send, &socket, &local, &remote), outcome(result))
            }
            Body::Socket { socket } => (self.net(NetAction::Socket, &socket, &[], &[]), done),
            Body::Accept { socket, local, remote } => {
                (self.net(NetAction::Accept, &socket, &local, &remote), done)
            }
            Body::Query { socket, server, payload, result, .. } => {
                let carrier = net::carrier(&socket);
                let (server, question) = (net::endpoint(&server), dns::question(&payload));
                let act = DnsAct { server, carrier, question };
                (Act::Dns(act), outcome(result))
            }
            body => self.name_act(body, pid)?,
        })
    }

    /// The acts that are told by their call.
    pub(super) fn call(&mut self, task: &Task, body: Body) -> Option<(Act, Outcome)> {
        let lineage = &self.lineage;
        Some(match body {
            Body::Denied { number, compat, args, result, capability, barred } => {
                let filtered = (self.filter)(number, compat, &args);
                let by = By { filtered, own: barred && !filtered };
                let outcome = outcome(result);
                (self.inferred(call::denied(number, compat, args, capability, by), outcome), outcome)
            }
            Body::Call { about, call, result } => {
                let outcome = outcome(result);
                let filtered = (self.filter)(call.number, call.compat, &call.args);
                (self.inferred(call::call(lineage, task, about, (call, filtered), outcome), outcome), outcome)
            }
            Body::Ids { number, compat, before, after, result } => {
                (call::ids(lineage, (number, compat), before, after), outcome(result))
            }
            Body::Signal { signal, target, result, .. } => {
                (call::signal(lineage, task, signal, target), outcome(result))
            }
            _ => return None,
        })
    }

    fn inferred(&self, mut act: Act, outcome: Outcome) -> Act {
        if let (true, Outcome::Failed(errno), Act::Denied(call)) = (self.infers, outcome, &mut act) {
            inferred::infer(call, errno);
        }
        act
    }

    pub(super) fn mapping(&mut self, mapping: record::Mapping) -> MemoryAct {
        const PROT_WRITE: u32 = 2;
        let region = Region {
            size: mapping.size,
            write: mapping.protection & PROT_WRITE != 0,
            written: mapping.written,
            file: mapping.file.as_ref().map(|file| self.kernel_file(file)),
        };
        if mapping.protect { MemoryAct::Protect(region) } else { MemoryAct::Map(region) }
    }

    /// The acts on names: rename, link, symlink, unlink, mkdir, chmod.
    pub(super) fn name_act(&mut self, body: Body, pid: u32) -> Option<(Act, Outcome)> {
        let (act, result) = match body {
            Body::Rename { from, to, flags, result } => (self.rename(&from, &to, flags, pid, result), result),
            Body::Link { from, to, flags, result } => (self.link(&from, &to, flags, pid, result), result),
            Body::Symlink { target, path, result } => {
                let file = self.argument(&path, Last::Keep, pid);
                if result == 0 {
                    self.names.made_link(&file.path, &target);
                }
                (FileAct::Symlink { target: target.into(), file }, result)
            }
            Body::Unlink { path, directory, result } => {
                let file = self.argument(&path, Last::Keep, pid);
                if result == 0 {
                    self.origins.unlinked(&file.path);
                    self.aliases.unlinked(&file.path);
                    self.names.removed(&file.path, &mut self.provenance);
                }
                let act = if directory { FileAct::Rmdir { file } } else { FileAct::Unlink { file } };
                (act, result)
            }
            Body::Mkdir { path, result } => {
                (FileAct::Mkdir { file: self.argument(&path, Last::Keep, pid) }, result)
            }
            Body::Chmod { path, mode, result } => {
                let harmless = mode & 0o7111 == 0;
                let file = if harmless {
                    self.attributed(&path, pid)
                } else {
                    self.argument(&path, Last::Follow, pid)
                };
                (FileAct::Chmod { file, mode: mode & 0o7777 }, result)
            }
            _ => return None,
        };
        Some((Act::File(act), outcome(result)))
    }

    pub(super) fn rename(
        &mut self,
        from: &PathArgument,
        to: &PathArgument,
        flags: u32,
        pid: u32,
        result: i64,
    ) -> FileAct {
        let (from, mut to) = (self.argument(from, Last::Keep, pid), self.argument(to, Last::Keep, pid));
        if flags & RENAME_EXCHANGE != 0 {
            if result == 0 {
                self.origins.exchanged(&from.path, &to.path);
                self.aliases.exchanged(&from.path, &to.path);
                self.names.exchanged(&from.path, &to.path, &mut self.provenance);
            }
            return FileAct::Exchange { from, to };
        }
        if result == 0 {
            self.origins.renamed(&from.path, &to.path);
            self.aliases.renamed(&from.path, &to.path);
            self.names.renamed(&from.path, &to.path, &mut self.provenance);
            // What stands at the new name now is what stood at the old one.
            to = File { path: to.path, ..from.clone() };
        }
        FileAct::Rename { from, to }
    }

    pub(super) fn link(
        &mut self,
        from: &PathArgument,
        to: &PathArgument,
        flags: u32,
        pid: u32,
        result: i64,
    ) -> FileAct {
        let last = if flags & AT_SYMLINK_FOLLOW == 0 { Last::Keep } else { Last::Follow };
        let (from, mut to) = (self.argument(from, last, pid), self.argument(to, Last::Keep, pid));
        if result == 0 {
            self.origins.linked(&from.path, &to.path);
            self.aliases.linked(&from, &to.path);
            self.names.linked(&from.path, &to.path, &mut self.provenance);
            to.bait.clone_from(&from.bait);
        }
        FileAct::Link { from, to }
    }

    pub(super) fn open(&mut self, file: &KernelFile, flags: u32, created: bool) -> FileAct {
        let permissions = if created { file.mode & 0o7777 } else { 0 };
        if created {
            self.origins.created(file);
        }
        let mode = OpenMode { permissions, ..open_mode(flags, created) };
        let writes = (mode.write || mode.created) && !self.repeats;
        if writes && origin::kind(file.mode) == FileKind::Regular {
            self.origins.wrote(file);
        }
        FileAct::Open { file: self.kernel_file(file), mode }
    }

    pub(super) fn kernel_file(&mut self, file: &KernelFile) -> File {
        let origin = self.origins.of_file(file, &mut self.provenance);
        File {
            path: Bytes::from(file.path.as_slice()),
            verified: true,
            inode: Some(origin::inode(file)),
            kind: origin::kind(file.mode),
            origin,
            bait: self.origins.bait_of_file(file),
        }
    }

    /// A file known by the program's own string, walked to where it leads.
    pub(super) fn argument(&mut self, argument: &PathArgument, last: Last, pid: u32) -> File {
        let resolved = self.names.resolve(argument, last, pid, &mut self.provenance);
        self.unresolved += u64::from(!resolved.sure);
        self.named_file(&resolved.path)
    }

    /// A file that gets another owner, time or a mode without set-id and execute bits. Entrypoints do that to
    /// the standard streams of others, `/proc/$$/fd/1` or a log that is a link to `/dev/stdout`: which pipe that is
    /// hides nothing, while a file's content and its right to run cannot be changed so.
    pub(super) fn attributed(&mut self, argument: &PathArgument, pid: u32) -> File {
        let resolved = self.names.resolve(argument, Last::Follow, pid, &mut self.provenance);
        self.unresolved += u64::from(!resolved.sure && !resolved.stream);
        self.named_file(&resolved.path)
    }

    pub(super) fn named_file(&mut self, path: &[u8]) -> File {
        let origin = self.origins.of_path(path, &mut self.provenance);
        let kind = if origin == Origin::Written { FileKind::Regular } else { FileKind::Unknown };
        let (inode, bait) = (self.origins.inode_of(path), self.origins.bait_of_path(path));
        File { path: Bytes::from(path), verified: false, inode, kind, origin, bait }
    }

    pub(super) fn net(&self, action: NetAction, socket: &KernelSocket, local: &[u8], remote: &[u8]) -> Act {
        let (local, remote) = (net::endpoint(local), net::endpoint(remote));
        let name = match &remote {
            Some(Endpoint::Inet(address)) => self.flows.name(address.ip()).cloned(),
            _ => None,
        };
        Act::Net(NetAct { action, protocol: net::protocol(socket), local, remote, name })
    }

    pub(super) fn dup_source(&mut self, source: record::DupSource) -> DupSource {
        match source {
            record::DupSource::Socket { socket, remote, copied } => {
                DupSource::Socket { protocol: net::protocol(&socket), remote: net::endpoint(&remote), copied }
            }
            record::DupSource::File(file) => match origin::kind(file.mode) {
                FileKind::Fifo => DupSource::Pipe,
                FileKind::Unknown => DupSource::Other,
                _ => DupSource::File(self.kernel_file(&file)),
            },
        }
    }
}

/// `flags` as in open(2); the numbers are those of x86-64 and the generic table alike.
fn open_mode(flags: u32, created: bool) -> OpenMode {
    const O_ACCMODE: u32 = 0o3;
    const O_WRONLY: u32 = 0o1;
    const O_RDWR: u32 = 0o2;
    const O_TRUNC: u32 = 0o1000;
    const O_APPEND: u32 = 0o2000;
    const O_PATH: u32 = 0o10_000_000;
    if flags & O_PATH != 0 {
        return OpenMode { created, ..OpenMode::default() };
    }
    let access = flags & O_ACCMODE;
    OpenMode {
        read: access != O_WRONLY,
        write: access == O_WRONLY || access == O_RDWR,
        append: flags & O_APPEND != 0,
        truncate: flags & O_TRUNC != 0,
        created,
        permissions: 0,
    }
}
