//! Compiles selections: maps of `field|modifiers: values`, typed against the table of fields.

use std::sync::Arc;

use super::check::{Check, Compare, Network, Pattern, Test, wildcard};
use super::detection::{Expr, Selection, one_or};
use super::error::{Problem, nearest};
use super::field::{Category, Field, Kind, field, fields};
use crate::yaml::{Content, Key, Node};

/// A problem and its line.
pub type Fault = (usize, Problem);

/// Compiles one selection of a rule about `category`.
pub fn compile(name: &Key, node: &Node, category: Category) -> Result<Selection, Fault> {
    let expr = match &node.content {
        Content::Map(entries) => map(name, entries, category)?,
        Content::List(items) if items.is_empty() => return Err(empty(name)),
        Content::List(items) => {
            let parts = items.iter().map(|item| match &item.content {
                Content::Map(entries) => map(name, entries, category),
                _ => Err(not_a_map(name, item)),
            });
            one_or(parts.collect::<Result<_, _>>()?, Expr::Any)
        }
        Content::Scalar { .. } => return Err(not_a_map(name, node)),
    };
    Ok(Selection { name: name.text.clone(), line: name.line, expr: Arc::new(expr), used: false })
}

fn map(name: &Key, entries: &[(Key, Node)], category: Category) -> Result<Expr, Fault> {
    if entries.is_empty() {
        return Err(empty(name));
    }
    let parts = entries.iter().map(|(key, values)| entry(key, values, category));
    Ok(one_or(parts.collect::<Result<_, _>>()?, Expr::All))
}

fn empty(name: &Key) -> Fault {
    (name.line, Problem::EmptySelection { name: name.text.clone() })
}

fn not_a_map(name: &Key, node: &Node) -> Fault {
    let what = format!("selection {:?}", name.text);
    (node.line, Problem::Shape { what, expected: "a map or a list of maps", found: node.kind() })
}

/// `field|modifier|…: value` or a list of values.
fn entry(key: &Key, values: &Node, category: Category) -> Result<Expr, Fault> {
    let at = |problem| (key.line, problem);
    let mut words = key.text.split('|');
    let field = known_field(words.next().unwrap_or_default(), category).map_err(at)?;
    let modifiers = Modifiers::parse(words, field).map_err(at)?;
    let join = if modifiers.all { Expr::All } else { Expr::Any };
    let parts = match &values.content {
        Content::List(items) if items.is_empty() => {
            return Err(at(Problem::EmptySelection { name: key.text.clone() }));
        }
        Content::List(items) => items.iter().map(|item| value(field, &modifiers, item)).collect(),
        _ => value(field, &modifiers, values).map(|test| vec![test]),
    };
    Ok(one_or(parts?, join))
}

fn known_field(name: &str, category: Category) -> Result<&'static Field, Problem> {
    let Some(field) = field(name) else {
        let known = fields().filter(|field| field.categories.contains(&category));
        let nearest = nearest(name, known.map(|field| field.name));
        return Err(Problem::UnknownField { name: name.to_owned(), nearest });
    };
    if field.categories.contains(&category) {
        return Ok(field);
    }
    Err(Problem::FieldNotInCategory { field: field.name, category: category.name() })
}

/// How the values of an entry are compared.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Equal,
    Contains,
    Starts,
    Ends,
    Regex,
    Cidr,
    Exists,
    Compare(Compare),
}

struct Modifiers {
    how: How,
    /// The word that chose `how`, for messages.
    chosen_by: String,
    all: bool,
    regex_flags: Vec<char>,
}

const MODIFIERS: [&str; 15] = [
    "contains",
    "startswith",
    "endswith",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "exists",
    "lt",
    "lte",
    "gt",
    "gte",
    "all",
    "cased",
];

