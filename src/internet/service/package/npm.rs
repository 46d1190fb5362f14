//! The npm registry: packuments, tarballs, audits, log-ins.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::super::answer::BYTES;
use super::super::payload::archive::{Member, gzip, tar};
use super::super::{Answer, Request};
use super::version::{self, LATEST, is_version};
use crate::internet::world::World;

const SERVICE: &str = "npm";
const HOSTS: [&str; 4] =
    ["registry.npmjs.org", "registry.yarnpkg.com", "registry.npmmirror.com", "npm.pkg.github.com"];
/// npm allows 214 characters (scope included).
const NAME_MAX: usize = 214;
/// 1985-10-26, as npm stamps the members of its tarballs: the same bytes at every time.
const MTIME: u64 = 499_162_500;

/// A module that can be called, constructed and asked for anything, and does nothing.
const ANY: &str = include_str!("module/any.js");
/// One that does what it is installed for, as far as it goes: else what was to be sent would not be.
const AXIOS: &str = include_str!("module/axios.js");

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let known = request.is_at_any(&HOSTS) || is_installer(request);
    if !known {
        return None;
    }
    let segments = request.segments();
    let (name, rest) = name(&segments)?;
    Some(match rest.as_slice() {
        _ if name == "-" => service(request, &rest),
        _ if request.method == "PUT" => published(),
        [] => package(world, request, &name),
        ["-", file] => tarball(&name, file),
        [version] => one_version(request, &name, version),
        _ => missing(),
    })
}

fn is_installer(request: &Request<'_>) -> bool {
    const AGENTS: [&str; 5] = ["npm/", "pnpm/", "yarn/", "bun/", "Bun/"];
    AGENTS.iter().any(|agent| request.agent().starts_with(agent)) || request.accepts_type("npm.install-v1")
}

/// The package's name, and the path behind it. A scope stands in the same segment or in one before.
fn name(segments: &[String]) -> Option<(String, Vec<&str>)> {
    let parts: Vec<&str> = segments.iter().flat_map(|part| part.split('/')).collect();
    let words = if parts.first()?.starts_with('@') { 2 } else { 1 };
    let name = parts.get(..words)?.join("/");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~@/".contains(c);
    let good = name.len() <= NAME_MAX && name.chars().all(plain) && !name.contains("..");
    good.then(|| (name, parts[words..].to_vec()))
}

/// What stands below `/-/`.
fn service(request: &Request<'_>, rest: &[&str]) -> Answer {
    let value = match rest {
        ["whoami"] if request.is_signed_in() => json!({"username": "deploy"}),
        ["whoami"] => return Answer::json(SERVICE, &json!({"error": "unauthorized"})).status(401),
        ["npm", "v1", "security", "audits", ..] => {
            let found = json!({"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0});
            json!({"actions": [], "advisories": {}, "muted": [], "metadata": {"vulnerabilities": found}})
        }
        ["v1", "login"] => return missing(),
        ["user", user] if request.method == "PUT" => {
            let answer = json!({"ok": true, "id": user, "token": "npm_session"});
            return Answer::json(SERVICE, &answer).status(201);
        }
        _ => json!({}),
    };
    Answer::json(SERVICE, &value).accepts(&["npm-token"])
}

fn published() -> Answer {
    Answer::json(SERVICE, &json!({"ok": true, "success": true})).status(201).accepts(&["npm-token"])
}

/// All versions. Only the latest has a digest: to make all tarballs for one list costs too much.
fn package(world: &World, request: &Request<'_>, name: &str) -> Answer {
    let origin = request.origin();
    let mut versions: Map<String, Value> =
        version::all().map(|version| (version.clone(), manifest(&origin, name, &version))).collect();
    versions[LATEST]["dist"]["integrity"] = integrity(name, LATEST).into();
    let modified = super::super::answer::rfc3339(world.now.saturating_sub(31 * 86_400));
    let tags = json!({"latest": LATEST});
    let package = json!({"name": name, "dist-tags": tags, "modified": modified, "versions": versions});
    Answer::json(SERVICE, &package).accepts(&["npm-token"])
}

fn one_version(request: &Request<'_>, name: &str, version: &str) -> Answer {
    let version = if version == "latest" { LATEST } else { version };
    if !is_version(version) {
        return missing();
    }
    let mut manifest = manifest(&request.origin(), name, version);
    manifest["dist"]["integrity"] = integrity(name, version).into();
    Answer::json(SERVICE, &manifest)
}

fn manifest(origin: &str, name: &str, version: &str) -> Value {
    let tarball = format!("{origin}/{name}/-/{}-{version}.tgz", base(name));
    json!({"name": name, "version": version, "dist": {"tarball": tarball}})
}

fn tarball(name: &str, file: &str) -> Answer {
    let version = file.strip_suffix(".tgz").and_then(|file| file.strip_prefix(base(name))?.strip_prefix('-'));
    match version.filter(|version| is_version(version)) {
        Some(version) => Answer::with(SERVICE, BYTES, archive(name, version)),
        None => missing(),
    }
}

/// Subresource integrity of the tarball.
fn integrity(name: &str, version: &str) -> String {
    format!("sha512-{}", STANDARD.encode(Sha512::digest(archive(name, version))))
}

fn archive(name: &str, version: &str) -> Vec<u8> {
    let manifest = json!({"name": name, "version": version, "main": "index.js", "license": "MIT"});
    let code = if name == "axios" { AXIOS } else { ANY };
    let members =
        [Member::new("package/package.json", manifest.to_string()), Member::new("package/index.js", code)];
    gzip(&tar(&members, MTIME))
}

/// Without the scope.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn missing() -> Answer {
    Answer::json(SERVICE, &json!({"error": "Not found"})).status(404)
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::super::super::tests::{get, world};
    use super::*;

    fn value(target: &str) -> Value {
        serde_json::from_slice(&answer(&world(), &get("registry.npmjs.org", target)).body).unwrap()
    }

    #[test]
    fn a_package_names_a_tarball_with_its_digest() {
        let check = |target: &str, name: &str, path: &str| {
            let package = value(target);
            assert_eq!(package["name"], name);
            let dist = &package["versions"][LATEST]["dist"];
            assert_eq!(dist["tarball"], format!("http://registry.npmjs.org{path}"));
            let tarball = answer(&world(), &get("registry.npmjs.org", path)).body;
            let digest = format!("sha512-{}", STANDARD.encode(Sha512::digest(tarball)));
            assert_eq!(dist["integrity"], digest);
        };
        check("/left-pad", "left-pad", "/left-pad/-/left-pad-5.40.3.tgz");
        check("/@scope%2fname", "@scope/name", "/@scope/name/-/name-5.40.3.tgz");
        check("/@scope/name", "@scope/name", "/@scope/name/-/name-5.40.3.tgz");
    }

    #[test]
    fn what_is_no_package_is_not_found() {
        let check = |target: &str, status: u16| {
            assert_eq!(answer(&world(), &get("registry.npmjs.org", target)).status, status, "{target}");
        };
        check("/a/-/b-1.0.0.tgz", 404);
        check("/a/-/a-..tgz", 404);
        check("/a/4.17.21", 200);
        check("/-/npm/v1/security/advisories/bulk", 200);
        check("/-/whoami", 401);
    }
}
