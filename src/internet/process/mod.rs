//! The process that is the internet, and the runner's way to it.
//!
//! ```text
//! runner                                        guard                     internet (a fork of it)
//!   start                             ──────▶   unshare all namespaces
//!   admit: id maps, capture file      ──────▶   become nobody, fork ───▶  addresses, filter, sockets, ring,
//!   authority_pem                     ◀───────────────────────────────    authority
//!   enter: the world                  ─────────────────────────────────▶  empty root, no capability, seccomp
//!   connect: the wire                 ◀───────────────────────────────    Serving
//!   read testimony                    ◀───────────────────────────────    serve
//!   stop                              ─────────────────────────────────▶  end
//!   Summary                           ◀───────────────────────────────    exit
//! ```
//!
//! The steps are apart so that each side works while the other does: a network namespace takes its time.
//!
//! The internet parses what an attacker sends. It is nobody on the host (an id of its own, no file system,
//! no other process in sight), owns a network namespace without an uplink, and has given up every
//! capability in it before the first packet can come: the wire is made by the runner, afterwards. It dies
//! with the runner. What it says is length-checked, and decoded to bounded values only.

mod confine;
mod run;
mod start;

use serde::{Deserialize, Serialize};

use super::capture::Captured;

pub use run::{internet_main, is_internet};
pub use start::{Internet, InternetError, Leaving};

/// `argv[0]` of the process.
const NAME: &str = "lazaret-internet";
/// Its name in lists of processes, which the kernel cuts at 15.
const COMM: &std::ffi::CStr = c"lazaret-interne";

/// The only host id that the process has: below those of layers and runs
/// ([`crate::image::LAYER_ID_BASE`]), above what distributions give out.
const HOST_ID: u32 = 0x6fff_fff0;

/// No message in either direction is longer; the world travels in a memory file of at most [`WORLD_MAX`].
const MESSAGE_MAX: usize = 64 << 10;
const WORLD_MAX: u64 = 32 << 20;

/// From the runner: the ids are mapped; with the file that takes the capture.
const ADMITTED: &[u8] = b"admitted";
/// From the runner: the world, in a memory file.
const WORLD: &[u8] = b"world";
/// From the runner: the run is over.
const STOP: &[u8] = b"stop";

/// From the process.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    /// In namespaces of its own; the id maps may be written.
    Unshared,
    /// Everything listens; the certificate of the run's authority.
    Ready {
        authority: String,
    },
    /// Nothing can be changed any more.
    Serving,
    Failed {
        step: String,
        detail: String,
    },
    Ended(Summary),
}

/// What the process says at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub captured: Captured,
    /// The capture could not be written to its end.
    pub capture_failed: bool,
}
