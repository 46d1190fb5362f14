//! What a rule detects: selections and a condition, compiled to one expression over tests.
//!
//! Grammar: Sigma's. A selection is a map (all entries hold) or a list of maps (one of them holds); an
//! entry is `field|modifier: value`, where one value of a list is enough unless `all` is given. The
//! condition joins selections with `and`, `or`, `not`, parentheses, `1 of PATTERN`, `all of PATTERN`.

use std::sync::Arc;

use super::check::Test;
use super::error::{Problem, nearest};
use super::subject::Subject;

/// An expression over tests.
#[derive(Clone, Debug)]
pub enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    /// A selection, shared by all places of the condition that name it.
    Selection(Arc<Expr>),
    Test(Test),
}

impl Expr {
    pub fn holds(&self, subject: Subject<'_>) -> bool {
        match self {
            Expr::All(parts) => parts.iter().all(|part| part.holds(subject)),
            Expr::Any(parts) => parts.iter().any(|part| part.holds(subject)),
            Expr::Not(part) => !part.holds(subject),
            Expr::Selection(part) => part.holds(subject),
            Expr::Test(test) => test.holds(subject),
        }
    }

    /// The same, with what costs little before what costs much: most events fail a rule by a word or a number,
    /// and no expression need be asked.
    pub fn cheapest_first(&self) -> Expr {
        let sorted = |parts: &[Expr]| {
            let mut parts: Vec<Expr> = parts.iter().map(Expr::cheapest_first).collect();
            parts.sort_by_cached_key(Expr::cost);
            parts
        };
        match self {
            Expr::All(parts) => Expr::All(sorted(parts)),
            Expr::Any(parts) => Expr::Any(sorted(parts)),
            Expr::Not(part) => Expr::Not(Box::new(part.cheapest_first())),
            Expr::Selection(part) => part.cheapest_first(),
            Expr::Test(test) => Expr::Test(test.clone()),
        }
    }

    /// What asking it takes at most, in comparisons of a word.
    fn cost(&self) -> usize {
        match self {
            Expr::All(parts) | Expr::Any(parts) => parts.iter().map(Expr::cost).sum(),
            // Exceptions hardly ever hold, so they sift little.
            Expr::Not(part) => 4 * part.cost(),
            Expr::Selection(part) => part.cost(),
            Expr::Test(test) => test.cost(),
        }
    }

    /// What the program alone decides: `Some(false)` where no event of it can match, `None` where that
    /// depends on the event.
    pub fn decided_by_program(&self, subject: Subject<'_>) -> Option<bool> {
        match self {
            Expr::All(parts) => {
                let decided = parts.iter().map(|part| part.decided_by_program(subject));
                join(decided, false)
            }
            Expr::Any(parts) => {
                let decided = parts.iter().map(|part| part.decided_by_program(subject));
                join(decided, true)
            }
            Expr::Not(part) => part.decided_by_program(subject).map(|holds| !holds),
            Expr::Selection(part) => part.decided_by_program(subject),
            Expr::Test(test) => test.field.of_program.then(|| test.holds(subject)),
        }
    }

    /// The facts that made it hold, in the order of the rule; each field once.
    pub fn facts(&self, subject: Subject<'_>, facts: &mut Vec<(&'static str, Vec<u8>)>) {
        match self {
            Expr::All(parts) | Expr::Any(parts) => {
                parts.iter().filter(|part| part.holds(subject)).for_each(|part| part.facts(subject, facts));
            }
            Expr::Not(_) => {}
            Expr::Selection(part) => part.facts(subject, facts),
            Expr::Test(test) => {
                let name = test.field.name;
                let value = test.witness(subject).filter(|_| facts.iter().all(|(other, _)| *other != name));
                facts.extend(value.map(|value| (name, value)));
            }
        }
    }
}

