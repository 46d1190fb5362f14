//! Resolves the names in a correlation: every rule to a pattern of the set, every field to the table.

use std::time::Duration;

use super::{Alias, Correlation, GroupFields, Kind, Name, Scope};
use crate::rule::error::{Problem, RuleError, nearest};
use crate::rule::field::{Category, Field, field, fields};
use crate::rule::metadata::{Body, Rule};

/// A correlation whose every name is known, as the correlator runs it.
pub struct Plan {
    /// The place of its rule in the set.
    pub rule: usize,
    pub kind: Kind,
    pub scope: Scope,
    pub timespan: Duration,
    /// So many events, values or rules complete a group.
    pub threshold: u64,
    /// So many different values of the steps' field, over completed groups of one owner, complete the
    /// correlation; for the temporal types.
    pub repeats: Option<u64>,
    /// In the order of `rules`, then of `without`, then of `until`.
    pub steps: Vec<Step>,
    /// So many of the steps are from `rules`.
    pub wanted: usize,
    /// So many of the steps are from `without`.
    pub without: usize,
    /// Only so near to the completion do those count.
    pub within: Duration,
    /// So many different values of the field of those make the absent.
    pub absent: u64,
}

impl Plan {
    /// Its evidence is one event for each step.
    pub fn is_chain(&self) -> bool {
        self.kind == Kind::TemporalOrdered && self.repeats.is_none()
    }
}

/// One base of a plan.
pub struct Step {
    pub base: BaseRef,
    pub category: Category,
    pub group: GroupFields,
    /// By alias that binds only some steps of an order: the field, where it binds this one.
    pub bound: Box<[Option<&'static Field>]>,
    /// What `value_count` counts, or what is counted over the completed groups; of a step of `without`, what
    /// `absent` counts.
    pub field: Option<&'static Field>,
}

/// Where a step's detection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseRef {
    /// In the file's own `base`.
    Own(usize),
    /// In another rule of the set, which reports by itself as well.
    Rule(usize),
}

/// Resolves the correlation of the rule at `at`; tells every problem.
pub fn resolve(rules: &[Rule], at: usize, correlation: &Correlation) -> Result<Plan, Vec<RuleError>> {
    let rule = &rules[at];
    let mut found = Vec::new();
    let mut add = |line, problem| found.push(RuleError { file: rule.file.clone(), line, problem });
    let names = correlation.names();
    let mut steps = Vec::new();
    for name in names {
        match step(rules, correlation, name) {
            Ok(step) => steps.push(step),
            Err(faults) => faults.into_iter().for_each(|(line, problem)| add(line, problem)),
        }
    }
    unused(correlation).into_iter().for_each(|(line, problem)| add(line, problem));
    for (step, _) in steps.iter().zip(&correlation.rules) {
        for field in rule.identity.iter().filter(|field| !field.categories.contains(&step.category)) {
            let category = step.category.name();
            add(1, Problem::FieldNotInCategory { field: field.name, category });
        }
        if matches!(correlation.kind, Kind::Temporal | Kind::TemporalOrdered) {
            // Its identity is always read from the first.
            break;
        }
    }
    let (wanted, without) = (correlation.rules.len(), correlation.without.len());
    let temporal = matches!(correlation.kind, Kind::Temporal | Kind::TemporalOrdered);
    let repeats = correlation.threshold.filter(|_| temporal && correlation.field.is_some());
    let threshold = correlation.threshold.filter(|_| repeats.is_none()).unwrap_or(wanted as u64);
    if temporal && threshold > wanted as u64 {
        let (line, expected) = (1, format!("at most the number of rules, {wanted}"));
        add(line, Problem::Value { key: "gte", value: threshold.to_string(), expected, nearest: None });
    }
    if !found.is_empty() {
        return Err(found);
    }
    let Correlation { kind, scope, timespan, .. } = *correlation;
    let absent = correlation.absent.as_ref().map_or(1, |(least, _)| *least);
    let within = correlation.within.unwrap_or(Duration::MAX);
    Ok(Plan { rule: at, kind, scope, timespan, threshold, repeats, steps, wanted, without, within, absent })
}

type Fault = (usize, Problem);

