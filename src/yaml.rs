//! Reads YAML into a tree whose every node knows its line.
//!
//! Only the plain part of YAML is read: one document of maps, lists and scalars. Anchors, aliases and
//! tags are refused (nothing here needs them, and aliases can make a small file huge), and so are
//! duplicate keys; size and depth are bounded before anything is built.
//!
//! [`strict`] reads such a tree where only known keys and values are right.
//!
//! Not here: what the keys mean. See [`crate::rule`], [`crate::verdict`].

mod near;
pub(crate) mod strict;

use saphyr_parser::{Event, Parser, ScalarStyle};

pub(crate) use near::nearest;

/// The largest file that is read.
pub const BYTES_MAX: usize = 256 * 1024;
/// The deepest nesting of maps and lists.
pub const DEPTH_MAX: usize = 16;

/// A value of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Counted from 1.
    pub line: usize,
    pub content: Content,
}

/// What stands at a place of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `quoted` tells text from what YAML reads as a number, a truth value or null.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    /// In the order of the file; no key twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map, with its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub line: usize,
    pub text: String,
}

/// Why a file cannot be read as YAML.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum YamlError {
    #[error("the file is larger than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("the file is not UTF-8")]
    NotUtf8,
    #[error("not YAML: {0}")]
    Syntax(String),
    #[error("maps and lists are nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("anchors, aliases and tags are not read")]
    NotPlain,
    #[error("key {0:?} stands twice in one map")]
    DuplicateKey(String),
    #[error("a key must be a plain name")]
    KeyNotScalar,
    #[error("the file must hold exactly one document")]
    NotOneDocument,
}

/// Reads a whole file; errors carry the line they were found at.
pub fn read(bytes: &[u8]) -> Result<Node, (usize, YamlError)> {
    if bytes.len() > BYTES_MAX {
        return Err((1, YamlError::TooLarge));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| (1, YamlError::NotUtf8))?;
    let mut reader = Reader { parser: Parser::new_from_str(text), line: 1 };
    reader.document()
}

impl Node {
    /// The key's value, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Content::Map(entries) = &self.content else { return None };
        entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
    }

    /// What kind of value it is, for error messages.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar { .. } => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}

type Step<'i> = Event<'i>;

struct Reader<'i> {
    parser: Parser<'i, saphyr_parser::StrInput<'i>>,
    line: usize,
}

impl<'i> Reader<'i> {
    fn document(&mut self) -> Result<Node, (usize, YamlError)> {
        let first = loop {
            match self.step()? {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd => return Err((self.line, YamlError::NotOneDocument)),
                event => break event,
            }
        };
        let root = self.node(first, 0)?;
        loop {
            match self.step()? {
                Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(root),
                _ => return Err((self.line, YamlError::NotOneDocument)),
            }
        }
    }

    fn step(&mut self) -> Result<Step<'i>, (usize, YamlError)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => Err((error.marker().line(), YamlError::Syntax(error.info().to_owned()))),
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Step<'i>, depth: usize) -> Result<Node, (usize, YamlError)> {
        let line = self.line;
        if depth > DEPTH_MAX {
            return Err((line, YamlError::TooDeep));
        }
        let content = match event {
            Event::Scalar(text, style, 0, None) => {
                Content::Scalar { text: text.into_owned(), quoted: style != ScalarStyle::Plain }
            }
            Event::SequenceStart(0, None) => self.list(depth)?,
            Event::MappingStart(0, None) => self.map(depth)?,
            _ => return Err((line, YamlError::NotPlain)),
        };
        Ok(Node { line, content })
    }

    fn list(&mut self, depth: usize) -> Result<Content, (usize, YamlError)> {
        let mut items = Vec::new();
        loop {
            match self.step()? {
                Event::SequenceEnd => return Ok(Content::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, (usize, YamlError)> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.step()? {
                Event::MappingEnd => return Ok(Content::Map(entries)),
                Event::Scalar(text, _, 0, None) => Key { line: self.line, text: text.into_owned() },
                Event::Scalar(..) | Event::Alias(_) => return Err((self.line, YamlError::NotPlain)),
                _ => return Err((self.line, YamlError::KeyNotScalar)),
            };
            if entries.iter().any(|(other, _)| other.text == key.text) {
                return Err((key.line, YamlError::DuplicateKey(key.text)));
            }
            let event = self.step()?;
            entries.push((key, self.node(event, depth + 1)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(text: &str, line: usize, error: YamlError) {
        assert_eq!(read(text.as_bytes()), Err((line, error)), "{text}");
    }

    #[test]
    fn every_node_knows_its_line() {
        let root = read(b"a: 1\nb:\n  - x\n  - 'y'\n").unwrap();
        assert_eq!(root.get("a").unwrap().line, 1);
        let Content::List(items) = &root.get("b").unwrap().content else { panic!("{root:?}") };
        assert_eq!(items[1].line, 4);
        assert_eq!(items[1].content, Content::Scalar { text: "y".into(), quoted: true });
    }

    #[test]
    fn what_is_not_plain_yaml_is_refused_with_its_line() {
        fails("a: 1\na: 2\n", 2, YamlError::DuplicateKey("a".into()));
        fails("a: &x 1\nb: *x\n", 1, YamlError::NotPlain);
        fails("a: !!str 1\n", 1, YamlError::NotPlain);
        fails("a: 1\n---\nb: 2\n", 2, YamlError::NotOneDocument);
        fails("[a]: 1\n", 1, YamlError::KeyNotScalar);
        fails("", 1, YamlError::NotOneDocument);
        assert!(matches!(read(b"a: [1\n"), Err((_, YamlError::Syntax(_)))));
        assert_eq!(read(b"a: \xff"), Err((1, YamlError::NotUtf8)));
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let deep = "[".repeat(DEPTH_MAX + 2) + &"]".repeat(DEPTH_MAX + 2);
        fails(&deep, 1, YamlError::TooDeep);
        assert_eq!(read(&vec![b' '; BYTES_MAX + 1]), Err((1, YamlError::TooLarge)));
    }
}
