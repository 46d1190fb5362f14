//! Why a rule cannot be loaded: file, line, what is wrong, and what was probably meant.

use std::fmt;

use crate::yaml::YamlError;
pub(super) use crate::yaml::nearest;

/// One problem in one rule file.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleError {
    /// The file as it was named to [`super::RuleSet::load`].
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub problem: Problem,
}

impl fmt::Display for RuleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

impl std::error::Error for RuleError {}

/// What is wrong. The text names the object and the rule it broke.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    #[error(transparent)]
    Yaml(#[from] YamlError),
    #[error("a rule file is named <stem>.yaml with a stem of a-z, 0-9 and '-'")]
    FileName,
    #[error("rule name {stem:?} is already used by {other}")]
    DuplicateName { stem: String, other: String },
    #[error("rule id {id} is already used by {other}")]
    DuplicateId { id: String, other: String },
    #[error("{what} must be {expected}, not {found}")]
    Shape { what: String, expected: &'static str, found: &'static str },
    #[error("{key:?} is missing")]
    Missing { key: &'static str },
    #[error("unknown key {name:?}{}", suggestion(.nearest))]
    UnknownKey { name: String, nearest: Option<String> },
    #[error("{key} is {value:?}, but must be {expected}{}", suggestion(.nearest))]
    Value { key: &'static str, value: String, expected: String, nearest: Option<String> },
    #[error("unknown field {name:?}{}", suggestion(.nearest))]
    UnknownField { name: String, nearest: Option<String> },
    #[error("field {field:?} is never present in category {category:?}")]
    FieldNotInCategory { field: &'static str, category: &'static str },
    #[error("unknown modifier {name:?}{}", suggestion(.nearest))]
    UnknownModifier { name: String, nearest: Option<String> },
    #[error("modifier {modifier:?} does not go with {field:?}, which holds {kind}")]
    ModifierNotForField { modifier: String, field: &'static str, kind: &'static str },
    #[error("modifiers {first:?} and {second:?} do not go together")]
    ModifiersClash { first: String, second: String },
    #[error("field {field:?} holds {kind}, but the value is {value:?}{}", because(.hint))]
    WrongType { field: &'static str, kind: &'static str, value: String, hint: &'static str },
    #[error("field {field:?} never is {value:?}{}", suggestion(.nearest))]
    NeverEquals { field: &'static str, value: String, nearest: Option<String> },
    #[error("regular expression {pattern:?} is refused: {reason}")]
    Regex { pattern: String, reason: String },
    #[error("selection {name:?} is never used by the condition")]
    UnusedSelection { name: String },
    #[error("condition names {name:?}, which is no selection{}", suggestion(.nearest))]
    UnknownSelection { name: String, nearest: Option<String> },
    #[error("condition cannot be read at {at:?}: expected {expected}")]
    Condition { at: String, expected: &'static str },
    #[error("selection {name:?} is empty, so it would match everything or nothing")]
    EmptySelection { name: String },
    #[error("{id} is no technique of ATT&CK v{}", super::attack::VERSION)]
    UnknownTechnique { id: String },
    #[error("{id} was retired from ATT&CK{}", suggestion(.replaced_by))]
    RetiredTechnique { id: String, replaced_by: Option<String> },
    #[error("tag {tag:?} is neither an ATT&CK technique nor a tactic{}", suggestion(.nearest))]
    UnknownTag { tag: String, nearest: Option<String> },
    #[error("no tag names an ATT&CK technique (attack.tNNNN)")]
    NoTechnique,
    #[error("{first:?} and {second:?} do not go together")]
    NotTogether { first: &'static str, second: &'static str },
    #[error("{name:?} stands twice in {key}, or names both a base and a rule")]
    NamedTwice { key: &'static str, name: String },
    #[error("unknown rule {name:?}{}", suggestion(.nearest))]
    UnknownRule { name: String, nearest: Option<String> },
    #[error("rule {name:?} is a correlation, and cannot be part of another")]
    NotABase { name: String },
    #[error("alias {alias:?} names no field for {rule:?}")]
    NotInAlias { alias: String, rule: String },
    #[error("base {name:?} is not used by the correlation")]
    UnusedBase { name: String },
    #[error("alias {name:?} is not used by group-by or condition")]
    UnusedAlias { name: String },
    #[error("identity cannot use {field:?}: it changes from run to run")]
    UnstableIdentity { field: &'static str },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

fn because(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
}
