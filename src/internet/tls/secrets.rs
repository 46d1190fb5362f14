//! What it takes to read the run's TLS in its capture: the secrets of sessions, as lines of the format
//! that NSS logs (SSLKEYLOGFILE, draft-ietf-tls-keylogfile).
//!
//! They open nothing but connections that ended in this process, which has read them anyway.

use std::sync::{Mutex, PoisonError};

use rustls::KeyLog;

/// All lines together: some 1,500 sessions of TLS 1.3. Later sessions stay closed in the capture.
const BYTES_MAX: usize = 1 << 20;

/// Lines on their way into the capture.
#[derive(Debug, Default)]
pub struct Secrets {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<u8>,
    /// Of all lines so far.
    bytes: usize,
}

impl Secrets {
    /// The lines since the last time.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner).lines)
    }
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += line.len();
        if kept.bytes <= BYTES_MAX {
            kept.lines.extend(line.bytes());
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_lines_and_bounded() {
        let secrets = Secrets::default();
        secrets.log("CLIENT_RANDOM", &[0xab, 1], &[2]);
        assert_eq!(secrets.take(), b"CLIENT_RANDOM ab01 02\n");
        assert_eq!(secrets.take(), b"");
        let mut bytes = 0;
        for _ in 0..10_000 {
            secrets.log("CLIENT_RANDOM", &[0; 32], &[0; 48]);
            bytes += secrets.take().len();
        }
        assert!(bytes <= BYTES_MAX && bytes > BYTES_MAX / 2, "{bytes}");
    }
}
