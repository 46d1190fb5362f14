//! Makes the image act: when it has settled, calls at the ports it opened, and runs the commands that were
//! asked for; then leaves it alone.
//!
//! ```text
//! start ──settled──▶ probe ──all done──▶ idle ──a new port──▶ probe …
//! ```
//!
//! Nothing here waits: each turn of the run's loop moves it by what has happened. The number of doors,
//! requests and commands is bounded, and each has a time.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use crate::event::{Act, Bytes, Endpoint, Errand, Event, NetAct, NetAction, Phase, Protocol, Purpose};
use crate::image::Config;
use crate::sandbox::visit::{Door, Report, Transport, Visit, Visitor};
use crate::sandbox::{RANGE, RunningSandbox, SandboxError, SealedProgram};

/// Without a port that listens, an image has settled after this, or a quarter of a short run.
const SETTLE: Duration = Duration::from_secs(3);
/// Who listens on one port may listen on a second soon.
const LISTENS: Duration = Duration::from_millis(500);
/// So many doors are called at.
const DOORS_MAX: usize = 16;
/// All requests to one door take less than this, or the visitor is lost.
const DOOR_TIME: Duration = Duration::from_secs(20);
/// From here up, ports of datagram sockets are mostly a client's own (`ip_local_port_range`).
const EPHEMERAL: u16 = 32_768;

/// A command to be run inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub purpose: Purpose,
    pub argv: Vec<Bytes>,
    /// After this it is killed.
    pub time: Duration,
}

/// So long a command that the user asks for may take, and a health check at most.
const COMMAND_TIME: Duration = Duration::from_secs(10);
/// So many commands are run.
pub const COMMANDS_MAX: usize = 16;

/// The image's own health check, then what the user asks for.
pub fn commands(config: &Config, exec: &[OsString]) -> Vec<Command> {
    let bytes = |text: &OsString| Bytes::from(text.as_encoded_bytes());
    let check = config.healthcheck.iter().map(|check| Command {
        purpose: Purpose::Healthcheck,
        argv: check.argv.iter().map(bytes).collect(),
        time: check.timeout.min(COMMAND_TIME),
    });
    let exec = exec.iter().map(|text| Command {
        purpose: Purpose::Exec,
        argv: words(text).iter().map(bytes).collect(),
        time: COMMAND_TIME,
    });
    check.chain(exec).take(COMMANDS_MAX).collect()
}

/// The words of a command line: as they stand between blanks, or, where something in it means more to a
/// shell, the whole line for /bin/sh.
fn words(line: &OsStr) -> Vec<OsString> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _-./:=,@%+".contains(&byte);
    if line.as_encoded_bytes().iter().all(|byte| plain(*byte)) {
        let words = line.to_str().unwrap_or_default().split_ascii_whitespace();
        return words.map(OsString::from).collect();
    }
    vec!["/bin/sh".into(), "-c".into(), line.to_owned()]
}

impl Command {
    pub fn argv(&self) -> Vec<OsString> {
        self.argv.iter().map(|text| OsStr::from_bytes(text).to_owned()).collect()
    }
}

/// What it takes to call at ports. The process is started when there is a first one.
#[derive(Debug)]
pub struct Visits {
    program: SealedProgram,
    /// Whose it will be: the last id of the run's range but one, nobody of the image's.
    id: u32,
    visitor: Option<Visitor>,
    /// It could not be started, or ended early: nobody calls any more.
    lost: bool,
}

impl Visits {
    pub fn new(program: SealedProgram, id_base: u32) -> Visits {
        Visits { program, id: id_base + RANGE - 2, visitor: None, lost: false }
    }

    fn lose(&mut self) {
        self.visitor = None;
        self.lost = true;
    }

    fn call(&mut self, door: Door, sandbox: &RunningSandbox) -> bool {
        if self.visitor.is_none() {
            self.visitor = Visitor::start(&self.program, sandbox.target(), self.id).ok();
        }
        let called = self.visitor.as_ref().is_some_and(|visitor| visitor.call(door).is_ok());
        if !called {
            self.lose();
        }
        called
    }
}

/// What a turn gives to be recorded.
#[derive(Debug)]
pub enum News {
    Enter(Phase),
    Visited(Visit),
    /// With the pid, on the host, of the process it was.
    Ran(Errand, u32),
}

/// The doors that the image's events show.
#[derive(Debug, Default)]
pub struct Doors {
    seen: Vec<Door>,
    new: VecDeque<Door>,
}

impl Doors {
    /// Notes a port that begins to listen.
    pub fn observe(&mut self, event: &Event) {
        let Act::Net(NetAct { action, protocol, local: Some(Endpoint::Inet(local)), .. }) = &event.act else {
            return;
        };
        let transport = match (action, protocol) {
            (NetAction::Listen, Protocol::Tcp) => Transport::Tcp,
            (NetAction::Bind, Protocol::Udp) if local.port() < EPHEMERAL => Transport::Udp,
            _ => return,
        };
        if event.outcome.is_done() {
            self.add(Door { address: reachable(*local), transport });
        }
    }

