use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::event::Family;
use crate::rule::{Class, Confidence, Level, Word};

const DIGEST: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn policy(name: &str) -> Policy {
    Policy::parse(name, shipped(name).unwrap().as_bytes()).unwrap()
}

fn finding(id: &str, class: Class, level: Level) -> FindingFacts {
    FindingFacts {
        id: id.into(),
        rule: format!("rule-{id}"),
        level,
        class,
        confidence: Confidence::High,
        techniques: vec!["T1059.004".into()],
        count: 1,
        evidence: vec![format!("exec /tmp/{id}")],
    }
}

/// A run in which everything was seen and nothing happened.
fn calm() -> Case {
    let seen = |family| FamilyFacts { family, sight: Sight::Full, reason: String::new() };
    Case {
        subject: SubjectFacts {
            reference: "docker://registry.example:5000/team/app:1.2".into(),
            digest: DIGEST.into(),
            unchanged: Some(true),
        },
        findings: Vec::new(),
        coverage: Family::ALL.map(seen).into(),
        run: RunFacts {
            recorded: "2026-05-31T12:00:00Z".parse().unwrap(),
            end: End::Deadline,
            entrypoint_ran: true,
            time: Duration::from_secs(60),
            lost: 0,
            limits_hit: Vec::new(),
            recording_complete: true,
        },
    }
}

fn with(findings: &[FindingFacts]) -> Case {
    Case { findings: findings.to_vec(), ..calm() }
}

fn decision(policy: &Policy, case: &Case) -> Decision {
    decide(policy, &[], case, now()).decision
}

/// Every way of seeing too little, applied to a run.
fn blinded(case: &Case) -> Vec<(&'static str, Case)> {
    let mut cases: Vec<(&'static str, Case)> = Vec::new();
    let mut add = |name, change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        cases.push((name, changed));
    };
    add("really ran", &|case| case.run.entrypoint_ran = false);
    add("were lost", &|case| case.run.lost = 1);
    add("recording", &|case| case.run.recording_complete = false);
    add("changed while", &|case| case.subject.unchanged = Some(false));
    add("from outside", &|case| case.run.end = End::Killed);
    add("stopped before", &|case| case.run.end = End::Stopped);
    add("limit ended", &|case| case.run.end = End::Limit);
    add("\"memory\"", &|case| case.run.limits_hit = vec!["stdout".into(), "memory".into()]);
    add("ran for 0.5 s", &|case| case.run.time = Duration::from_millis(500));
    for family in ["process", "file", "network"] {
        add(family, &|case| case.coverage.retain(|entry| entry.family.name() != family));
        add(family, &|case| {
            let of_family = case.coverage.iter_mut().find(|entry| entry.family.name() == family);
            of_family.unwrap().sight = Sight::Partial;
        });
    }
    cases
}

#[test]
fn default_thresholds_over_every_class_level_and_confidence() {
    let policy = policy("default");
    for &class in Class::ALL {
        for &level in Level::ALL {
            for &confidence in Confidence::ALL {
                let case = with(&[FindingFacts { confidence, ..finding("f", class, level) }]);
                let expected = match (class, level, confidence) {
                    (Class::Malicious, Level::High | Level::Critical, Confidence::Low) => Decision::Review,
                    (Class::Malicious, Level::High | Level::Critical, _) => Decision::Fail,
                    (Class::Malicious, Level::Medium, _) => Decision::Review,
                    (Class::Risky, Level::Medium | Level::High | Level::Critical, _) => Decision::Review,
                    _ => Decision::Pass,
                };
                assert_eq!(decision(&policy, &case), expected, "{class:?} {level:?} {confidence:?}");
            }
        }
    }
}

#[test]
fn blindness_lowers_pass_and_review_and_never_softens_fail() {
    let policy = Policy { minimum_run: Duration::from_secs(1), ..policy("default") };
    let cases = [
        (calm(), Decision::Pass, Decision::Inconclusive),
        (with(&[finding("r", Class::Risky, Level::High)]), Decision::Review, Decision::Inconclusive),
        (with(&[finding("m", Class::Malicious, Level::High)]), Decision::Fail, Decision::Fail),
    ];
    for (case, seen, unseen) in cases {
        assert_eq!(decision(&policy, &case), seen);
        for (said, blind) in blinded(&case) {
            let verdict = decide(&policy, &[], &blind, now());
            assert_eq!(verdict.decision, unseen, "{said}");
            let clause = verdict.clauses.iter().find(|clause| clause.text.contains(said));
            assert_eq!(clause.unwrap().decision, Decision::Inconclusive, "{said}: {:?}", verdict.clauses);
        }
    }
}

