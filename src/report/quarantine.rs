//! The quarantine report, `lazaret.quarantine/v1`: an orchestrator's document over all its checks,
//! into which we put ours.
//!
//! Only our check and the `state` are ours. Everything else is kept as it was written, byte for byte
//! inside each value, so that no number loses a digit and no unknown field is lost. A document about
//! another subject is refused.
//!
//! Pure: bytes come in, bytes go out; the caller replaces the file atomically.

use std::fmt;

use jiff::Timestamp;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::document::{Decision, Named, Report};
use super::failure::Failure;

pub const SCHEMA: &str = "lazaret.quarantine/v1";
/// The name of our check.
pub const CHECK: &str = "dynamic-analysis";
/// Largest document that is taken.
pub const BYTES_MAX: usize = 16 << 20;

/// Our check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    pub id: String,
    /// `lazaret/0.1.0`
    pub tool: String,
    /// `pass`, `fail`, `review`, `inconclusive` or `error`.
    pub result: String,
    pub weight: f64,
    /// One line.
    pub summary: String,
    /// Files that the result rests on.
    pub evidence: Vec<Named>,
    pub created: String,
    /// Null for an error.
    pub valid_until: Option<String>,
    pub policy: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Why a document cannot take our check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    #[error("the quarantine report is larger than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("the quarantine report is not the JSON it should be")]
    Json(#[from] serde_json::Error),
    #[error("the quarantine report has schema {found:?}, not {SCHEMA:?}")]
    Schema { found: String },
    #[error("the quarantine report has no {field:?}")]
    Missing { field: &'static str },
    #[error("the quarantine report is about {found}, not about {ours}")]
    OtherSubject { found: String, ours: String },
}

impl Check {
    /// Our check after a run. `evidence` are the run's files.
    pub fn of_report(report: &Report, evidence: Vec<Named>) -> Self {
        Self {
            id: CHECK.to_owned(),
            tool: format!("lazaret/{}", report.environment.lazaret),
            result: report.verdict.result.name().to_owned(),
            weight: 1.0,
            summary: summary(report),
            evidence,
            created: report.created.clone(),
            valid_until: Some(report.valid_until.clone()),
            policy: Some(report.inputs.policy.clone()),
            error: None,
        }
    }

    /// Our check where there was no verdict. `version` is lazaret's.
    pub fn of_failure(failure: Failure, version: &str, now: Timestamp) -> Self {
        Self {
            id: CHECK.to_owned(),
            tool: format!("lazaret/{version}"),
            result: "error".to_owned(),
            weight: 1.0,
            summary: format!("no verdict: {}", failure.message),
            evidence: Vec::new(),
            created: now.to_string(),
            valid_until: None,
            policy: None,
            error: Some(failure),
        }
    }
}

/// One line about a report: `fail: 3 findings, first "Reverse shell" (critical)`.
pub fn summary(report: &Report) -> String {
    let result = report.verdict.result.name();
    let count = report.findings.len() as u64 + report.findings_omitted;
    let because = match (report.verdict.result, report.verdict.reasons.first()) {
        (Decision::Inconclusive, Some(reason)) => format!("; {}", reason.clause),
        _ => String::new(),
    };
    let exception = if report.verdict.allowed_by.is_some() { " by exception" } else { "" };
    let found = match report.findings.first() {
        None => "no findings".to_owned(),
        Some(first) => {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} finding{plural}, first {:?} ({})", first.title, first.level.name())
        }
    };
    format!("{result}{exception}: {found}{because}")
}

