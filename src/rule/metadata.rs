//! What a rule says about itself, beside what it detects.

use std::sync::Arc;

use super::attack::Technique;
use super::correlation::Correlation;
use super::detection::Expr;
use super::field::{Category, Field};

/// One rule, loaded and checked.
pub struct Rule {
    /// The file name's stem: the name in findings, policies and fixtures.
    pub name: String,
    /// The file as it was named when loading.
    pub file: String,
    /// The rule's UUID, in lower case.
    pub id: String,
    pub title: String,
    pub status: Status,
    pub description: String,
    pub references: Vec<String>,
    pub author: String,
    /// YYYY-MM-DD.
    pub date: String,
    pub techniques: Vec<&'static Technique>,
    pub level: Level,
    pub class: Class,
    pub confidence: Confidence,
    pub false_positives: Vec<String>,
    /// One sentence for whoever reads the report: what it means that this happened.
    pub meaning: String,
    /// One sentence: what to do next.
    pub advice: String,
    /// The fields a finding's id is made from; empty for the default (techniques and executable).
    pub identity: Vec<&'static Field>,
    /// SHA-256 of the file's bytes.
    pub digest: [u8; 32],
    pub(super) body: Body,
}

/// What a rule detects.
pub(super) enum Body {
    /// Single events of one category.
    Event { category: Category, detection: Arc<Expr> },
    /// Several events together.
    Correlation(Box<Correlation>),
}

impl Rule {
    /// The category of its events, or the type of its correlation.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Event { category, .. } => category.name(),
            Body::Correlation(correlation) => correlation.kind.name(),
        }
    }
}

/// How grave it is that the rule matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

/// What kind of statement a match is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Unusual for an image of any kind; says nothing about intent.
    Anomalous,
    /// Dangerous whoever does it, and sometimes done for good reasons.
    Risky,
    /// Done by malware, and hardly by anything else.
    Malicious,
}

/// How sure a match is to be what the title says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    Low,
    Medium,
    High,
}

/// Sigma's status of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Experimental,
    Test,
    Stable,
}

/// A closed set of words.
pub trait Word: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];
    /// The word in a rule file.
    fn name(self) -> &'static str;

    /// The value of this word.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.name() == name)
    }
}

impl Word for Level {
    const ALL: &'static [Level] =
        &[Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }
}

impl Word for Class {
    const ALL: &'static [Class] = &[Class::Anomalous, Class::Risky, Class::Malicious];

    fn name(self) -> &'static str {
        match self {
            Class::Anomalous => "anomalous",
            Class::Risky => "risky",
            Class::Malicious => "malicious",
        }
    }
}

impl Word for Confidence {
    const ALL: &'static [Confidence] = &[Confidence::Low, Confidence::Medium, Confidence::High];

    fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

impl Word for Status {
    const ALL: &'static [Status] = &[Status::Experimental, Status::Test, Status::Stable];

    fn name(self) -> &'static str {
        match self {
            Status::Experimental => "experimental",
            Status::Test => "test",
            Status::Stable => "stable",
        }
    }
}

impl Word for Category {
    const ALL: &'static [Category] = &Category::ALL;

    fn name(self) -> &'static str {
        Category::name(self)
    }
}
