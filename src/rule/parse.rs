//! Reads a rule file: metadata, log source, detection. Collects every problem of a file, not only the
//! first, each with its line.

use sha2::{Digest, Sha256};

use super::attack::{self, Lookup};
use super::correlation;
use super::detection::{Expr, condition};
use super::error::{Problem, RuleError, nearest};
use super::field::{Category, Field, field, fields};
use super::metadata::{Body, Rule, Word};
use super::selection;
use crate::yaml::{self, Content, Node};

/// Reads one rule; `file` is its path as messages show it, its stem is the rule's name.
pub fn rule(file: &str, bytes: &[u8]) -> Result<Rule, Vec<RuleError>> {
    let mut faults = Faults { file, found: Vec::new() };
    let rule = Some(()).and_then(|()| {
        let name = stem(file, &mut faults)?;
        let root = faults.take(yaml::read(bytes).map_err(|(line, error)| (line, error.into())))?;
        build(file, name, &root, Sha256::digest(bytes).into(), &mut faults)
    });
    match rule {
        Some(rule) if faults.found.is_empty() => Ok(rule),
        _ => Err(faults.found),
    }
}

pub(super) struct Faults<'f> {
    file: &'f str,
    found: Vec<RuleError>,
}

impl Faults<'_> {
    pub fn add(&mut self, line: usize, problem: Problem) {
        self.found.push(RuleError { file: self.file.to_owned(), line, problem });
    }

    fn take<T>(&mut self, result: Result<T, (usize, Problem)>) -> Option<T> {
        result.map_err(|(line, problem)| self.add(line, problem)).ok()
    }
}

fn stem(file: &str, faults: &mut Faults<'_>) -> Option<String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match stem.filter(|stem| !stem.is_empty() && stem.bytes().all(plain)) {
        Some(stem) => Some(stem.to_owned()),
        None => {
            faults.add(1, Problem::FileName);
            None
        }
    }
}

const KEYS: [&str; 21] = [
    "title",
    "id",
    "status",
    "description",
    "references",
    "author",
    "date",
    "modified",
    "tags",
    "level",
    "class",
    "confidence",
    "falsepositives",
    "meaning",
    "advice",
    "identity",
    "logsource",
    "detection",
    "correlation",
    "base",
    "license",
];

/// Every part is read even where an earlier one is wrong, so that all problems are told at once.
fn build(file: &str, name: String, root: &Node, digest: [u8; 32], faults: &mut Faults<'_>) -> Option<Rule> {
    let mut read = Reader { root, faults };
    read.keys()?;
    let title = read.text("title");
    let id = read.id();
    let status = read.word("status");
    let description = read.text("description");
    let references = read.texts("references");
    let author = read.text("author");
    let date = read.date();
    let techniques = read.techniques();
    let level = read.word("level");
    let class = read.word("class");
    let confidence = read.word("confidence");
    let false_positives = read.required("falsepositives").and(read.texts("falsepositives"));
    let meaning = read.text("meaning");
    let advice = read.text("advice");
    let (identity, body) = read.body();
    Some(Rule {
        name,
        file: file.to_owned(),
        id: id?,
        title: title?,
        status: status?,
        description: description?,
        references: references.unwrap_or_default(),
        author: author?,
        date: date?,
        techniques: techniques?,
        level: level?,
        class: class?,
        confidence: confidence?,
        false_positives: false_positives?,
        meaning: meaning?,
        advice: advice?,
        identity: identity?,
        digest,
        body: body?,
    })
}

pub(super) struct Reader<'r, 'f, 'n> {
    pub root: &'r Node,
    pub faults: &'f mut Faults<'n>,
}

