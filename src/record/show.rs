//! One record as one line, for people and tests: what was done, not when and by whom.
//!
//! Names are escaped. Addresses of families other than internet and unix are shown as bytes.

use std::fmt::{Display, Formatter, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    Body, Call, Capabilities, Change, Credentials, DupSource, KernelFile, KernelSocket, Mapping,
    PathArgument, Record, SignalTarget, Target,
};

impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.body)?;
        if self.cut {
            write!(f, " cut")?;
        }
        if self.count != 1 {
            write!(f, " x{}", self.count)?;
        }
        Ok(())
    }
}

impl Display for Body {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Body::Exec { exe, asked, interpreter, argv, env, cwd, comm, tty, capabilities } => {
                write!(f, "exec {exe} asked={} cwd={}", asked.escape_ascii(), cwd.escape_ascii())?;
                write!(f, " interpreter={} comm={}", interpreter.escape_ascii(), comm.escape_ascii())?;
                write!(f, " tty={tty} argv={} env={}", argv.escape_ascii(), env.escape_ascii())?;
                write!(f, " {capabilities}")
            }
            Body::ExecFailed { asked, result } => {
                write!(f, "exec_failed {} = {result}", asked.escape_ascii())
            }
            Body::Fork { .. } => write!(f, "fork"),
            Body::Exit { status } => write!(f, "exit {status:#x}"),
            Body::Open { file, flags, created, passed } => {
                write!(f, "open {file} {flags:#o}{}", if *created { " created" } else { "" })?;
                passed.as_ref().map_or(Ok(()), |passed| write!(f, " by {passed}"))
            }
            Body::OpenFailed { path, flags, result } => {
                write!(f, "open_failed {path} {flags:#o} = {result}")
            }
            Body::Rename { from, to, flags, result } => {
                write!(f, "rename {from} {to}{} = {result}", Flags(*flags))
            }
            Body::Link { from, to, flags, result } => {
                write!(f, "link {from} {to}{} = {result}", Flags(*flags))
            }
            Body::Symlink { target, path, result } => {
                write!(f, "symlink {} {path} = {result}", target.escape_ascii())
            }
            Body::Unlink { path, directory: false, result } => write!(f, "unlink {path} = {result}"),
            Body::Unlink { path, directory: true, result } => write!(f, "rmdir {path} = {result}"),
            Body::Mkdir { path, result } => write!(f, "mkdir {path} = {result}"),
            Body::Chmod { path, mode, result } => write!(f, "chmod {path} {mode:#o} = {result}"),
            Body::FileChmod { file, mode, result } => {
                write!(f, "file_chmod {file} {mode:#o} = {result}")
            }
            Body::Change { target, change, result } => write!(f, "{change} {target} = {result}"),
            Body::Connect { socket, remote, result, .. } => {
                write!(f, "connect {socket} {} = {result}", Address(remote))
            }
            Body::Bind { socket, local, result } => {
                write!(f, "bind {socket} {} = {result}", Address(local))
            }
            Body::Listen { socket, local, result } => {
                write!(f, "listen {socket} {} = {result}", Address(local))
            }
            Body::Send { socket, remote, result, .. } => {
                write!(f, "send {socket} {} = {result}", Address(remote))
            }
            Body::Socket { socket } => write!(f, "socket {socket}"),
            Body::Accept { socket, remote, .. } => write!(f, "accept {socket} {}", Address(remote)),
            Body::Query { socket, server, payload, result, .. } => {
                write!(f, "query {socket} {} {} = {result}", Address(server), payload.escape_ascii())
            }
            Body::Flow { socket, local, remote, sent, received } => {
                let (local, remote) = (Address(local), Address(remote));
                write!(f, "flow {socket} {local} {remote} sent {sent} received {received}")
            }
            Body::Mismatch { call, socket, passed, actual, result } => {
                let (passed, actual) = (Address(passed), Address(actual));
                let call = format!("{call:?}").to_lowercase();
                write!(f, "mismatch {call} {socket} passed {passed} took {actual} = {result}")
            }
            Body::Settled { socket, local, remote, error } => {
                let (local, remote) = (Address(local), Address(remote));
                write!(f, "settled {socket} {local} {remote}")?;
                error.map_or(Ok(()), |error| write!(f, " error {error}"))
            }
            Body::SocketOption { socket, level, name, value, result } => {
                write!(f, "option {socket} {level}.{name} {value:#x} = {result}")
            }
            Body::Incapable { capability, number, compat } => {
                write!(f, "incapable {capability} in {number}{}", if *compat { "/32" } else { "" })
            }
            Body::Source { socket, local, remote } => {
                write!(f, "source {socket} {} {}", Address(local), Address(remote))
            }
            Body::Dup { onto, source: DupSource::Socket { socket, remote, copied } } => {
                let act = if *copied { "dup" } else { "opened as" };
                write!(f, "{act} {onto} {socket} {}", Address(remote))
            }
            Body::Dup { onto, source: DupSource::File(file) } => write!(f, "dup {onto} {file}"),
            Body::Rewritten { number, compat, before, after, result } => {
                let (before, after) = (before.escape_ascii(), after.escape_ascii());
                let entry = if *compat { "/32" } else { "" };
                write!(f, "rewritten {number}{entry} {before} to {after} = {result}")
            }
            Body::Denied { number, compat, args, result, capability, barred } => {
                let barred = if *barred { " barred" } else { "" };
                write!(
                    f,
                    "denied {number}{} {args:x?}{barred} = {result}",
                    if *compat { "/32" } else { "" }
                )?;
                capability.map_or(Ok(()), |capability| write!(f, " capability {capability}"))
            }
            Body::Mapping { mapping, result } => write!(f, "mapping {mapping} = {result}"),
            Body::Call { about, call, result } => {
                write!(f, "{} {call} = {result}", format!("{about:?}").to_lowercase())
            }
            Body::Ids { number, compat, before, after, result } => {
                write!(f, "ids {number}{} ", if *compat { "/32" } else { "" })?;
                match before {
                    Some(before) => write!(f, "{before}")?,
                    None => write!(f, "?")?,
                }
                write!(f, " -> {after} = {result}")
            }
            Body::Signal { signal, target: SignalTarget::Process { pid, .. }, result, .. } => {
                write!(f, "signal {signal} to {pid} = {result}")
            }
            Body::Signal { signal, target: SignalTarget::Asked(asked), code, result } => {
                write!(f, "signal {signal} to ?{asked} code {code} = {result}")
            }
            Body::Moved { pid, hierarchy, cgroup, .. } => {
                write!(f, "moved {pid} to {hierarchy}:{}", cgroup.escape_ascii())
            }
            Body::Ring { opcode, fd, paths: [first, second] } => {
                write!(f, "ring {opcode} {fd} {} {}", first.escape_ascii(), second.escape_ascii())
            }
            Body::Unreadable { kind, reason } => write!(f, "unreadable {kind}: {reason}"),
        }
    }
}

