//! The metadata of a cloud's instance, at the addresses where the clouds have it: what a stolen
//! container asks for first.
//!
//! Nothing says on which cloud the sandbox is, so each is there; a client knows which it means by path
//! and header. The credentials are baits: who asks for them is seen, and again who uses them.

mod aws;
mod azure;
mod gcp;
mod other;

use std::net::IpAddr;

use super::{Answer, Request};
use crate::internet::world::World;

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let place = place(request)?;
    let answer = match place {
        Place::Container => aws::container(world, request),
        Place::Alibaba => other::alibaba(world, request),
        Place::Link => gcp::answer(world, request)
            .or_else(|| azure::answer(world, request))
            .or_else(|| other::answer(world, request))
            .unwrap_or_else(|| aws::instance(world, request)),
    };
    Some(answer)
}

enum Place {
    /// 169.254.169.254 and its names.
    Link,
    /// The credentials of an ECS task or an EKS pod.
    Container,
    Alibaba,
}

fn place(request: &Request<'_>) -> Option<Place> {
    const NAMES: [&str; 4] =
        ["metadata.google.internal", "metadata", "instance-data.ec2.internal", "instance-data"];
    let server = request.server.ip().to_canonical();
    let named = request.host.parse::<IpAddr>().ok();
    // A proxy is told the address as a name.
    let is = |text: &str| [Some(server), named].contains(&text.parse().ok());
    if is("169.254.169.254") || is("fd00:ec2::254") || NAMES.contains(&request.host) {
        return Some(Place::Link);
    }
    if is("169.254.170.2") || is("169.254.170.23") || is("fd00:ec2::23") {
        return Some(Place::Container);
    }
    is("100.100.100.200").then_some(Place::Alibaba)
}

/// A directory or value as text.
fn plain(service: &'static str, text: &str) -> Answer {
    Answer::text(service, text).header("content-type", "text/plain")
}

fn missing(service: &'static str) -> Answer {
    plain(service, "404 - Not Found\n").status(404)
}
