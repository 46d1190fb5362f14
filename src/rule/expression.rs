//! Regular expressions, compiled when they are first asked.
//!
//! To compile those of the shipped rules took three quarters of the time to load them, in every run, and a run
//! asks few of them. A wrong one must be refused when its file is loaded all the same: its syntax is read
//! then, and that what is compiled of it stays within the bound is reckoned from the syntax. The reckoning
//! never comes out below what the compiler takes; where it shows nothing, the expression is compiled at once.
//!
//! `.` and `[^/]` mean any byte: over characters, a name that is no UTF-8 would slip through them. An
//! expression whose classes name characters beyond ASCII is read over characters, its only meaning.

use std::sync::{Arc, OnceLock};

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};
use regex_syntax::utf8::Utf8Sequences;

/// The largest compiled regular expression, in bytes.
const COMPILED_MAX: usize = 1 << 20;
/// What is reckoned to be larger is compiled at once: half of the bound, so that a compiler that came to take
/// twice as much would still not break it.
const RECKONED_MAX: usize = COMPILED_MAX / 2;
/// Deepest nesting of groups.
const NEST_MAX: u32 = 32;
/// Shorter literals are in too much text to file a rule under.
const LITERAL_MIN: usize = 3;

/// A regular expression over bytes that is known to compile.
#[derive(Clone, Debug)]
pub struct Expression(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pattern: String,
    /// Those of Sigma's `re`: i, m, s.
    flags: Vec<char>,
    counts_in: Units,
    compiled: OnceLock<Regex>,
    literals: OnceLock<Box<[Box<[u8]>]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Units {
    Bytes,
    Characters,
}

impl Expression {
    /// Reads a regular expression; `flags` are those of Sigma's `re`: i, m, s.
    pub fn read(pattern: &str, flags: &[char]) -> Result<Expression, regex::Error> {
        let mut inner = Inner {
            pattern: pattern.to_owned(),
            flags: flags.to_owned(),
            counts_in: Units::Bytes,
            compiled: OnceLock::new(),
            literals: OnceLock::new(),
        };
        if inner.parse().is_none() {
            inner.counts_in = Units::Characters;
        }
        let is_sure = inner.parse().is_some_and(|hir| reckoned_size(&hir) <= RECKONED_MAX);
        if !is_sure {
            let _ = inner.compiled.set(inner.compile()?);
        }
        Ok(Expression(Arc::new(inner)))
    }

    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.regex().is_match(text)
    }

    /// The beginnings of all matches, where they are few and long enough to tell events apart; else none.
    pub fn literals(&self) -> &[Box<[u8]>] {
        self.0.literals.get_or_init(|| self.0.parse().map(|hir| literals(&hir)).unwrap_or_default())
    }
}

impl Inner {
    fn regex(&self) -> &Regex {
        self.compiled
            .get_or_init(|| self.compile().expect("its syntax and its size were looked at when it was read"))
    }

    fn compile(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.pattern)
            .unicode(self.counts_in == Units::Characters)
            .size_limit(COMPILED_MAX)
            .dfa_size_limit(COMPILED_MAX)
            .nest_limit(NEST_MAX)
            .case_insensitive(self.flags.contains(&'i'))
            .multi_line(self.flags.contains(&'m'))
            .dot_matches_new_line(self.flags.contains(&'s'))
            .build()
    }

    /// As the compiler reads it. `None`: it will say why.
    fn parse(&self) -> Option<Hir> {
        regex_syntax::ParserBuilder::new()
            .utf8(false)
            .unicode(self.counts_in == Units::Characters)
            .nest_limit(NEST_MAX)
            .case_insensitive(self.flags.contains(&'i'))
            .multi_line(self.flags.contains(&'m'))
            .dot_matches_new_line(self.flags.contains(&'s'))
            .build()
            .parse(&self.pattern)
            .ok()
    }
}

fn literals(hir: &Hir) -> Box<[Box<[u8]>]> {
    let found = Extractor::new().extract(hir);
    match found.literals() {
        Some(literals) if literals.iter().all(|literal| literal.len() >= LITERAL_MIN) => {
            literals.iter().map(|literal| literal.as_bytes().into()).collect()
        }
        _ => Box::default(),
    }
}

/// A state of the compiled form with the most that one transition takes (regex-automata 0.4,
/// nfa/thompson/builder.rs: 32 and 8 bytes).
const STATE: usize = 64;

/// Bytes that the compiled form takes at most (regex-automata 0.4, nfa/thompson/compiler.rs): what each part
/// becomes, in either direction, without any sharing.
fn reckoned_size(hir: &Hir) -> usize {
    let sum = |parts: &[Hir]| parts.iter().map(reckoned_size).fold(0, usize::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => STATE,
        HirKind::Literal(literal) => STATE * literal.0.len(),
        HirKind::Class(class) => STATE * (2 + transitions(class)),
        HirKind::Repetition(repetition) => reckoned_repetition(repetition),
        HirKind::Capture(capture) => reckoned_size(&capture.sub).saturating_add(2 * STATE),
        HirKind::Concat(parts) => sum(parts).saturating_add(STATE),
        HirKind::Alternation(parts) => sum(parts).saturating_add(STATE * (2 + parts.len())),
    }
}

