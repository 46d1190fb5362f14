//! The event that says that a run is over, for every end: CloudEvents 1.0 in its JSON format
//! (structured mode).

use jiff::Timestamp;
use serde::Serialize;

use super::document::{Named, Report, Request};
use super::failure::Failure;
use super::quarantine;

/// A CloudEvent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Completion {
    pub specversion: &'static str,
    /// The same for the same end, so that a receiver can drop repetitions.
    pub id: String,
    pub source: &'static str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Digest of the image, or its reference where the digest is not known.
    pub subject: String,
    pub time: String,
    pub datacontenttype: &'static str,
    pub data: Data,
}

/// What the event is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    pub request: Request,
    pub reference: String,
    pub digest: Option<String>,
    /// Id of the report; null where there is none.
    pub report: Option<String>,
    /// `pass`, `fail`, `review`, `inconclusive` or `error`.
    pub result: String,
    pub summary: String,
    /// Exit code of the process.
    pub exit_code: u8,
    /// Files of the run.
    pub evidence: Vec<Named>,
    pub error: Option<Failure>,
}

/// What was asked for, where it ended without a verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Of the run: the id that its report would have had.
    pub id: String,
    pub request: Request,
    pub reference: String,
    /// `None` where the image was never read so far.
    pub digest: Option<String>,
}

impl Completion {
    /// After a verdict. `failure` is what went wrong besides it (the clean-up).
    pub fn of_report(
        report: &Report,
        evidence: Vec<Named>,
        exit_code: u8,
        failure: Option<Failure>,
        now: Timestamp,
    ) -> Self {
        let subject = &report.subject;
        let digest = subject.digest().to_owned();
        let data = Data {
            request: report.request.clone(),
            reference: subject.reference.clone(),
            digest: Some(digest.clone()),
            report: Some(report.id.clone()),
            result: report.verdict.result.name().to_owned(),
            summary: quarantine::summary(report),
            exit_code,
            evidence,
            error: failure,
        };
        Self::new(report.id.clone(), "lazaret.analysis.completed.v1", digest, now, data)
    }

    /// Without a verdict.
    pub fn of_failure(attempt: &Attempt, failure: Failure, exit_code: u8, now: Timestamp) -> Self {
        let subject = attempt.digest.as_ref().unwrap_or(&attempt.reference).clone();
        let data = Data {
            request: attempt.request.clone(),
            reference: attempt.reference.clone(),
            digest: attempt.digest.clone(),
            report: None,
            result: "error".to_owned(),
            summary: format!("no verdict: {}", failure.message),
            exit_code,
            evidence: Vec::new(),
            error: Some(failure),
        };
        Self::new(attempt.id.clone(), "lazaret.analysis.failed.v1", subject, now, data)
    }

    fn new(id: String, kind: &'static str, subject: String, now: Timestamp, data: Data) -> Self {
        Self {
            specversion: "1.0",
            id,
            source: "/lazaret",
            kind,
            subject,
            time: now.to_string(),
            datacontenttype: "application/json",
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::failure::FailureKind;
    use crate::report::sample;

    fn now() -> Timestamp {
        "2026-11-26T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_verdict_is_announced_with_its_report() {
        let report = sample::malicious();
        let event = Completion::of_report(&report, vec![sample::named("report.json")], 1, None, now());
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["specversion"], "1.0");
        assert_eq!(json["type"], "lazaret.analysis.completed.v1");
        assert_eq!(json["subject"], sample::DIGEST);
        assert_eq!(json["time"], "2026-11-26T00:00:00Z");
        assert_eq!(json["data"]["result"], "fail");
        assert_eq!(json["data"]["report"], report.id);
        assert_eq!(json["data"]["exit_code"], 1);
        assert_eq!(json["data"]["error"], serde_json::Value::Null);
        assert_eq!(json["data"]["summary"], "fail: 3 findings, first \"Reverse shell\" (critical)");
    }

    #[test]
    fn an_error_is_announced_with_its_kind() {
        let attempt = Attempt {
            id: "run-1".into(),
            request: sample::header().request,
            reference: "oci:x".into(),
            digest: None,
        };
        let failure = Failure { kind: FailureKind::HostileImage, message: "layer 1 climbs out".into() };
        let json = serde_json::to_value(Completion::of_failure(&attempt, failure, 2, now())).unwrap();
        assert_eq!((&json["id"], &json["subject"]), (&"run-1".into(), &"oci:x".into()));
        assert_eq!(json["data"]["error"]["kind"], "hostile_image");
        assert_eq!((&json["data"]["result"], &json["data"]["exit_code"]), (&"error".into(), &2.into()));
    }

    #[test]
    fn kinds_are_named_as_they_are_written() {
        for kind in FailureKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
