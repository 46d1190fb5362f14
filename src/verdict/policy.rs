//! A policy: what one pipeline wants from an image, as YAML.
//!
//! ```yaml
//! name: default
//! thresholds:
//!   fail: { malicious: high }          # class: the least level that leads there
//!   review: { malicious: medium, risky: high }
//!   together: 4                        # so many techniques to three aims or more that ask for a review fail
//! fail_confidence: medium              # what is less sure fails nothing, it asks for a review
//! techniques:
//!   T1496: { fail: medium }            # in place of the thresholds, for findings of any class
//! coverage: { process: full, file: full, network: full }
//! valid: 30d
//! next_steps: { fail: "…" }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use super::Decision;
use super::fact::Sight;
use crate::event::Family;
use crate::rule::{Class, Confidence, Level, Word};
use crate::yaml::Node;
use crate::yaml::strict::{self as read, FileError as PolicyError, Located, Map, Problem};

/// What a pipeline wants from an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub name: String,
    pub description: String,
    pub fail: Thresholds,
    pub review: Thresholds,
    /// So many different techniques, of no anomalous finding, that each ask for a review fail
    /// together, unless two aims (tactics) explain them all: one may have a good reason, all of them hardly.
    pub together: Option<usize>,
    /// A finding that is less sure asks for a review where it would fail.
    pub fail_confidence: Confidence,
    /// By ATT&CK id; an id of a technique stands for its sub-techniques too.
    pub techniques: BTreeMap<String, TechniqueRule>,
    /// Families that must have been seen so well.
    pub coverage: BTreeMap<Family, Sight>,
    /// Limits that may be reached without making the run inconclusive.
    pub tolerated_limits: Vec<String>,
    pub minimum_run: Duration,
    /// How long a report holds.
    pub valid: Duration,
    /// Registries (`docker.io`, or with a path) an image may come from; empty: any.
    pub registries: Vec<String>,
    /// Digests an image may have; empty: any.
    pub digests: Vec<String>,
    pub next_steps: BTreeMap<Decision, String>,
}

/// For each class, the least level that counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds(pub BTreeMap<Class, Level>);

/// A threshold that a finding reached, in words of the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    pub decision: Decision,
    pub clause: String,
}

/// Levels for one technique, in place of those for its class. Absent: never.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TechniqueRule {
    pub fail: Option<Level>,
    pub review: Option<Level>,
}

/// The policies that the program carries, by name.
pub const SHIPPED: [(&str, &str); 3] = [
    ("default", include_str!("policies/default.yaml")),
    ("strict", include_str!("policies/strict.yaml")),
    ("observe", include_str!("policies/observe.yaml")),
];

/// The text of a shipped policy.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

impl Policy {
    /// Reads a policy; `file` is only for messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Policy, PolicyError> {
        read::root(file, bytes, parse)
    }
}

const KEYS: [&str; 12] = [
    "name",
    "description",
    "thresholds",
    "fail_confidence",
    "techniques",
    "coverage",
    "tolerated_limits",
    "minimum_run",
    "valid",
    "registries",
    "digests",
    "next_steps",
];

fn parse(node: &Node) -> Result<Policy, Located> {
    let map = Map::new(node, "the policy", &KEYS)?;
    let thresholds = Map::new(map.need("thresholds")?, "thresholds", &["fail", "review", "together"])?;
    Ok(Policy {
        name: map.need_text("name")?,
        description: map.read("description", read::text)?.unwrap_or_default().to_owned(),
        fail: thresholds.read("fail", class_levels)?.unwrap_or_default(),
        review: thresholds.read("review", class_levels)?.unwrap_or_default(),
        together: thresholds.read("together", at_least_two)?,
        fail_confidence: map.read("fail_confidence", confidence)?.unwrap_or(Confidence::Low),
        techniques: map.read("techniques", techniques)?.unwrap_or_default(),
        coverage: coverage(map.need("coverage")?, "coverage")?,
        tolerated_limits: map.read("tolerated_limits", read::texts)?.unwrap_or_default(),
        minimum_run: map.read("minimum_run", read::duration)?.unwrap_or_default(),
        valid: read::duration(map.need("valid")?, "valid")?,
        registries: map.read("registries", read::texts)?.unwrap_or_default(),
        digests: map.read("digests", digests)?.unwrap_or_default(),
        next_steps: map.read("next_steps", next_steps)?.unwrap_or_default(),
    })
}

fn class_levels(node: &Node, place: &str) -> Result<Thresholds, Located> {
    let map = Map::new(node, place, &["malicious", "risky", "anomalous"])?;
    let mut levels = BTreeMap::new();
    for &class in Class::ALL {
        if let Some(found) = map.read(class.name(), level)? {
            levels.insert(class, found);
        }
    }
    Ok(Thresholds(levels))
}

fn at_least_two(node: &Node, place: &str) -> Result<usize, Located> {
    let found = read::text(node, place)?;
    let number = found.parse().ok().filter(|number| *number >= 2);
    number.ok_or_else(|| read::value(node, place, found, "a whole number of at least 2".into(), None))
}

fn level(node: &Node, place: &str) -> Result<Level, Located> {
    read::choice(node, place, Level::ALL, Level::name)
}

fn confidence(node: &Node, place: &str) -> Result<Confidence, Located> {
    read::choice(node, place, Confidence::ALL, Confidence::name)
}

fn techniques(node: &Node, place: &str) -> Result<BTreeMap<String, TechniqueRule>, Located> {
    let mut rules = BTreeMap::new();
    for (id, line, value) in read::entries(node, place)? {
        if !is_technique(id) {
            let expected = "an ATT&CK technique (T1059 or T1059.004)".to_owned();
            let problem =
                Problem::Value { place: place.to_owned(), value: id.to_owned(), expected, nearest: None };
            return Err((line, problem));
        }
        let map = Map::new(value, id, &["fail", "review"])?;
        let rule = TechniqueRule { fail: map.read("fail", level)?, review: map.read("review", level)? };
        rules.insert(id.to_owned(), rule);
    }
    Ok(rules)
}

fn is_technique(id: &str) -> bool {
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = id.strip_prefix('T') else { return false };
    match rest.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(rest, 4),
    }
}

fn coverage(node: &Node, place: &str) -> Result<BTreeMap<Family, Sight>, Located> {
    let map = Map::new(node, place, &Family::ALL.map(Family::name))?;
    let sight =
        |node: &Node, place: &str| read::choice(node, place, &[Sight::Partial, Sight::Full], Sight::name);
    let mut families = BTreeMap::new();
    for family in Family::ALL {
        if let Some(found) = map.read(family.name(), sight)? {
            families.insert(family, found);
        }
    }
    Ok(families)
}

fn digests(node: &Node, place: &str) -> Result<Vec<String>, Located> {
    for item in read::list(node, place)? {
        let found = read::text(item, place)?;
        if !is_digest(found) {
            let expected = "sha256: and 64 lower-case hexadecimal digits".to_owned();
            return Err(read::value(item, place, found, expected, None));
        }
    }
    read::texts(node, place)
}

pub(super) fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

fn next_steps(node: &Node, place: &str) -> Result<BTreeMap<Decision, String>, Located> {
    let map = Map::new(node, place, &Decision::ALL.map(Decision::name))?;
    let mut steps = BTreeMap::new();
    for decision in Decision::ALL {
        if let Some(step) = map.read(decision.name(), read::text)? {
            steps.insert(decision, step.to_owned());
        }
    }
    Ok(steps)
}