/// So many copies of what is repeated, with a fork each.
fn reckoned_repetition(repetition: &Repetition) -> usize {
    let copies = repetition.max.unwrap_or(repetition.min).max(repetition.min).max(1) as usize;
    let each = reckoned_size(&repetition.sub).saturating_add(STATE);
    each.saturating_mul(copies).saturating_add(4 * STATE)
}

fn transitions(class: &Class) -> usize {
    match class {
        Class::Bytes(class) => class.ranges().len(),
        Class::Unicode(class) => {
            let sequences = class.iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end()));
            sequences.map(|sequence| sequence.len()).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_compiled(expression: &Expression) -> bool {
        expression.0.compiled.get().is_some()
    }

    #[test]
    fn one_that_grows_without_bound_is_refused_when_it_is_read() {
        for pattern in ["(a{1000}){1000}", "\\pL{200}", "[^a]{100000}", "(((a|b){50}){50}){50}"] {
            let refused = Expression::read(pattern, &[]);
            assert!(matches!(refused, Err(regex::Error::CompiledTooBig(_))), "{pattern}: {refused:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_slips_through_no_class() {
        let check = |pattern, text: &[u8], expected| {
            let expression = Expression::read(pattern, &[]).unwrap();
            assert_eq!(expression.is_match(text), expected, "{pattern} {text:?}");
        };
        check("^/etc/cron\\.d/[^/]+$", b"/etc/cron.d/\xff\xfe\n\x1bx", true);
        check("^/home/.+/key$", b"/home/\xc3/key", true);
        check("^/home/.+/key$", b"/home/\xc3\x28/no", false);
        // Only over characters have these a meaning.
        check("^[а-я]+$", "имя".as_bytes(), true);
        check("^\\pL$", "é".as_bytes(), true);
        check("^é$", "é".as_bytes(), true);
    }

    #[test]
    fn wrong_syntax_is_refused_when_it_is_read() {
        for pattern in ["(", "a{2,1}", "[z-a]", "\\p{Nothing}", "(?P<x>a)(?P<x>b)"] {
            let refused = Expression::read(pattern, &[]);
            assert!(matches!(refused, Err(regex::Error::Syntax(_))), "{pattern}: {refused:?}");
        }
    }

    #[test]
    fn a_small_one_is_compiled_when_it_is_asked_and_a_large_one_at_once() {
        let small = Expression::read("(?-u:\\xff)$", &[]).unwrap();
        assert!(!is_compiled(&small));
        assert!(small.is_match(b"x\xff") && !small.is_match(b"x"));
        assert!(is_compiled(&small));
        assert!(is_compiled(&Expression::read("\\pL{8}", &[]).unwrap()));
    }

    /// With half the bound taken from it, each that is put off must still compile.
    #[test]
    fn what_is_put_off_compiles_within_half_of_the_bound() {
        let parts = [
            "a",
            "abc",
            "\\w",
            "\\d",
            "\\s",
            ".",
            "(?s:.)",
            "[a-z]",
            "[^a]",
            "[α-ω]",
            "\\b",
            "^",
            "(?i:straße)",
            "(?-u:[^\\x00-\\x1f])",
            "\\pL",
            "",
            "\\PN",
        ];
        let shapes: [fn(&str, &str) -> String; 9] = [
            |a, b| format!("{a}{b}"),
            |a, b| format!("(?:{a}|{b})*"),
            |a, b| format!("({a}){{0,60}}{b}"),
            |a, b| format!("(?:{a}{b}){{37}}"),
            |a, b| format!("(?:{a}|b){{9,}}{b}"),
            |a, b| format!("(?:(?:{a}?){{12}}{b}){{11}}"),
            |a, b| format!("(({a})+({b})?){{7}}"),
            |a, b| format!("(?:{a}|x|{b}|yy|){{40}}"),
            |a, b| format!("(?:{a}*?{b}){{2,30}}?"),
        ];
        let mut put_off = 0;
        for (a, b) in parts.iter().flat_map(|a| parts.iter().map(move |b| (a, b))) {
            for text in shapes.iter().map(|shape| shape(a, b)) {
                let Ok(expression) = Expression::read(&text, &[]) else { continue };
                if is_compiled(&expression) {
                    continue;
                }
                put_off += 1;
                let unicode = expression.0.counts_in == Units::Characters;
                let built = RegexBuilder::new(&text)
                    .unicode(unicode)
                    .size_limit(RECKONED_MAX)
                    .nest_limit(NEST_MAX)
                    .build();
                assert!(built.is_ok(), "{text}: {built:?}");
            }
        }
        assert!(put_off > 500, "{put_off}");
    }

    #[test]
    fn the_literals_are_what_every_match_begins_with() {
        let check = |pattern: &str, expected: &[&str]| {
            let expression = Expression::read(pattern, &[]).unwrap();
            let found: Vec<_> =
                expression.literals().iter().map(|literal| String::from_utf8_lossy(literal)).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        check(r"/\.ssh/(id_[a-z]+|identity)$", &["/.ssh/id_", "/.ssh/identity"]);
        check("^/etc/cron", &["/etc/cron"]);
        check("x", &[]);
        check("[a-z]+", &[]);
    }
}
