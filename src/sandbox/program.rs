//! Finds the image's program and says whether the kernel could run it, before anything runs.
//!
//! Runs inside the cage, after the root was changed, so that no ordinary link leads out. The links of
//! /proc/self could: through /proc/self/exe to the runner's program (CVE-2019-5736), through /proc/self/fd
//! to a descriptor of the set-up (CVE-2024-21626). No path is resolved through one of them, not that of
//! the program, nor of its interpreters, nor of the working directory. No code of the image runs between
//! the check and the exec, so that what was checked is what runs.
//!
//! The files are hostile: only regular ones are opened for reading, and only bounded heads are read.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, mkdirat};

use super::{Reason, Refusal};

/// What the kernel reads of a script's first line (BINPRM_BUF_SIZE).
const HEAD: u64 = 256;
/// How many interpreters may be scripts themselves (the kernel's bound is 5).
const SCRIPTS_MAX: u32 = 4;
/// Program headers that are looked at.
const HEADERS_MAX: u64 = 64 << 10;

/// ELF constants of what runs here: elf.h.
const EM_386: u16 = 3;
const EM_X86_64: u16 = 62;
const PT_INTERP: u32 = 3;

/// The path of the program that `name` means: itself where it has a slash (relative ones start at the
/// current directory), else that of the first executable file in `path` (`DIR:DIR…`). Checked as far as
/// can be: kind, permission bits, format, processor, interpreter.
pub(super) fn find(name: &OsStr, path: &OsStr) -> Result<PathBuf, Refusal> {
    let found = if name.as_bytes().contains(&b'/') {
        executable(Path::new(name))?;
        PathBuf::from(name)
    } else {
        look_up(name, path)?
    };
    check(&found, &found, SCRIPTS_MAX)?;
    Ok(found)
}

/// As execvp(3): a file that is there but cannot run does not end the search, but is what is complained
/// about in the end.
fn look_up(name: &OsStr, path: &OsStr) -> Result<PathBuf, Refusal> {
    let mut complaint = Refusal { reason: Reason::Missing, errno: 0, subject: name.as_bytes().to_vec() };
    for directory in path.as_bytes().split(|byte| *byte == b':') {
        let directory = Path::new(OsStr::from_bytes(if directory.is_empty() { b"." } else { directory }));
        let Ok(candidate) = std::path::absolute(directory.join(name)) else { continue };
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(refusal) if refusal.reason != Reason::Missing => complaint = refusal,
            Err(_) => {}
        }
    }
    Err(complaint)
}

/// A regular file with an execute bit.
fn executable(path: &Path) -> Result<(), Refusal> {
    let metadata = open(path, OFlag::O_PATH).and_then(|file| File::from(file).metadata());
    let metadata = metadata.map_err(|error| match error.raw_os_error() {
        Some(libc::EACCES | libc::ELOOP) => refusal(Reason::NotExecutable, path.as_os_str(), &error),
        _ => refusal(Reason::Missing, path.as_os_str(), &error),
    })?;
    let reason = unfit(&metadata);
    reason.map_or(Ok(()), |reason| Err(Refusal { reason, errno: 0, subject: bytes(path) }))
}

/// Opens a path inside the cage; one that leads through a link of /proc/self is ELOOP.
fn open(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(AT_FDCWD, path, how)?)
}

/// Makes the working directory where it is missing, as engines do, and goes there.
pub(super) fn enter(path: &Path) -> io::Result<()> {
    const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY);
    let mut so_far = PathBuf::from("/");
    let mut directory = open(&so_far, DIRECTORY)?;
    for component in path.components().filter(|component| *component != Component::RootDir) {
        so_far.push(component);
        directory = match open(&so_far, DIRECTORY) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                mkdirat(directory.as_fd(), Path::new(&component), Mode::from_bits_truncate(0o755))?;
                open(&so_far, DIRECTORY)?
            }
            result => result?,
        };
    }
    nix::unistd::fchdir(&directory)?;
    // A directory outside the root has no path inside it.
    let inside = nix::unistd::getcwd().is_ok_and(|path| path.is_absolute());
    if inside { Ok(()) } else { Err(Errno::ELOOP.into()) }
}

fn unfit(metadata: &Metadata) -> Option<Reason> {
    if metadata.is_dir() {
        Some(Reason::Directory)
    } else if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
        Some(Reason::NotExecutable)
    } else {
        None
    }
}

