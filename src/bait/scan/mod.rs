//! Finds the secrets of baits in what is sent, however it is written.
//!
//! A stream is looked at through [`view::View`]s: as it stands, and as each usual encoding would be read,
//! a few of them in a row. All of it goes on in one pass, so the cost grows with the bytes and not with
//! the pieces they come in; what decompression may add is bounded by what went in.
//!
//! What this cannot see: encryption (a XOR with a key of up to twelve bytes apart), compression other than DEFLATE,
//! a secret that is spread over several streams (DNS names and requests to one host apart), and less than about
//! 32 letters of a long one.

mod base85;
mod chunk;
mod decode;
mod digits;
mod inflate;
mod name;
mod pattern;
mod piece;
#[cfg(test)]
mod tests;
mod view;

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex;

use super::Baits;
use name::Names;
use pattern::Patterns;
use piece::Requests;
use view::{FREE, RATIO, Search, View};

/// Bytes that are taken through all views before the next.
const SLICE: usize = 16 << 10;

/// A secret that was seen in something sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    pub name: String,
    pub field: String,
    /// As [`crate::internet::testimony::Bait::encoding`].
    pub encoding: String,
}

/// Looks for the secrets of all baits in streams of bytes, in every usual encoding.
pub struct Scanner {
    patterns: Patterns,
    names: Mutex<Names>,
    requests: Mutex<Requests>,
    /// The machine's own name, which is looked for in names alone: elsewhere it is no secret.
    machine: Option<(Patterns, Mutex<Names>)>,
}

/// What a sighting of the machine's name is called.
const MACHINE: &str = "machine-name";
/// A shorter name may stand anywhere.
const MACHINE_LEAST: usize = 12;

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").finish_non_exhaustive()
    }
}

/// One stream that is looked through, in pieces.
#[derive(Debug)]
pub struct Scan<'s> {
    scanner: &'s Scanner,
    view: View,
    seen: HashSet<usize>,
    /// Bytes that decompression may still add.
    room: u64,
}

impl Scanner {
    /// A scanner for all secrets of these baits, in every encoding that it knows.
    pub fn new(baits: &Baits) -> Scanner {
        let (names, requests) = Default::default();
        Scanner { patterns: Patterns::new(baits), names, requests, machine: None }
    }

    /// Looks for the machine's own name in the names that a resolver is asked for, too.
    #[must_use]
    pub fn with_machine(self, hostname: &str) -> Scanner {
        let baits = Baits::of(MACHINE, "hostname", hostname);
        let machine = (hostname.len() >= MACHINE_LEAST).then(|| (Patterns::new(&baits), Mutex::default()));
        Scanner { machine, ..self }
    }

    /// Begins to look through one stream.
    pub fn scan(&self) -> Scan<'_> {
        Scan { scanner: self, view: View::stream(), seen: HashSet::new(), room: FREE }
    }

    /// Of a request to `host`: what differs in each of its parts from the request before is joined, as exfiltration
    /// cuts a secret into paths, cookies or names of browsers. Gives each secret once per host.
    pub fn request<'v>(
        &self,
        host: &[u8],
        parts: impl Iterator<Item = (&'v [u8], &'v [u8])>,
    ) -> Vec<Sighting> {
        // As below.
        let mut requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hits = requests.ask(host, parts, &self.patterns);
        hits.iter().map(|hit| self.patterns.sighting(hit)).collect()
    }

    /// Of a DNS name that was asked for, best in the letters it was asked with: labels joined as
    /// exfiltration cuts them, over the names below the same domain in the order they are asked. Gives each
    /// secret once per domain.
    pub fn name(&self, name: &[u8]) -> Vec<Sighting> {
        let machine = self.machine.as_ref().map(|(patterns, names)| (patterns, names));
        let all = [(&self.patterns, &self.names)].into_iter().chain(machine);
        all.flat_map(|(patterns, names)| {
            // A thread that panicked in here left names half taken in, which harms nobody.
            let mut names = names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let hits = names.ask(name, patterns);
            hits.into_iter().map(|hit| patterns.sighting(&hit)).collect::<Vec<_>>()
        })
        .collect()
    }
}

impl Scan<'_> {
    /// Takes the next piece; gives each secret once per stream.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Sighting> {
        let patterns = &self.scanner.patterns;
        let mut search = Search { patterns, chain: Vec::new(), hits: Vec::new(), room: self.room };
        let mut sightings = Vec::new();
        for slice in bytes.chunks(SLICE) {
            search.room += RATIO * slice.len() as u64;
            self.view.feed(slice, &mut search);
            let new = search.hits.drain(..).filter(|hit| self.seen.insert(hit.secret));
            sightings.extend(new.map(|hit| patterns.sighting(&hit)));
        }
        self.room = search.room;
        sightings
    }
}
