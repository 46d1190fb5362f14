//! Decides everything about a run before anything is made: what runs, as whom, where, within which limits.
//!
//! Pure. What depends on the files of the image (names of users, PATH) is decided later, inside the cage,
//! by [`super::program`]: nobody outside reads the image's files.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::image::Config;

/// What an ordinary container gets when the image sets no PATH.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the kernel takes for one argument or variable (MAX_ARG_STRLEN).
const TEXT_MAX: usize = 128 << 10;
/// All arguments and variables together, with room below the kernel's own bound.
const TEXTS_MAX: usize = 1 << 20;

/// What the caller may choose. Unset: what the image says, or no limit.
#[derive(Clone, Debug)]
pub struct Options {
    /// Replaces Cmd. Empty: not given.
    pub command: Vec<OsString>,
    /// Replaces Entrypoint and clears Cmd; an empty text clears both.
    pub entrypoint: Option<OsString>,
    /// `NAME=value` each; later ones win, over the image's too.
    pub env: Vec<OsString>,
    pub user: Option<String>,
    pub working_dir: Option<OsString>,
    /// Unset: 12 hex digits of the run's id, as ordinary containers have.
    pub hostname: Option<String>,
    /// Bytes, swap included.
    pub memory: Option<u64>,
    /// Processors; fractions allowed.
    pub cpus: Option<f64>,
    /// Tasks, threads included.
    pub pids: Option<u32>,
    /// Bytes of the upper layer. Measured by [`super::DiskMeter`], enforced by the caller, as the next one.
    pub disk: Option<u64>,
    /// Files, directories and links in the upper layer.
    pub disk_files: Option<u64>,
    /// Open files of each process; less where the host itself allows less.
    pub open_files: u64,
    /// Bytes kept of each output stream; the caller cuts.
    pub output: u64,
    /// Between the stop signal and the kill.
    pub stop_grace: Duration,
    pub sleeps: Sleeps,
}

/// What becomes of the image's long sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sleeps {
    /// They end early: see `skip`.
    #[default]
    Skipped,
    Slept,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            command: Vec::new(),
            entrypoint: None,
            env: Vec::new(),
            user: None,
            working_dir: None,
            hostname: None,
            memory: Some(2 << 30),
            cpus: Some(2.0),
            pids: Some(1024),
            disk: Some(4 << 30),
            disk_files: Some(1 << 20),
            open_files: 1 << 20,
            output: 1 << 20,
            stop_grace: Duration::from_secs(10),
            sleeps: Sleeps::default(),
        }
    }
}

/// Everything that is decided about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// At least one text. The first is a path or a name to look up in PATH.
    pub argv: Vec<OsString>,
    /// `NAME=value` each; HOME is added once the user is known.
    pub env: Vec<OsString>,
    /// As in the image's configuration: `user`, `uid`, with `:group` or `:gid`; empty: root.
    pub user: String,
    /// Absolute.
    pub working_dir: OsString,
    pub hostname: String,
    /// Set by whoever makes the network; `None`: loopback only.
    pub network: Option<Network>,
    pub stop_signal: Signal,
    pub stop_grace: Duration,
    pub limits: Limits,
    pub sleeps: Sleeps,
    /// How long the machine has been up, as the image sees it, beyond what it really has: a machine that
    /// was started for the run would look like one.
    pub uptime: Duration,
    /// Commands that [`super::RunningSandbox::run_errand`] runs inside, as the program's user and with its
    /// environment. None by default.
    pub errands: Vec<Vec<OsString>>,
    /// Written by init before the start. None by default.
    pub plants: Vec<super::Plant>,
}

/// What the container's files say of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its own address, for /etc/hosts.
    pub address: Ipv4Addr,
    /// For /etc/resolv.conf.
    pub resolver: IpAddr,
}

/// How much of the machine a run may use. `None`: unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    pub memory: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: Option<u32>,
    pub disk: Option<u64>,
    pub disk_files: Option<u64>,
    pub open_files: u64,
    pub output: u64,
}

