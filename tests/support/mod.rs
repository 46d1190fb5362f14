//! What several test files share.
#![allow(dead_code)] // each test file uses a part of it

pub mod host;
pub mod image;

/// True where tests may use root and the kernel; else says loudly that they are skipped.
pub fn live() -> bool {
    let asked = std::env::var_os("LAZARET_LIVE").is_some_and(|value| value == "1");
    let live = asked && nix::unistd::geteuid().is_root();
    if !live {
        eprintln!("skipped: needs root and LAZARET_LIVE=1");
    }
    live
}
