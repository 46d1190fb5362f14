//! Secrets of the run's baits in what the image's own ports answer: who hands a credential to whoever calls
//! needs no connection to the outside.
//!
//! Only as the secret stands in its file, line ends apart: answers are short and read by the runner itself,
//! which unpacks nothing that a hostile server says.
//!
//! Not here: what is sent to the outside. See [`crate::internet`].

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use crate::bait::Baits;
use crate::event::{BaitAct, Bytes, Flow, Visit};

/// Shorter secrets could stand anywhere.
const SECRET_MIN: usize = 8;

/// The secrets to look for, and which were told.
#[derive(Default)]
pub struct Handed {
    baits: Baits,
    told: HashSet<(String, String, SocketAddr)>,
}

impl Handed {
    pub fn new(baits: Baits) -> Handed {
        Handed { baits, told: HashSet::new() }
    }

    /// Each secret in an answer, once for each port.
    pub fn look(&mut self, visit: &Visit) -> Vec<BaitAct> {
        let answer = printed(&visit.answer);
        let mut found = Vec::new();
        for bait in self.baits.iter() {
            for secret in &bait.secrets {
                let key = (bait.name.clone(), secret.field.clone(), visit.remote);
                if holds(&answer, &printed(secret.value.as_bytes())) && self.told.insert(key) {
                    found.push(act(visit, &bait.name, &secret.field));
                }
            }
        }
        found
    }
}

fn printed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

fn holds(answer: &[u8], secret: &[u8]) -> bool {
    secret.len() >= SECRET_MIN && answer.windows(secret.len()).any(|part| part == secret)
}

fn act(visit: &Visit, name: &str, field: &str) -> BaitAct {
    let text = |text: &str| Bytes::from(text.as_bytes());
    let caller = match visit.remote.ip() {
        IpAddr::V4(address) => SocketAddr::from((address, 0)),
        IpAddr::V6(address) => SocketAddr::from((address, 0)),
    };
    // Both ends are the image's own.
    let flow = Flow { protocol: visit.protocol, client: caller, server: visit.remote, name: None };
    let (encoding, place) = (text("plain"), text("answer"));
    BaitAct { flow, name: text(name), field: text(field), encoding, place, used_at: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Protocol;

    #[test]
    fn a_secret_in_an_answer_is_told_once_for_each_port() {
        let baits = Baits::new([7; 32]);
        let secret = baits.secret("ssh-key", "legacy_key").to_owned();
        let mut handed = Handed::new(baits);
        let visit = |port: u16, answer: String| Visit {
            request: "http_get".into(),
            protocol: Protocol::Tcp,
            remote: ([127, 0, 0, 1], port).into(),
            answer: answer.into_bytes().into(),
            said: 0,
        };
        let mut check = |port, answer: &str, expected: usize| {
            assert_eq!(handed.look(&visit(port, answer.to_owned())).len(), expected, "{answer}");
        };
        check(80, "HTTP/1.0 200 OK\r\n\r\nhello", 0);
        check(80, &format!("HTTP/1.0 200 OK\r\n\r\n{secret}"), 1);
        check(80, &secret, 0);
        let (half, rest) = secret.split_at(20);
        check(81, &format!("{half}\n{rest}"), 1);
        check(82, half, 0);
    }
}
