//! Reads the keys `correlation` and `base` of a rule file.

use std::time::Duration;

use super::{Alias, Base, Correlation, Kind, Name, Scope};
use crate::rule::error::{Problem, nearest};
use crate::rule::metadata::Word;
use crate::rule::parse::Reader;
use crate::yaml::{Content, Node};

const KEYS: [&str; 11] = [
    "type",
    "rules",
    "group-by",
    "aliases",
    "timespan",
    "condition",
    "scope",
    "without",
    "within",
    "absent",
    "until",
];
const CONDITION_KEYS: [&str; 3] = ["gte", "gt", "field"];
const BASE_KEYS: [&str; 2] = ["logsource", "detection"];

/// Larger counts would hold more events than is worth it.
const THRESHOLD_MAX: u64 = 1000;
/// Of `absent`, whose values are kept for each group.
const ABSENT_MAX: u64 = 100;
/// No run is longer.
const TIMESPAN_MAX: Duration = Duration::from_secs(7 * 86_400);
/// More rules in one correlation are a mistake.
const RULES_MAX: usize = 64;

/// Reads a rule's correlation; every fault is told.
pub fn correlation(root: &mut Reader<'_, '_, '_>) -> Option<Correlation> {
    for key in ["logsource", "detection"] {
        if let Some(node) = root.root.get(key) {
            root.faults.add(node.line, Problem::NotTogether { first: key, second: "correlation" });
        }
    }
    let base = base(root);
    let mut read = inner(root, "correlation", &KEYS)?;
    let kind: Option<Kind> = read.word("type");
    let rules = read.required("rules").and(names(&mut read, "rules"));
    let (without, until) = (names(&mut read, "without"), names(&mut read, "until"));
    let (within, absent) = (within(&mut read)?, absent(&mut read)?);
    let group_by = names(&mut read, "group-by");
    let aliases = aliases(&mut read);
    let timespan = timespan(&mut read, "timespan");
    let scope = read.root.get("scope").map_or(Some(Scope::Run), |_| read.word("scope"));
    let (threshold, field) = kind.and_then(|kind| condition(&mut read, kind))?;
    let rules = rules?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        let line = read.root.line;
        let expected = format!("a list of 1 to {RULES_MAX} names");
        let value = format!("{} names", rules.len());
        read.faults.add(line, Problem::Value { key: "rules", value, expected, nearest: None });
        return None;
    }
    Some(Correlation {
        kind: kind?,
        scope: scope?,
        timespan: timespan?,
        rules,
        without: without?,
        until: until?,
        within,
        absent,
        group_by: group_by?,
        aliases: aliases?,
        threshold,
        field,
        base: base?,
    })
}

/// The map under `key`, which has only the known keys.
fn inner<'s, 'r, 'n>(
    outer: &'s mut Reader<'r, '_, 'n>,
    key: &'static str,
    known: &[&'static str],
) -> Option<Reader<'r, 's, 'n>> {
    let node = outer.required(key)?;
    let mut read = Reader { root: node, faults: &mut *outer.faults };
    read.only(key, known).then_some(read)
}

/// A list of names; absent is empty.
fn names(read: &mut Reader<'_, '_, '_>, key: &'static str) -> Option<Vec<Name>> {
    let Some(node) = read.root.get(key) else { return Some(Vec::new()) };
    let texts = read.texts(key)?;
    let Content::List(items) = &node.content else { return None };
    let names: Vec<Name> =
        texts.into_iter().zip(items).map(|(text, item)| Name { line: item.line, text }).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].iter().any(|other| other.text == name.text) {
            read.faults.add(name.line, Problem::NamedTwice { key, name: name.text.clone() });
            return None;
        }
    }
    Some(names)
}

/// `alias: {rule: field, …}`.
fn aliases(read: &mut Reader<'_, '_, '_>) -> Option<Vec<Alias>> {
    let Some(node) = read.root.get("aliases") else { return Some(Vec::new()) };
    entries("aliases", node, read)?
        .iter()
        .map(|(key, node)| {
            let fields = entries("aliases", node, read)?.iter().map(|(rule, field)| {
                let rule_name = Name { line: rule.line, text: rule.text.clone() };
                let text = read.scalar("aliases", field)?;
                Some((rule_name, Name { line: field.line, text }))
            });
            let fields = fields.collect::<Option<_>>()?;
            Some(Alias { name: Name { line: key.line, text: key.text.clone() }, fields })
        })
        .collect()
}

type Entries = [(crate::yaml::Key, Node)];

fn entries<'n>(what: &str, node: &'n Node, read: &mut Reader<'_, '_, '_>) -> Option<&'n Entries> {
    let Content::Map(entries) = &node.content else {
        let (what, found) = (what.to_owned(), node.kind());
        read.faults.add(node.line, Problem::Shape { what, expected: "a map", found });
        return None;
    };
    Some(entries)
}

/// `10s`, `5m`, `1h`, `1d`.
fn timespan(read: &mut Reader<'_, '_, '_>, key: &'static str) -> Option<Duration> {
    let text = read.shaped(key, "a time, as 10s, 5m, 1h or 7d (at most)", |text| span(text).is_some())?;
    span(&text)
}

