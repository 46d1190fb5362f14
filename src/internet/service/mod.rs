//! What the world answers: pure functions from what was asked to what is said back.
//!
//! No socket, no clock, no file: the servers call these with what they have read. So every answer can
//! be tested, and fuzzed, without a network. Nothing that is answered does harm: scripts print a line,
//! programs exit, packages are empty.
//!
//! A service is recognised by its host or address first, then by the shape of its path, so that a mirror
//! or a look-alike at another name answers too. What nobody knows is an ordinary web server ([`web`]).

mod answer;
mod cloud;
mod datagram;
mod dialogue;
mod docker;
mod forge;
mod git;
mod kubernetes;
mod messenger;
mod metadata;
mod package;
mod payload;
mod public;
mod registry;
mod request;
mod scripted;
#[cfg(test)]
mod tests;
mod vault;
mod web;

use std::net::SocketAddr;

use super::world::World;

pub use datagram::{Datagram, Now, datagram};
pub use dialogue::{Dialogue, Turn, dialogue};

/// A request, as far as the answer depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    pub secure: bool,
    /// The address that was asked for.
    pub server: SocketAddr,
    /// In lower case, without a port; may be an address.
    pub host: &'r str,
    pub method: &'r str,
    /// Path and query, as sent.
    pub target: &'r str,
    /// Names in lower case.
    pub headers: &'r [(Vec<u8>, Vec<u8>)],
    /// The first part of it.
    pub body: &'r [u8],
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `web`, `aws-metadata`, `kubernetes`, `pypi`, …
    pub service: &'static str,
    pub status: u16,
    /// Names in lower case. Length and date are the server's to add.
    pub headers: Vec<(&'static str, String)>,
    /// To HEAD, what GET would get: the server sends its length only.
    pub body: Vec<u8>,
    /// Baits that are credentials of this very service: their token in the request is a use of them.
    pub accepts: &'static [&'static str],
    /// Baits that the service checks where they stand in the body.
    pub takes: &'static [&'static str],
}

type Service = fn(&World, &Request<'_>) -> Option<Answer>;

/// In the order in which they are asked. What a scenario says goes before all.
const SERVICES: [Service; 11] = [
    scripted::answer,
    metadata::answer,
    kubernetes::answer,
    docker::answer,
    vault::answer,
    registry::answer,
    git::answer,
    package::answer,
    forge::answer,
    messenger::answer,
    cloud::answer,
];

/// What the world answers to an HTTP request.
pub fn answer(world: &World, request: &Request<'_>) -> Answer {
    let known = SERVICES.iter().find_map(|service| service(world, request));
    let answer = known.or_else(|| public::answer(world, request));
    answer.unwrap_or_else(|| web::answer(world, request)).ranged(request)
}
