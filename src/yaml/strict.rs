//! Reads what people write (policies, exceptions, scenarios) out of YAML, strictly: what is not known is
//! an error, with its line and the word that was probably meant.

use std::time::Duration;

use super::{Content, Node, YamlError, nearest};

/// A problem in one file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct FileError {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub problem: Box<Problem>,
}

/// What is wrong. The text names the object and the rule it broke.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    #[error(transparent)]
    Yaml(YamlError),
    #[error("unknown key {key:?} in {place}{}", suggestion(.nearest))]
    UnknownKey { key: String, place: String, nearest: Option<String> },
    #[error("{place} has no {key:?}")]
    Missing { key: &'static str, place: String },
    #[error("{place} must be {expected}, not {found}")]
    Shape { place: String, expected: &'static str, found: &'static str },
    #[error("{place} is {value:?}, but must be {expected}{}", suggestion(.nearest))]
    Value { place: String, value: String, expected: String, nearest: Option<String> },
    #[error("{place} must not be empty")]
    Empty { place: String },
}

/// An error before the file's name is known.
pub(crate) type Located = (usize, Problem);

pub(crate) fn root<T>(
    file: &str,
    bytes: &[u8],
    parse: impl FnOnce(&Node) -> Result<T, Located>,
) -> Result<T, FileError> {
    super::read(bytes)
        .map_err(|(line, error)| (line, Problem::Yaml(error)))
        .and_then(|node| parse(&node))
        .map_err(|(line, problem)| FileError { file: file.to_owned(), line, problem: Box::new(problem) })
}

/// A map whose keys are all known.
pub(crate) struct Map<'a> {
    place: String,
    node: &'a Node,
}

impl<'a> Map<'a> {
    pub fn new(node: &'a Node, place: &str, known: &[&'static str]) -> Result<Self, Located> {
        for (key, line, _) in entries(node, place)? {
            if !known.contains(&key) {
                let nearest = nearest(key, known.iter().copied());
                let problem = Problem::UnknownKey { key: key.to_owned(), place: place.to_owned(), nearest };
                return Err((line, problem));
            }
        }
        Ok(Self { place: place.to_owned(), node })
    }

    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key)
    }

    pub fn need(&self, key: &'static str) -> Result<&'a Node, Located> {
        let missing = || (self.node.line, Problem::Missing { key, place: self.place.clone() });
        self.get(key).ok_or_else(missing)
    }

    /// Reads the key's value, where it is there.
    pub fn read<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&'a Node, &str) -> Result<T, Located>,
    ) -> Result<Option<T>, Located> {
        self.get(key).map(|node| parse(node, key)).transpose()
    }

    pub fn need_text(&self, key: &'static str) -> Result<String, Located> {
        let node = self.need(key)?;
        let value = text(node, key)?;
        if value.trim().is_empty() {
            return Err((node.line, Problem::Empty { place: key.to_owned() }));
        }
        Ok(value.to_owned())
    }
}

/// Keys, their lines and their values.
pub(crate) fn entries<'a>(node: &'a Node, place: &str) -> Result<Vec<(&'a str, usize, &'a Node)>, Located> {
    match &node.content {
        Content::Map(list) => {
            Ok(list.iter().map(|(key, value)| (key.text.as_str(), key.line, value)).collect())
        }
        _ => Err(shape(node, place, "a map")),
    }
}

pub(crate) fn list<'a>(node: &'a Node, place: &str) -> Result<&'a [Node], Located> {
    match &node.content {
        Content::List(items) => Ok(items),
        _ => Err(shape(node, place, "a list")),
    }
}

pub(crate) fn text<'a>(node: &'a Node, place: &str) -> Result<&'a str, Located> {
    match &node.content {
        Content::Scalar { text, .. } => Ok(text),
        _ => Err(shape(node, place, "a single value")),
    }
}

pub(crate) fn texts(node: &Node, place: &str) -> Result<Vec<String>, Located> {
    list(node, place)?.iter().map(|item| text(item, place).map(str::to_owned)).collect()
}

/// One of the named values.
pub(crate) fn choice<T: Copy>(
    node: &Node,
    place: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Located> {
    let found = text(node, place)?;
    all.iter().copied().find(|value| name(*value) == found).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|value| name(*value)).collect();
        let near = nearest(found, names.iter().copied());
        value(node, place, found, format!("one of {}", names.join(", ")), near)
    })
}

/// `90s`, `5m`, `2h`, `30d`.
pub(crate) fn duration(node: &Node, place: &str) -> Result<Duration, Located> {
    let found = text(node, place)?;
    parse_duration(found).ok_or_else(|| {
        value(node, place, found, "a whole number with its unit (90s, 5m, 2h, 30d)".into(), None)
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let time = number.parse::<u32>().ok()?;
    Some(Duration::from_secs(u64::from(time) * seconds))
}

pub(crate) fn value(
    node: &Node,
    place: &str,
    found: &str,
    expected: String,
    nearest: Option<String>,
) -> Located {
    (node.line, Problem::Value { place: place.to_owned(), value: found.to_owned(), expected, nearest })
}

fn shape(node: &Node, place: &str, expected: &'static str) -> Located {
    (node.line, Problem::Shape { place: place.to_owned(), expected, found: node.kind() })
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}
