//! What a rule is matched against: an event, and what is remembered of the program that acted.
//!
//! Facts about a program that cost something (its command line in one piece, its ancestors' too) are
//! made when a rule first asks for them, and once per program, not per event.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use crate::event::{
    Act, Ancestor, Bytes, DupSource, Endpoint, Event, Executable, File, FileAct, Origin, Process, Program,
};

/// An event with its program's remembered facts.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub event: &'a Event,
    /// `None` for the sandbox's own events.
    pub program: Option<&'a ProgramFacts>,
}

/// A program, and what was computed about it so far.
pub struct ProgramFacts {
    pub program: Arc<Program>,
    command_line: OnceLock<Vec<u8>>,
    ancestors: OnceLock<Vec<Vec<u8>>>,
    sha256: OnceLock<String>,
}

impl ProgramFacts {
    pub fn new(program: Arc<Program>) -> ProgramFacts {
        ProgramFacts {
            program,
            command_line: OnceLock::new(),
            ancestors: OnceLock::new(),
            sha256: OnceLock::new(),
        }
    }

    /// The arguments, joined by spaces.
    pub fn command_line(&self) -> &[u8] {
        self.command_line.get_or_init(|| joined(&self.program.argv))
    }

    /// The command lines of the lineage, nearest first.
    pub fn ancestor_command_lines(&self) -> &[Vec<u8>] {
        self.ancestors
            .get_or_init(|| self.program.lineage.iter().map(|ancestor| joined(&ancestor.argv)).collect())
    }

    /// The executable's content hash in hexadecimal.
    pub fn sha256(&self) -> Option<&[u8]> {
        let hash = self.program.exe.sha256.as_ref()?;
        Some(self.sha256.get_or_init(|| hex(hash)).as_bytes())
    }
}

impl<'a> Subject<'a> {
    pub fn process(self) -> Option<&'a Process> {
        self.event.process.as_ref()
    }

    pub fn exe(self) -> Option<&'a Executable> {
        self.program.map(|facts| &*facts.program.exe)
    }

    pub fn script(self) -> Option<&'a File> {
        self.exe()?.script.as_ref()
    }

    pub fn parent(self) -> Option<&'a Ancestor> {
        self.lineage().first()
    }

    pub fn lineage(self) -> &'a [Ancestor] {
        self.program.map(|facts| &*facts.program.lineage).unwrap_or_default()
    }

    pub fn file_act(self) -> Option<&'a FileAct> {
        match &self.event.act {
            Act::File(act) => Some(act),
            _ => None,
        }
    }

    /// The file that an act is about: the new name, of a rename or link.
    pub fn file(self) -> Option<&'a File> {
        Some(match self.file_act()? {
            FileAct::Open { file, .. }
            | FileAct::Symlink { file, .. }
            | FileAct::Unlink { file }
            | FileAct::Rmdir { file }
            | FileAct::Change { file, .. }
            | FileAct::Mkdir { file }
            | FileAct::Chmod { file, .. } => file,
            FileAct::Rename { to, .. } | FileAct::Exchange { to, .. } | FileAct::Link { to, .. } => to,
        })
    }

    /// The old name, of a rename or link.
    pub fn from(self) -> Option<&'a File> {
        match self.file_act()? {
            FileAct::Rename { from, .. } | FileAct::Exchange { from, .. } | FileAct::Link { from, .. } => {
                Some(from)
            }
            _ => None,
        }
    }

    /// The far end of the socket that was used or copied.
    pub fn remote(self) -> Option<&'a Endpoint> {
        use crate::event::ProcessAct;
        match &self.event.act {
            Act::Net(act) => act.remote.as_ref(),
            Act::Dns(act) => act.server.as_ref(),
            Act::Process(ProcessAct::Dup { source: DupSource::Socket { remote, .. }, .. }) => remote.as_ref(),
            _ => None,
        }
    }

    pub fn local(self) -> Option<&'a Endpoint> {
        match &self.event.act {
            Act::Net(act) => act.local.as_ref(),
            _ => None,
        }
    }

    /// The address of the far end: of the socket, or of whoever was spoken to through it.
    pub fn far(self) -> Option<SocketAddr> {
        self.event.act.flow().map_or_else(|| inet(self.remote()?), |flow| Some(flow.server))
    }

    /// The address of the near end.
    pub fn near(self) -> Option<SocketAddr> {
        self.event.act.flow().map_or_else(|| inet(self.local()?), |flow| Some(flow.client))
    }
}

