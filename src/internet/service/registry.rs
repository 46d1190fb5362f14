//! A container registry (OCI distribution-spec 1.1): a token for everybody, one tiny image under every
//! name, and room for whatever is pushed.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{BYTES, rfc3339};
use super::payload::archive::{Member, gzip, tar};
use super::payload::elf;
use super::{Answer, Request};
use crate::internet::world::World;

const SERVICE: &str = "registry";
const LOGINS: &[&str] = &["registry-login", "github-token"];
const HOSTS: [&str; 12] = [
    "registry-1.docker.io",
    "index.docker.io",
    "auth.docker.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "pkg.dev",
    "registry.gitlab.com",
    "mcr.microsoft.com",
    "azurecr.io",
    "registry.k8s.io",
    "public.ecr.aws",
];
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const VERSION: (&str, &str) = ("docker-distribution-api-version", "registry/2.0");

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer = match parts.as_slice() {
        ["token" | "v2token"] if is_registry(request) => Some(token(world)),
        ["v2"] if is_registry(request) || request.path() == "/v2/" => Some(base(request)),
        ["v2", "_catalog"] => Some(catalog(request)),
        ["v2", name @ .., "tags", "list"] if !name.is_empty() => Some(tags(request, &name.join("/"))),
        ["v2", name @ .., "blobs", "uploads"] if !name.is_empty() => Some(upload(request, &name.join("/"))),
        ["v2", name @ .., "blobs", "uploads", _] if !name.is_empty() => {
            Some(upload(request, &name.join("/")))
        }
        ["v2", name @ .., kind @ ("manifests" | "blobs"), reference] if !name.is_empty() => {
            Some(content(request, &name.join("/"), kind, reference))
        }
        ["v1", "_ping"] if is_registry(request) => Some(Answer::json(SERVICE, &json!(true))),
        _ => None,
    };
    answer.map(|answer| answer.header(VERSION.0, VERSION.1).accepts(LOGINS))
}

fn is_registry(request: &Request<'_>) -> bool {
    request.is_at_any(&HOSTS) || request.host.starts_with("registry.") || request.server.port() == 5000
}

/// Where a client that shows nothing is sent for a token.
fn challenge(request: &Request<'_>, scope: &str) -> Answer {
    let (realm, service) = match request.is_at("docker.io") {
        true => ("https://auth.docker.io/token".to_owned(), "registry.docker.io".to_owned()),
        false => (format!("{}/token", request.origin()), request.host.to_owned()),
    };
    let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
    let errors = json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
    Answer::json(SERVICE, &errors)
        .status(401)
        .header("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"{service}\"{scope}"))
}

/// Log-in ends here: Basic and tokens are taken as they are.
fn base(request: &Request<'_>) -> Answer {
    match request.is_signed_in() {
        true => Answer::json(SERVICE, &json!({})),
        false => challenge(request, ""),
    }
}

fn token(world: &World) -> Answer {
    let token = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJhY2Nlc3MiOltdfQ.c2lnbmF0dXJl";
    let issued = rfc3339(world.now);
    let answer = json!({"token": token, "access_token": token, "expires_in": 300, "issued_at": issued});
    Answer::json(SERVICE, &answer)
}

fn catalog(request: &Request<'_>) -> Answer {
    match request.is_signed_in() {
        true => Answer::json(SERVICE, &json!({"repositories": ["app", "backend"]})),
        false => challenge(request, "registry:catalog:*"),
    }
}

fn tags(request: &Request<'_>, name: &str) -> Answer {
    match request.is_signed_in() {
        true => Answer::json(SERVICE, &json!({"name": name, "tags": ["latest"]})),
        false => challenge(request, &format!("repository:{name}:pull")),
    }
}

fn content(request: &Request<'_>, name: &str, kind: &str, reference: &str) -> Answer {
    if !request.is_signed_in() {
        let action = if request.is_read() { "pull" } else { "pull,push" };
        return challenge(request, &format!("repository:{name}:{action}"));
    }
    match (request.method, kind) {
        ("GET" | "HEAD", "manifests") => manifest(reference),
        ("GET" | "HEAD", _) => blob(reference),
        ("PUT", "manifests") => Answer::new(SERVICE, 201)
            .header("location", format!("/v2/{name}/manifests/{reference}"))
            .header("docker-content-digest", digest(request.body)),
        ("DELETE", _) => Answer::new(SERVICE, 202),
        _ => Answer::new(SERVICE, 405),
    }
}

fn manifest(reference: &str) -> Answer {
    let image = Image::new();
    let digest = digest(&image.manifest);
    match reference.starts_with("sha256:") && reference != digest {
        true => unknown("MANIFEST_UNKNOWN"),
        false => Answer::with(SERVICE, MANIFEST, image.manifest).header("docker-content-digest", digest),
    }
}

