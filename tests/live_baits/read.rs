//! Who reads a bait is seen, under whatever name; who reads its own settings is left alone.

use std::fs::File;
use std::io::BufReader;

use lazaret::event::{Act, FileAct};
use lazaret::report::log::{self, Reader};

use crate::place::{Place, run};
use crate::support::{live, program};
use crate::{PLACES, findings, report_of};

/// The bait of each event in which one was opened for reading.
fn baits_read(place: &Place) -> Vec<String> {
    let file = File::open(place.path("out/events.jsonl.zst")).unwrap();
    let log = log::decompress(BufReader::new(file)).unwrap();
    let reader = Reader::open(BufReader::new(log)).unwrap();
    let mut read = Vec::new();
    for event in reader {
        if let Act::File(FileAct::Open { file, mode }) = event.unwrap().act
            && let Some(bait) = file.bait.filter(|_| mode.read)
        {
            read.push(String::from_utf8(bait.to_vec()).unwrap());
        }
    }
    read
}

#[test]
fn a_client_that_reads_its_own_settings_is_no_finding_of_note() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reader = program::build("reader");
    // Each client reads its own, as a build job has it; one finds that the image has brought its own.
    let script = "git /root/.netrc && ssh /root/.ssh/id_ed25519 /root/.ssh/id_rsa && pip /root/.netrc && \
                  npm /root/.npmrc && aws /root/.aws/credentials /root/.aws/config && cat /srv/.env";
    let report = report_of(&place, &format!("PATH=/usr/bin:/bin; {script}"), |mut layer| {
        for name in ["git", "ssh", "pip", "npm", "aws"] {
            layer = layer.file(format!("usr/bin/{name}"), &reader, 0o755);
        }
        layer.directory("srv", 0o755).file("srv/.env", b"MODE=production\n", 0o644)
    });
    assert_eq!(report["verdict"]["result"], "pass", "{:#}", report["findings"]);
    for finding in report["findings"].as_array().unwrap() {
        assert!(["informational", "low"].contains(&finding["level"].as_str().unwrap()), "{finding}");
    }
    let mut read = baits_read(&place);
    read.sort();
    let expected = ["aws-credentials", "netrc-login", "netrc-login", "npm-token", "ssh-key", "ssh-key"];
    assert_eq!(read, expected);
}

#[test]
fn whoever_goes_through_many_baits_is_found() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reader = program::build("reader");
    let files: Vec<&str> = PLACES[..4].iter().map(|(path, _)| *path).collect();
    let script = format!("reader {}", files.join(" "));
    let report = report_of(&place, &script, |layer| layer.file("bin/reader", &reader, 0o755));
    assert_eq!(findings(&report, "decoys-read-by-one-process").count(), 1, "{:#}", report["findings"]);
    assert_eq!(report["verdict"]["result"], "fail");
}

#[test]
fn a_bait_is_known_under_every_name() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "cd /root; ln .npmrc /tmp/a && cat /tmp/a; mv .netrc /tmp/b && cat /tmp/b; \
                  ln -s /root/.pgpass /tmp/c && cat /tmp/c; cat /proc/self/root/root/.my.cnf; \
                  cp .pypirc /tmp/d && cat /tmp/d; cat .docker/../.docker/config.json; \
                  mv .kube .k && cat .k/config; rm .bash_history; echo mine > .bash_history; cat .bash_history";
    let report = report_of(&place, &format!("{script}; true"), |layer| layer);
    // What was copied out of a bait is one no more, and neither is what took its name.
    let mut read = baits_read(&place);
    read.sort();
    let expected = [
        "kube-config",
        "mysql-login",
        "netrc-login",
        "npm-token",
        "postgres-login",
        "pypi-token",
        "registry-login",
    ];
    assert_eq!(read, expected);
    let visibility = &report["run"]["visibility"];
    assert_eq!(visibility["explained"], visibility["all"], "{visibility}");
}

#[test]
fn a_profile_decides_what_lies_there() {
    if !live() {
        return;
    }
    let place = Place::new();
    let list = |profile: &str| {
        let script = "ls -A /root; echo token=$GITHUB_TOKEN";
        let image = place.image(run(crate::place::busybox(), &["/bin/sh", "-c", script]));
        let said = place.analyze(&["--duration", "120s", "--disk", "256m", "--profile", profile, &image]);
        let text = std::fs::read_to_string(place.path("out/stdout")).unwrap_or_default();
        let _ = std::fs::remove_dir_all(place.path("out"));
        (said.code, text, said.stderr)
    };
    assert_eq!(list("none").1, "token=\n");
    let server = list("server").1;
    assert!(server.contains(".vault-token\n") && !server.contains(".npmrc"), "{server}");
    let ci = list("ci").1;
    assert!(ci.contains(".npmrc\n") && ci.contains("token=ghp_"), "{ci}");
    let file = place.path("profile.yaml");
    std::fs::write(&file, "baits: [npm-token]\n").unwrap();
    assert_eq!(list(file.to_str().unwrap()).1, ".npmrc\ntoken=\n");
    std::fs::write(&file, "baits: [nmp-token]\n").unwrap();
    let (code, _, stderr) = list(file.to_str().unwrap());
    assert!(code == 2 && stderr.contains("profile.yaml:1: baits is \"nmp-token\""), "{code} {stderr}");
    place.assert_clean();
}