impl<'r> Reader<'r, '_, '_> {
    /// Refuses keys that no rule has.
    fn keys(&mut self) -> Option<()> {
        let Content::Map(entries) = &self.root.content else {
            let found = self.root.kind();
            self.faults.add(1, Problem::Shape { what: "a rule".to_owned(), expected: "a map", found });
            return None;
        };
        for (key, _) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.text.as_str())) {
            let nearest = nearest(&key.text, KEYS);
            self.faults.add(key.line, Problem::UnknownKey { name: key.text.clone(), nearest });
        }
        Some(())
    }

    pub fn required(&mut self, key: &'static str) -> Option<&'r Node> {
        let node = self.root.get(key);
        if node.is_none() {
            self.faults.add(self.root.line, Problem::Missing { key });
        }
        node
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.required(key)?;
        scalar(key, node, self.faults).map(|text| text.trim_end().to_owned())
    }

    /// A list of texts; absent is `None` and no fault.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let node = self.root.get(key)?;
        let Content::List(items) = &node.content else {
            let (what, found) = (key.to_owned(), node.kind());
            self.faults.add(node.line, Problem::Shape { what, expected: "a list", found });
            return None;
        };
        items.iter().map(|item| scalar(key, item, self.faults)).collect()
    }

    pub fn word<W: Word>(&mut self, key: &'static str) -> Option<W> {
        let node = self.required(key)?;
        let text = scalar(key, node, self.faults)?;
        let names = W::ALL.iter().map(|word| word.name());
        W::parse(&text).or_else(|| {
            let expected = format!("one of {}", names.clone().collect::<Vec<_>>().join(", "));
            let nearest = nearest(&text, names);
            self.faults.add(node.line, Problem::Value { key, value: text, expected, nearest });
            None
        })
    }

    pub fn shaped(&mut self, key: &'static str, expected: &str, fits: fn(&str) -> bool) -> Option<String> {
        let node = self.required(key)?;
        let value = scalar(key, node, self.faults)?;
        if fits(&value) {
            return Some(value);
        }
        let expected = expected.to_owned();
        self.faults.add(node.line, Problem::Value { key, value, expected, nearest: None });
        None
    }

    fn id(&mut self) -> Option<String> {
        let is_uuid = |text: &str| {
            let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == 36
                && text.bytes().enumerate().all(|(at, byte)| match at {
                    8 | 13 | 18 | 23 => byte == b'-',
                    _ => lower_hex(byte),
                })
        };
        self.shaped("id", "a UUID in lower case", is_uuid)
    }

    fn date(&mut self) -> Option<String> {
        self.shaped("date", "a date, YYYY-MM-DD", |text| text.parse::<jiff::civil::Date>().is_ok())
    }

    fn techniques(&mut self) -> Option<Vec<&'static attack::Technique>> {
        let node = self.required("tags")?;
        let tags = self.texts("tags")?;
        let lines: Vec<usize> = match &node.content {
            Content::List(items) => items.iter().map(|item| item.line).collect(),
            _ => Vec::new(),
        };
        let before = self.faults.found.len();
        let mut techniques = Vec::new();
        for (tag, line) in tags.iter().zip(lines) {
            techniques.extend(self.faults.take(technique(tag).map_err(|problem| (line, problem))).flatten());
        }
        if techniques.is_empty() && self.faults.found.len() == before {
            self.faults.add(node.line, Problem::NoTechnique);
        }
        (!techniques.is_empty()).then_some(techniques)
    }

    /// What the rule detects, and the fields of its identity.
    fn body(&mut self) -> (Option<Vec<&'static Field>>, Option<Body>) {
        if self.root.get("correlation").is_some() {
            return (
                self.identity(None),
                correlation::correlation(self).map(Box::new).map(Body::Correlation),
            );
        }
        if let Some(node) = self.root.get("base") {
            self.faults.add(node.line, Problem::NotTogether { first: "base", second: "detection" });
        }
        let category = self.category();
        let identity = self.identity(category);
        let body = category
            .and_then(|category| Some(Body::Event { category, detection: self.detection(category)?.into() }));
        (identity, body)
    }

    pub fn scalar(&mut self, key: &str, node: &Node) -> Option<String> {
        scalar(key, node, self.faults)
    }

    /// `logsource: {product: lazaret, category: …}`.
    pub fn category(&mut self) -> Option<Category> {
        let source = self.required("logsource")?;
        let mut inner = Reader { root: source, faults: &mut *self.faults };
        let product = inner.shaped("product", "lazaret", |text| text == "lazaret");
        product.and(inner.word("category"))
    }

    fn identity(&mut self, category: Option<Category>) -> Option<Vec<&'static Field>> {
        let Some(node) = self.root.get("identity") else { return Some(Vec::new()) };
        let names = self.texts("identity")?;
        let fields = names.iter().map(|name| stable_field(name, category));
        let fields: Result<_, _> = fields.collect();
        self.faults.take(fields.map_err(|problem| (node.line, problem)))
    }

    pub fn detection(&mut self, category: Category) -> Option<Expr> {
        let node = self.required("detection")?;
        let Content::Map(entries) = &node.content else {
            let (what, found) = ("detection".to_owned(), node.kind());
            self.faults.add(node.line, Problem::Shape { what, expected: "a map", found });
            return None;
        };
        let mut selections = Vec::new();
        let mut whole = true;
        for (key, node) in entries.iter().filter(|(key, _)| key.text != "condition") {
            let selection = self.faults.take(selection::compile(key, node, category));
            whole &= selection.is_some();
            selections.extend(selection);
        }
        let mut inner = Reader { root: node, faults: &mut *self.faults };
        let (line, text) = (node.get("condition").map_or(node.line, |it| it.line), inner.text("condition")?);
        if !whole {
            return None;
        }
        let expr = self.faults.take(condition(&text, &mut selections).map_err(|problem| (line, problem)))?;
        for unused in selections.iter().filter(|selection| !selection.used) {
            self.faults.add(unused.line, Problem::UnusedSelection { name: unused.name.clone() });
        }
        Some(expr)
    }
}

