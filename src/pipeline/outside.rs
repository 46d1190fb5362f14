//! What lies outside of the sandbox: the simulated internet, or nothing.
//!
//! Started before the image is opened, so that its namespaces are there by the time the cage is; entered
//! once the plan is made; connected while the sandbox is held; heard in the loop; stopped when the last
//! task is gone.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::rundir::RunDir;
use super::{PipelineError, authority};
use crate::bait::Baits;
use crate::image::Rootfs;
use crate::internet::capture::Captured;
use crate::internet::netlink::has_ipv6;
use crate::internet::process::{Internet, InternetError, Leaving};
use crate::internet::testimony::Testimony;
use crate::internet::world::{Scenario, World};
use crate::sandbox::{Network as PlanNetwork, Plan, SealedProgram, Target};

/// The first container's address on an engine's bridge, and the bridge's.
const CLIENT: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
/// A prefix from the range for local use, drawn once (RFC 4193).
const PREFIX: [u16; 4] = [0xfd3f, 0x9a1c, 0x7e20, 0];
/// What hosts in a cloud have in their resolv.conf: the second address of their network.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The network that the image finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Network {
    /// Loopback only.
    None,
    Simulated {
        capture_max: u64,
        scenario: Scenario,
    },
}

/// The rest of the world, as the image finds it.
#[derive(Debug, Default)]
pub struct Outside {
    internet: Option<Internet>,
    capture: Option<File>,
    capture_max: u64,
    scenario: Scenario,
    /// Why its testimony may have holes.
    fault: Option<String>,
}

/// What is left to know of it at the end.
#[derive(Debug, Default)]
pub struct Rest {
    pub testimony: Vec<Testimony>,
    pub captured: Captured,
    /// Why something may be missing; empty where nothing is.
    pub fault: String,
    /// Gone once it is dropped.
    pub leaving: Option<Leaving>,
}

impl Outside {
    /// Starts what `network` asks for. `out` takes the capture.
    pub fn start(network: &Network, program: &SealedProgram, out: &RunDir) -> Result<Outside, PipelineError> {
        let nothing = Outside::default();
        let Network::Simulated { capture_max, scenario } = network else { return Ok(nothing) };
        let (capture_max, scenario) = (*capture_max, scenario.clone());
        let capture = Some(out.create("capture.pcapng")?);
        let internet = Some(Internet::start(&program.path())?);
        Ok(Outside { internet, capture, capture_max, scenario, ..nothing })
    }

    /// Lets it set itself up.
    pub fn admit(&mut self) -> Result<(), PipelineError> {
        match (&mut self.internet, self.capture.take()) {
            (Some(internet), Some(capture)) => Ok(internet.admit(&capture)?),
            _ => Ok(()),
        }
    }

    /// Tells it which world it is, and the plan which network the sandbox has.
    pub fn enter(&mut self, plan: &mut Plan, rootfs: &Rootfs, baits: Baits) -> Result<(), PipelineError> {
        let Some(internet) = &mut self.internet else { return Ok(()) };
        authority::trust(internet.authority_pem()?, plan, rootfs);
        plan.network = Some(PlanNetwork { address: CLIENT, resolver: RESOLVER.into() });
        let scenario = std::mem::take(&mut self.scenario);
        let world = World { baits, scenario, ..world(&plan.hostname, self.capture_max) };
        Ok(internet.enter(&world)?)
    }

    /// The certificate of the world's authority, in PEM.
    pub fn authority(&mut self) -> Result<Option<&str>, PipelineError> {
        match &mut self.internet {
            Some(internet) => Ok(Some(internet.authority_pem()?)),
            None => Ok(None),
        }
    }

    /// Makes the wire to a sandbox that is held.
    pub fn connect(&mut self, target: &Target) -> Result<(), PipelineError> {
        match &mut self.internet {
            Some(internet) => Ok(internet.connect(target.pidfd.as_fd())?),
            None => Ok(()),
        }
    }

    /// What the image could not do here, though nothing that it did went unseen; empty on most hosts.
    pub fn narrowness(&self) -> String {
        match self.internet.is_none() || has_ipv6() {
            true => String::new(),
            false => {
                "this host has IPv6 switched off, so that neither the image nor the world had any".into()
            }
        }
    }

    /// There is an internet.
    pub fn is_simulated(&self) -> bool {
        self.internet.is_some()
    }

    /// Readable when [`Self::read`] has something.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.internet.as_ref().and_then(Internet::testimony_fd)
    }

    /// What it was told since the last call, up to a bound.
    pub fn read(&mut self) -> Vec<Testimony> {
        let Some(internet) = &mut self.internet else { return Vec::new() };
        let said = internet.read();
        if internet.is_lost() && self.fault.is_none() {
            self.fault = Some("the simulated internet ended before the run did".into());
        }
        said
    }

    /// Once no task of the sandbox is left: lets it come to its end meanwhile.
    pub fn dismiss(&self) {
        if let Some(internet) = &self.internet {
            internet.dismiss();
        }
    }

    /// After [`Self::dismiss`]. What cannot be had any more is a fault, and no error: the run
    /// has its recording.
    pub fn stop(self) -> Rest {
        let Some(internet) = self.internet else { return Rest::default() };
        let (testimony, summary, leaving) = internet.stop();
        let (captured, fault) = match summary {
            Ok(summary) if !summary.capture_failed => (summary.captured, None),
            // The file is a second look for people; no family hangs on it.
            Ok(summary) => (Captured { truncated: true, ..summary.captured }, None),
            Err(error) => (Captured::default(), Some(reason(&error))),
        };
        let fault = self.fault.or(fault).unwrap_or_default();
        Rest { testimony, captured, fault, leaving: Some(leaving) }
    }
}

/// Why this host cannot make a simulated internet; `None`: it can. Makes one, with a namespace on its wire.
pub fn refused() -> Option<String> {
    let trial = || -> Result<(), InternetError> {
        let failed = |source| InternetError::Wire { what: "make a namespace", source };
        let mut internet = Internet::start(Path::new("/proc/self/exe"))?;
        let capture = memfd_create("capture", MFdFlags::MFD_CLOEXEC);
        internet.admit(&capture.map_err(std::io::Error::from).map_err(failed)?.into())?;
        internet.enter(&world("trial", 1 << 16))?;
        let namespace = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let namespace = namespace.join().expect("two system calls do not panic");
        internet.connect_namespace(namespace.map_err(failed)?.as_fd())
    };
    trial().err().map(|error| reason(&error))
}

fn world(hostname: &str, capture_max: u64) -> World {
    World {
        hostname: hostname.to_owned(),
        client: (CLIENT, local(2)),
        gateway: (GATEWAY, local(1)),
        resolver: IpAddr::from(RESOLVER),
        now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        baits: Baits::default(),
        scenario: Scenario::default(),
        capture_max,
    }
}

fn reason(error: &InternetError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn local(host: u16) -> Ipv6Addr {
    let [a, b, c, d] = PREFIX;
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, host)
}
