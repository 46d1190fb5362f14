//! The container's PID 1: libcontainer's `Executor`.
//!
//! Before the start, inside the finished cage: finds user, working directory and program in the image's
//! files, and refuses what could not run. After the start: closes every descriptor but one, loads the
//! filter, forks the program, gives up every capability, lets the program go, and reaps until no task is
//! left. Where the runner will want commands run inside, init keeps what the image's root has, and runs them
//! ([`super::errand`]).
//!
//! Invariants: no code of the image runs before the filter is loaded; the program gets descriptors 0 to 2
//! and nothing else; init handles no signal (the kernel then drops those that its own namespace sends) and
//! is not dumpable, so that nobody inside can look into it, or through it at the runner's program.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::rc::Rc;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Pid, Uid, fchown, setgroups, setresgid, setresuid, setsid};

use super::message::Message;
use super::order::Order;
use super::plan::variable;
use super::user::User;
use super::{Reason, Refusal, Sleeps, helper, planting, program, seccomp, spec};
use crate::sys::{net, process, seccomp as filter, socket};

/// Of the image's passwd and group, this much is read.
const USERS_MAX: u64 = 4 << 20;

#[derive(Clone)]
pub(super) struct Init {
    pub(super) order: Rc<Order>,
    pub(super) control: Rc<OwnedFd>,
    prepared: RefCell<Option<Prepared>>,
}

/// Everything that execve(2) will need, found and checked.
#[derive(Clone)]
pub(super) struct Prepared {
    pub user: User,
    path: CString,
    argv: Vec<CString>,
    pub env: Vec<CString>,
}

impl Prepared {
    /// Whose home is where the program looks for it: in HOME.
    fn owner(&self) -> User {
        let home = self.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"HOME="));
        User { home: home.unwrap_or_default().to_vec(), ..self.user.clone() }
    }
}

impl Init {
    pub fn new(order: Rc<Order>, control: Rc<OwnedFd>) -> Init {
        Init { order, control, prepared: RefCell::new(None) }
    }

    pub(super) fn say(&self, message: &Message) {
        // Without a runner there is nobody to tell, and the parent-death signal is on its way.
        let _ = socket::send(self.control.as_fd(), &message.encode(), &[]);
    }

    fn run(&self, prepared: &Prepared) -> io::Result<()> {
        process::close_all_but(self.control.as_fd())?;
        // The language's own handlers too: a signal that PID 1 handles is one that the image can send.
        process::reset_signals()?;
        process::join_session_keyring()?;
        self.shut_calls()?;
        let (failed, failed_end) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let (go, go_end) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let child = process::fork(|| {
            let error = match wait_for_byte(&go) {
                Ok(()) => become_program(prepared),
                Err(error) => error,
            };
            // A write that fails leaves the pipe empty: the exit code says the rest.
            let _ = File::from(failed_end.try_clone().unwrap_or_else(|_| process::exit_now(127)))
                .write_all(&error.raw_os_error().unwrap_or(0).to_le_bytes());
            127
        })?;
        drop(failed_end);
        // All that init could still fail at, or be caught with, comes before the program's first
        // instruction: what runs under init's user can, for one, take its descriptors by prlimit(2).
        let program = process::pidfd(child)?;
        nix::unistd::chdir("/")?;
        let kept = if self.order.errands.is_empty() { 0 } else { kept_capabilities() };
        process::bound_capabilities(kept)?;
        process::set_capabilities(kept)?;
        File::from(go_end).write_all(b"g")?;
        let started = self.tell_start(program, failed, prepared)?;
        match started && !self.order.errands.is_empty() {
            true => self.attend(child, prepared),
            false => self.reap(started.then_some(child)),
        }
    }

    /// Loads the filter. Where sleeps are skipped, the runner gets the descriptor to hear them at, and
    /// nobody here keeps it.
    fn shut_calls(&self) -> io::Result<()> {
        let sleeps = self.order.sleeps;
        match sleeps {
            Sleeps::Slept => filter::load(&seccomp::filter(sleeps)),
            Sleeps::Skipped => {
                let listener = filter::load_heard(&seccomp::filter(sleeps))?;
                socket::send(self.control.as_fd(), &Message::Heard.encode(), &[listener.as_fd()])
            }
        }
    }

    /// True if the exec went through; else says why not.
    fn tell_start(&self, program: OwnedFd, failed: OwnedFd, prepared: &Prepared) -> io::Result<bool> {
        let mut errno = Vec::new();
        File::from(failed).read_to_end(&mut errno)?;
        if let Some(errno) = errno.first_chunk() {
            let errno = i32::from_le_bytes(*errno);
            let reason = if errno == libc::EACCES { Reason::NotExecutable } else { Reason::Exec };
            self.say(&Message::Refused(Refusal {
                reason,
                errno,
                subject: prepared.path.as_bytes().to_vec(),
            }));
            return Ok(false);
        }
        socket::send(self.control.as_fd(), &Message::Started.encode(), &[program.as_fd()])?;
        Ok(true)
    }