#[test]
fn more_findings_never_make_a_verdict_better() {
    let all: Vec<FindingFacts> = Class::ALL
        .iter()
        .flat_map(|&class| Level::ALL.iter().map(move |&level| (class, level)))
        .map(|(class, level)| finding(&format!("{class:?}{level:?}"), class, level))
        .collect();
    for name in ["default", "strict", "observe"] {
        let policy = policy(name);
        for one in &all {
            let alone = decision(&policy, &with(std::slice::from_ref(one)));
            for other in &all {
                let both = decision(&policy, &with(&[one.clone(), other.clone()]));
                let other = decision(&policy, &with(std::slice::from_ref(other)));
                assert_eq!(both, alone.max(other), "{name} {}", one.id);
            }
        }
    }
}

#[test]
fn many_techniques_that_ask_for_a_review_fail_together() {
    let policy = policy("default");
    let check = |rules: &[(&str, Class, Confidence)], expected| {
        let findings: Vec<FindingFacts> = rules
            .iter()
            .enumerate()
            .map(|(at, (rule, class, confidence))| FindingFacts {
                rule: format!("{at}"),
                techniques: vec![(*rule).into()],
                confidence: *confidence,
                ..finding(&format!("f{at}"), *class, Level::Medium)
            })
            .collect();
        assert_eq!(decision(&policy, &with(&findings)), expected, "{rules:?}");
    };
    let (risky, sure) = (Class::Risky, Confidence::High);
    let three = [("a", risky, sure), ("b", Class::Malicious, sure), ("c", risky, sure)];
    let and = |more| [three[0], three[1], three[2], more];
    check(&three, Decision::Review);
    check(&and(("d", risky, sure)), Decision::Fail);
    check(&and(("c", risky, sure)), Decision::Review);
    check(&and(("d", Class::Anomalous, sure)), Decision::Review);
    check(&and(("d", risky, Confidence::Low)), Decision::Review);
    // A machine set up: accounts, logins and shells, all for persistence; then a sender besides.
    let set_up = [("T1083", risky, sure), ("T1136.001", risky, sure), ("T1556.003", risky, sure)];
    let and = |more| [set_up[0], set_up[1], set_up[2], more];
    check(&and(("T1546.004", risky, sure)), Decision::Review);
    check(&and(("T1048", risky, sure)), Decision::Fail);
}

#[test]
fn observe_never_fails() {
    let policy = policy("observe");
    let worst_finding = with(&[finding("m", Class::Malicious, Level::Critical)]);
    assert_eq!(decision(&policy, &worst_finding), Decision::Review);
    for (said, case) in blinded(&worst_finding) {
        assert!(decision(&policy, &case) < Decision::Fail, "{said}");
    }
}

#[test]
fn strict_is_never_softer_than_default() {
    for &class in Class::ALL {
        for &level in Level::ALL {
            let case = with(&[finding("f", class, level)]);
            let [strict, default] = ["strict", "default"].map(|name| decision(&policy(name), &case));
            assert!(strict >= default, "{class:?} {level:?}");
        }
    }
}

#[test]
fn a_family_that_stands_twice_counts_as_its_worst() {
    let mut case = calm();
    case.coverage.push(FamilyFacts { family: Family::File, sight: Sight::None, reason: "x".into() });
    assert_eq!(decision(&policy("default"), &case), Decision::Inconclusive);
}

