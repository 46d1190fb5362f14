//! All rules, compiled together, and the matcher that holds events against them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::correlation::{self, BaseRef, Plan};
use super::detection::Expr;
use super::error::{Problem, RuleError};
use super::field::Category;
use super::index::{Index, RuleAt, anchors};
use super::metadata::{Body, Rule};
use super::parse;
use super::subject::{ProgramFacts, Subject};
use crate::event::{Event, Program, ProgramId};

/// Rules are filed by category.
const CATEGORIES: usize = Category::ALL.len();

/// Rules, checked and compiled.
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Those of the rules for single events, in the order of their names, then the correlations' own.
    patterns: Vec<Pattern>,
    plans: Vec<Plan>,
    /// In the order of [`Category::ALL`]; each is filed when the first event of its kind comes.
    categories: [OnceLock<CategoryRules>; CATEGORIES],
}

/// A detection, and who asks for it.
struct Pattern {
    category: Category,
    /// As the rule has it, which is the order of its facts.
    detection: Arc<Expr>,
    /// The same, as it is asked.
    asked: Expr,
    /// The rule that reports it; `None`: it is only a part of correlations.
    rule: Option<usize>,
    feeds: Vec<Feed>,
}

impl Pattern {
    fn new(category: Category, detection: Arc<Expr>, rule: Option<usize>, feeds: Vec<Feed>) -> Pattern {
        Pattern { category, asked: detection.cheapest_first(), detection, rule, feeds }
    }
}

/// A place in a correlation: the plan in its set, the step in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    pub plan: usize,
    pub step: usize,
}

/// The patterns of one category, by what can make them match.
#[derive(Default)]
struct CategoryRules {
    /// Asked for every event.
    by_event: Index,
    /// Asked once per program: what it finds is remembered with the program.
    by_program: Index,
    /// Filed under nothing; tried for every program.
    always: Vec<RuleAt>,
}

impl RuleSet {
    /// Compiles rules from files: name (its stem is the rule's) and content. Tells every problem of
    /// every file, sorted by file and line. The order of the files does not matter.
    pub fn load<N, B>(files: impl IntoIterator<Item = (N, B)>) -> Result<RuleSet, Vec<RuleError>>
    where
        N: AsRef<str>,
        B: AsRef<[u8]>,
    {
        let mut rules: Vec<Rule> = Vec::new();
        let mut errors = Vec::new();
        for (name, bytes) in files {
            match parse::rule(name.as_ref(), bytes.as_ref()) {
                Ok(rule) => rules.push(rule),
                Err(found) => errors.extend(found),
            }
        }
        rules.sort_by(|a, b| (&a.name, &a.file).cmp(&(&b.name, &b.file)));
        errors.extend(duplicates(&rules));
        // Where a file is wrong, what names its rule would seem wrong too.
        let plans = if errors.is_empty() { plans(&rules, &mut errors) } else { Vec::new() };
        errors.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if errors.is_empty() { Ok(RuleSet::compile(rules, plans)) } else { Err(errors) }
    }

    fn compile(rules: Vec<Rule>, plans: Vec<Plan>) -> RuleSet {
        let patterns = patterns(&rules, &plans);
        RuleSet { rules, patterns, plans, categories: Default::default() }
    }

    fn category(&self, category: Category) -> &CategoryRules {
        self.categories[category as usize].get_or_init(|| CategoryRules::of(category, &self.patterns))
    }

    pub(super) fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The detection of a correlation's step.
    pub(super) fn detection(&self, feed: Feed) -> &Expr {
        let plan = &self.plans[feed.plan];
        match (plan.steps[feed.step].base, &self.rules[plan.rule].body) {
            (BaseRef::Own(at), Body::Correlation(correlation)) => &correlation.base[at].detection,
            (BaseRef::Rule(at), _) => match &self.rules[at].body {
                Body::Event { detection, .. } => detection,
                Body::Correlation(_) => unreachable!("resolve() refuses correlations of correlations"),
            },
            (BaseRef::Own(_), Body::Event { .. }) => unreachable!("a plan's rule is a correlation"),
        }
    }