fn step(rules: &[Rule], correlation: &Correlation, name: &Name) -> Result<Step, Vec<Fault>> {
    let (base, category) = base(rules, correlation, name).map_err(|problem| vec![(name.line, problem)])?;
    let (mut faults, mut group, mut bound) = (Vec::new(), Vec::new(), Vec::new());
    for by in &correlation.group_by {
        match (group_field(correlation, by, name, category), binds_some(correlation, by)) {
            (Ok(field), true) => bound.push(Some(field)),
            (Err((_, Problem::NotInAlias { .. })), true) => bound.push(None),
            (Ok(field), false) => group.push(field),
            (Err(fault), _) => faults.push(fault),
        }
    }
    let is_in = |names: &[Name]| names.iter().any(|other| other.text == name.text);
    let counted = match (is_in(&correlation.rules), is_in(&correlation.without)) {
        (true, _) => correlation.field.as_ref(),
        (false, true) => correlation.absent.as_ref().map(|(_, field)| field),
        (false, false) => None,
    };
    let field = counted.map(|by| group_field(correlation, by, name, category)).transpose();
    match field {
        Ok(field) if faults.is_empty() => {
            Ok(Step { base, category, group: group.into(), bound: bound.into(), field })
        }
        Ok(_) => Err(faults),
        Err(fault) => {
            faults.push(fault);
            Err(faults)
        }
    }
}

/// The file's own bases come first; a name that fits both is refused.
fn base(rules: &[Rule], correlation: &Correlation, name: &Name) -> Result<(BaseRef, Category), Problem> {
    let own = correlation.base.iter().position(|base| base.name.text == name.text);
    let other = rules.iter().position(|rule| rule.name == name.text);
    match (own, other) {
        (Some(_), Some(_)) => Err(Problem::NamedTwice { key: "base", name: name.text.clone() }),
        (Some(at), None) => Ok((BaseRef::Own(at), correlation.base[at].category)),
        (None, Some(at)) => match &rules[at].body {
            Body::Event { category, .. } => Ok((BaseRef::Rule(at), *category)),
            Body::Correlation(_) => Err(Problem::NotABase { name: name.text.clone() }),
        },
        (None, None) => {
            let own = correlation.base.iter().map(|base| base.name.text.as_str());
            let known = own.chain(rules.iter().map(|rule| rule.name.as_str()));
            Err(Problem::UnknownRule { name: name.text.clone(), nearest: nearest(&name.text, known) })
        }
    }
}

/// The field that `by` (an alias or a field) means for one rule.
fn group_field(
    correlation: &Correlation,
    by: &Name,
    rule: &Name,
    category: Category,
) -> Result<&'static Field, Fault> {
    let alias = correlation.aliases.iter().find(|alias| alias.name.text == by.text);
    let name = match alias {
        None => by,
        Some(alias) => of_rule(alias, rule).ok_or_else(|| {
            let (alias, rule) = (by.text.clone(), rule.text.clone());
            (by.line, Problem::NotInAlias { alias, rule })
        })?,
    };
    let Some(field) = field(&name.text) else {
        let fields = fields().filter(|field| field.categories.contains(&category));
        let aliases = correlation.aliases.iter().map(|alias| alias.name.text.as_str());
        let nearest = nearest(&name.text, aliases.chain(fields.map(|field| field.name)));
        return Err((name.line, Problem::UnknownField { name: name.text.clone(), nearest }));
    };
    if field.categories.contains(&category) {
        return Ok(field);
    }
    Err((name.line, Problem::FieldNotInCategory { field: field.name, category: category.name() }))
}

/// True for an alias that leaves out some steps of an order: it makes no group, but binds those it names.
fn binds_some(correlation: &Correlation, by: &Name) -> bool {
    let Some(alias) = correlation.aliases.iter().find(|alias| alias.name.text == by.text) else {
        return false;
    };
    let named = correlation.rules.iter().filter(|rule| of_rule(alias, rule).is_some()).count();
    let left_out = named < correlation.rules.len();
    correlation.kind == Kind::TemporalOrdered && named >= 2 && left_out
}

fn of_rule<'a>(alias: &'a Alias, rule: &Name) -> Option<&'a Name> {
    alias.fields.iter().find(|(name, _)| name.text == rule.text).map(|(_, field)| field)
}

/// Bases and aliases that nothing names, and aliases for rules that are not in the list.
fn unused(correlation: &Correlation) -> Vec<Fault> {
    let is_named = |text: &str| correlation.names().any(|name| name.text == text);
    let mut faults = Vec::new();
    for base in correlation.base.iter().filter(|base| !is_named(&base.name.text)) {
        faults.push((base.name.line, Problem::UnusedBase { name: base.name.text.clone() }));
    }
    for alias in &correlation.aliases {
        let mut used = correlation.group_by.iter().chain(&correlation.field);
        if !used.any(|name| name.text == alias.name.text) {
            faults.push((alias.name.line, Problem::UnusedAlias { name: alias.name.text.clone() }));
        }
        for (rule, _) in alias.fields.iter().filter(|(rule, _)| !is_named(&rule.text)) {
            let known = correlation.names();
            let nearest = nearest(&rule.text, known.map(|name| name.text.as_str()));
            faults.push((rule.line, Problem::UnknownRule { name: rule.text.clone(), nearest }));
        }
    }
    faults
}
