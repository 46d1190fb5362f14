//! Correlation: findings that several events make together.
//!
//! Sigma's correlation documents (specification 2.1) in our rule language: `event_count`, `value_count`,
//! `temporal`, `temporal_ordered`, with `group-by`, `aliases`, `timespan` and `condition`; and keys
//! of our own: `scope` (who must have done it), `without` (what must never happen in the group; with `within`: not so
//! near, with `absent`: not so often) and `until` (what makes the group begin anew).
//!
//! ```text
//! file → read → Correlation ──resolve──→ Plan ┐
//!                                             ├→ Correlator ← base matches of the set's matcher
//!                                             ↓
//!                                     Completed → Findings
//! ```
//!
//! Invariants: time is the events' own and never runs backwards; events of equal time are sorted before
//! they are counted, so that their order in the recording changes nothing, and so are those that come late,
//! by their own times; memory is bounded for each
//! rule, and what was forgotten before its time is counted ([`GivenUp`]).

mod absence;
mod correlator;
mod group;
mod key;
mod plan;
mod read;

use std::sync::Arc;
use std::time::Duration;

use super::detection::Expr;
use super::field::{Category, Field};
use super::metadata::Word;

pub use correlator::{Completed, Correlator};
pub use plan::{BaseRef, Plan, resolve};
pub use read::correlation;

/// A correlation as its file says it; which rules and fields it names is checked by [`resolve`].
pub struct Correlation {
    pub kind: Kind,
    pub scope: Scope,
    pub timespan: Duration,
    pub rules: Vec<Name>,
    pub without: Vec<Name>,
    pub until: Vec<Name>,
    /// Only so near to the completion does what `without` names count; `None`: anywhere in the run.
    pub within: Option<Duration>,
    /// So many different values of a field make what `without` names be there; `None`: one event.
    pub absent: Option<(u64, Name)>,
    pub group_by: Vec<Name>,
    pub aliases: Vec<Alias>,
    /// So many events, values or rules complete it; `None`: every rule of the list.
    pub threshold: Option<u64>,
    /// What `value_count` counts; of the temporal types, what is counted over the completed groups.
    pub field: Option<Name>,
    pub base: Vec<Base>,
}

/// Sigma's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// So many events.
    EventCount,
    /// So many different values of a field.
    ValueCount,
    /// All of the rules (or so many of them), in any order.
    Temporal,
    /// All of the rules, in the order of the list.
    TemporalOrdered,
}

/// Whose events belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of one process.
    Process,
    /// Those of one program, and of the programs that it led to, a few generations down.
    Lineage,
    /// All events of the run.
    Run,
}

impl Correlation {
    /// Every name of a base or rule, in the order of a plan's steps.
    fn names(&self) -> impl Iterator<Item = &Name> {
        self.rules.iter().chain(&self.without).chain(&self.until)
    }
}

/// A name in the file, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    pub line: usize,
    pub text: String,
}

/// One name for a value that each rule has in a field of its own.
pub struct Alias {
    pub name: Name,
    /// Rule and field.
    pub fields: Vec<(Name, Name)>,
}

/// A detection of the file's own, which reports nothing by itself.
pub struct Base {
    pub name: Name,
    pub category: Category,
    pub detection: Arc<Expr>,
}

/// What a rule had to forget before its time.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenUp {
    /// The rule's name.
    pub rule: String,
    /// The kinds of events that the rule looks at.
    pub categories: Vec<Category>,
    /// Events that could not be counted to the end.
    pub events: u64,
}

impl Word for Kind {
    const ALL: &'static [Kind] = &[Kind::EventCount, Kind::ValueCount, Kind::Temporal, Kind::TemporalOrdered];

    fn name(self) -> &'static str {
        match self {
            Kind::EventCount => "event_count",
            Kind::ValueCount => "value_count",
            Kind::Temporal => "temporal",
            Kind::TemporalOrdered => "temporal_ordered",
        }
    }
}

impl Word for Scope {
    const ALL: &'static [Scope] = &[Scope::Process, Scope::Lineage, Scope::Run];

    fn name(self) -> &'static str {
        match self {
            Scope::Process => "process",
            Scope::Lineage => "lineage",
            Scope::Run => "run",
        }
    }
}

/// The fields of one base that make its group, in the order of `group-by`.
type GroupFields = Box<[&'static Field]>;
