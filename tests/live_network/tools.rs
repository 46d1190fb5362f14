//! Programs that everybody uses do their work against the world, and the report tells of it: names,
//! flows, requests, bodies. One run of the image net-tools for all of them.

use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::place::Place;
use crate::support::live;

struct Run {
    report: Value,
    stdout: String,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let build = Command::new("fixtures/images/build").arg("net-tools").output().unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let place = Place::new();
    let said = place.analyze(&["--duration", "240s", "oci:target/images/net-tools"]);
    assert!([0, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    let stdout = std::fs::read_to_string(place.path("out/stdout")).unwrap();
    Run { report: place.report(), stdout }
});

impl Run {
    /// What a program printed, and that it ended as expected.
    fn said(&self, tool: &str, code: u8) -> &str {
        let begin = format!("== {tool}\n");
        let (_, rest) = self.stdout.split_once(&begin).unwrap_or_else(|| panic!("{tool}: {}", self.stdout));
        let text = rest.split("\n== ").next().unwrap().trim_end();
        // What it printed need not end with a line.
        let ended = text.strip_suffix(&format!("rc {code}"));
        ended.unwrap_or_else(|| panic!("{tool} did not end with {code}: {text}")).trim_end()
    }

    /// Entries of a list of `behaviour.network` that have these values.
    fn find(&self, list: &str, values: &[(&str, Value)]) -> Vec<&Value> {
        let all = self.report["behaviour"]["network"][list].as_array().unwrap();
        let found: Vec<_> =
            all.iter().filter(|it| values.iter().all(|(name, value)| it[name] == *value)).collect();
        assert!(!found.is_empty(), "no {list} with {values:?} in {all:#?}");
        found
    }

    fn flow(&self, remote: &str, exe: &str) -> &Value {
        let (host, port) = remote.rsplit_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        let host_is = if host.parse::<std::net::IpAddr>().is_ok() { "address" } else { "name" };
        let values = [(host_is, host.into()), ("port", port.into()), ("exe", exe.into())];
        let all = self.find("flows", &values);
        all.into_iter().max_by_key(|flow| flow["sent"].as_u64()).unwrap()
    }

    fn request(&self, method: &str, host: &str, target: &str) -> &Value {
        self.find("http", &[("method", method.into()), ("host", host.into()), ("target", target.into())])[0]
    }
}

#[test]
fn curl_gets_a_page_by_https() {
    if !live() {
        return;
    }
    assert!(RUN.said("curl", 0).contains("<html"));
    let request = RUN.request("GET", "example.com", "/");
    assert_eq!((&request["secure"], &request["status"]), (&true.into(), &200.into()));
    let tls = RUN.find("tls", &[("server_name", "example.com".into())])[0];
    assert_eq!(tls["outcome"], "done");
    assert!(tls["ja4"].as_str().unwrap().starts_with("t13d"), "{tls}");
    let flow = RUN.flow("example.com:443", "/usr/bin/curl");
    assert!(flow["sent"].as_u64() > Some(300) && flow["received"].as_u64() > Some(500), "{flow}");
    RUN.find("dns", &[("name", "example.com".into()), ("kind", "A".into())]);
}

#[test]
fn what_curl_posts_is_in_the_report() {
    if !live() {
        return;
    }
    RUN.said("post", 0);
    let request = RUN.request("POST", "collect.example.net", "/in");
    assert!(request["body"].as_str().unwrap().starts_with("name=value&"), "{request}");
}

#[test]
fn what_wget_fetches_runs_in_a_shell() {
    if !live() {
        return;
    }
    RUN.said("wget", 0);
    assert_eq!(RUN.request("GET", "files.example.net", "/x.sh")["status"], 200);
    RUN.flow("files.example.net:80", "/usr/bin/wget");
}

#[test]
fn pip_and_npm_fetch_packages() {
    if !live() {
        return;
    }
    RUN.said("pip", 0);
    RUN.request("GET", "pypi.org", "/simple/requests/");
    RUN.said("npm", 0);
    RUN.request("GET", "registry.npmjs.org", "/left-pad");
    let files = RUN.said("ls", 0);
    for name in ["requests-2.31.0-py3-none-any.whl", "left-pad"] {
        assert!(files.lines().any(|line| line == name), "{name}: {files}");
    }
}

#[test]
fn git_clones_a_repository() {
    if !live() {
        return;
    }
    RUN.said("git", 0);
    RUN.request("GET", "github.com", "/example/repo.git/info/refs?service=git-upload-pack");
    assert!(RUN.request("POST", "github.com", "/example/repo.git/git-upload-pack")["body"].is_string());
    assert!(RUN.said("ls", 0).lines().any(|line| line == "README.md"));
}

#[test]
fn apt_fails_cleanly() {
    if !live() {
        return;
    }
    assert!(RUN.said("apt", 100).contains("does not have a Release file"));
    RUN.request("GET", "deb.debian.org", "/debian/dists/bookworm/InRelease");
}

#[test]
fn a_mail_is_taken_with_its_text() {
    if !live() {
        return;
    }
    RUN.said("smtp", 0);
    let commands = RUN.find("commands", &[("service", "smtp".into()), ("verb", "DATA".into())]);
    assert!(commands.iter().any(|it| it["text"].as_str().unwrap().contains("secret words")), "{commands:?}");
    let to = RUN.find("commands", &[("verb", "RCPT".into())])[0];
    assert_eq!((&to["text"], &to["remote"]), (&"TO:<b@example.net>".into(), &"mail.example.org:25".into()));
}

#[test]
fn every_resolver_gives_a_name_the_same_address() {
    if !live() {
        return;
    }
    let tools = ["dig 10.0.0.2", "dig 8.8.8.8", "dig 2001:4860:4860::8888", "dig tcp"];
    let answers: Vec<_> = tools.iter().map(|tool| RUN.said(tool, 0)).collect();
    let address = answers[0].parse::<std::net::Ipv4Addr>().unwrap();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let question = RUN.find("dns", &[("name", "www.example.com".into()), ("kind", "A".into())])[0];
    assert_eq!(question["addresses"], serde_json::json!([address.to_string()]));
    assert_eq!(question["carriers"], serde_json::json!(["udp", "tcp"]));
    for resolver in ["8.8.8.8:53", "2001:4860:4860::8888:53"] {
        RUN.flow(resolver, "/usr/bin/dig");
    }
}

#[test]
fn raw_words_are_kept_both_in_streams_and_in_datagrams() {
    if !live() {
        return;
    }
    RUN.said("tcp", 0);
    RUN.said("udp", 0);
    for (remote, words) in [("203.0.113.9:4444", "raw-words"), ("203.0.113.9:5555", "udp-words")] {
        let flow = RUN.flow(remote, "/usr/bin/nc.openbsd");
        assert!(flow["first"].as_str().is_some_and(|first| first.starts_with(words)), "{flow}");
        assert_eq!(flow["sent"], words.len() as u64 + 1, "{flow}");
    }
}