    /// The rules, sorted by name.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// SHA-256 over names and contents of all rules: two sets with equal digests judge alike.
    pub fn digest(&self) -> [u8; 32] {
        let mut sum = Sha256::new();
        for rule in &self.rules {
            sum.update((rule.name.len() as u64).to_be_bytes());
            sum.update(&rule.name);
            sum.update(rule.digest);
        }
        sum.finalize().into()
    }

    /// The rule of this name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// A matcher for the events of one recording.
    pub fn matcher(&self) -> Matcher<'_> {
        Matcher {
            rules: self,
            programs: HashMap::new(),
            last: None,
            seen: vec![0; self.patterns.len()],
            generation: 0,
            found: Vec::new(),
        }
    }
}

fn plans(rules: &[Rule], errors: &mut Vec<RuleError>) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let Body::Correlation(correlation) = &rule.body else { continue };
        match correlation::resolve(rules, at, correlation) {
            Ok(plan) => plans.push(plan),
            Err(found) => errors.extend(found),
        }
    }
    plans
}

fn patterns(rules: &[Rule], plans: &[Plan]) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    let mut of_rule = HashMap::new();
    for (at, rule) in rules.iter().enumerate() {
        let Body::Event { category, detection } = &rule.body else { continue };
        of_rule.insert(at, patterns.len());
        let (category, detection) = (*category, detection.clone());
        patterns.push(Pattern::new(category, detection, Some(at), Vec::new()));
    }
    for (plan_at, plan) in plans.iter().enumerate() {
        let Body::Correlation(correlation) = &rules[plan.rule].body else { continue };
        for (step, it) in plan.steps.iter().enumerate() {
            let feed = Feed { plan: plan_at, step };
            match it.base {
                BaseRef::Rule(at) => patterns[of_rule[&at]].feeds.push(feed),
                BaseRef::Own(at) => {
                    let (category, detection) = (it.category, correlation.base[at].detection.clone());
                    patterns.push(Pattern::new(category, detection, None, vec![feed]));
                }
            }
        }
    }
    patterns
}

fn duplicates(rules: &[Rule]) -> Vec<RuleError> {
    let mut errors = Vec::new();
    let (mut names, mut ids) = (HashMap::new(), HashMap::new());
    for rule in rules {
        let mut add = |problem| errors.push(RuleError { file: rule.file.clone(), line: 1, problem });
        if let Some(other) = names.insert(&rule.name, rule) {
            add(Problem::DuplicateName { stem: rule.name.clone(), other: other.file.clone() });
        }
        if let Some(other) = ids.insert(&rule.id, rule) {
            add(Problem::DuplicateId { id: rule.id.clone(), other: other.file.clone() });
        }
    }
    errors
}

impl CategoryRules {
    fn of(category: Category, patterns: &[Pattern]) -> CategoryRules {
        let mut rules = CategoryRules::default();
        for (at, pattern) in patterns.iter().enumerate().filter(|(_, pattern)| pattern.category == category) {
            rules.file(pattern, at as RuleAt);
        }
        rules.by_event.finish();
        rules.by_program.finish();
        rules
    }

    fn file(&mut self, pattern: &Pattern, at: RuleAt) {
        let Some(anchors) = anchors(&pattern.detection) else {
            return self.always.push(at);
        };
        for test in anchors.tests {
            let index = if test.field.of_program { &mut self.by_program } else { &mut self.by_event };
            index.add(test, at);
        }
    }

    /// The patterns that events of this program can match, whatever the event is.
    fn of_program(&self, patterns: &[Pattern], subject: Subject<'_>) -> Box<[RuleAt]> {
        let mut found = self.always.clone();
        self.by_program.look(subject, &mut |rule| found.push(rule));
        found.sort_unstable();
        found.dedup();
        let undecided =
            |rule: &RuleAt| patterns[*rule as usize].detection.decided_by_program(subject) != Some(false);
        found.retain(undecided);
        found.into()
    }
}

/// So many programs are remembered; then all are forgotten and looked at anew.
const PROGRAMS_MAX: usize = 8192;

/// Holds events against a rule set, and remembers what it learnt about their programs.
pub struct Matcher<'r> {
    rules: &'r RuleSet,
    programs: HashMap<Option<ProgramId>, Arc<Known>>,
    last: Option<Arc<Known>>,
    /// By rule: the generation (one per event) in which it was last found.
    seen: Vec<u32>,
    generation: u32,
    found: Vec<RuleAt>,
}