/// Puts our check into a document, or into a new one. `subject` is the digest of what we looked at;
/// `None` where an error came before it was known: then only the check is put in.
///
/// The `state` is computed again: `failed` if a check says fail; else `pending` until every required
/// check (all checks, where none is required) says pass; else `expired` if one of those has; else
/// `passed`.
pub fn put(
    existing: Option<&[u8]>,
    subject: Option<&str>,
    check: &Check,
    now: Timestamp,
) -> Result<Vec<u8>, QuarantineError> {
    let mut document = match existing {
        None => new_document(subject)?,
        Some(bytes) => read(bytes)?,
    };
    put_subject(&mut document, subject)?;
    if document.get("required").is_none() {
        document.set("required", &[CHECK])?;
    }
    let checks = put_check(&document, check)?;
    let required: Vec<String> = document.parse("required")?;
    let views = checks.iter().map(|raw| serde_json::from_str(raw.get())).collect::<Result<Vec<_>, _>>()?;
    document.set("state", state(&required, &views, now))?;
    document.set("checks", &checks)?;
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The digest of the image that a document is about; `None` where it does not say so yet.
pub fn subject(existing: &[u8]) -> Result<Option<String>, QuarantineError> {
    let subject: Fields = read(existing)?.parse("subject")?;
    subject.parse("digest")
}

fn new_document(subject: Option<&str>) -> Result<Fields, QuarantineError> {
    let mut document = Fields::default();
    document.set("schema", SCHEMA)?;
    document.set("subject", &serde_json::json!({ "digest": subject }))?;
    document.set("state", "pending")?;
    document.set("required", &[CHECK])?;
    document.set("checks", &[(); 0])?;
    Ok(document)
}

fn read(bytes: &[u8]) -> Result<Fields, QuarantineError> {
    if bytes.len() > BYTES_MAX {
        return Err(QuarantineError::TooLarge);
    }
    let document: Fields = serde_json::from_slice(bytes)?;
    let schema: String = document.parse("schema")?;
    if schema != SCHEMA {
        return Err(QuarantineError::Schema { found: schema });
    }
    Ok(document)
}

/// Compares the subjects; fills in a digest that the document does not know yet.
fn put_subject(document: &mut Fields, ours: Option<&str>) -> Result<(), QuarantineError> {
    let mut subject: Fields = document.parse("subject")?;
    let found: Option<String> = subject.parse("digest")?;
    match (found, ours) {
        (Some(found), Some(ours)) if found != ours => {
            Err(QuarantineError::OtherSubject { found, ours: ours.to_owned() })
        }
        (None, Some(ours)) => {
            subject.set("digest", ours)?;
            document.set("subject", &subject)
        }
        _ => Ok(()),
    }
}

/// The checks with ours in the place of our former one, or at the end.
fn put_check(document: &Fields, check: &Check) -> Result<Vec<Box<RawValue>>, QuarantineError> {
    let before: Vec<Box<RawValue>> = document.parse("checks")?;
    let mut ours = Some(to_raw_value(check)?);
    let mut after = Vec::with_capacity(before.len() + 1);
    for raw in before {
        let view: View = serde_json::from_str(raw.get())?;
        if view.id != check.id {
            after.push(raw);
        } else {
            after.extend(ours.take());
        }
    }
    after.extend(ours);
    Ok(after)
}

/// What the state depends on in a check, whoever wrote it.
#[derive(Deserialize)]
struct View {
    id: String,
    result: String,
    #[serde(default)]
    valid_until: Option<String>,
}

impl View {
    /// A time that cannot be read is over.
    fn is_expired(&self, now: Timestamp) -> bool {
        let until = self.valid_until.as_ref().map(|text| text.parse::<Timestamp>());
        until.is_some_and(|until| !until.is_ok_and(|until| until > now))
    }
}

fn state(required: &[String], checks: &[View], now: Timestamp) -> &'static str {
    if checks.iter().any(|check| check.result == "fail") {
        return "failed";
    }
    let passed: Vec<&View> = checks.iter().filter(|check| check.result == "pass").collect();
    let complete = match required {
        [] => passed.len() == checks.len(),
        names => names.iter().all(|name| passed.iter().any(|check| check.id == *name)),
    };
    let counts = |check: &&View| required.is_empty() || required.contains(&check.id);
    if !complete {
        "pending"
    } else if passed.into_iter().filter(counts).any(|check| check.is_expired(now)) {
        "expired"
    } else {
        "passed"
    }
}

/// An object whose values are kept as they were written, in their order; no key twice.
#[derive(Default)]
struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self, key: &'static str) -> Result<T, QuarantineError> {
        let value = self.get(key).ok_or(QuarantineError::Missing { field: key })?;
        Ok(serde_json::from_str(value.get())?)
    }

    fn set(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<(), QuarantineError> {
        let value = to_raw_value(value)?;
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
        Ok(())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((key, value)) = from.next_entry::<String, Box<RawValue>>()? {
                    if fields.get(&key).is_some() {
                        return Err(serde::de::Error::custom(format!("key {key:?} stands twice")));
                    }
                    fields.0.push((key, value));
                }
                Ok(fields)
            }
        }
        from.deserialize_map(FieldsVisitor)
    }
}