/// Whether the kernel would take the file at `path`; complaints name `program`.
fn check(program: &Path, path: &Path, scripts_left: u32) -> Result<(), Refusal> {
    let complain = |reason| Refusal { reason, errno: 0, subject: bytes(program) };
    let mut file =
        open_regular(path).map_err(|error| refusal(Reason::NotExecutable, program.as_os_str(), &error))?;
    let head =
        head(&mut file).map_err(|error| refusal(Reason::NotExecutable, program.as_os_str(), &error))?;
    let interpreter = interpreter_of(&mut file, &head).map_err(complain)?;
    let Some(interpreter) = interpreter else { return Ok(()) };
    if executable(&interpreter).is_err() || scripts_left == 0 {
        return Err(Refusal { reason: Reason::MissingInterpreter, errno: 0, subject: bytes(program) });
    }
    if head.starts_with(b"#!") { check(program, &interpreter, scripts_left - 1) } else { Ok(()) }
}

/// What the program in `file` is to be interpreted by, if by anything.
pub(super) fn interpreter(file: &mut (impl Read + Seek)) -> Result<Option<PathBuf>, Reason> {
    let head = head(file).map_err(|_| Reason::NotExecutable)?;
    interpreter_of(file, &head)
}

fn head(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

fn interpreter_of(file: &mut (impl Read + Seek), head: &[u8]) -> Result<Option<PathBuf>, Reason> {
    match head.strip_prefix(b"#!") {
        Some(line) => script_interpreter(line).map(Some).ok_or(Reason::UnknownFormat),
        None => elf_interpreter(file, head),
    }
}

/// Opens for reading what is a regular file, and never waits for a FIFO.
fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::from(open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Reads at most `bound` bytes of a regular file; nothing where there is none.
pub(super) fn read_bounded(path: &Path, bound: u64) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = open_regular(path) {
        // A file that fails half way is used as far as it goes, like a shorter one.
        let _ = file.take(bound).read_to_end(&mut text);
    }
    text
}

/// The program of a `#!` line, as the kernel cuts it out (fs/binfmt_script.c).
fn script_interpreter(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | 0));
    let word = words.find(|word| !word.is_empty())?;
    std::path::absolute(OsStr::from_bytes(word)).ok()
}

/// The dynamic linker that an ELF program names, if any. Its own format is not looked at.
fn elf_interpreter(file: &mut (impl Read + Seek), head: &[u8]) -> Result<Option<PathBuf>, Reason> {
    if head.len() < 64 && !(head.len() >= 52 && head.get(4) == Some(&1)) || !head.starts_with(b"\x7fELF") {
        return Err(Reason::UnknownFormat);
    }
    let wide = head[4] == 2;
    let machine = u16_at(head, 18).unwrap_or(0);
    let little = head[5] == 1;
    if !little || !matches!((head[4], machine), (2, EM_X86_64) | (1, EM_386)) {
        return Err(Reason::ForeignArchitecture);
    }
    let (offset, size, count) = if wide {
        (u64_at(head, 32), u16_at(head, 54), u16_at(head, 56))
    } else {
        (u32_at(head, 28).map(u64::from), u16_at(head, 42), u16_at(head, 44))
    };
    let (Some(offset), Some(size), Some(count)) = (offset, size, count) else {
        return Err(Reason::UnknownFormat);
    };
    let table = read_at(file, offset, (u64::from(size) * u64::from(count)).min(HEADERS_MAX));
    let place = table.chunks_exact(usize::from(size).max(1)).find_map(|header| {
        (u32_at(header, 0)? == PT_INTERP).then_some(())?;
        if wide {
            Some((u64_at(header, 8)?, u64_at(header, 32)?))
        } else {
            Some((u32_at(header, 4)?.into(), u32_at(header, 16)?.into()))
        }
    });
    let Some((offset, length)) = place else { return Ok(None) };
    let mut name = read_at(file, offset, length.min(libc::PATH_MAX as u64));
    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
    let name = std::ffi::OsString::from_vec(name);
    std::path::absolute(name).map(Some).map_err(|_| Reason::UnknownFormat)
}