#[test]
fn families_that_lack_the_same_are_named_together() {
    let mut case = calm();
    for entry in &mut case.coverage {
        match entry.family {
            Family::Process | Family::File => (entry.sight, entry.reason) = (Sight::None, "no probe".into()),
            Family::Network => (entry.sight, entry.reason) = (Sight::Partial, "cut".into()),
            _ => {}
        }
    }
    let verdict = decide(&policy("default"), &[], &case, now());
    let said: Vec<&str> = verdict.clauses.iter().map(|clause| clause.text.as_str()).collect();
    let expected = [
        "process, file must be seen in full, but were not watched: no probe",
        "network must be seen in full, but was seen in part only: cut",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_technique_has_its_own_thresholds() {
    let rule = |fail, review| TechniqueRule { fail, review };
    let techniques =
        [("T1059".to_owned(), rule(Some(Level::Low), None)), ("T1059.006".to_owned(), rule(None, None))];
    let policy = Policy { techniques: techniques.into(), ..policy("default") };
    let check = |ids: &[&str], level, expected| {
        let techniques = ids.iter().map(|&id| id.to_owned()).collect();
        let case = with(&[FindingFacts { techniques, ..finding("f", Class::Malicious, level) }]);
        assert_eq!(decision(&policy, &case), expected, "{ids:?} {level:?}");
    };
    check(&["T1059"], Level::Low, Decision::Fail);
    check(&["T1059.004"], Level::Low, Decision::Fail);
    check(&["T1059.004"], Level::Informational, Decision::Pass);
    check(&["T1059.006"], Level::Critical, Decision::Pass);
    check(&["T1059.006", "T1496"], Level::Critical, Decision::Fail);
    check(&["T1496"], Level::Low, Decision::Pass);
    check(&[], Level::High, Decision::Fail);
}

#[test]
fn clauses_name_their_findings_and_stand_worst_first() {
    let mut case = with(&[
        finding("a", Class::Risky, Level::High),
        finding("b", Class::Malicious, Level::High),
        finding("c", Class::Malicious, Level::Critical),
        finding("d", Class::Anomalous, Level::Low),
    ]);
    case.run.lost = 7;
    let verdict = decide(&policy("default"), &[], &case, now());
    let said: Vec<(Decision, &str, Vec<&str>)> = verdict
        .clauses
        .iter()
        .map(|clause| {
            (clause.decision, clause.text.as_str(), clause.findings.iter().map(String::as_str).collect())
        })
        .collect();
    let expected = vec![
        (Decision::Fail, "malicious findings at level high or above fail", vec!["b", "c"]),
        (Decision::Inconclusive, "7 records of the kernel were lost", vec![]),
        (Decision::Review, "risky findings at level medium or above ask for a review", vec!["a"]),
    ];
    assert_eq!(said, expected);
    assert!(verdict.next_step.unwrap().contains("quarantine"));
    assert_eq!(verdict.valid_until, "2026-06-30T12:00:00Z".parse().unwrap());
}

#[test]
fn a_pass_says_what_was_looked_at() {
    let verdict = decide(&policy("default"), &[], &calm(), now());
    let text = "no finding reaches a threshold, and process, file, network were seen as required";
    assert_eq!(verdict.clauses[0].text, text);
    assert_eq!((verdict.decision, verdict.clauses.len()), (Decision::Pass, 1));
}

#[test]
fn where_an_image_may_come_from() {
    let check = |allowed: &[&str], reference: &str, expected| {
        let registries = allowed.iter().map(|&name| name.to_owned()).collect();
        let policy = Policy { registries, ..policy("default") };
        let mut case = calm();
        case.subject.reference = reference.into();
        assert_eq!(decision(&policy, &case), expected, "{allowed:?} {reference}");
    };
    check(&[], "oci:/tmp/x", Decision::Pass);
    check(&["docker.io"], "docker://docker.io/library/redis:7", Decision::Pass);
    check(&["docker.io/library"], "docker://docker.io/library/redis@sha256:00", Decision::Pass);
    check(&["docker.io/library"], "docker://docker.io/librarything/redis", Decision::Fail);
    check(&["docker.io"], "docker://docker.io.evil.example/redis", Decision::Fail);
    check(&["docker.io"], "docker://evil.example/docker.io/redis", Decision::Fail);
    check(&["registry.example:5000/*/app"], "docker://registry.example:5000/team/app:1", Decision::Pass);
    check(&["docker.io"], "oci:/tmp/docker.io/", Decision::Review);
}

#[test]
fn an_unexpected_digest_fails() {
    let expects = |digest: &str| Policy { digests: vec![digest.into()], ..policy("default") };
    assert_eq!(decision(&expects(DIGEST), &calm()), Decision::Pass);
    assert_eq!(decision(&expects("sha256:bb"), &calm()), Decision::Fail);
}

fn exceptions(scope: &str, expires: &str) -> Vec<Exception> {
    let text = format!(
        "exceptions:\n  - scope: {{ {scope} }}\n    reason: known\n    author: a@b\n    expires: {expires}\n"
    );
    parse_exceptions("exceptions.yaml", text.as_bytes()).unwrap()
}

#[test]
fn an_exception_covers_what_its_whole_scope_names() {
    let case = with(&[finding("m", Class::Malicious, Level::High)]);
    let check = |scope: &str, covers: bool| {
        let verdict = decide(&policy("default"), &exceptions(scope, "2026-06-01"), &case, now());
        let expected = if covers { Decision::Pass } else { Decision::Fail };
        assert_eq!((verdict.decision, verdict.allowed_by.is_some()), (expected, covers), "{scope}");
        assert_eq!(verdict.exceptions.len(), usize::from(covers), "{scope}");
    };
    check("rule: rule-m", true);
    check("rule: rule-n", false);
    check(&format!("image: '{DIGEST}'"), true);
    check(&format!("image: '{}'", DIGEST.replace("aa", "ab")), false);
    check("repository: 'registry.example:5000/team/*'", true);
    check("repository: registry.example:5000/team/app", true);
    check("repository: '*/team/ap'", false);
    check("event: 'exec /tmp/*'", true);
    check("event: '/tmp/*'", false);
    check("rule: rule-m, event: 'exec /usr/*'", false);
    check("rule: rule-m, repository: '*app'", true);
}

#[test]
fn an_event_pattern_cannot_cover_evidence_that_was_not_kept() {
    let many = FindingFacts { count: 5, ..finding("m", Class::Malicious, Level::High) };
    let verdict = decide(&policy("default"), &exceptions("event: '*'", "2026-06-01"), &with(&[many]), now());
    assert_eq!(verdict.decision, Decision::Fail);
}

#[test]
fn an_expired_exception_is_named_and_covers_nothing() {
    let case = with(&[finding("m", Class::Malicious, Level::High)]);
    for (expires, holds) in [
        ("2026-05-31", false),
        ("2026-06-01", true),
        ("2026-06-01T12:00:00Z", false),
        ("2026-06-01T12:00:01Z", true),
    ] {
        let verdict = decide(&policy("default"), &exceptions("rule: rule-m", expires), &case, now());
        assert_eq!(verdict.decision == Decision::Pass, holds, "{expires}");
        assert_eq!(verdict.exceptions[0].expired, !holds);
        assert_eq!(verdict.exceptions[0].findings, ["m"]);
        assert_eq!(verdict.allowed_by.is_some(), holds);
    }
}

#[test]
fn what_an_exception_allows_is_valid_no_longer_than_the_exception() {
    let case = with(&[finding("m", Class::Malicious, Level::High)]);
    let until = |scope: &str, expires: &str| {
        decide(&policy("default"), &exceptions(scope, expires), &case, now()).valid_until.to_string()
    };
    assert_eq!(until("rule: rule-m", "2026-06-02T00:00:00Z"), "2026-06-02T00:00:00Z");
    // Later than the policy's own end, no longer in force, or about something else.
    for (scope, expires) in
        [("rule: rule-m", "2027-01-01"), ("rule: rule-m", "2026-05-31"), ("rule: rule-n", "2026-06-02")]
    {
        assert_eq!(until(scope, expires), "2026-06-30T12:00:00Z", "{scope}, {expires}");
    }
}

#[test]
fn an_exception_does_not_help_against_blindness_or_other_findings() {
    let two = [finding("m", Class::Malicious, Level::High), finding("n", Class::Malicious, Level::High)];
    let allowed = exceptions("rule: rule-m", "2026-06-01");
    let verdict = decide(&policy("default"), &allowed, &with(&two), now());
    assert_eq!((verdict.decision, verdict.allowed_by), (Decision::Fail, None));
    let mut blind = with(&two[..1]);
    blind.run.lost = 1;
    let verdict = decide(&policy("default"), &allowed, &blind, now());
    assert_eq!(verdict.decision, Decision::Inconclusive);
    assert_eq!(verdict.allowed_by.unwrap().len(), 1);
}

#[test]
fn an_exception_that_changes_nothing_leaves_a_plain_pass() {
    let case = with(&[finding("m", Class::Malicious, Level::Low)]);
    let verdict = decide(&policy("default"), &exceptions("rule: rule-m", "2026-06-01"), &case, now());
    assert_eq!((verdict.decision, verdict.allowed_by, verdict.exceptions.len()), (Decision::Pass, None, 1));
}

#[test]
fn of_several_policies_the_worst_counts() {
    let case = with(&[finding("m", Class::Malicious, Level::Medium)]);
    let verdicts = ["observe", "strict", "default"].map(|name| decide(&policy(name), &[], &case, now()));
    assert_eq!(worst(&verdicts).unwrap().policy, "strict");
    assert_eq!(worst(&[]), None);
    assert!(Decision::ALL.is_sorted());
}

#[test]
fn a_wrong_policy_is_refused_with_its_line_and_what_was_meant() {
    let good = "name: x\nthresholds: {}\ncoverage: {}\nvalid: 1d\n";
    Policy::parse("p.yaml", good.as_bytes()).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        let error = Policy::parse("p.yaml", good.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{to}");
    };
    check("valid: 1d", "vaild: 1d", "p.yaml:4: unknown key \"vaild\" in the policy; did you mean \"valid\"?");
    check("valid: 1d", "", "p.yaml:1: the policy has no \"valid\"");
    check("{}", "{fial: {}}", "p.yaml:2: unknown key \"fial\" in thresholds; did you mean \"fail\"?");
    check("{}", "[]", "p.yaml:2: thresholds must be a map, not a list");
    check(
        "{}",
        "{fail: {malicious: hihg}}",
        "p.yaml:2: malicious is \"hihg\", but must be one of informational, low, medium, high, critical; did you mean \"high\"?",
    );
    check(
        "coverage: {}",
        "coverage: {files: full}",
        "p.yaml:3: unknown key \"files\" in coverage; did you mean \"file\"?",
    );
    check(
        "coverage: {}",
        "coverage: {file: none}",
        "p.yaml:3: file is \"none\", but must be one of partial, full",
    );
    check("1d", "1", "p.yaml:4: valid is \"1\", but must be a whole number with its unit (90s, 5m, 2h, 30d)");
    check(
        "1d",
        "+1d",
        "p.yaml:4: valid is \"+1d\", but must be a whole number with its unit (90s, 5m, 2h, 30d)",
    );
    check(
        "valid: 1d",
        "valid: 1d\ntechniques: {T105: {}}",
        "p.yaml:5: techniques is \"T105\", but must be an ATT&CK technique (T1059 or T1059.004)",
    );
    check(
        "valid: 1d",
        "valid: 1d\ndigests:\n  - sha256:0",
        "p.yaml:6: digests is \"sha256:0\", but must be sha256: and 64 lower-case hexadecimal digits",
    );
    check("name: x", "name: ' '", "p.yaml:1: name must not be empty");
    check("name: x", "name: x\nname: y", "p.yaml:2: key \"name\" stands twice in one map");
}

#[test]
fn a_wrong_exception_is_refused() {
    let check = |text: &str, expected: &str| {
        let text = format!("exceptions:\n  - {text}\n");
        let error = parse_exceptions("e.yaml", text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("{scope: {rule: a}, reason: b, author: c}", "e.yaml:2: an exception has no \"expires\"");
    check("{scope: {}, reason: b, author: c, expires: 2026-01-01}", "e.yaml:2: scope must not be empty");
    check(
        "{scope: {rule: a}, reason: '', author: c, expires: 2026-01-01}",
        "e.yaml:2: reason must not be empty",
    );
    check(
        "{scope: {rule: a}, reason: b, author: c, expires: never}",
        "e.yaml:2: expires is \"never\", but must be a date (2027-01-31) or a time in RFC 3339",
    );
    check(
        "{scope: {rulez: a}, reason: b, author: c, expires: 2026-01-01}",
        "e.yaml:2: unknown key \"rulez\" in scope; did you mean \"rule\"?",
    );
    check(
        "{scope: {image: a}, reason: b, author: c, expires: 2026-01-01}",
        "e.yaml:2: image is \"a\", but must be sha256: and 64 lower-case hexadecimal digits",
    );
}

#[test]
fn shipped_policies_are_named_as_they_are_found() {
    for (name, _) in SHIPPED {
        assert_eq!(policy(name).name, name);
    }
    assert_eq!(shipped("lax"), None);
}
