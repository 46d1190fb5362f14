//! Every way to end without a verdict: error → kind → exit code, with a hint.
//!
//! One place decides, so that the same cause has the same code wherever it comes up.

#[cfg(feature = "live")]
mod live;

use std::error::Error;
use std::fmt;

use crate::report::escape;
use crate::report::failure;
pub use crate::report::failure::FailureKind as Kind;

/// 2: usage or unusable input, nothing ran. 5: this host or lazaret itself failed.
pub fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Usage | Kind::Image | Kind::HostileImage => 2,
        Kind::Environment | Kind::Interrupted | Kind::Internal => 5,
    }
}

/// An end without a verdict.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// What could not be done, and to what.
    pub what: String,
    pub cause: Option<Box<dyn Error + Send + Sync>>,
    /// What to do next.
    pub hint: Option<String>,
    /// What went wrong afterwards, while cleaning up.
    pub after: Vec<String>,
}

impl Failure {
    pub fn new(kind: Kind, what: impl Into<String>) -> Failure {
        Failure { kind, what: what.into(), cause: None, hint: None, after: Vec::new() }
    }

    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Failure {
        self.cause = Some(Box::new(cause));
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what failed afterwards: never told instead of the first failure.
    pub fn and_then(mut self, after: impl Error) -> Failure {
        self.after.push(after.to_string());
        self
    }

    /// The failure as it is published.
    pub fn published(&self) -> failure::Failure {
        failure::Failure { kind: self.kind, message: self.summary() }
    }

    /// One line.
    fn summary(&self) -> String {
        let mut line = self.what.clone();
        for cause in self.causes() {
            line.push_str(": ");
            line.push_str(&cause);
        }
        line
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static));
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }
}

/// `error:`, `caused by:` and `hint:`, each on a line of its own; hostile bytes escaped.
impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error: {}", escape::terminal(&self.what))?;
        for cause in self.causes() {
            write!(out, "\n  caused by: {}", escape::terminal(&cause))?;
        }
        for after in &self.after {
            write!(out, "\n  and then: {}", escape::terminal(after))?;
        }
        match &self.hint {
            Some(hint) => write!(out, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}