/// What can be read there; possibly nothing.
fn read_at(file: &mut (impl Read + Seek), offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(offset)).is_ok() {
        // A short read is what the kernel would see too.
        let _ = file.take(length).read_to_end(&mut bytes);
    }
    bytes
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn refusal(reason: Reason, subject: &OsStr, error: &io::Error) -> Refusal {
    Refusal { reason, errno: error.raw_os_error().unwrap_or(0), subject: subject.as_bytes().to_vec() }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(path: &Path, content: &[u8], mode: u32) {
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn elf(class: u8, machine: u16) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes
    }

    /// A 64-bit program whose only header names `interpreter`.
    fn dynamic(interpreter: &str) -> Vec<u8> {
        let mut bytes = elf(2, EM_X86_64);
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1u16.to_le_bytes());
        let mut header = vec![0; 56];
        header[..4].copy_from_slice(&PT_INTERP.to_le_bytes());
        header[8..16].copy_from_slice(&120u64.to_le_bytes());
        header[32..40].copy_from_slice(&(interpreter.len() as u64 + 1).to_le_bytes());
        [&bytes[..], &header, interpreter.as_bytes(), b"\0"].concat()
    }

    #[test]
    fn programs_that_cannot_run_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let good = at("good");
        write(&good, &elf(2, EM_X86_64), 0o755);
        let script = |line: &str| format!("#!{line}\n").into_bytes();
        let good_name = good.to_str().unwrap();
        let cases: &[(&str, &[u8], u32, Option<Reason>)] = &[
            ("static", &elf(2, EM_X86_64), 0o755, None),
            ("narrow", &elf(1, EM_386), 0o711, None),
            ("dynamic", &dynamic(good_name), 0o755, None),
            ("script", &script(&format!(" \t{good_name} -x")), 0o755, None),
            ("arm", &elf(2, 183), 0o755, Some(Reason::ForeignArchitecture)),
            ("x32", &elf(1, EM_X86_64), 0o755, Some(Reason::ForeignArchitecture)),
            ("plain", b"hello", 0o755, Some(Reason::UnknownFormat)),
            ("empty", b"", 0o755, Some(Reason::UnknownFormat)),
            ("cut", &elf(2, EM_X86_64)[..50], 0o755, Some(Reason::UnknownFormat)),
            ("nothing", &script(""), 0o755, Some(Reason::UnknownFormat)),
            ("no-bit", &elf(2, EM_X86_64), 0o644, Some(Reason::NotExecutable)),
            ("lost-linker", &dynamic("/none/ld.so"), 0o755, Some(Reason::MissingInterpreter)),
            ("lost-script", &script("/none/sh"), 0o755, Some(Reason::MissingInterpreter)),
        ];
        for (name, content, mode, expected) in cases {
            write(&at(name), content, *mode);
            let found = find(at(name).as_os_str(), OsStr::new(""));
            assert_eq!(found.err().map(|refusal| refusal.reason), *expected, "{name}");
        }
        let missing = find(at("none").as_os_str(), OsStr::new("")).unwrap_err();
        assert_eq!((missing.reason, missing.errno), (Reason::Missing, libc::ENOENT));
        let directory = find(directory.path().as_os_str(), OsStr::new("")).unwrap_err();
        assert_eq!(directory.reason, Reason::Directory);
    }

    #[test]
    fn a_script_that_interprets_itself_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("loop");
        write(&path, format!("#!{}\n", path.display()).as_bytes(), 0o755);
        let refusal = find(path.as_os_str(), OsStr::new("")).unwrap_err();
        assert_eq!(refusal.reason, Reason::MissingInterpreter);
    }

    #[test]
    fn names_are_looked_up_in_order_and_past_what_cannot_run() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        write(&directory.path().join("a/x"), &elf(2, EM_X86_64), 0o644);
        write(&directory.path().join("b/x"), &elf(2, EM_X86_64), 0o755);
        write(&directory.path().join("a/y"), &elf(2, EM_X86_64), 0o644);
        let path =
            ["a", "b", "c"].map(|name| directory.path().join(name)).map(|path| path.display().to_string());
        let path = std::ffi::OsString::from(path.join(":"));
        assert_eq!(find(OsStr::new("x"), &path).unwrap(), directory.path().join("b/x"));
        assert_eq!(find(OsStr::new("y"), &path).unwrap_err().reason, Reason::NotExecutable);
        assert_eq!(find(OsStr::new("z"), &path).unwrap_err().reason, Reason::Missing);
    }

    #[test]
    fn links_of_proc_lead_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/proc/self/exe", &link).unwrap();
        let script = directory.path().join("script");
        write(&script, b"#!/proc/self/exe\n", 0o755);
        for (path, reason) in [
            (Path::new("/proc/self/exe"), Reason::NotExecutable),
            (&link, Reason::NotExecutable),
            (&script, Reason::MissingInterpreter),
        ] {
            let refusal = find(path.as_os_str(), OsStr::new("")).unwrap_err();
            assert_eq!(refusal.reason, reason, "{path:?}");
        }
        let outside = File::open(directory.path()).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&outside);
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/self/fd/{number}/new")] {
            assert_eq!(enter(Path::new(&path)).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        }
        assert!(!directory.path().join("new").exists());
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o777)).unwrap();
        assert_eq!(find(path.as_os_str(), OsStr::new("")).unwrap_err().reason, Reason::NotExecutable);
        assert_eq!(read_bounded(&path, 10), b"");
    }
}
