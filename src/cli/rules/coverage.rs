//! `rules coverage`: an ATT&CK Navigator layer of the techniques that the rules name.
//!
//! Format: Navigator layer file format 4.5. A technique's score is the number of rules that name it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Outcome, RulesError, load};
use crate::rule::{RuleSet, attack};

/// Writes the layer as JSON.
pub fn coverage(directories: &[PathBuf], out: &mut dyn Write) -> Result<Outcome, RulesError> {
    let layer = layer(&load(directories)?);
    writeln!(out, "{layer:#}")?;
    Ok(Outcome::Good)
}

fn layer(rules: &RuleSet) -> Value {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for rule in rules.rules() {
        for technique in &rule.techniques {
            names.entry(&technique.id).or_default().push(&rule.name);
        }
    }
    let most = names.values().map(Vec::len).max().unwrap_or(1);
    let techniques: Vec<Value> = names
        .into_iter()
        .map(|(id, rules)| json!({ "techniqueID": id, "score": rules.len(), "comment": rules.join(", ") }))
        .collect();
    json!({
        "name": "lazaret rules",
        "versions": { "attack": attack::VERSION, "navigator": "5.1.0", "layer": "4.5" },
        "domain": "enterprise-attack",
        "description": "techniques that at least one rule names; the score is the number of rules",
        "filters": { "platforms": ["Linux", "Containers"] },
        "gradient": { "colors": ["#cfe8ff", "#0b5cad"], "minValue": 1, "maxValue": most.max(2) },
        "techniques": techniques,
    })
}