/// A program, and the rules that its events can match.
struct Known {
    facts: Option<ProgramFacts>,
    rules: [OnceLock<Box<[RuleAt]>>; CATEGORIES],
}

/// A rule that matched an event.
#[derive(Clone, Copy)]
pub struct RuleMatch<'r, 'e> {
    pub rule: &'r Rule,
    pub(super) detection: &'r Expr,
    pub event: &'e Event,
}

impl<'r> Matcher<'r> {
    /// The rules that match an event, in the order of their names.
    pub fn matches<'e>(&mut self, event: &'e Event) -> impl Iterator<Item = RuleMatch<'r, 'e>> {
        let known = self.known(event);
        self.find(&known, event);
        let RuleSet { rules, patterns, .. } = self.rules;
        let found = self.found.iter().map(|&at| &patterns[at as usize]);
        found.filter_map(move |pattern| {
            let rule = &rules[pattern.rule?];
            Some(RuleMatch { rule, detection: &pattern.detection, event })
        })
    }

    /// The places in correlations of what the last event matched.
    pub(super) fn feeds(&self) -> impl Iterator<Item = Feed> {
        let patterns = &self.rules.patterns;
        self.found.iter().flat_map(move |&at| patterns[at as usize].feeds.iter().copied())
    }

    /// Leaves in `found` what matches.
    fn find(&mut self, known: &Known, event: &Event) {
        let subject = Subject { event, program: known.facts.as_ref() };
        let category = Category::of(event);
        let rules = self.rules.category(category);
        self.found.clear();
        self.next_generation();
        let all = &self.rules.patterns;
        let (seen, generation, found) = (&mut self.seen, self.generation, &mut self.found);
        let mut try_rule = |at: RuleAt| {
            let mark = &mut seen[at as usize];
            if *mark != generation {
                *mark = generation;
                if all[at as usize].asked.holds(subject) {
                    found.push(at);
                }
            }
        };
        let of_program = known.rules[category as usize].get_or_init(|| rules.of_program(all, subject));
        of_program.iter().for_each(|&at| try_rule(at));
        rules.by_event.look(subject, &mut try_rule);
        self.found.sort_unstable();
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.seen.fill(0);
            self.generation = 1;
        }
    }

    /// What is known of the event's program. Ids could repeat where events of several recordings are
    /// mixed, so the program itself is compared.
    fn known(&mut self, event: &Event) -> Arc<Known> {
        let program = event.process.as_ref().map(|process| &process.program);
        if let Some(last) = self.last.as_ref().filter(|last| last.is_of(program)) {
            return last.clone();
        }
        let id = program.map(|program| program.id);
        let known = match self.programs.get(&id).filter(|known| known.is_of(program)) {
            Some(known) => known.clone(),
            None => self.learn(id, program),
        };
        self.last = Some(known.clone());
        known
    }

    fn learn(&mut self, id: Option<ProgramId>, program: Option<&Arc<Program>>) -> Arc<Known> {
        if self.programs.len() >= PROGRAMS_MAX {
            self.programs.clear();
        }
        let facts = program.map(|program| ProgramFacts::new(program.clone()));
        let known = Arc::new(Known { facts, rules: Default::default() });
        self.programs.insert(id, known.clone());
        known
    }
}

impl Known {
    fn is_of(&self, program: Option<&Arc<Program>>) -> bool {
        match (&self.facts, program) {
            (Some(facts), Some(program)) => Arc::ptr_eq(&facts.program, program),
            (None, None) => true,
            _ => false,
        }
    }
}

impl RuleMatch<'_, '_> {
    /// The fields that made the rule match, with their values.
    pub fn facts(&self) -> Vec<(&'static str, Vec<u8>)> {
        facts(self.detection, self.event)
    }
}

/// The fields that made a detection hold, with their values.
pub(super) fn facts(detection: &Expr, event: &Event) -> Vec<(&'static str, Vec<u8>)> {
    let facts = event.process.as_ref().map(|process| ProgramFacts::new(process.program.clone()));
    let mut found = Vec::new();
    detection.facts(Subject { event, program: facts.as_ref() }, &mut found);
    found
}
