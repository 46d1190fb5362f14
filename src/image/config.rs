//! What the image's own configuration says about running it (OCI image-spec 1.1, `config`).

use std::ffi::OsString;

/// The part of the image configuration that decides what runs. Unset lists are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub entrypoint: Vec<OsString>,
    pub cmd: Vec<OsString>,
    /// `NAME=value` each.
    pub env: Vec<OsString>,
    /// `user`, `uid`, `user:group`, `uid:gid`, …; empty: root. Names are resolved in the rootfs.
    pub user: String,
    /// Empty: `/`.
    pub working_dir: OsString,
    /// `80/tcp`, `53/udp`, …
    pub exposed_ports: Vec<String>,
    /// `SIGTERM` where the image says nothing.
    pub stop_signal: String,
}
