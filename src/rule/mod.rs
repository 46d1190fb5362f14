//! Rules: read, checked, compiled together, and held against events; what they match are findings.
//!
//! ```text
//! file → yaml → parse (metadata, selections, condition) → Rule ┐
//!                                                    RuleSet ──┴→ Matcher ← Event
//!                                                                    ↓ ↘ Correlator
//!                                                     Findings ← matches ↙
//!                                                        ↓
//!                                                    FindingList
//! ```
//!
//! Everything that a rule names is typed and known; what is not is an error with file, line and a
//! suggestion. Matching is case-sensitive and works on bytes. All rules are always tried (by an index
//! that leaves out what cannot match), and no rule can stop another. A finding's id is the same in every
//! run of the same image.
//!
//! Not here: files and directories (rules come in as bytes), how findings are published
//! ([`crate::report`]) and what follows from them ([`crate::verdict`]).

pub mod attack;
mod capability;
mod check;
mod correlation;
pub mod describe;
mod detection;
mod error;
mod expression;
pub mod field;
mod finding;
mod identity;
mod index;
mod metadata;
mod parse;
mod selection;
mod set;
mod shipped;
mod subject;
#[cfg(test)]
mod tests;

pub use capability::name as capability_name;
pub use correlation::GivenUp;
pub use error::{Problem, RuleError};
pub use finding::{EVIDENCE_FIRST, Evidence, FINDINGS_MAX, Finding, FindingId, FindingList, Findings};
pub use metadata::{Class, Confidence, Level, Rule, Status, Word};
pub use set::{Matcher, RuleMatch, RuleSet};
pub use shipped::SHIPPED;
