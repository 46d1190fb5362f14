//! A policy, or a file of exceptions, and what is decided by them.

use jiff::Timestamp;
use lazaret::verdict::{self, Policy};

use super::sample;

pub fn check(bytes: &[u8]) {
    let exceptions = match verdict::parse_exceptions("fuzzed.yaml", bytes) {
        Ok(exceptions) => exceptions,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Vec::new()
        }
    };
    let case = sample::case();
    let shipped = verdict::shipped("default").expect("it is shipped");
    let default = Policy::parse("default", shipped.as_bytes()).expect("it is right");
    let policy = Policy::parse("fuzzed.yaml", bytes);
    for policy in policy.iter().chain([&default]) {
        let verdict = verdict::decide(policy, &exceptions, &case, Timestamp::UNIX_EPOCH);
        assert_eq!(verdict, verdict::decide(policy, &exceptions, &case, Timestamp::UNIX_EPOCH));
        assert_eq!(verdict::worst(std::slice::from_ref(&verdict)), Some(&verdict));
        for exception in &exceptions {
            assert!(!exception.describe().is_empty());
        }
    }
}
