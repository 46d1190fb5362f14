//! Code forges and what hangs on them: GitHub's and GitLab's API, raw files, releases, gists.

use serde_json::{Value, json};

use super::answer::TEXT;
use super::payload::{by_name, shell};
use super::{Answer, Request};
use crate::internet::world::World;

const SERVICE: &str = "github";
const TOKENS: &[&str] = &["github-token", "netrc-login"];
const RAW: [&str; 4] = [
    "raw.githubusercontent.com",
    "gist.githubusercontent.com",
    "objects.githubusercontent.com",
    "codeload.github.com",
];

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer = if request.is_at("api.github.com") {
        api(request, &parts)
    } else if request.is_at_any(&RAW) || is_raw(request, &parts) {
        raw(world, request, &parts)
    } else if request.is_at("gitlab.com") && parts.first() == Some(&"api") {
        gitlab(request, &parts)
    } else {
        return None;
    };
    Some(answer.accepts(TOKENS))
}

/// `/OWNER/REPO/raw/…`, `/OWNER/REPO/releases/download/…`, `/OWNER/REPO/archive/…`, at any forge.
fn is_raw(request: &Request<'_>, parts: &[&str]) -> bool {
    let forge =
        request.is_at_any(&["github.com", "gitlab.com", "bitbucket.org", "gitee.com", "codeberg.org"]);
    let inside = parts.get(2..).unwrap_or_default();
    forge && inside.iter().any(|part| matches!(*part, "raw" | "archive" | "releases" | "download"))
}

/// A file of a repository. One whose name says nothing is text: most likely a script.
fn raw(world: &World, request: &Request<'_>, parts: &[&str]) -> Answer {
    if parts.contains(&"tar.gz") {
        return Answer::with(
            SERVICE,
            "application/gzip",
            super::payload::archive::tarball("project", world.now),
        );
    }
    // GitHub gives every text as plain text.
    match by_name(request.path(), world.now) {
        Some((kind, body)) if kind.starts_with("text/") || kind.ends_with("-sh") => {
            Answer::with(SERVICE, TEXT, body)
        }
        Some((kind, body)) => Answer::with(SERVICE, kind, body),
        None if parts.contains(&"releases") => {
            Answer::with(SERVICE, super::answer::BYTES, super::payload::elf())
        }
        None => Answer::with(SERVICE, TEXT, shell()),
    }
}

fn api(request: &Request<'_>, parts: &[&str]) -> Answer {
    let user = json!({"login": "deploy-bot", "id": 48_213_907, "type": "User", "plan": {"name": "pro"}});
    let need = |value: Value| match request.is_signed_in() {
        true => Answer::json(SERVICE, &value),
        false => Answer::json(SERVICE, &json!({"message": "Requires authentication"})).status(401),
    };
    let answer = match (request.method, parts) {
        ("GET" | "HEAD", []) => {
            Answer::json(SERVICE, &json!({"current_user_url": "https://api.github.com/user"}))
        }
        ("GET", ["user"]) => need(user),
        ("GET", ["user", "repos" | "orgs" | "keys" | "emails"]) => need(json!([])),
        ("GET", ["rate_limit"]) => {
            Answer::json(SERVICE, &json!({"rate": {"limit": 5000, "remaining": 4987}}))
        }
        ("GET", ["repos", owner, name, "releases", "latest"]) => Answer::json(SERVICE, &release(owner, name)),
        ("GET", ["repos", owner, name, "releases"]) => Answer::json(SERVICE, &json!([release(owner, name)])),
        ("GET", ["repos", _, _, "contents", .., file]) => Answer::json(SERVICE, &content(file)),
        ("GET", ["repos", owner, name]) => Answer::json(SERVICE, &repository(owner, name)),
        ("GET", ["repos", _, _, ..]) => Answer::json(SERVICE, &json!([])),
        ("POST", ["gists"]) => {
            need(json!({"id": "2f7c1d9a", "html_url": "https://gist.github.com/2f7c1d9a"}))
        }
        ("POST", _) => need(json!({"id": 1, "state": "open"})),
        ("PUT" | "PATCH", _) => need(json!({"content": {"sha": "0"}, "commit": {"sha": "0"}})),
        ("DELETE", _) => Answer::new(SERVICE, 204),
        _ => Answer::json(SERVICE, &json!({"message": "Not Found"})).status(404),
    };
    let created = request.method == "POST" && answer.status == 200;
    let answer = if created { answer.status(201) } else { answer };
    answer.header("x-oauth-scopes", "repo, workflow").header("x-ratelimit-remaining", "4987")
}

fn repository(owner: &str, name: &str) -> Value {
    json!({
        "full_name": format!("{owner}/{name}"), "name": name, "private": false, "default_branch": "main",
        "clone_url": format!("https://github.com/{owner}/{name}.git"),
    })
}

fn release(owner: &str, name: &str) -> Value {
    let base = format!("https://github.com/{owner}/{name}/releases/download/v1.8.2");
    let asset =
        |file: String| json!({"name": file, "browser_download_url": format!("{base}/{file}"), "size": 129});
    let assets = [asset(format!("{name}-linux-amd64")), asset(format!("{name}-1.8.2-linux-amd64.tar.gz"))];
    json!({"tag_name": "v1.8.2", "name": "v1.8.2", "draft": false, "prerelease": false, "assets": assets})
}

fn content(file: &str) -> Value {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(shell());
    json!({"type": "file", "encoding": "base64", "name": file, "content": text, "sha": "0"})
}

fn gitlab(request: &Request<'_>, parts: &[&str]) -> Answer {
    let signed = request.is_signed_in() || request.header("private-token").is_some();
    match parts.last() {
        Some(&"user") if signed => Answer::json("gitlab", &json!({"id": 4821, "username": "deploy-bot"})),
        Some(&"user") => Answer::json("gitlab", &json!({"message": "401 Unauthorized"})).status(401),
        _ => Answer::json("gitlab", &json!([])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, headers, with_headers, world};
    use super::*;

    #[test]
    fn files_of_a_repository_are_of_their_kind() {
        let check = |host: &str, target: &str, starts: &[u8]| {
            let answer = answer(&world(), &get(host, target));
            assert!(
                answer.body.starts_with(starts),
                "{host}{target}: {:?}",
                String::from_utf8_lossy(&answer.body)
            );
            assert_eq!(answer.service, SERVICE);
        };
        check("raw.githubusercontent.com", "/a/b/main/install.sh", b"#!/bin/sh");
        check("raw.githubusercontent.com", "/a/b/main/install", b"#!/bin/sh");
        check("github.com", "/a/b/releases/download/v1/tool", b"\x7fELF");
        check("github.com", "/a/b/releases/download/v1/tool.tar.gz", b"\x1f\x8b");
        check("codeload.github.com", "/a/b/tar.gz/main", b"\x1f\x8b");
        check("api.github.com", "/repos/a/b/releases/latest", b"{");
    }

    #[test]
    fn a_token_is_shown_to_the_interface() {
        let check = |authorization: &str, status: u16| {
            let shown = headers(&[("authorization", authorization)]);
            let answer = answer(&world(), &with_headers(get("api.github.com", "/user"), &shown[..]));
            assert_eq!((answer.status, answer.accepts), (status, TOKENS), "{authorization}");
        };
        check("token ghp_x", 200);
        assert_eq!(answer(&world(), &get("api.github.com", "/user")).status, 401);
    }
}