impl Display for KernelFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.path.escape_ascii())?;
        match self.upper {
            Some(true) => write!(f, " upper")?,
            Some(false) => write!(f, " lower")?,
            None => {}
        }
        if self.unlinked { write!(f, " unlinked") } else { Ok(()) }
    }
}

impl Display for PathArgument {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.unreadable {
            write!(f, "?")?;
        }
        write!(f, "{}", self.text.escape_ascii())?;
        for (mark, text) in [("@", &self.base), ("=>", &self.link), (" in ", &self.root)] {
            if !text.is_empty() {
                write!(f, "{mark}{}", text.escape_ascii())?;
            }
        }
        Ok(())
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Target::Name { path, keep: false } => write!(f, "{path}"),
            Target::Name { path, keep: true } => write!(f, "{path} itself"),
            Target::File(file) => write!(f, "{file}"),
        }
    }
}

impl Display for Change {
    /// The present is left out: it is another one each time.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Change::Truncate { length } => write!(f, "truncate {length}"),
            Change::Chown { uid, gid } => write!(f, "chown {}:{}", *uid as i32, *gid as i32),
            Change::Times { modified: Some(time), .. } => write!(f, "times {time}"),
            Change::Times { modified: None, .. } => write!(f, "times now"),
            Change::SetXattr { name, value } => {
                write!(f, "setxattr {}={}", name.escape_ascii(), value.escape_ascii())
            }
            Change::RemoveXattr { name } => write!(f, "removexattr {}", name.escape_ascii()),
            Change::Mknod { mode, device } => write!(f, "mknod {mode:#o} {device:#x}"),
            Change::SetFlags { flags, extended } => {
                write!(f, "setflags {flags:#x}{}", if *extended { " extended" } else { "" })
            }
            Change::Copy => write!(f, "copy into"),
            Change::Map => write!(f, "map for writing"),
        }
    }
}

