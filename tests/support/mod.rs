//! What several test files share.
#![allow(dead_code)] // each test file uses a part of it

pub mod host;
pub mod image;
pub mod program;

/// How long a test waits for what must come. It proves nothing, and a busy or slow machine needs it.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// True where tests may use root and the kernel; else says loudly that they are skipped. Whoever asks
/// for them and is not root has them fail.
pub fn live() -> bool {
    let live = std::env::var_os("LAZARET_LIVE").is_some_and(|value| value == "1");
    assert!(!live || nix::unistd::geteuid().is_root(), "LAZARET_LIVE=1 needs root");
    if !live {
        eprintln!("skipped: needs root and LAZARET_LIVE=1");
    }
    live
}
