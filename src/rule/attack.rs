//! The MITRE ATT&CK table, Enterprise v19: techniques, tactics, and the ids that v19 retired.
//!
//! The table is a file of its own beside this one, embedded as it is, so that its licence line travels
//! with it. It names techniques; it holds none of their text.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The version of the table, as reports name it.
pub const VERSION: &str = "19";

const TABLE: &str = include_str!("attack-enterprise-19.json");

/// A way to reach an aim (`T1059.004`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Technique {
    pub id: String,
    pub name: String,
    /// Short names of the aims it serves.
    pub tactics: Vec<String>,
}

/// An aim (`execution`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tactic {
    pub id: String,
    #[serde(rename = "shortname")]
    pub short_name: String,
    pub name: String,
}

/// What the table says of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Known(&'static Technique),
    /// An id of earlier versions, with its successor where v19 names one.
    Retired(Option<&'static str>),
    Unknown,
}

/// Looks a technique up by its id, in capitals.
pub fn technique(id: &str) -> Lookup {
    if let Some(&index) = INDEX.techniques.get(id) {
        return Lookup::Known(&INDEX.table.techniques[index]);
    }
    match INDEX.table.retired.iter().find(|retired| retired.id == id) {
        Some(retired) => Lookup::Retired(retired.replaced_by.as_deref()),
        None => Lookup::Unknown,
    }
}

/// Looks a tactic up by its short name.
pub fn tactic(short_name: &str) -> Option<&'static Tactic> {
    tactics().iter().find(|tactic| tactic.short_name == short_name)
}

/// All tactics, in the matrix's order.
pub fn tactics() -> &'static [Tactic] {
    &INDEX.table.tactics
}

/// All techniques, in the order of their ids.
pub fn techniques() -> &'static [Technique] {
    &INDEX.table.techniques
}

#[derive(Deserialize)]
struct Table {
    version: String,
    tactics: Vec<Tactic>,
    techniques: Vec<Technique>,
    retired: Vec<Retired>,
}

#[derive(Deserialize)]
struct Retired {
    id: String,
    replaced_by: Option<String>,
}

struct Index {
    table: Table,
    techniques: HashMap<String, usize>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let table: Table = serde_json::from_str(TABLE).expect("the embedded table is valid JSON");
    assert_eq!(table.version, VERSION, "the embedded table is the version we name");
    let techniques = table.techniques.iter().enumerate().map(|(at, it)| (it.id.clone(), at)).collect();
    Index { table, techniques }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_technique_has_its_name_and_tactics() {
        let Lookup::Known(cron) = technique("T1053.003") else { panic!("not known") };
        assert_eq!(cron.name, "Cron");
        assert_eq!(cron.tactics, ["execution", "persistence", "privilege-escalation"]);
    }

    #[test]
    fn a_retired_id_names_its_successor() {
        assert_eq!(technique("T1002"), Lookup::Retired(Some("T1560")));
        assert_eq!(technique("T9999"), Lookup::Unknown);
    }

    #[test]
    fn every_tactic_of_a_technique_is_known() {
        for name in techniques().iter().flat_map(|technique| &technique.tactics) {
            assert!(tactic(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_licence_line_travels_with_the_table() {
        assert!(TABLE.contains("reproduced and distributed with the permission of The MITRE Corporation"));
    }
}