/// Three-valued all (`decisive` false) or any (`decisive` true).
fn join(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut answer = Some(!decisive);
    for part in parts {
        match part {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

/// A named selection, and whether the condition has named it yet.
pub struct Selection {
    pub name: String,
    pub line: usize,
    pub expr: Arc<Expr>,
    pub used: bool,
}

/// The deepest nesting of parentheses and `not`.
const DEPTH_MAX: usize = 32;
/// The longest condition, in words.
const WORDS_MAX: usize = 512;

/// Compiles a condition over the selections, and marks those that it names.
pub fn condition(text: &str, selections: &mut [Selection]) -> Result<Expr, Problem> {
    let words = words(text);
    if words.len() > WORDS_MAX {
        return Err(wrong("", "at most 512 words"));
    }
    let mut parser = Parser { words, at: 0, selections };
    let expr = parser.or(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(word) => Err(wrong(word, "'and', 'or' or the end")),
    }
}

fn words(text: &str) -> Vec<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn wrong(at: &str, expected: &'static str) -> Problem {
    Problem::Condition { at: at.to_owned(), expected }
}

struct Parser<'s> {
    words: Vec<String>,
    at: usize,
    selections: &'s mut [Selection],
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = self.peek() == Some(word);
        self.at += usize::from(taken);
        taken
    }

    fn or(&mut self, depth: usize) -> Result<Expr, Problem> {
        let mut parts = vec![self.and(depth)?];
        while self.take("or") {
            parts.push(self.and(depth)?);
        }
        Ok(one_or(parts, Expr::Any))
    }

    fn and(&mut self, depth: usize) -> Result<Expr, Problem> {
        let mut parts = vec![self.unit(depth)?];
        while self.take("and") {
            parts.push(self.unit(depth)?);
        }
        Ok(one_or(parts, Expr::All))
    }

    fn unit(&mut self, depth: usize) -> Result<Expr, Problem> {
        if depth > DEPTH_MAX {
            return Err(wrong("(", "fewer parentheses"));
        }
        let Some(word) = self.peek().map(str::to_owned) else {
            return Err(wrong("", "a selection"));
        };
        self.at += 1;
        match word.as_str() {
            "not" => Ok(Expr::Not(Box::new(self.unit(depth + 1)?))),
            "(" => {
                let inner = self.or(depth + 1)?;
                if self.take(")") { Ok(inner) } else { Err(wrong("(", "a closing parenthesis")) }
            }
            "and" | "or" | ")" | "of" => Err(wrong(&word, "a selection")),
            "1" | "any" if self.take("of") => self.several(Expr::Any),
            "all" if self.take("of") => self.several(Expr::All),
            _ => self.selection(&word),
        }
    }

    fn selection(&mut self, name: &str) -> Result<Expr, Problem> {
        match self.selections.iter_mut().find(|selection| selection.name == name) {
            Some(selection) => {
                selection.used = true;
                Ok(Expr::Selection(selection.expr.clone()))
            }
            None => Err(self.unknown(name)),
        }
    }

    /// `them` are all selections whose names do not begin with `_`.
    fn several(&mut self, join: fn(Vec<Expr>) -> Expr) -> Result<Expr, Problem> {
        let Some(pattern) = self.peek().map(str::to_owned) else {
            return Err(wrong("of", "'them' or the beginning of names, as 'x*'"));
        };
        self.at += 1;
        let fits = |name: &str| match (pattern.as_str(), pattern.strip_suffix('*')) {
            ("them", _) => !name.starts_with('_'),
            (_, Some(start)) => name.starts_with(start),
            (whole, None) => name == whole,
        };
        let mut parts = Vec::new();
        for selection in self.selections.iter_mut().filter(|selection| fits(&selection.name)) {
            selection.used = true;
            parts.push(Expr::Selection(selection.expr.clone()));
        }
        if parts.is_empty() { Err(self.unknown(&pattern)) } else { Ok(join(parts)) }
    }

    fn unknown(&self, name: &str) -> Problem {
        let known = self.selections.iter().map(|selection| selection.name.as_str());
        Problem::UnknownSelection { name: name.to_owned(), nearest: nearest(name, known) }
    }
}

/// Joins parts; a single part stays as it is.
pub fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}
