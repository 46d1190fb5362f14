//! Finds the rules that an event can match at all, without trying each.
//!
//! Every rule is filed under *anchors*: tests of which at least one must hold for the rule to match.
//! Exact values are found by hash, literals inside text by one automaton per field, so the cost of a
//! look depends on the event's text and on what it hits, not on the number of rules.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};

use super::check::{Check, Compare, Pattern, Test};
use super::detection::Expr;
use super::field::{Field, Read};
use super::subject::Subject;

/// The place of a rule in its set.
pub type RuleAt = u32;

/// Tests of which one must hold, and how rarely they do (more is rarer).
pub struct Anchors<'e> {
    pub tests: Vec<&'e Test>,
    rarity: usize,
}

/// The best anchors of an expression; `None` where it can match anything.
pub fn anchors(expr: &Expr) -> Option<Anchors<'_>> {
    match expr {
        Expr::Test(test) => rarity(test).map(|rarity| Anchors { tests: vec![test], rarity }),
        Expr::Selection(part) => anchors(part),
        Expr::Not(_) => None,
        Expr::All(parts) => parts.iter().filter_map(anchors).max_by_key(|found| found.rarity),
        Expr::Any(parts) => {
            let parts: Vec<_> = parts.iter().map(anchors).collect::<Option<_>>()?;
            let rarity = parts.iter().map(|found| found.rarity).min()?;
            Some(Anchors { tests: parts.into_iter().flat_map(|found| found.tests).collect(), rarity })
        }
    }
}

/// How rarely a test holds on ordinary events; `None` where it cannot be filed. Facts of the event beat
/// those of the program, which hold for all its events.
fn rarity(test: &Test) -> Option<usize> {
    let made = matches!(test.field.read, Read::Made(_));
    let base = match &test.check {
        _ if made => return None,
        Check::Text(Pattern::Equals(_)) if !test.field.values.is_empty() => 4,
        Check::Text(Pattern::Equals(_)) => 40,
        Check::Text(Pattern::Starts(text) | Pattern::Ends(text)) => 2 + 2 * text.len().min(16),
        Check::Text(Pattern::Contains(text)) => 2 + 2 * text.needle().len().min(16),
        Check::Text(Pattern::Matches(expression)) => {
            2 + expression.literals().iter().map(|literal| literal.len()).min()?.min(16)
        }
        Check::Number(Compare::Equal, _) => 10,
        Check::Flag(true) => 6,
        _ => return None,
    };
    Some(base + usize::from(!test.field.of_program))
}

/// Rules by the values of some fields.
#[derive(Default)]
pub struct Index {
    fields: Vec<FieldIndex>,
}

struct FieldIndex {
    field: &'static Field,
    exact: HashMap<Box<[u8]>, Vec<RuleAt>>,
    numbers: HashMap<u64, Vec<RuleAt>>,
    literals: Vec<Literal>,
    automaton: Option<AhoCorasick>,
}

struct Literal {
    place: Place,
    text: Box<[u8]>,
    rules: Vec<RuleAt>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    End,
    Anywhere,
}

impl Index {
    pub fn add(&mut self, test: &Test, rule: RuleAt) {
        let index = match self.fields.iter().position(|index| std::ptr::eq(index.field, test.field)) {
            Some(at) => &mut self.fields[at],
            None => {
                self.fields.push(FieldIndex::new(test.field));
                self.fields.last_mut().expect("one was pushed")
            }
        };
        index.add(&test.check, rule);
    }

    /// Builds the automata, after the last [`Index::add`].
    pub fn finish(&mut self) {
        self.fields.iter_mut().for_each(FieldIndex::finish);
    }

    /// Names every rule that may match, some perhaps twice.
    pub fn look(&self, subject: Subject<'_>, found: &mut impl FnMut(RuleAt)) {
        for index in &self.fields {
            index.look(subject, found);
        }
    }
}

impl FieldIndex {
    fn new(field: &'static Field) -> FieldIndex {
        FieldIndex {
            field,
            exact: HashMap::new(),
            numbers: HashMap::new(),
            literals: Vec::new(),
            automaton: None,
        }
    }

    fn add(&mut self, check: &Check, rule: RuleAt) {
        if let Check::Text(Pattern::Matches(expression)) = check {
            expression
                .literals()
                .iter()
                .for_each(|literal| file(self.literal(Place::Anywhere, literal), rule));
            return;
        }
        let rules = match check {
            Check::Text(Pattern::Equals(text)) => self.exact.entry(text.clone()).or_default(),
            Check::Text(Pattern::Starts(text)) => self.literal(Place::Start, text),
            Check::Text(Pattern::Ends(text)) => self.literal(Place::End, text),
            Check::Text(Pattern::Contains(finder)) => self.literal(Place::Anywhere, finder.needle()),
            Check::Number(Compare::Equal, number) => self.numbers.entry(*number).or_default(),
            Check::Flag(flag) => self.numbers.entry(u64::from(*flag)).or_default(),
            _ => unreachable!("rarity() files no other checks"),
        };
        file(rules, rule);
    }

    fn literal(&mut self, place: Place, text: &[u8]) -> &mut Vec<RuleAt> {
        let same = |literal: &Literal| literal.place == place && &*literal.text == text;
        let at = self.literals.iter().position(same).unwrap_or_else(|| {
            self.literals.push(Literal { place, text: text.into(), rules: Vec::new() });
            self.literals.len() - 1
        });
        &mut self.literals[at].rules
    }

    fn finish(&mut self) {
        if self.literals.is_empty() {
            return;
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(self.literals.iter().map(|literal| &*literal.text));
        self.automaton = Some(automaton.expect("rule files are far smaller than the automaton's bound"));
    }

    fn look(&self, subject: Subject<'_>, found: &mut impl FnMut(RuleAt)) {
        match self.field.read {
            Read::Text(read) => {
                read(subject).into_iter().for_each(|text| self.text(text, found));
            }
            Read::Texts(read) => {
                read(subject, &mut |text| {
                    self.text(text, found);
                    false
                });
            }
            Read::Number(read) => {
                read(subject).into_iter().for_each(|number| self.number(number, found));
            }
            Read::Flag(read) => {
                read(subject).into_iter().for_each(|flag| self.number(u64::from(flag), found));
            }
            Read::Made(_) | Read::Address(_) => {}
        }
    }

    fn number(&self, number: u64, found: &mut impl FnMut(RuleAt)) {
        self.numbers.get(&number).into_iter().flatten().for_each(|&rule| found(rule));
    }

    fn text(&self, text: &[u8], found: &mut impl FnMut(RuleAt)) {
        if !self.exact.is_empty() {
            self.exact.get(text).into_iter().flatten().for_each(|&rule| found(rule));
        }
        let Some(automaton) = &self.automaton else { return };
        for hit in automaton.find_overlapping_iter(text) {
            let literal = &self.literals[hit.pattern().as_usize()];
            let fits = match literal.place {
                Place::Start => hit.start() == 0,
                Place::End => hit.end() == text.len(),
                Place::Anywhere => true,
            };
            if fits {
                literal.rules.iter().for_each(|&rule| found(rule));
            }
        }
    }
}

fn file(rules: &mut Vec<RuleAt>, rule: RuleAt) {
    if rules.last() != Some(&rule) {
        rules.push(rule);
    }
}
