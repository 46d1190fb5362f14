//! Decoy credentials: what is planted, where, and how it is recognised again.
//!
//! Each bait carries secrets unique to the run, made from the run's own random seed, in the form that
//! the real ones have. Touching one is an event; its secret in what is sent is proof of exfiltration.
//!
//! Not here: who writes them into the sandbox ([`crate::sandbox`], as [`crate::sandbox::Plan`] says), and
//! who listens for them ([`crate::internet`]).

use serde::{Deserialize, Serialize};

/// The baits of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baits {
    baits: Vec<Bait>,
}

/// One decoy: a name that reports use, and the secrets in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bait {
    /// `aws-credentials`, `ssh-key`, `kube-token`, …
    pub name: String,
    pub secrets: Vec<Secret>,
}

/// A text that stands nowhere else in the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    /// `access_key_id`, `secret_access_key`, `token`, …
    pub field: String,
    pub value: String,
}

impl Baits {
    pub fn iter(&self) -> impl Iterator<Item = &Bait> {
        self.baits.iter()
    }

    /// The secret of a bait by its name and field; empty where there is none.
    pub fn secret(&self, name: &str, field: &str) -> &str {
        let bait = self.baits.iter().find(|bait| bait.name == name);
        let secret = bait.and_then(|bait| bait.secrets.iter().find(|secret| secret.field == field));
        secret.map_or("", |secret| &secret.value)
    }
}

/// A secret that was seen in something sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    pub name: String,
    pub field: String,
    /// As [`crate::internet::testimony::Bait::encoding`].
    pub encoding: String,
}

/// Looks for the secrets of all baits in streams of bytes, in every usual encoding.
#[derive(Debug)]
pub struct Scanner {}

/// One stream that is looked through, in pieces.
#[derive(Debug)]
pub struct Scan<'s> {
    _scanner: &'s Scanner,
}

impl Scanner {
    pub fn new(baits: &Baits) -> Scanner {
        let _ = baits;
        Scanner {}
    }

    pub fn scan(&self) -> Scan<'_> {
        Scan { _scanner: self }
    }

    /// Of a DNS name: labels joined as exfiltration cuts them.
    pub fn name(&self, name: &[u8]) -> Vec<Sighting> {
        let _ = name;
        Vec::new()
    }
}

impl Scan<'_> {
    /// Takes the next piece; gives each secret once per stream.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Sighting> {
        let _ = bytes;
        Vec::new()
    }
}