/// The image and the options together say nothing that can be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    #[error("image names no program: it has neither entrypoint nor command, and none was given")]
    NothingToRun,
    #[error("{what} contains a NUL byte")]
    Nul { what: &'static str },
    #[error("{what} is longer than {bound} bytes")]
    TooLong { what: &'static str, bound: usize },
    #[error("environment entry without a name: {entry:?}")]
    Variable { entry: OsString },
    #[error("working directory is not absolute: {path:?}")]
    WorkingDir { path: OsString },
    #[error("host name is not made of letters, digits, dots and hyphens, or is longer than 63: {name:?}")]
    Hostname { name: String },
    #[error("stop signal is unknown: {name:?}")]
    StopSignal { name: String },
    #[error("{what} must be above zero")]
    Limit { what: &'static str },
}

impl Plan {
    /// Decides from the image's configuration and the caller's options. `run` is the run's id, of which
    /// the hostname is made where none is given.
    pub fn new(config: &Config, options: &Options, run: &super::RunId) -> Result<Plan, PlanError> {
        let plan = Plan {
            argv: argv(config, options)?,
            env: env(config, options)?,
            user: options.user.clone().unwrap_or_else(|| config.user.clone()),
            working_dir: working_dir(config, options)?,
            hostname: hostname(options, run)?,
            network: None,
            stop_signal: stop_signal(&config.stop_signal)?,
            stop_grace: options.stop_grace,
            limits: limits(options)?,
            sleeps: options.sleeps,
            uptime: run.uptime(),
            errands: Vec::new(),
            plants: Vec::new(),
        };
        plan.check_texts()?;
        Ok(plan)
    }

    fn check_texts(&self) -> Result<(), PlanError> {
        let user = OsStr::new(&self.user);
        let single = [("working directory", self.working_dir.as_os_str()), ("user", user)];
        let argv = self.argv.iter().map(|text| ("argument", text.as_os_str()));
        let env = self.env.iter().map(|text| ("environment entry", text.as_os_str()));
        let mut total = 0;
        for (what, text) in argv.chain(env).chain(single) {
            if text.as_bytes().contains(&0) {
                return Err(PlanError::Nul { what });
            }
            if text.len() >= TEXT_MAX {
                return Err(PlanError::TooLong { what, bound: TEXT_MAX });
            }
            // The kernel counts the text, its end, and the pointer to it.
            total += text.len() + 1 + size_of::<usize>();
        }
        let what = "command with its environment";
        if total > TEXTS_MAX { Err(PlanError::TooLong { what, bound: TEXTS_MAX }) } else { Ok(()) }
    }
}

/// Entrypoint then Cmd. A given command replaces Cmd; a given entrypoint replaces Entrypoint and clears
/// the image's Cmd, which was meant for the other program.
fn argv(config: &Config, options: &Options) -> Result<Vec<OsString>, PlanError> {
    let entrypoint = match &options.entrypoint {
        Some(program) if program.is_empty() => Vec::new(),
        Some(program) => vec![program.clone()],
        None => config.entrypoint.clone(),
    };
    let cmd = if options.command.is_empty() && options.entrypoint.is_none() {
        config.cmd.clone()
    } else {
        options.command.clone()
    };
    let argv: Vec<OsString> = entrypoint.into_iter().chain(cmd).collect();
    match argv.first() {
        Some(program) if !program.is_empty() => Ok(argv),
        _ => Err(PlanError::NothingToRun),
    }
}

/// PATH where nobody sets one, then the image's, then the caller's; of the same name, the last stays, at
/// the place of the first.
fn env(config: &Config, options: &Options) -> Result<Vec<OsString>, PlanError> {
    let mut env: Vec<OsString> = vec![PATH.into()];
    for entry in &options.env {
        variable(entry).ok_or_else(|| PlanError::Variable { entry: entry.clone() })?;
    }
    // An image's entry without a name is odd but legal: engines pass it on as it stands.
    for entry in config.env.iter().chain(&options.env).filter(|entry| !entry.is_empty()) {
        let name = variable(entry);
        match env.iter_mut().find(|present| name.is_some() && variable(present) == name) {
            Some(present) => *present = entry.clone(),
            None => env.push(entry.clone()),
        }
    }
    Ok(env)
}

/// The name of a `NAME=value`.
pub(super) fn variable(entry: &OsStr) -> Option<&[u8]> {
    let bytes = entry.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=')?;
    (end > 0).then_some(&bytes[..end])
}

fn working_dir(config: &Config, options: &Options) -> Result<OsString, PlanError> {
    let path = options.working_dir.as_ref().unwrap_or(&config.working_dir);
    if path.is_empty() {
        return Ok("/".into());
    }
    if path.as_bytes()[0] == b'/' {
        return Ok(path.clone());
    }
    if options.working_dir.is_some() {
        return Err(PlanError::WorkingDir { path: path.clone() });
    }
    // Engines take a relative WorkingDir of an image from the root.
    Ok(OsString::from_vec([b"/", path.as_bytes()].concat()))
}

fn hostname(options: &Options, run: &super::RunId) -> Result<String, PlanError> {
    let Some(name) = &options.hostname else { return Ok(run.hostname()) };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(good) {
        return Err(PlanError::Hostname { name: name.clone() });
    }
    Ok(name.clone())
}

/// `SIGTERM`, `TERM` or a number.
fn stop_signal(name: &str) -> Result<Signal, PlanError> {
    if name.is_empty() {
        return Ok(Signal::SIGTERM);
    }
    let unknown = || PlanError::StopSignal { name: name.to_owned() };
    if let Ok(number) = name.parse::<i32>() {
        return Signal::try_from(number).map_err(|_| unknown());
    }
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse().map_err(|_| unknown())
}

fn limits(options: &Options) -> Result<Limits, PlanError> {
    let positive = |good: bool, what| if good { Ok(()) } else { Err(PlanError::Limit { what }) };
    positive(options.memory != Some(0), "memory limit")?;
    positive(options.pids != Some(0), "pids limit")?;
    positive(options.cpus.is_none_or(|cpus| cpus.is_finite() && cpus > 0.0), "processor limit")?;
    positive(options.disk != Some(0), "disk limit")?;
    positive(options.disk_files != Some(0), "limit of files")?;
    // Fewer than the runtime itself needs for the set-up would be an error of ours.
    positive(options.open_files >= 64, "limit of open files, less 63,")?;
    Ok(Limits {
        memory: options.memory,
        cpus: options.cpus,
        pids: options.pids,
        disk: options.disk,
        disk_files: options.disk_files,
        open_files: options.open_files,
        output: options.output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::RunId;

    fn run() -> RunId {
        RunId::parse("0123456789abcdef0123").unwrap()
    }

    fn texts(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    fn config(entrypoint: &[&str], cmd: &[&str]) -> Config {
        Config { entrypoint: texts(entrypoint), cmd: texts(cmd), ..Config::default() }
    }

    #[test]
    fn argv_follows_entrypoint_and_command() {
        let check =
            |image: (&[&str], &[&str]), entrypoint: Option<&str>, command: &[&str], expected: &[&str]| {
                let options = Options {
                    entrypoint: entrypoint.map(OsString::from),
                    command: texts(command),
                    ..Options::default()
                };
                let plan = Plan::new(&config(image.0, image.1), &options, &run());
                match expected {
                    [] => assert_eq!(plan, Err(PlanError::NothingToRun)),
                    _ => assert_eq!(plan.unwrap().argv, texts(expected)),
                }
            };
        check((&["/e"], &["a"]), None, &[], &["/e", "a"]);
        check((&["/e"], &["a"]), None, &["b", "c"], &["/e", "b", "c"]);
        check((&["/e"], &["a"]), Some("/x"), &[], &["/x"]);
        check((&["/e"], &["a"]), Some("/x"), &["b"], &["/x", "b"]);
        check((&["/e"], &["a"]), Some(""), &["b"], &["b"]);
        check((&[], &["sh"]), None, &[], &["sh"]);
        check((&[], &[]), None, &["sh"], &["sh"]);
        check((&[], &[]), None, &[], &[]);
        check((&[""], &["a"]), None, &[], &[]);
        check((&["/e"], &["a"]), Some(""), &[], &[]);
    }

    #[test]
    fn env_keeps_the_last_of_a_name() {
        let check = |image: &[&str], given: &[&str], expected: &[&str]| {
            let config = Config { env: texts(image), ..config(&["/e"], &[]) };
            let options = Options { env: texts(given), ..Options::default() };
            assert_eq!(Plan::new(&config, &options, &run()).unwrap().env, texts(expected));
        };
        check(&[], &[], &[PATH]);
        check(&["A=1", "PATH=/x"], &[], &["PATH=/x", "A=1"]);
        check(&["odd", "odd", "=x", ""], &[], &[PATH, "odd", "odd", "=x"]);
        check(&["A=1", "B=2"], &["A=3", "C="], &[PATH, "A=3", "B=2", "C="]);
    }

    #[test]
    fn bad_options_are_refused_by_name() {
        let check = |change: &dyn Fn(&mut Options, &mut Config), expected: &str| {
            let (mut options, mut config) = (Options::default(), config(&["/e"], &[]));
            change(&mut options, &mut config);
            let error = Plan::new(&config, &options, &run()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&|options, _| options.env = texts(&["=x"]), "without a name");
        check(&|options, _| options.working_dir = Some("tmp".into()), "not absolute");
        check(&|options, _| options.hostname = Some("a b".into()), "host name");
        check(&|_, config| config.stop_signal = "SIGNOPE".into(), "stop signal");
        check(&|_, config| config.cmd = texts(&["a\0b"]), "argument contains a NUL");
        check(&|_, config| config.cmd = vec!["x".repeat(TEXT_MAX).into()], "argument is longer");
        check(&|_, config| config.cmd = vec!["x".repeat(100_000).into(); 12], "with its environment");
        check(&|_, config| config.cmd = vec!["".into(); 200_000], "with its environment");
        check(&|options, _| options.memory = Some(0), "memory limit");
        check(&|options, _| options.cpus = Some(f64::NAN), "processor limit");
    }

    #[test]
    fn hostname_is_that_of_an_ordinary_container() {
        let plan = Plan::new(&config(&["/e"], &[]), &Options::default(), &run()).unwrap();
        assert_eq!(plan.hostname.len(), 12);
        assert!(plan.hostname.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn stop_signal_takes_names_and_numbers() {
        for (name, expected) in [
            ("", Signal::SIGTERM),
            ("SIGQUIT", Signal::SIGQUIT),
            ("int", Signal::SIGINT),
            ("9", Signal::SIGKILL),
        ] {
            assert_eq!(stop_signal(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn relative_working_dir_of_an_image_starts_at_the_root() {
        let config = Config { working_dir: "app".into(), ..config(&["/e"], &[]) };
        assert_eq!(Plan::new(&config, &Options::default(), &run()).unwrap().working_dir, "/app");
    }
}
