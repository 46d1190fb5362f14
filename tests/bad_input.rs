//! Malformed rules, policies, recordings and images, given to the command: one clear error, exit 2,
//! within seconds, no panic, nothing followed that could hang. No privileges needed.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a test that cannot go on is a test that failed

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;

use support::PATIENCE;

struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the program; one that takes too long is killed and has failed.
fn call(arguments: &[&Path]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let out = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let begin = Instant::now();
    let code = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code().unwrap_or(-1),
            None if begin.elapsed() > PATIENCE => {
                child.kill().unwrap();
                panic!("{arguments:?} took longer than {PATIENCE:?}");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    Said { code, stdout: out.join().unwrap(), stderr: read.join().unwrap() }
}

/// Refused with these words; `hint` says what to do next.
fn check(what: &str, arguments: &[&Path], words: &str) {
    let Said { code, stdout, stderr } = call(arguments);
    assert_eq!((code, stdout.as_str()), (2, ""), "{what}: {stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{what}: {stderr}");
    assert!(stderr.contains("\nhint: ") && stderr.contains(words), "{what}: {stderr} lacks {words:?}");
    assert!(!stderr.contains("panicked") && !stderr.contains('\x1b'), "{what}: {stderr}");
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file of this content, in place of whatever was there.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(&path, content).unwrap();
        path
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        path
    }
}

fn rule() -> String {
    fs::read_to_string("rules/execution/program-written-and-run.yaml").unwrap()
}

#[test]
fn malformed_scenarios_are_refused_by_file_and_line() {
    let place = Place::new();
    let path = place.path("world/scenario.yaml");
    let refused = |what: &str, words: &str| {
        let arguments = ["analyze", "--scenario"].map(Path::new);
        check(what, &[arguments[0], arguments[1], &path, Path::new("oci:no-image")], words);
    };
    refused("nothing there", "scenario.yaml");
    place.file("world/secret", b"");
    for (what, content, words) in [
        ("empty", &b""[..], "scenario.yaml:1"),
        ("an unknown key", b"htttp: []\n", "did you mean \"http\"?"),
        ("a wrong type", b"names: 7\n", "scenario.yaml:1: names must be a list"),
        ("a file elsewhere", b"http:\n  - host: a\n    file: ../secret\n", "scenario.yaml:3"),
        ("a file that is not there", b"http:\n  - host: a\n    file: none\n", "scenario.yaml:3"),
        ("a huge file", &[b'#'; 20 << 20], "scenario.yaml"),
    ] {
        place.file("world/scenario.yaml", content);
        refused(what, words);
    }
    place.file("world/scenario.yaml", b"http:\n  - host: a\n    file: pipe\n");
    place.fifo("world/pipe");
    refused("a payload that never ends", "scenario.yaml:3");
    place.file("world/scenario.yaml", b"names: []\n");
    let none = ["analyze", "--network", "none", "--scenario"].map(Path::new);
    let arguments: Vec<&Path> = none.into_iter().chain([path.as_path(), Path::new("oci:no-image")]).collect();
    check("no network", &arguments, "scenario without a network");
}

