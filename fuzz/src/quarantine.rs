//! An orchestrator's document, into which our check is put.

use jiff::Timestamp;
use lazaret::report::quarantine::{self, CHECK, Check};
use lazaret::report::{Failure, FailureKind};
use serde_json::Value;

pub fn check(bytes: &[u8]) {
    let now = Timestamp::UNIX_EPOCH;
    let failure = Failure { kind: FailureKind::Image, message: "the image is no image".into() };
    let ours = Check::of_failure(failure, "0.0.0", now);
    let _ = quarantine::subject(bytes);
    for subject in [None, Some("sha256:0000000000000000000000000000000000000000000000000000000000000000")] {
        let Ok(document) = quarantine::put(Some(bytes), subject, &ours, now) else { continue };
        let again = quarantine::put(Some(&document), subject, &ours, now).expect("our own document");
        assert_eq!(again, document, "putting it in twice changes nothing");
        others_stay(bytes, &document);
    }
}

/// Every field and check that is not ours has the value it had.
fn others_stay(before: &[u8], after: &[u8]) {
    let after: Value = serde_json::from_slice(after).expect("JSON");
    let Ok(before) = serde_json::from_slice::<Value>(before) else { return };
    let fields = before.as_object().expect("a document is an object");
    let ours = ["checks", "state", "subject", "required"];
    for (name, value) in fields.iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
        assert_eq!(after.get(name), Some(value), "{name}");
    }
    let checks = |document: &Value| -> Vec<Value> {
        let all = document.get("checks").and_then(Value::as_array).cloned().unwrap_or_default();
        all.into_iter().filter(|check| check.get("id").and_then(Value::as_str) != Some(CHECK)).collect()
    };
    assert_eq!(checks(&after), checks(&before));
}