    /// Reaps until no task of the pid namespace is left: whoever lives is a descendant of PID 1.
    fn reap(&self, program: Option<Pid>) -> io::Result<()> {
        loop {
            match process::reap() {
                Ok((pid, code, signal)) if Some(pid) == program => {
                    self.say(&Message::Exited { code, signal })
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if program.is_some() {
            self.say(&Message::Empty);
        }
        Ok(())
    }
}

impl Executor for Init {
    /// Before the start: everything that can be found out, and refused, without running anything.
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        let failed = |error: io::Error| ExecutorValidationError::ArgValidationError(error.to_string());
        nix::sys::prctl::set_name(helper::COMM).map_err(|errno| failed(errno.into()))?;
        nix::sys::prctl::set_dumpable(false).map_err(|errno| failed(errno.into()))?;
        net::loopback_up().map_err(failed)?;
        match prepare(&self.order) {
            Ok(prepared) => {
                // So that the program can open /dev/stdout whoever it runs as.
                let owner = (Some(Uid::from_raw(prepared.user.uid)), Some(Gid::from_raw(prepared.user.gid)));
                fchown(io::stdout(), owner.0, owner.1).map_err(|errno| failed(errno.into()))?;
                fchown(io::stderr(), owner.0, owner.1).map_err(|errno| failed(errno.into()))?;
                planting::plant(&self.order.plants, &prepared.owner(), |planted| {
                    self.say(&Message::Planted(planted))
                });
                self.prepared.replace(Some(prepared));
                Ok(())
            }
            Err(refusal) => {
                self.say(&Message::Refused(refusal.clone()));
                Err(ExecutorValidationError::ArgValidationError(refusal.to_string()))
            }
        }
    }

    /// Nothing: the program's environment is built apart, and init's own is empty.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    /// After the start. Does not return.
    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        let prepared = self.prepared.borrow().clone().ok_or(ExecutorError::InvalidArg)?;
        let failure = match self.run(&prepared) {
            Ok(()) => process::exit_now(0),
            Err(error) => Message::Failed { step: "start the program".to_owned(), detail: error.to_string() },
        };
        self.say(&failure);
        process::exit_now(1)
    }
}

/// Waits in the fork until init has done its part. The fork holds the other end too, but cannot wait for
/// ever: it dies with init.
fn wait_for_byte(go: &OwnedFd) -> io::Result<()> {
    File::from(go.try_clone()?).read_exact(&mut [0])
}

/// What the image's root may have.
fn kept_capabilities() -> u64 {
    spec::KEPT.iter().fold(0, |bits, (_, number)| bits | 1 << number)
}

/// Runs in the fork: gives up what the program may not have, and becomes it.
fn become_program(prepared: &Prepared) -> io::Error {
    match give_up(&prepared.user) {
        Ok(()) => process::exec(&prepared.path, &prepared.argv, &prepared.env),
        Err(error) => error,
    }
}

/// Becomes the program's user, in a session of its own.
pub(super) fn give_up(user: &User) -> io::Result<()> {
    let kept = kept_capabilities();
    setsid()?;
    process::bound_capabilities(kept)?;
    setgroups(&user.groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    process::set_capabilities(if uid.is_root() { kept } else { 0 })
}

fn prepare(order: &Order) -> Result<Prepared, Refusal> {
    let passwd = program::read_bounded(Path::new("/etc/passwd"), USERS_MAX);
    let group = program::read_bounded(Path::new("/etc/group"), USERS_MAX);
    let user = User::find(&order.user, &passwd, &group).map_err(|part| Refusal {
        reason: Reason::UnknownUser,
        errno: 0,
        subject: part.into_bytes(),
    })?;
    program::enter(Path::new(&order.working_dir)).map_err(|error| Refusal {
        reason: Reason::WorkingDir,
        errno: error.raw_os_error().unwrap_or(0),
        subject: order.working_dir.as_bytes().to_vec(),
    })?;
    let mut env = order.env.clone();
    if !env.iter().any(|entry| variable(entry) == Some(b"HOME")) {
        env.push(OsString::from_vec([b"HOME=", &user.home[..]].concat()));
    }
    if !env.iter().any(|entry| variable(entry) == Some(b"HOSTNAME")) {
        env.insert(1.min(env.len()), format!("HOSTNAME={}", order.hostname).into());
    }
    let path = env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH=")).unwrap_or_default();
    let name = order.argv.first().map_or(OsStr::new(""), OsString::as_os_str);
    let path = c_string(program::find(name, OsStr::from_bytes(path))?.as_os_str())?;
    let argv = order.argv.iter().map(|text| c_string(text)).collect::<Result<_, _>>()?;
    let env = env.iter().map(|text| c_string(text)).collect::<Result<_, _>>()?;
    Ok(Prepared { user, path, argv, env })
}

/// A text of the image that holds a NUL (a home directory can) is no program's argument.
pub(super) fn c_string(text: &OsStr) -> Result<CString, Refusal> {
    CString::new(text.as_bytes()).map_err(|_| Refusal {
        reason: Reason::Exec,
        errno: libc::EINVAL,
        subject: text.as_bytes().to_vec(),
    })
}