impl Modifiers {
    fn parse<'w>(words: impl Iterator<Item = &'w str>, field: &'static Field) -> Result<Modifiers, Problem> {
        let mut modifiers =
            Modifiers { how: How::Equal, chosen_by: String::new(), all: false, regex_flags: Vec::new() };
        for word in words {
            modifiers.add(word)?;
        }
        if !modifiers.fit(field) {
            let (modifier, kind) = (modifiers.chosen_by, field.kind().name());
            return Err(Problem::ModifierNotForField { modifier, field: field.name, kind });
        }
        Ok(modifiers)
    }

    fn add(&mut self, word: &str) -> Result<(), Problem> {
        let how = match word {
            "contains" => How::Contains,
            "startswith" => How::Starts,
            "endswith" => How::Ends,
            "re" => How::Regex,
            "cidr" => How::Cidr,
            "exists" => How::Exists,
            "lt" => How::Compare(Compare::Less),
            "lte" => How::Compare(Compare::LessOrEqual),
            "gt" => How::Compare(Compare::Greater),
            "gte" => How::Compare(Compare::GreaterOrEqual),
            "i" | "m" | "s" if self.how == How::Regex => {
                self.regex_flags.extend(word.chars());
                return Ok(());
            }
            "all" => {
                self.all = true;
                return Ok(());
            }
            // Matching always minds the case; Sigma's word for it changes nothing.
            "cased" => return Ok(()),
            _ => {
                let (name, nearest) = (word.to_owned(), nearest(word, MODIFIERS));
                return Err(Problem::UnknownModifier { name, nearest });
            }
        };
        if self.how != How::Equal {
            let (first, second) = (self.chosen_by.clone(), word.to_owned());
            return Err(Problem::ModifiersClash { first, second });
        }
        (self.how, self.chosen_by) = (how, word.to_owned());
        Ok(())
    }

    fn fit(&self, field: &Field) -> bool {
        match self.how {
            How::Equal | How::Exists => true,
            How::Contains | How::Starts | How::Ends | How::Regex => field.kind() == Kind::Text,
            How::Cidr => field.kind() == Kind::Address,
            How::Compare(_) => field.kind() == Kind::Number,
        }
    }
}

fn value(field: &'static Field, modifiers: &Modifiers, node: &Node) -> Result<Expr, Fault> {
    let at = |problem| (node.line, problem);
    let Content::Scalar { text, quoted } = &node.content else {
        let what = format!("a value of {:?}", field.name);
        return Err(at(Problem::Shape { what, expected: "a single value", found: node.kind() }));
    };
    let check = if modifiers.how == How::Exists {
        Check::Exists(truth(text).ok_or_else(|| at(wrong(field, text, "write true or false")))?)
    } else if !quoted && matches!(text.as_str(), "null" | "~" | "") {
        Check::Exists(false)
    } else {
        check(field, modifiers, text, *quoted).map_err(at)?
    };
    Ok(Expr::Test(Test { field, check }))
}

fn check(field: &'static Field, modifiers: &Modifiers, text: &str, quoted: bool) -> Result<Check, Problem> {
    match field.kind() {
        Kind::Text if !quoted && is_typed(text) => Err(wrong(field, text, "put text in quotes")),
        Kind::Text => Ok(Check::Text(pattern(field, modifiers, text)?)),
        _ if quoted => Err(wrong(field, text, "leave the quotes out")),
        Kind::Number => {
            let number = number(text).ok_or_else(|| wrong(field, text, ""))?;
            let compare = if let How::Compare(compare) = modifiers.how { compare } else { Compare::Equal };
            Ok(Check::Number(compare, number))
        }
        Kind::Flag => Ok(Check::Flag(truth(text).ok_or_else(|| wrong(field, text, ""))?)),
        Kind::Address => match Network::parse(text) {
            Some(network) if modifiers.how == How::Cidr || !text.contains('/') => Ok(Check::Address(network)),
            Some(_) => Err(wrong(field, text, "networks need the modifier 'cidr'")),
            None => Err(wrong(field, text, "bits below the prefix must be zero")),
        },
    }
}

fn pattern(field: &'static Field, modifiers: &Modifiers, text: &str) -> Result<Pattern, Problem> {
    let refused = |error: regex::Error| Problem::Regex {
        pattern: text.to_owned(),
        reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    };
    let closed = matches!(modifiers.how, How::Equal | How::Regex);
    if text.is_empty() && !closed {
        return Err(wrong(field, text, "an empty text is in everything"));
    }
    let open = |how: How| modifiers.how == how || modifiers.how == How::Contains;
    let pattern = match modifiers.how {
        How::Regex => Pattern::regex(text, &modifiers.regex_flags),
        _ => wildcard(text, open(How::Ends), open(How::Starts)),
    };
    match pattern.map_err(refused)? {
        Pattern::Equals(_) if !field.values.is_empty() && !field.values.contains(&text) => {
            let nearest = nearest(text, field.values.iter().copied());
            Err(Problem::NeverEquals { field: field.name, value: text.to_owned(), nearest })
        }
        pattern => Ok(pattern),
    }
}

fn wrong(field: &'static Field, value: &str, hint: &'static str) -> Problem {
    Problem::WrongType { field: field.name, kind: field.kind().name(), value: value.to_owned(), hint }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Decimal, `0x` or `0o`.
fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix("0o") {
        Some(digits) => u64::from_str_radix(digits, 8).ok(),
        None => text.parse().ok(),
    }
}

/// True for what YAML reads as something else than text.
fn is_typed(text: &str) -> bool {
    truth(text).is_some() || number(text).is_some() || text.parse::<f64>().is_ok()
}
