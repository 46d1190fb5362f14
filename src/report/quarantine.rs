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

/// The version of the format, as the document's field `schema` names it.
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
    // Only ours: what others wrote keeps its bytes.
    let ours = super::escape::json(&serde_json::to_string(check)?);
    let mut ours = Some(RawValue::from_string(ours)?);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::failure::FailureKind;
    use crate::report::sample;

    fn now() -> Timestamp {
        "2026-11-26T00:00:00Z".parse().unwrap()
    }

    fn check_with(result: &str) -> Check {
        Check {
            result: result.into(),
            ..Check::of_report(&sample::calm(), vec![sample::named("report.json")])
        }
    }

    fn put_into(existing: &str, check: &Check) -> Result<Value, QuarantineError> {
        let bytes = put(Some(existing.as_bytes()), Some(sample::DIGEST), check, now())?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    /// A document of an orchestrator, with the given required checks and checks.
    fn document(required: Value, checks: Value) -> String {
        let digest = sample::DIGEST;
        json!({ "schema": SCHEMA, "subject": { "digest": digest }, "state": "pending", "required": required, "checks": checks })
            .to_string()
    }

    #[test]
    fn a_new_document_has_our_check_and_its_state() {
        for (result, state) in [
            ("pass", "passed"),
            ("fail", "failed"),
            ("review", "pending"),
            ("inconclusive", "pending"),
            ("error", "pending"),
        ] {
            let bytes = put(None, Some(sample::DIGEST), &check_with(result), now()).unwrap();
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["schema"], SCHEMA);
            assert_eq!(value["subject"]["digest"], sample::DIGEST);
            assert_eq!(value["state"], state, "{result}");
            assert_eq!(value["required"], json!(["dynamic-analysis"]));
            assert_eq!(value["checks"][0]["result"], result);
            assert_eq!(value["checks"][0]["tool"], "lazaret/0.1.0");
            assert_eq!(value["checks"][0]["weight"], 1.0);
            assert_eq!(value["checks"][0]["evidence"][0]["name"], "report.json");
            assert_eq!(value["checks"][0]["policy"]["name"], "default");
        }
    }

    #[test]
    fn what_others_wrote_stays_to_the_last_digit() {
        let digest = sample::DIGEST;
        let existing = format!(
            "{{\"unknown\":{{\"b\":1.10,\"a\":123456789012345678901234567890}},\"schema\":\"{SCHEMA}\",\
             \"subject\":{{\"digest\":\"{digest}\",\"size\":1e400}},\"state\":\"pending\",\"required\":[\"scan\"],\
             \"checks\":[{{\"id\":\"scan\",\"result\":\"pass\",\"score\":0.10000000000000000000001,\"text\":\"\\u0041\"}}]}}"
        );
        let bytes = put(Some(existing.as_bytes()), Some(digest), &check_with("pass"), now()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        for kept in [
            "{\"b\":1.10,\"a\":123456789012345678901234567890}",
            "\"size\":1e400",
            "{\"id\":\"scan\",\"result\":\"pass\",\"score\":0.10000000000000000000001,\"text\":\"\\u0041\"}",
            "\"unknown\": {",
        ] {
            assert!(text.contains(kept), "{kept} is not in {text}");
        }
        assert!(text.find("unknown").unwrap() < text.find("schema").unwrap());
    }

    #[test]
    fn our_check_is_replaced_where_it_stands() {
        let checks = json!([
            { "id": "a", "result": "pass" },
            { "id": CHECK, "result": "fail" },
            { "id": "b", "result": "pass" },
            { "id": CHECK, "result": "error" },
        ]);
        let value = put_into(&document(json!([CHECK]), checks), &check_with("pass")).unwrap();
        let ids: Vec<&str> =
            value["checks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a", CHECK, "b"]);
        assert_eq!((&value["checks"][1]["result"], &value["state"]), (&json!("pass"), &json!("passed")));
    }

    #[test]
    fn putting_the_same_check_twice_changes_nothing_more() {
        let once = put(None, Some(sample::DIGEST), &check_with("pass"), now()).unwrap();
        let twice = put(Some(&once), Some(sample::DIGEST), &check_with("pass"), now()).unwrap();
        assert_eq!(String::from_utf8(once), String::from_utf8(twice));
    }

    #[test]
    fn the_state_follows_from_required_checks_and_results() {
        let check = |required: Value, others: Value, ours: &str, expected: &str| {
            let value = put_into(&document(required.clone(), others.clone()), &check_with(ours)).unwrap();
            assert_eq!(value["state"], expected, "{required} {others} {ours}");
        };
        let scan = |result: &str| json!([{ "id": "scan", "result": result }]);
        let dated = |until: &str| json!([{ "id": "scan", "result": "pass", "valid_until": until }]);
        check(json!([CHECK, "scan"]), json!([]), "pass", "pending");
        check(json!([CHECK, "scan"]), scan("pass"), "pass", "passed");
        check(json!([CHECK, "scan"]), scan("error"), "pass", "pending");
        check(json!([CHECK, "scan"]), scan("fail"), "pass", "failed");
        check(json!([CHECK]), scan("review"), "pass", "passed");
        check(json!([CHECK]), scan("fail"), "pass", "failed");
        check(json!(["scan"]), scan("pass"), "fail", "failed");
        check(json!(["scan"]), scan("pass"), "error", "passed");
        check(json!([]), scan("pass"), "pass", "passed");
        check(json!([]), scan("review"), "pass", "pending");
        check(json!(["scan"]), dated("2026-11-25T23:59:59Z"), "pass", "expired");
        check(json!(["scan"]), dated("2026-11-26T00:00:01Z"), "pass", "passed");
        check(json!(["scan"]), dated("soon"), "pass", "expired");
        check(json!([CHECK]), dated("2020-01-01T00:00:00Z"), "pass", "passed");
        check(json!(["scan"]), dated("2020-01-01T00:00:00Z"), "fail", "failed");
    }

    #[test]
    fn a_document_about_something_else_is_refused() {
        let other = document(json!([]), json!([])).replace(sample::DIGEST, "sha256:00");
        let error = put_into(&other, &check_with("pass")).unwrap_err();
        assert!(matches!(error, QuarantineError::OtherSubject { .. }), "{error}");
        let other = document(json!([]), json!([])).replace(SCHEMA, "lazaret.quarantine/v2");
        assert!(matches!(put_into(&other, &check_with("pass")), Err(QuarantineError::Schema { .. })));
    }

    #[test]
    fn an_error_before_the_digest_is_known_changes_no_subject() {
        let failure = Failure { kind: FailureKind::HostileImage, message: "layer 1 climbs out".into() };
        let check = Check::of_failure(failure, "0.1.0", now());
        let bytes = put(None, None, &check, now()).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["subject"]["digest"], Value::Null);
        assert_eq!(value["checks"][0]["result"], "error");
        assert_eq!(
            value["checks"][0]["error"],
            json!({ "kind": "hostile_image", "message": "layer 1 climbs out" })
        );
        let known = put(Some(&bytes), Some(sample::DIGEST), &check_with("pass"), now()).unwrap();
        let value: Value = serde_json::from_slice(&known).unwrap();
        assert_eq!(
            (&value["subject"]["digest"], &value["state"]),
            (&json!(sample::DIGEST), &json!("passed"))
        );
        let kept = put(Some(&known), None, &check, now()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap()["subject"]["digest"], sample::DIGEST);
    }

    #[test]
    fn what_is_no_quarantine_report_is_refused() {
        for text in ["", "[]", "{}", "{\"schema\":1}", "{\"schema\":\"x\",\"schema\":\"y\"}", "not json"] {
            assert!(put_into(text, &check_with("pass")).is_err(), "{text}");
        }
        let whole: Value = serde_json::from_str(&document(json!([]), json!([]))).unwrap();
        for field in ["schema", "subject", "checks"] {
            let mut cut = whole.clone();
            cut.as_object_mut().unwrap().remove(field);
            let error = put_into(&cut.to_string(), &check_with("pass")).unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
        let nameless = document(json!([]), json!([{ "result": "pass" }]));
        assert!(put_into(&nameless, &check_with("pass")).is_err());
    }
}
