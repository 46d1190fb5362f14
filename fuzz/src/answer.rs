//! An HTTP request as the services see it: a line with port, host, method and target, headers, an empty line, a body.

use std::net::SocketAddr;

use lazaret::internet::service::{Request, answer};

use super::world;

/// No answer is longer than a list of all versions of a package.
const BODY_MAX: usize = 1 << 20;

pub fn check(bytes: &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = (&bytes[..end], bytes.get(end + 2..).unwrap_or_default());
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [port, host, method, target] = words[..] else { return };
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase().into_bytes(), value.trim().as_bytes().to_vec()))
    };
    let headers: Vec<(Vec<u8>, Vec<u8>)> = lines.filter_map(pair).collect();
    let address = host.parse().unwrap_or_else(|_| [203, 0, 113, 7].into());
    let server = SocketAddr::new(address, port.parse().unwrap_or(80));
    for secure in [false, true] {
        let request = Request { secure, server, host, method, target, headers: &headers, body };
        let answer = answer(&world::world(), &request);
        assert!((200..600).contains(&answer.status), "{answer:?}");
        assert!(answer.body.len() <= BODY_MAX + bytes.len(), "{} bytes", answer.body.len());
        for (name, value) in &answer.headers {
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit()),
                "{name}"
            );
            assert!(value.chars().all(|c| matches!(c, ' '..='~')), "{name}: {value:?}");
        }
    }
}