    /// A door is known by its port and transport: one that listens on both families is called at once.
    fn add(&mut self, door: Door) {
        let same =
            |known: &Door| (known.address.port(), known.transport) == (door.address.port(), door.transport);
        if door.address.port() == 0 || self.seen.len() >= DOORS_MAX || self.seen.iter().any(same) {
            return;
        }
        self.seen.push(door);
        self.new.push_back(door);
    }

    fn expose(&mut self, ports: &[String]) {
        for text in ports {
            let (port, transport) = text.split_once('/').unwrap_or((text, "tcp"));
            let transport = if transport == "udp" { Transport::Udp } else { Transport::Tcp };
            if let Ok(port) = port.parse() {
                self.add(Door { address: (Ipv4Addr::LOCALHOST, port).into(), transport });
            }
        }
    }
}

/// An address that stands for all is reached by the loopback's.
fn reachable(local: SocketAddr) -> SocketAddr {
    let address = match local.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, local.port())
}

/// How far the provocation of one run has come.
#[derive(Debug)]
pub struct Provocation {
    exposed: Vec<String>,
    visits: Visits,
    commands: Vec<Command>,
    next_command: usize,
    phase: Phase,
    settle: Duration,
    listened: Option<Instant>,
    /// The door that is being called at, and since when.
    calling: Option<(Door, Instant)>,
    /// The command that runs: when it began, its pid, and whether its time was up.
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    since: Instant,
    pid: u32,
    timed_out: bool,
}

impl Provocation {
    pub fn new(visits: Visits, commands: Vec<Command>, exposed: Vec<String>, of: Duration) -> Provocation {
        Provocation {
            exposed,
            visits,
            commands,
            next_command: 0,
            phase: Phase::Setup,
            settle: SETTLE.min(of / 4),
            listened: None,
            calling: None,
            running: None,
        }
    }

    pub fn visitor(&self) -> Option<&Visitor> {
        self.visits.visitor.as_ref()
    }

    /// Nobody calls at ports any more, though there may be some.
    pub fn is_blind(&self) -> bool {
        self.visits.lost
    }