fn scalar(key: &str, node: &Node, faults: &mut Faults<'_>) -> Option<String> {
    match &node.content {
        Content::Scalar { text, .. } if !text.trim().is_empty() => Some(text.clone()),
        Content::Scalar { .. } => {
            let what = key.to_owned();
            faults.add(node.line, Problem::Shape { what, expected: "text", found: "empty" });
            None
        }
        _ => {
            let (what, found) = (key.to_owned(), node.kind());
            faults.add(node.line, Problem::Shape { what, expected: "a single value", found });
            None
        }
    }
}

/// A tag names a technique, or (and then it says nothing new) a tactic.
fn technique(tag: &str) -> Result<Option<&'static attack::Technique>, Problem> {
    let unknown = |nearest| Problem::UnknownTag { tag: tag.to_owned(), nearest };
    let Some(name) = tag.strip_prefix("attack.") else { return Err(unknown(None)) };
    if attack::tactic(name).is_some() {
        return Ok(None);
    }
    let is_id = name.strip_prefix('t').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if !is_id {
        let tactics = attack::tactics().iter().map(|tactic| tactic.short_name.as_str());
        return Err(unknown(nearest(name, tactics).map(|name| format!("attack.{name}"))));
    }
    let id = name.to_uppercase();
    match attack::technique(&id) {
        Lookup::Known(technique) => Ok(Some(technique)),
        Lookup::Retired(by) => Err(Problem::RetiredTechnique { id, replaced_by: by.map(str::to_owned) }),
        Lookup::Unknown => Err(Problem::UnknownTechnique { id }),
    }
}

fn stable_field(name: &str, category: Option<Category>) -> Result<&'static Field, Problem> {
    let Some(field) = field(name) else {
        let known = fields().filter(|field| field.stable).map(|field| field.name);
        return Err(Problem::UnknownField { name: name.to_owned(), nearest: nearest(name, known) });
    };
    if !field.stable {
        return Err(Problem::UnstableIdentity { field: field.name });
    }
    match category.filter(|category| !field.categories.contains(category)) {
        Some(category) => Err(Problem::FieldNotInCategory { field: field.name, category: category.name() }),
        None => Ok(field),
    }
}