impl Display for KernelSocket {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}.{}.{}", self.family, self.kind, self.protocol)
    }
}

/// Flags of a call, where there are any.
struct Flags(u32);

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " {:#x}", self.0) }
    }
}

impl Display for Capabilities {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "capabilities={:x}/{:x}", self.effective, self.permitted)
    }
}

impl Display for Credentials {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Credentials { uid, gid, euid, egid, suid, sgid, fsuid, fsgid, capabilities } = self;
        write!(f, "uid={uid}/{euid}/{suid}/{fsuid} gid={gid}/{egid}/{sgid}/{fsgid} {capabilities}")
    }
}

impl Display for Mapping {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Mapping { size, protection, flags, protect, written, known, file, .. } = self;
        write!(f, "{}", if *protect { "protect" } else { "map" })?;
        write!(f, " {size:#x} prot={protection} flags={flags:#x} ")?;
        match file {
            Some(file) => write!(f, "{file}")?,
            None => write!(f, "{}", if *known { "anonymous" } else { "?" })?,
        }
        if *written { write!(f, " written") } else { Ok(()) }
    }
}

/// Without the registers: many hold addresses, which differ from run to run.
impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Call { number, compat, detail, target, capability, texts, unreadable, barred, .. } = self;
        write!(f, "{number}{}", if *compat { "/32" } else { "" })?;
        if *detail != 0 {
            write!(f, " detail={detail:#x}")?;
        }
        for text in texts.iter().filter(|text| !text.is_empty()) {
            write!(f, " {}", text.escape_ascii())?;
        }
        if *unreadable {
            write!(f, " ?")?;
        }
        if *barred {
            write!(f, " barred")?;
        }
        if let Some(target) = target {
            write!(f, " target={target}")?;
        }
        capability.map_or(Ok(()), |capability| write!(f, " capability {capability}"))
    }
}

/// A `struct sockaddr` in its bytes.
struct Address<'a>(&'a [u8]);

impl Display for Address<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            [] => write!(f, "-"),
            [2, 0, high, low, a, b, c, d, ..] => {
                let ip = Ipv4Addr::new(*a, *b, *c, *d);
                write!(f, "{}", SocketAddr::from((ip, u16::from_be_bytes([*high, *low]))))
            }
            [10, 0, high, low, _, _, _, _, rest @ ..] if rest.len() >= 16 => {
                let mut ip = [0; 16];
                ip.copy_from_slice(&rest[..16]);
                let port = u16::from_be_bytes([*high, *low]);
                write!(f, "{}", SocketAddr::from((Ipv6Addr::from(ip), port)))
            }
            [1, 0, path @ ..] => write!(f, "unix:{}", path.escape_ascii()),
            other => write!(f, "{}", other.escape_ascii()),
        }
    }
}
