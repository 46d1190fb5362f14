//! Exceptions: findings that somebody answers for, until a date.
//!
//! ```yaml
//! exceptions:
//!   - scope: { rule: crypto-miner, repository: "registry.example/research/*" }
//!     reason: the image is a miner, for research
//!     author: a.keeper@example
//!     expires: 2027-01-31          # the whole day, UTC; or a time in RFC 3339
//! ```
//!
//! All parts of a scope must agree: `rule` (its name), `image` (a digest), `repository` and `event`
//! (patterns in which `*` stands for anything). An `event` pattern must agree with *every* event of
//! the finding: where a finding kept only some of its evidence, it cannot, because what is not shown
//! might be something else.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::fact::{FindingFacts, SubjectFacts};
use super::policy::is_digest;
use crate::yaml::Node;
use crate::yaml::strict::{self as read, FileError as PolicyError, Located, Map, Problem};

/// One exception.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    pub scope: Scope,
    pub reason: String,
    pub author: String,
    /// It no longer holds from this moment on.
    pub expires: Timestamp,
}

/// What an exception covers; at least one part is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    pub rule: Option<String>,
    pub image: Option<String>,
    pub repository: Option<String>,
    pub event: Option<String>,
}

/// Reads a file of exceptions; `file` is only for messages.
pub fn parse_exceptions(file: &str, bytes: &[u8]) -> Result<Vec<Exception>, PolicyError> {
    read::root(file, bytes, |node| {
        let map = Map::new(node, "the file", &["exceptions"])?;
        read::list(map.need("exceptions")?, "exceptions")?.iter().map(exception).collect()
    })
}

impl Exception {
    /// It has not expired.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// True where it covers this finding of this image; its end is not looked at.
    pub fn covers(&self, subject: &SubjectFacts, finding: &FindingFacts) -> bool {
        let scope = &self.scope;
        let repository = repository(&subject.reference);
        scope.rule.as_ref().is_none_or(|rule| *rule == finding.rule)
            && scope.image.as_ref().is_none_or(|image| *image == subject.digest)
            && scope
                .repository
                .as_ref()
                .is_none_or(|pattern| repository.is_some_and(|name| agrees(pattern, name)))
            && scope.event.as_ref().is_none_or(|pattern| all_events_agree(pattern, finding))
    }

    /// In one line, for a report.
    pub fn describe(&self) -> String {
        let scope = &self.scope;
        let parts = [
            ("rule", &scope.rule),
            ("image", &scope.image),
            ("repository", &scope.repository),
            ("event", &scope.event),
        ];
        let said = |(name, part): (&str, &Option<String>)| part.as_ref().map(|text| format!("{name} {text}"));
        let scope: Vec<String> = parts.into_iter().filter_map(said).collect();
        format!("{} ({}, until {}): {}", scope.join(", "), self.author, self.expires, self.reason)
    }
}

/// `host/path` of a reference to a registry, without tag and digest; `None` for what lies on disk.
pub(super) fn repository(reference: &str) -> Option<&str> {
    let name = reference.strip_prefix("docker://")?;
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before the last slash belongs to the port of the host.
        Some((before, tag)) if !tag.contains('/') => Some(before),
        _ => Some(name),
    }
}

/// True where the text agrees with the pattern, in which `*` stands for any text, also with slashes.
pub(super) fn agrees(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(place) => text = &text[place + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

fn all_events_agree(pattern: &str, finding: &FindingFacts) -> bool {
    let all_kept = finding.evidence.len() as u64 >= finding.count;
    all_kept && !finding.evidence.is_empty() && finding.evidence.iter().all(|text| agrees(pattern, text))
}

fn exception(node: &Node) -> Result<Exception, Located> {
    let map = Map::new(node, "an exception", &["scope", "reason", "author", "expires"])?;
    Ok(Exception {
        scope: scope(map.need("scope")?)?,
        reason: map.need_text("reason")?,
        author: map.need_text("author")?,
        expires: expires(map.need("expires")?)?,
    })
}

fn scope(node: &Node) -> Result<Scope, Located> {
    let map = Map::new(node, "scope", &["rule", "image", "repository", "event"])?;
    let part = |key| map.read(key, |node, place| read::text(node, place).map(str::to_owned));
    let scope = Scope {
        rule: part("rule")?,
        image: part("image")?,
        repository: part("repository")?,
        event: part("event")?,
    };
    if scope == Scope::default() {
        return Err((node.line, Problem::Empty { place: "scope".into() }));
    }
    if let (Some(digest), Some(value)) = (&scope.image, map.get("image"))
        && !is_digest(digest)
    {
        let expected = "sha256: and 64 lower-case hexadecimal digits".to_owned();
        return Err(read::value(value, "image", digest, expected, None));
    }
    Ok(scope)
}

fn expires(node: &Node) -> Result<Timestamp, Located> {
    let found = read::text(node, "expires")?;
    let expected = "a date (2027-01-31) or a time in RFC 3339".to_owned();
    parse_end(found).ok_or_else(|| read::value(node, "expires", found, expected, None))
}

fn parse_end(text: &str) -> Option<Timestamp> {
    if text.contains(['T', ' ']) {
        return text.parse().ok();
    }
    let last_day: Date = text.parse().ok()?;
    let next = last_day.tomorrow().ok()?;
    TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()
}
