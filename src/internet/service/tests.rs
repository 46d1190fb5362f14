//! Requests and a world for the tests of all services.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::bait::Baits;
use crate::internet::world::Scenario;

pub fn world() -> World {
    // Baits are built by their owner; here they come in the form in which a world travels.
    let baits = [
        (
            "aws-role",
            &[("access_key_id", "ASIAROLE"), ("secret_access_key", "role-secret"), ("token", "role-token")][..],
        ),
        ("gcp-token", &[("access_token", "ya29.gcp")]),
        ("azure-token", &[("access_token", "eyJ.azure")]),
        ("kube-token", &[("token", "kube-bearer")]),
        ("kube-secret", &[("password", "kube-password")]),
        ("registry-login", &[("password", "registry-password")]),
    ];
    World {
        hostname: "web-1".into(),
        client: (Ipv4Addr::new(172, 17, 0, 2), Ipv6Addr::LOCALHOST),
        gateway: (Ipv4Addr::new(172, 17, 0, 1), Ipv6Addr::LOCALHOST),
        resolver: Ipv4Addr::new(172, 17, 0, 1).into(),
        now: 1_767_323_045,
        baits: planted(&baits),
        scenario: Scenario::default(),
        capture_max: 0,
    }
}

fn planted(baits: &[(&str, &[(&str, &str)])]) -> Baits {
    let secret = |(field, value): &(&str, &str)| serde_json::json!({"field": field, "value": value});
    let bait = |(name, secrets): &(&str, &[(&str, &str)])| serde_json::json!({"name": name, "secrets": secrets.iter().map(secret).collect::<Vec<_>>()});
    let all: Vec<_> = baits.iter().map(bait).collect();
    serde_json::from_value(serde_json::json!({"baits": all})).unwrap()
}

/// A plain request, over HTTP.
pub fn get<'r>(host: &'r str, target: &'r str) -> Request<'r> {
    let server = "198.51.100.7:80".parse().unwrap();
    Request { secure: false, server, host, method: "GET", target, headers: &[], body: &[] }
}

pub fn with_headers<'r>(request: Request<'r>, headers: &'r [(Vec<u8>, Vec<u8>)]) -> Request<'r> {
    Request { headers, ..request }
}

pub fn headers(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

pub fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}
