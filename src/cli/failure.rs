//! Every way to end without a verdict: error → kind → exit code, with a hint.
//!
//! One place decides, so that the same cause has the same code wherever it comes up.

#[cfg(feature = "live")]
mod live;

use std::error::Error;
use std::fmt;

use super::terminal;
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
    /// An end of this kind: what could not be done, and to what.
    pub fn new(kind: Kind, what: impl Into<String>) -> Failure {
        Failure { kind, what: what.into(), cause: None, hint: None, after: Vec::new() }
    }

    /// Adds the cause, and with it the causes of that.
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Failure {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Adds what to do next.
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

    /// As [`Display`](fmt::Display) has it, within the columns of a terminal.
    pub fn folded(&self) -> String {
        let fold = |(label, text): (&str, String)| terminal::fold(label, &text);
        self.lines().into_iter().map(fold).collect::<Vec<_>>().join("\n")
    }

    /// Each line with its label.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("error: ", escape::terminal(&self.what))];
        lines.extend(self.causes().iter().map(|cause| ("  caused by: ", escape::terminal(cause))));
        lines.extend(self.after.iter().map(|after| ("  and then: ", escape::terminal(after))));
        lines.extend(self.hint.iter().map(|hint| ("hint: ", hint.clone())));
        lines
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
        let lines: Vec<String> =
            self.lines().into_iter().map(|(label, text)| label.to_owned() + &text).collect();
        out.write_str(&lines.join("\n"))
    }
}

impl Error for Failure {}