fn blob(reference: &str) -> Answer {
    let image = Image::new();
    let found = [image.config, image.layer].into_iter().find(|blob| digest(blob) == reference);
    match found {
        Some(blob) => Answer::with(SERVICE, BYTES, blob).header("docker-content-digest", reference),
        None => unknown("BLOB_UNKNOWN"),
    }
}

fn unknown(code: &str) -> Answer {
    Answer::json(SERVICE, &json!({"errors": [{"code": code, "message": "unknown to registry"}]})).status(404)
}

/// A push goes on: begun, fed, ended with the digest that the client names.
fn upload(request: &Request<'_>, name: &str) -> Answer {
    if !request.is_signed_in() {
        return challenge(request, &format!("repository:{name}:pull,push"));
    }
    let ended = request.parameter("digest").filter(|text| text.len() <= 80 && text.is_ascii());
    match ended.filter(|_| matches!(request.method, "PUT" | "POST")) {
        Some(digest) => Answer::new(SERVICE, 201)
            .header("location", format!("/v2/{name}/blobs/{digest}"))
            .header("docker-content-digest", digest),
        None => Answer::new(SERVICE, 202)
            .header("location", format!("/v2/{name}/blobs/uploads/6f3c0c5e-8f4b-4f0e-9d6b-1f2a3b4c5d6e"))
            .header("docker-upload-uuid", "6f3c0c5e-8f4b-4f0e-9d6b-1f2a3b4c5d6e")
            .header("range", range(request)),
    }
}

/// How much came so far, as far as the client says it.
fn range(request: &Request<'_>) -> String {
    let said =
        request.header("content-range").and_then(|range| range.rsplit('-').next()?.parse::<u64>().ok());
    let length = request.header("content-length").and_then(|length| length.parse::<u64>().ok());
    let last = said.or(length.and_then(|length| length.checked_sub(1))).unwrap_or(0);
    format!("0-{last}")
}

/// One layer with one program.
struct Image {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Image {
    fn new() -> Image {
        let tar = tar(&[Member::executable("app", elf())], 0);
        let layer = gzip(&tar);
        let settings = json!({"Entrypoint": ["/app"], "Env": ["PATH=/"]});
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": rfc3339(0), "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
            "history": [{"created": rfc3339(0), "created_by": "COPY app /app"}],
        });
        let config = config.to_string().into_bytes();
        let part = |kind: &str, bytes: &[u8]| -> Value {
            json!({"mediaType": kind, "size": bytes.len(), "digest": digest(bytes)})
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": part(CONFIG, &config), "layers": [part(LAYER, &layer)],
        });
        Image { manifest: manifest.to_string().into_bytes(), config, layer }
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, headers, with_headers, world};
    use super::*;

    #[test]
    fn a_client_without_a_token_is_sent_for_one() {
        let check = |host: &str, target: &str, expected: &str| {
            let answer = answer(&world(), &Request { secure: true, ..get(host, target) });
            let header = answer.headers.iter().find(|(name, _)| *name == "www-authenticate");
            assert_eq!(
                (answer.status, header.map(|(_, text)| text.as_str())),
                (401, Some(expected)),
                "{target}"
            );
        };
        let hub = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"";
        check("registry-1.docker.io", "/v2/", hub);
        let scoped = format!("{hub},scope=\"repository:library/redis:pull\"");
        check("registry-1.docker.io", "/v2/library/redis/manifests/latest", &scoped);
    }

    #[test]
    fn a_name_brings_no_header_of_its_own() {
        let signed = headers(&[("authorization", "Bearer x")]);
        let target = "/v2/a%0d%0aset-cookie:%20x/blobs/uploads/";
        let answer =
            answer(&world(), &with_headers(Request { method: "POST", ..get("ghcr.io", target) }, &signed));
        assert_eq!(answer.status, 202);
        assert!(answer.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])), "{answer:?}");
    }

    #[test]
    fn what_a_manifest_names_can_be_fetched() {
        let signed = headers(&[("authorization", "Bearer x")]);
        let fetch = |target: &str| answer(&world(), &with_headers(get("ghcr.io", target), &signed));
        let manifest: Value = serde_json::from_slice(&fetch("/v2/a/b/manifests/latest").body).unwrap();
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let name = part["digest"].as_str().unwrap();
            let blob = fetch(&format!("/v2/a/b/blobs/{name}"));
            assert_eq!(
                (digest(&blob.body).as_str(), blob.body.len() as u64),
                (name, part["size"].as_u64().unwrap())
            );
        }
        assert_eq!(fetch("/v2/a/b/blobs/sha256:00").status, 404);
    }
}