    /// Commands that were never begun: the image ended before, or time did.
    pub fn left(&self) -> impl Iterator<Item = Errand> + '_ {
        self.commands[self.next_command.min(self.commands.len())..].iter().map(|command| Errand {
            purpose: command.purpose,
            argv: command.argv.clone(),
            code: None,
            signal: None,
            timed_out: false,
        })
    }

    /// Moves on. `since`: when the image's first program began; nothing is done before, nor once the image
    /// was asked to stop.
    pub fn turn(
        &mut self,
        since: Instant,
        doors: &mut Doors,
        sandbox: &RunningSandbox,
        news: &mut Vec<News>,
    ) -> Result<(), SandboxError> {
        let now = Instant::now();
        self.hear(news);
        if self.phase == Phase::Setup {
            self.phase = Phase::Start;
        }
        if self.phase == Phase::Start {
            if !self.has_settled(since, now, doors) {
                return Ok(());
            }
            doors.expose(&std::mem::take(&mut self.exposed));
            let phase = if self.has_work(doors) { Phase::Probe } else { Phase::Idle };
            self.enter(phase, news);
        }
        if self.phase == Phase::Idle && self.has_work(doors) {
            self.enter(Phase::Probe, news);
        }
        if self.phase == Phase::Probe {
            self.call(now, doors, sandbox);
            self.run(sandbox, now)?;
            if !self.has_work(doors) {
                self.enter(Phase::Idle, news);
            }
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase, news: &mut Vec<News>) {
        self.phase = phase;
        news.push(News::Enter(phase));
    }

    fn has_settled(&mut self, since: Instant, now: Instant, doors: &Doors) -> bool {
        if self.listened.is_none() && !doors.new.is_empty() {
            self.listened = Some(now);
        }
        now >= since + self.settle || self.listened.is_some_and(|listened| now >= listened + LISTENS)
    }

    fn has_work(&self, doors: &Doors) -> bool {
        let doors = !self.visits.lost && (self.calling.is_some() || !doors.new.is_empty());
        doors || self.running.is_some() || self.next_command < self.commands.len()
    }

    /// What the visitor has to say.
    fn hear(&mut self, news: &mut Vec<News>) {
        while let Some(report) = self.visits.visitor.as_ref().and_then(Visitor::next) {
            match report {
                Report::Visit(visit) => news.push(News::Visited(visit)),
                Report::Done(_) => self.calling = None,
                Report::Lost => {
                    self.visits.lose();
                    self.calling = None;
                }
            }
        }
    }

    /// Sends the visitor to the next door.
    fn call(&mut self, now: Instant, doors: &mut Doors, sandbox: &RunningSandbox) {
        if self.calling.is_some_and(|(_, since)| now > since + DOOR_TIME) {
            self.visits.lose();
            self.calling = None;
        }
        if self.calling.is_some() || self.visits.lost {
            return;
        }
        let Some(door) = doors.new.pop_front() else { return };
        self.calling = self.visits.call(door, sandbox).then_some((door, now));
    }

    /// Runs one command after the other, once every door that is known was called at.
    fn run(&mut self, sandbox: &RunningSandbox, now: Instant) -> Result<(), SandboxError> {
        if let Some(running) = &mut self.running {
            let command = &self.commands[self.next_command - 1];
            if !running.timed_out && now > running.since + command.time {
                running.timed_out = true;
                sandbox.kill_errand((self.next_command - 1) as u8);
            }
            return Ok(());
        }
        if self.calling.is_some() || self.next_command >= self.commands.len() {
            return Ok(());
        }
        self.next_command += 1;
        self.running = Some(Running { since: now, pid: 0, timed_out: false });
        sandbox.run_errand((self.next_command - 1) as u8)
    }

    /// Init says that a command runs.
    pub fn started(&mut self, pid: Option<u32>) {
        if let Some(running) = &mut self.running {
            running.pid = pid.unwrap_or(0);
        }
    }

    /// Init says that a command has ended.
    pub fn ended(&mut self, errand: u8, code: u8, signal: u8) -> Option<News> {
        let command = self.commands.get(usize::from(errand))?;
        let Running { pid, timed_out, .. } = self.running.take()?;
        let errand = Errand {
            purpose: command.purpose,
            argv: command.argv.clone(),
            code: (signal == 0).then_some(code),
            signal: (signal != 0).then_some(signal),
            timed_out,
        };
        Some(News::Ran(errand, pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, Outcome};

    fn event(action: NetAction, protocol: Protocol, local: &str, outcome: Outcome) -> Event {
        let local = Some(Endpoint::Inet(local.parse().unwrap()));
        Event {
            id: EventId(1),
            at: Duration::ZERO,
            phase: Phase::Start,
            process: None,
            act: Act::Net(NetAct { action, protocol, local, remote: None, name: None }),
            outcome,
            count: 1,
            cut: false,
        }
    }

    #[test]
    fn command_lines_are_words_unless_a_shell_is_meant() {
        let check = |line: &str, expected: &[&str]| assert_eq!(words(OsStr::new(line)), expected, "{line}");
        check("redis-cli  -p 6379 ping", &["redis-cli", "-p", "6379", "ping"]);
        check("echo $HOME", &["/bin/sh", "-c", "echo $HOME"]);
        check("a; b", &["/bin/sh", "-c", "a; b"]);
        check("echo \"x y\"", &["/bin/sh", "-c", "echo \"x y\""]);
    }

    #[test]
    fn doors_are_ports_that_listen_each_once_and_bounded() {
        let mut doors = Doors::default();
        let check = |doors: &mut Doors, action, protocol, local, expected: Option<&str>| {
            doors.observe(&event(action, protocol, local, Outcome::Done));
            let door = doors.new.pop_front().map(|door| door.address.to_string());
            assert_eq!(door.as_deref(), expected, "{local}");
        };
        check(&mut doors, NetAction::Listen, Protocol::Tcp, "0.0.0.0:80", Some("127.0.0.1:80"));
        check(&mut doors, NetAction::Listen, Protocol::Tcp, "[::]:80", None);
        check(&mut doors, NetAction::Listen, Protocol::Tcp, "[::]:81", Some("[::1]:81"));
        check(&mut doors, NetAction::Listen, Protocol::Tcp, "10.0.0.2:82", Some("10.0.0.2:82"));
        check(&mut doors, NetAction::Bind, Protocol::Tcp, "0.0.0.0:83", None);
        check(&mut doors, NetAction::Bind, Protocol::Udp, "0.0.0.0:53", Some("127.0.0.1:53"));
        check(&mut doors, NetAction::Bind, Protocol::Udp, "0.0.0.0:40000", None);
        doors.observe(&event(NetAction::Listen, Protocol::Tcp, "0.0.0.0:84", Outcome::Failed(98)));
        assert!(doors.new.is_empty());
        doors.expose(&["80/tcp".into(), "5353/udp".into(), "9000".into(), "x/tcp".into()]);
        let exposed: Vec<_> = doors.new.iter().map(|door| (door.address.port(), door.transport)).collect();
        assert_eq!(exposed, [(5353, Transport::Udp), (9000, Transport::Tcp)]);
        for port in 1000..2000 {
            doors.add(Door { address: (Ipv4Addr::LOCALHOST, port).into(), transport: Transport::Tcp });
        }
        assert_eq!(doors.seen.len(), DOORS_MAX);
    }
}