fn span(text: &str) -> Option<Duration> {
    let (unit, digits) = text.as_bytes().split_last()?;
    let seconds = match unit {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let span = Duration::from_secs(number.checked_mul(seconds)?);
    (number > 0 && span <= TIMESPAN_MAX).then_some(span)
}

/// `condition: {gte: 20, field: …}`: which parts it must and may have depends on the type.
fn condition(read: &mut Reader<'_, '_, '_>, kind: Kind) -> Option<(Option<u64>, Option<Name>)> {
    let counts = matches!(kind, Kind::EventCount | Kind::ValueCount);
    let Some(node) = read.root.get("condition") else {
        if counts {
            read.faults.add(read.root.line, Problem::Missing { key: "condition" });
        }
        return (!counts).then_some((None, None));
    };
    let mut inner = inner(read, "condition", &CONDITION_KEYS)?;
    let threshold = threshold(&mut inner)?;
    let line = node.get("field").map_or(node.line, |field| field.line);
    match (kind, node.get("field").is_some()) {
        (Kind::EventCount, true) => {
            inner.faults.add(line, Problem::NotTogether { first: "field", second: kind.name() });
            None
        }
        (Kind::ValueCount, _) | (_, true) => {
            Some((Some(threshold), Some(Name { line, text: inner.text("field")? })))
        }
        // Only every rule in its order can be asked for.
        (Kind::TemporalOrdered, false) => {
            inner.faults.add(line, Problem::Missing { key: "field" });
            None
        }
        (_, false) => Some((Some(threshold), None)),
    }
}

/// Of `without`: how near.
fn within(read: &mut Reader<'_, '_, '_>) -> Option<Option<Duration>> {
    let Some(node) = read.root.get("within") else { return Some(None) };
    if read.root.get("without").is_none() {
        read.faults.add(node.line, Problem::Missing { key: "without" });
        return None;
    }
    timespan(read, "within").map(Some)
}

/// Of `without`: how many different values of which field. Each is kept, so the number is small.
fn absent(read: &mut Reader<'_, '_, '_>) -> Option<Option<(u64, Name)>> {
    let Some(node) = read.root.get("absent") else { return Some(None) };
    if read.root.get("without").is_none() {
        read.faults.add(node.line, Problem::Missing { key: "without" });
        return None;
    }
    let mut inner = inner(read, "absent", &["gte", "field"])?;
    let fits = |text: &str| text.parse::<u64>().is_ok_and(|number| (2..=ABSENT_MAX).contains(&number));
    let number = inner.shaped("gte", "a number from 2 to 100", fits)?;
    let line = node.get("field").map_or(node.line, |field| field.line);
    let field = Name { line, text: inner.text("field")? };
    Some(Some((number.parse().ok()?, field)))
}

fn threshold(read: &mut Reader<'_, '_, '_>) -> Option<u64> {
    let (key, more) = match (read.root.get("gte"), read.root.get("gt")) {
        (Some(_), Some(node)) => {
            read.faults.add(node.line, Problem::NotTogether { first: "gt", second: "gte" });
            return None;
        }
        (None, Some(_)) => ("gt", 1),
        _ => ("gte", 0),
    };
    let fits = |text: &str| text.parse::<u64>().is_ok_and(|number| number > 0 && number < THRESHOLD_MAX);
    let text = read.shaped(key, "a number from 1 to 999", fits)?;
    text.parse().ok().map(|number: u64| number + more)
}

/// `base`: the file's own detections.
fn base(root: &mut Reader<'_, '_, '_>) -> Option<Vec<Base>> {
    let Some(node) = root.root.get("base") else { return Some(Vec::new()) };
    let mut found = Some(Vec::new());
    for (key, node) in entries("base", node, root)? {
        let mut read = Reader { root: node, faults: &mut *root.faults };
        let whole = read.only("base", &BASE_KEYS);
        let one = whole.then(|| read.category()).flatten().and_then(|category| {
            let name = Name { line: key.line, text: key.text.clone() };
            Some(Base { name, category, detection: read.detection(category)?.into() })
        });
        found = found.zip(one).map(|(mut all, one)| {
            all.push(one);
            all
        });
    }
    found
}

impl Reader<'_, '_, '_> {
    /// True where this is a map; keys that are not known are faults.
    pub fn only(&mut self, what: &str, known: &[&'static str]) -> bool {
        let node = self.root;
        let Some(entries) = entries(what, node, self) else { return false };
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
            let nearest = nearest(&key.text, known.iter().copied());
            self.faults.add(key.line, Problem::UnknownKey { name: key.text.clone(), nearest });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timespan_has_a_number_and_a_unit() {
        let check = |text, seconds: Option<u64>| {
            assert_eq!(span(text), seconds.map(Duration::from_secs), "{text}");
        };
        check("10s", Some(10));
        check("5m", Some(300));
        check("1h", Some(3_600));
        check("7d", Some(604_800));
        check("8d", None);
        check("0s", None);
        check("10", None);
        check("s", None);
        check("-1s", None);
        check("99999999999999999999s", None);
    }
}