#[test]
fn malformed_rules_are_refused_by_file_and_line() {
    let place = Place::new();
    let name = "rules/execution/a-rule.yaml";
    let folder = place.path("rules");
    let refused = |what: &str, content: &[u8], words: &str| {
        place.file(name, content);
        for command in [["rules", "test"], ["replay", "--rules"]] {
            let [command, second] = command.map(Path::new);
            let mut arguments = vec![command, second, folder.as_path()];
            if command == Path::new("replay") {
                arguments.push(Path::new("no-run"));
            }
            check(what, &arguments, words);
        }
    };
    refused("empty", b"", "a-rule.yaml");
    refused("no yaml", b"{]", "a-rule.yaml:1");
    refused("a list", b"- a\n- b\n", "a-rule.yaml:1");
    refused("no utf-8", b"title: \xff\xfe\n", "a-rule.yaml");
    refused("nul", b"title: \"\0\"\n", "a-rule.yaml");
    refused("deep", "[".repeat(100_000).as_bytes(), "a-rule.yaml");
    let laughs = (0..20).fold("a: &a0 [x, x]\n".to_owned(), |text, i| {
        text + &format!("b{i}: &a{} [*a{i}, *a{i}, *a{i}, *a{i}, *a{i}, *a{i}, *a{i}, *a{i}, *a{i}]\n", i + 1)
    });
    refused("a billion laughs", laughs.as_bytes(), "a-rule.yaml");
    refused("two documents", (rule() + "---\n" + &rule()).as_bytes(), "a-rule.yaml");
    refused("a key twice", (rule() + "title: again\n").as_bytes(), "a-rule.yaml:");
    refused("an unknown key", (rule() + "tittle: x\n").as_bytes(), "tittle");
    refused("an unknown level", rule().replace("\nlevel: ", "\nlevel: very-").as_bytes(), "a-rule.yaml:");
    refused("an unknown technique", rule().replacen("attack.t", "attack.t9", 1).as_bytes(), "a-rule.yaml:");
    refused("an endless regex", with_regex("(a{1000}){1000}").as_bytes(), "a-rule.yaml:");
    refused("a broken regex", with_regex("(").as_bytes(), "a-rule.yaml:");
    refused("a huge file", &[b'#'; 20 << 20], "a-rule.yaml");
    place.fifo(name);
    check(
        "a fifo",
        &["rules", "test"].map(Path::new).into_iter().chain([&*folder]).collect::<Vec<_>>(),
        "a-rule.yaml",
    );
    fs::remove_file(place.path(name)).unwrap();
    check("no rule", &[Path::new("rules"), Path::new("test"), &folder], "");
    check("no folder", &[Path::new("rules"), Path::new("test"), &place.path("none")], "none");
}

fn with_regex(regex: &str) -> String {
    let head: Vec<String> =
        rule().lines().take_while(|line| *line != "detection:").map(str::to_owned).collect();
    head.join("\n") + &format!("\ndetection:\n  a:\n    exe.path|re: '{regex}'\n  condition: a\n")
}

