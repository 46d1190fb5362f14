//! What several test files share.
#![allow(dead_code)] // each test file uses a part of it

pub mod host;
pub mod image;
pub mod program;

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