fn inet(endpoint: &Endpoint) -> Option<SocketAddr> {
    match endpoint {
        Endpoint::Inet(address) => Some(*address),
        _ => None,
    }
}

/// The last component of a path.
pub fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// All but the last component of a path; `/` of names in the root.
pub fn directory(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => b"/",
        Some(at) => &path[..at],
        None => b"",
    }
}

/// What follows the last dot of the name, where there is a name before it.
pub fn extension(path: &[u8]) -> Option<&[u8]> {
    let name = name(path);
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    (dot > 0 && dot + 1 < name.len()).then(|| &name[dot + 1..])
}

/// What of a name may have been added to another: `.bak`, `~`.
pub fn suffix(path: &[u8]) -> Option<&[u8]> {
    let name = name(path);
    match name {
        [_, .., b'~'] => Some(&name[name.len() - 1..]),
        _ => extension(path).map(|extension| &name[name.len() - extension.len() - 1..]),
    }
}

/// The path without its extension and the dot before it.
pub fn stem(path: &[u8]) -> Option<&[u8]> {
    let extension = extension(path)?;
    Some(&path[..path.len() - extension.len() - 1])
}

/// The first directory of a path; none of names in the root.
pub fn top(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().skip(1).position(|&byte| byte == b'/')?;
    Some(&path[..end + 1])
}

/// Directories in which everyone may make files, on every ordinary image.
const TEMPORARY: [&[u8]; 6] =
    [b"/tmp/", b"/var/tmp/", b"/dev/shm/", b"/dev/mqueue/", b"/run/lock/", b"/var/lock/"];

/// True below a directory in which everyone may make files.
pub fn temporary(path: &[u8]) -> bool {
    TEMPORARY.iter().any(|directory| path.starts_with(directory))
}

/// True where some component of the path begins with a dot.
pub fn hidden(path: &[u8]) -> bool {
    path.windows(3).any(|at| at[0] == b'/' && at[1] == b'.' && at[2] != b'/' && at[2] != b'.')
}

/// The process that a path below /proc is about.
pub fn proc_pid(path: &[u8]) -> Option<u32> {
    let rest = path.strip_prefix(b"/proc/")?;
    let digits = rest.split(|&byte| byte == b'/').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

pub fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Layer(_) => "layer",
        Origin::Written => "written",
        Origin::Memfd => "memfd",
        Origin::Supplied => "supplied",
        Origin::Kernel => "kernel",
        Origin::Unknown => "unknown",
    }
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn joined(argv: &[Bytes]) -> Vec<u8> {
    argv.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_by_bytes() {
        let check = |path: &str, dir: &str, base: &str, ext: Option<&str>| {
            let path = path.as_bytes();
            assert_eq!(directory(path), dir.as_bytes());
            assert_eq!(name(path), base.as_bytes());
            assert_eq!(extension(path), ext.map(str::as_bytes));
        };
        check("/usr/bin/id", "/usr/bin", "id", None);
        check("/init", "/", "init", None);
        check("/tmp/.x", "/tmp", ".x", None);
        check("/tmp/a.tar.gz", "/tmp", "a.tar.gz", Some("gz"));
        check("/tmp/a.", "/tmp", "a.", None);
    }

    #[test]
    fn a_stem_has_one_suffix_less_and_a_top_is_the_first_directory() {
        let stems: Vec<_> =
            ["/a/b.txt.locked", "/a/b", "/a/.b"].iter().map(|it| stem(it.as_bytes())).collect();
        assert_eq!(stems, [Some(&b"/a/b.txt"[..]), None, None]);
        let tops: Vec<_> = ["/home/a/b", "/init"].iter().map(|it| top(it.as_bytes())).collect();
        assert_eq!(tops, [Some(&b"/home"[..]), None]);
    }

    #[test]
    fn hidden_looks_at_every_component() {
        assert!(hidden(b"/tmp/.x/run"));
        assert!(!hidden(b"/tmp/../x"));
        assert!(!hidden(b"/tmp/x.y"));
    }

    #[test]
    fn a_path_below_proc_names_its_process() {
        assert_eq!(proc_pid(b"/proc/17/mem"), Some(17));
        assert_eq!(proc_pid(b"/proc/self/mem"), None);
    }
}