#[test]
fn malformed_policies_are_refused_by_file_and_line() {
    let place = Place::new();
    let path = place.path("policy.yaml");
    let refused = |what: &str, words: &str| {
        check(
            what,
            &["replay", "--policy"]
                .map(Path::new)
                .into_iter()
                .chain([&*path, Path::new("no-run")])
                .collect::<Vec<_>>(),
            words,
        );
    };
    let policy = fs::read_to_string("src/verdict/policies/default.yaml").unwrap();
    for (what, content) in [
        ("empty", Vec::new()),
        ("no yaml", b"{]".to_vec()),
        ("a number", b"7".to_vec()),
        ("no utf-8", b"name: \xff\n".to_vec()),
        ("deep", "[".repeat(100_000).into_bytes()),
        ("an unknown key", (policy.clone() + "thresholdss: {}\n").into_bytes()),
        ("a key twice", (policy.clone() + "name: again\n").into_bytes()),
        ("a wrong type", policy.replace("valid: 30d", "valid: [30]").into_bytes()),
        ("a negative time", policy.replace("valid: 30d", "valid: -30d").into_bytes()),
        ("a huge number", policy.replace("valid: 30d", "valid: 99999999999999999999d").into_bytes()),
        ("huge", vec![b'#'; 2 << 20]),
    ] {
        place.file("policy.yaml", &content);
        refused(what, "policy.yaml");
    }
    place.fifo("policy.yaml");
    refused("a fifo", "not a regular file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused("a directory", "not a regular file");
    fs::remove_dir(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    refused("a device", "not a regular file");
    fs::remove_file(&path).unwrap();
    symlink(&path, &path).unwrap();
    refused("a loop of links", "policy.yaml");
}

#[test]
fn malformed_exceptions_are_refused_by_file_and_line() {
    let place = Place::new();
    let path = place.path("exceptions.yaml");
    let good = "exceptions:\n  - scope: { rule: a }\n    reason: b\n    author: c\n    expires: 2027-01-31\n";
    for (what, content) in [
        ("empty", String::new()),
        ("no list", "exceptions: 7\n".into()),
        ("no end", good.replace("    expires: 2027-01-31\n", "")),
        ("an end that is no date", good.replace("2027-01-31", "never")),
        ("no author", good.replace("    author: c\n", "")),
        ("an empty scope", good.replace("{ rule: a }", "{}")),
        ("an unknown scope", good.replace("rule: a", "level: low")),
        ("deep", "[".repeat(100_000)),
        ("huge", "#".repeat(2 << 20)),
    ] {
        place.file("exceptions.yaml", content.as_bytes());
        let arguments = [Path::new("replay"), Path::new("--exceptions"), &path, Path::new("no-run")];
        check(what, &arguments, "exceptions.yaml");
    }
}

#[test]
fn malformed_recordings_are_refused_by_line() {
    let place = Place::new();
    let plain = place.path("log.jsonl");
    let good = fs::read_to_string("fixtures/rules/escape-call-denied/fires-simulation.jsonl").unwrap();
    let header = good.lines().next().unwrap();
    let refused = |what: &str, content: &[u8], words: &str| {
        place.file("log.jsonl", content);
        check(what, &[Path::new("replay"), &plain], words);
    };
    refused("empty", b"", "first line");
    refused("no json", b"hello\n", "first line");
    refused("no header", good.lines().nth(1).unwrap().as_bytes(), "first line");
    refused("another version", good.replacen(":1,", ":999,", 1).as_bytes(), "999");
    refused("no utf-8", &[header.as_bytes(), b"\n\xff\xfe\n"].concat(), "line 2");
    refused("nul", &[header.as_bytes(), b"\n\0\n"].concat(), "line 2");
    let after = |line: &str| format!("{header}\n{line}\n").into_bytes();
    refused("an unknown line", &after("{\"evnt\":{}}"), "line 2");
    refused("deep", &after(&"[".repeat(200_000)), "line 2");
    refused("deep objects", &after(&"{\"a\":".repeat(100_000)), "line 2");
    refused("a huge number", &after("{\"event\":{\"id\":1e999}}"), "line 2");
    refused(
        "an event of nobody",
        &after(
            r#"{"event":{"id":1,"ns":1,"phase":"start","process":{"key":{"pid":1,"start":1},"pid":1,"ids":{"uid":0,"gid":0,"euid":0,"egid":0},"program":77},"act":{"denied":{"call":"x","number":1,"args":[0,0,0,0,0,0]}}}}"#,
        ),
        "line 2",
    );
    refused("a negative id", good.replace("\"id\":1,\"ns\"", "\"id\":-1,\"ns\"").as_bytes(), "line");
    refused("a negative time", good.replace("\"ns\":1", "\"ns\":-1").as_bytes(), "line");
    refused("an endless line", &after(&"x".repeat(100 << 20)), "line 2");

    let packed = place.path("run/events.jsonl.zst");
    let unpackable = |what: &str, content: &[u8], words: &str| {
        place.file("run/events.jsonl.zst", content);
        check(what, &[Path::new("replay"), &place.path("run")], words);
        check(what, &[Path::new("replay"), &place.path("run/report.json")], words);
    };
    unpackable("no zstd", b"hello, this is no zstd", "line");
    unpackable("an empty file", b"", "line");
    let zeros = zstd_of_zeros(10 << 30);
    assert!(zeros.len() < 10 << 20);
    unpackable("ten gibibytes of zeros", &zeros, "line 1 ");
    let bomb = zstd::encode_all(&zeros[..], 1).unwrap();
    unpackable("twice packed", &bomb, "first line");
    place.fifo("run/events.jsonl.zst");
    check("a fifo", &[Path::new("replay"), &place.path("run")], "not a regular file");
    fs::remove_file(&packed).unwrap();
    symlink("/dev/zero", &packed).unwrap();
    check("a device", &[Path::new("replay"), &place.path("run")], "not a regular file");
    check("nothing", &[Path::new("replay"), &place.path("none")], "none");
}

fn zstd_of_zeros(bytes: u64) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let block = vec![0; 4 << 20];
    for _ in 0..bytes / block.len() as u64 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}
