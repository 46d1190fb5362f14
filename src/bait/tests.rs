use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

fn image(working_dir: &[u8]) -> Surroundings<'_> {
    Surroundings { working_dir, has: &|path| [&b"/app"[..], b"/srv", b"/usr/src/app"].contains(&path) }
}

fn baits() -> Baits {
    Baits::new([7; 32])
}

#[test]
fn secrets_are_unique_to_the_run_and_the_same_for_the_same_seed() {
    let values = |baits: &Baits| -> Vec<String> {
        baits.iter().flat_map(|bait| bait.secrets.iter().map(|secret| secret.value.clone())).collect()
    };
    let (one, same, other) = (values(&baits()), values(&baits()), values(&Baits::new([8; 32])));
    assert_eq!(one, same);
    let all: HashSet<&String> = one.iter().chain(&other).collect();
    assert_eq!(all.len(), 2 * one.len());
}

#[test]
fn layout_is_the_same_in_every_run() {
    let layout = |seed| -> Vec<(Vec<u8>, usize, u32)> {
        let decoys = Baits::new(seed).decoys(&Profile::default(), &image(b"/"));
        decoys.into_iter().map(|decoy| (decoy.path, decoy.content.len(), decoy.mode)).collect()
    };
    let (one, other) = (layout([1; 32]), layout([2; 32]));
    let paths = |layout: &[(Vec<u8>, usize, u32)]| -> Vec<Vec<u8>> {
        layout.iter().map(|(path, ..)| path.clone()).collect()
    };
    assert_eq!(paths(&one), paths(&other));
    let unique: HashSet<Vec<u8>> = paths(&one).into_iter().collect();
    assert_eq!(unique.len(), one.len());
}

#[test]
fn nothing_gives_the_baits_away() {
    for name in Profile::names() {
        for decoy in baits().decoys(&Profile::shipped(name).unwrap(), &image(b"/")) {
            let text = [&decoy.path[..], &decoy.content].concat();
            let text = String::from_utf8_lossy(&text).to_lowercase();
            for word in ["bait", "decoy", "lazaret", "honey", "canary", "fake", "dummy", "example", "sandbox"]
            {
                assert!(!text.contains(word), "{word}: {}", String::from_utf8_lossy(&decoy.path));
            }
        }
    }
}

#[test]
fn tokens_pass_the_checks_of_their_issuers() {
    let baits = baits();
    let fits = |name: &str, field: &str, shape: &str| {
        let value = baits.secret(name, field);
        assert!(regex::Regex::new(&format!("^(?:{shape})$")).unwrap().is_match(value), "{name}: {value}");
    };
    fits("aws-credentials", "access_key_id", "AKIA[A-Z2-7]{16}");
    fits("aws-credentials", "secret_access_key", "[A-Za-z0-9/+]{40}");
    fits("aws-role", "access_key_id", "ASIA[A-Z2-7]{16}");
    fits("github-token", "token", "ghp_[0-9A-Za-z]{36}");
    fits("npm-token", "token", "npm_[0-9A-Za-z]{36}");
    fits("pypi-token", "token", "pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}");
    fits("vault-token", "token", "hvs\\.[A-Za-z0-9_-]{91}");
    fits("kube-token", "token", "eyJ[A-Za-z0-9_-]+\\.eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]{342}");

    let token = baits.secret("github-token", "token");
    let mut sum = flate2::Crc::new();
    sum.update(&token.as_bytes()[4..34]);
    let digit =
        |letter: char| dice::ALPHANUMERIC.iter().position(|known| char::from(*known) == letter).unwrap();
    assert_eq!(token[34..].chars().fold(0, |value, letter| value * 62 + digit(letter)), sum.sum() as usize);

    let claims = baits.secret("kube-token", "token").split('.').nth(1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["sub"], "system:serviceaccount:default:default");
}

#[test]
fn files_are_what_their_readers_expect() {
    let baits = baits();
    let decoys = baits.decoys(&Profile::shipped("workstation").unwrap(), &image(b"/"));
    for decoy in &decoys {
        let path = String::from_utf8_lossy(&decoy.path).into_owned();
        if path.ends_with(".json") || path.contains("keystore") {
            serde_json::from_slice::<serde_json::Value>(&decoy.content).expect(&path);
        }
    }
    let docker = decoys.iter().find(|decoy| decoy.path.ends_with(b"config.json")).unwrap();
    let docker: serde_json::Value = serde_json::from_slice(&docker.content).unwrap();
    let login = docker["auths"]["registry.intern.lan:5000"]["auth"].as_str().unwrap();
    let login = String::from_utf8(STANDARD.decode(login).unwrap()).unwrap();
    assert_eq!(login, format!("deploy:{}", baits.secret("registry-login", "password")));
}

#[test]
fn the_environments_file_lies_where_programs_are_kept() {
    let place = |working_dir: &[u8]| {
        let decoys = baits().decoys(&Profile::parse("x", b"baits: [dotenv]").unwrap(), &image(working_dir));
        String::from_utf8(decoys[0].path.clone()).unwrap()
    };
    for (working_dir, expected) in [
        (&b"/"[..], "/app/.env"),
        (b"/data", "/app/.env"),
        (b"/var/www/html", "/app/.env"),
        (b"/srv", "/srv/.env"),
        (b"/usr/src/app", "/usr/src/app/.env"),
        (b"/optional", "/app/.env"),
        (b"/opt/missing", "/app/.env"),
    ] {
        assert_eq!(place(working_dir), expected);
    }
}

#[test]
fn decoys_keep_out_of_the_way_of_programs_that_make_their_own() {
    let paths = |has: &dyn Fn(&[u8]) -> bool| -> Vec<String> {
        let image = Surroundings { working_dir: b"/", has };
        let profile = Profile::parse("x", b"baits: [dotenv, ssh-key]").unwrap();
        let decoys = baits().decoys(&profile, &image);
        decoys.into_iter().map(|decoy| String::from_utf8(decoy.path).unwrap()).collect()
    };
    let bare = [
        "/opt/orders/.env",
        "~/.ssh/id_ed25519",
        "~/.ssh/id_rsa",
        "~/.ssh/id_ed25519.pub",
        "~/.ssh/id_rsa.pub",
    ];
    assert_eq!(paths(&|_| false), bare);
    let full =
        ["/app/.env", "~/.ssh/deploy", "~/.ssh/id_legacy", "~/.ssh/deploy.pub", "~/.ssh/id_legacy.pub"];
    assert_eq!(paths(&|path| path == b"/app" || path == b"/usr/bin/ssh-keygen"), full);
}

#[test]
fn only_profiles_that_say_so_change_the_environment() {
    let variables = |name| baits().environment(&Profile::shipped(name).unwrap());
    assert_eq!((variables("default").len(), variables("none").len()), (0, 0));
    let token = baits().secret("github-token", "token").to_owned();
    assert!(variables("ci").contains(&format!("GITHUB_TOKEN={token}")));
    assert_eq!(baits().decoys(&Profile::shipped("none").unwrap(), &image(b"/")), []);
}

/// Where the machine has it, the reference implementation has the last word.
#[test]
fn ssh_takes_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("id");
    for field in ["private_key", "legacy_key"] {
        std::fs::write(&path, baits().secret("ssh-key", field)).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let Ok(said) = std::process::Command::new("ssh-keygen").arg("-yf").arg(&path).output() else {
            eprintln!("skipped: needs ssh-keygen");
            return;
        };
        assert_eq!(said.stdout, key::public(baits().secret("ssh-key", field).as_bytes()), "{said:?}");
    }
}
