//! Decides: `verdict = policy(findings, coverage, run)`.
//!
//! A verdict is a pure function of facts, so anyone may compute it again, also from a report and
//! with a policy of his own. It is explained clause by clause. What was not seen can lower a pass or
//! a review to inconclusive; it never softens a fail. Exceptions are data with an author and an end,
//! and an image that passes by one says so.
//!
//! Not here: what findings are and mean ([`crate::rule`]), how a verdict is written down
//! ([`crate::report`]), the time of day (it is passed in).

mod decide;
mod exception;
mod fact;
mod policy;

#[cfg(test)]
mod tests;

pub use crate::yaml::strict::{FileError as PolicyError, Problem};
pub use decide::{Applied, Clause, Verdict, decide, worst};
pub use exception::{Exception, parse_exceptions};
pub use fact::{Case, End, FamilyFacts, FindingFacts, RunFacts, Sight, SubjectFacts};
pub use policy::{Policy, SHIPPED, TechniqueRule, Threshold, Thresholds, shipped};

/// What a verdict comes to, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    Pass,
    /// Somebody should look at the findings.
    Review,
    /// Too little was seen to tell.
    Inconclusive,
    Fail,
}

impl Decision {
    /// Every decision, from best to worst.
    pub const ALL: [Decision; 4] = [Decision::Pass, Decision::Review, Decision::Inconclusive, Decision::Fail];

    /// The name in policies and reports.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Pass => "pass",
            Decision::Review => "review",
            Decision::Inconclusive => "inconclusive",
            Decision::Fail => "fail",
        }
    }

    /// The decision of this name.
    pub fn parse(name: &str) -> Option<Decision> {
        Decision::ALL.into_iter().find(|decision| decision.name() == name)
    }
}
