//! What a scenario file adds to the world of one run: names, answers, payloads, dialogues, and what is to
//! be refused. fixtures/scenarios/README.md shows one.
//!
//! It travels to the internet process as part of the world, so that payloads are in it as bytes.
//!
//! Not here: who opens the files ([`crate::cli`]).

mod read;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use crate::yaml::strict::{FileError as ScenarioError, Problem};

/// The scenario of one run; the default one adds nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    names: Vec<Name>,
    http: Vec<Reply>,
    dialogues: Vec<Script>,
    refused_names: Vec<String>,
    /// First and last.
    refused_ports: Vec<(u16, u16)>,
}

/// What DNS says about a name. What is empty is answered as for any other name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Name {
    /// A name, or a pattern in which `*` stands for anything; lower case.
    pub name: String,
    pub addresses: Vec<IpAddr>,
    pub cname: Option<String>,
    pub txt: Vec<String>,
    /// In the order of preference.
    pub mx: Vec<String>,
}

/// An HTTP answer for requests that fit. Patterns: `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub host: String,
    pub path: String,
    pub method: String,
    pub status: u16,
    /// Names are of [`HEADERS`].
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A conversation on a port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    pub port: u16,
    pub greeting: String,
    pub lines: Vec<Line>,
}

/// What is answered to a line that fits the pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub expect: String,
    pub answer: String,
    pub close: bool,
}

/// Headers that an answer may have; length and date are the server's.
pub const HEADERS: [&str; 24] = [
    "accept-ranges",
    "access-control-allow-origin",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "pragma",
    "retry-after",
    "server",
    "set-cookie",
    "vary",
    "www-authenticate",
    "x-command",
    "x-powered-by",
    "x-request-id",
    "x-session",
    "x-token",
];

impl Scenario {
    /// Reads a scenario; `file` is its name in messages, `payload` gives the bytes of a file that stands
    /// beside it, at most so many.
    pub fn parse(
        file: &str,
        bytes: &[u8],
        payload: &mut dyn FnMut(&str, u64) -> std::io::Result<Vec<u8>>,
    ) -> Result<Scenario, ScenarioError> {
        read::scenario(file, bytes, payload)
    }

    /// What is said about a name; the first entry that fits.
    pub fn name(&self, name: &str) -> Option<&Name> {
        self.names.iter().find(|entry| fits(&entry.name, &plain(name)))
    }

    /// The name does not exist.
    pub fn is_nxdomain(&self, name: &str) -> bool {
        let name = plain(name);
        self.refused_names.iter().any(|pattern| fits(pattern, &name))
    }

    /// Ports that nobody listens on, at any address: first and last.
    pub fn refused_ports(&self) -> &[(u16, u16)] {
        &self.refused_ports
    }

    /// The answer for a request; `path` is without the query.
    pub(super) fn reply(&self, host: &str, path: &str, method: &str) -> Option<&Reply> {
        let fit = |reply: &&Reply| {
            fits(&reply.host, host) && fits(&reply.path, path) && fits(&reply.method, method)
        };
        self.http.iter().find(fit)
    }

    pub(super) fn script(&self, port: u16) -> Option<&Script> {
        self.dialogues.iter().find(|script| script.port == port)
    }
}

impl Script {
    /// The first line that fits what was said.
    pub(super) fn line(&self, said: &str) -> Option<&Line> {
        self.lines.iter().find(|line| fits(&line.expect, said))
    }
}

/// Lower case, without the dot at the end.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// `*` stands for any characters, also none. Time is at most the product of the lengths.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let check = |pattern: &str, text: &str, expected| {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}")
        };
        check("a", "a", true);
        check("a", "ab", false);
        check("*", "", true);
        check("*.example", "x.example", true);
        check("*.example", ".example.org", false);
        check("a*a", "a", false);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "acb", false);
        check("", "", true);
        check("", "x", false);
    }
}
