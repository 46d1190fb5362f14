//! The API of a Kubernetes cluster, as the sandbox's service account sees it, and the kubelet and etcd
//! of its node.

mod node;
mod object;

use serde_json::{Value, json};

use super::{Answer, Request};
use crate::internet::world::World;

const SERVICE: &str = "kubernetes";
const ACCEPTS: &[&str] = &["kube-token", "kube-config"];
const VERSION: &str = "v1.30.4";

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    if let Some(answer) = node::answer(request) {
        return Some(answer);
    }
    is_cluster(request).then(|| api(world, request).accepts(ACCEPTS))
}

/// By name, by port, or by the address that clusters give to their first service.
fn is_cluster(request: &Request<'_>) -> bool {
    const NAMES: [&str; 3] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let host = request.host.trim_end_matches('.').trim_end_matches(".cluster.local");
    let first: [std::net::IpAddr; 2] = [[10, 96, 0, 1].into(), [10, 43, 0, 1].into()];
    let address = first.contains(&request.server.ip().to_canonical());
    NAMES.contains(&host) || address || matches!(request.server.port(), 6443 | 8001 | 16443)
}

fn api(world: &World, request: &Request<'_>) -> Answer {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["version"] => Answer::json(SERVICE, &version()),
        ["healthz" | "livez" | "readyz", ..] => Answer::text(SERVICE, "ok"),
        _ => match signed(world, request) {
            Signed::No => status(401, "Unauthorized", "Unauthorized"),
            Signed::Other => status(403, "Forbidden", "forbidden: the token may not do this"),
            Signed::Account => allowed(world, request, &parts),
        },
    }
}

enum Signed {
    No,
    Other,
    /// An account whose token lies in the sandbox.
    Account,
}

fn signed(world: &World, request: &Request<'_>) -> Signed {
    let tokens = ACCEPTS.iter().map(|bait| world.baits.secret(bait, "token"));
    match request.bearer() {
        None => Signed::No,
        Some(shown) if tokens.filter(|token| !token.is_empty()).any(|token| token == shown) => {
            Signed::Account
        }
        Some(_) => Signed::Other,
    }
}

fn allowed(world: &World, request: &Request<'_>, parts: &[&str]) -> Answer {
    match parts {
        [] => Answer::json(SERVICE, &json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/version"]})),
        ["api"] => Answer::json(SERVICE, &json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis"] => Answer::json(SERVICE, &object::groups()),
        ["openapi", ..] => status(404, "NotFound", "the server could not find the requested resource"),
        ["api", "v1"] => Answer::json(SERVICE, &object::core()),
        ["apis", group, version] => Answer::json(SERVICE, &object::group(group, version)),
        ["apis", "authorization.k8s.io", _, review] if request.method == "POST" => {
            Answer::json(SERVICE, &object::review(review, request.body)).status(201)
        }
        ["api", "v1", rest @ ..] => resource(world, request, "v1", rest),
        ["apis", group, version, rest @ ..] => resource(world, request, &format!("{group}/{version}"), rest),
        _ => status(404, "NotFound", "the server could not find the requested resource"),
    }
}

/// Lists and objects, of one namespace or of all; what is sent is taken and given back.
fn resource(world: &World, request: &Request<'_>, version: &str, parts: &[&str]) -> Answer {
    let (namespace, rest) = match parts {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        _ => (None, parts),
    };
    let sent = serde_json::from_slice::<Value>(request.body).ok().filter(Value::is_object);
    match (request.method, rest) {
        ("GET" | "HEAD", [kind]) => Answer::json(SERVICE, &object::list(world, version, namespace, kind)),
        ("GET" | "HEAD", [kind, name]) => match object::find(world, version, namespace, kind, name) {
            Some(object) => Answer::json(SERVICE, &object),
            None => status(404, "NotFound", &format!("{kind} \"{name}\" not found")),
        },
        ("GET" | "HEAD", ["pods", _, "log"]) => Answer::text(SERVICE, "listening on :8080\n"),
        ("POST", [_]) => Answer::json(SERVICE, &sent.unwrap_or_else(|| json!({}))).status(201),
        ("PUT" | "PATCH", [_, _]) => Answer::json(SERVICE, &sent.unwrap_or_else(|| json!({}))),
        ("DELETE", [_, _]) => {
            Answer::json(SERVICE, &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
        }
        (_, [_, _, "exec" | "attach" | "portforward"]) => {
            status(400, "BadRequest", "Upgrade request required")
        }
        _ => status(404, "NotFound", "the server could not find the requested resource"),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "30", "gitVersion": VERSION, "gitCommit": "a51b3b711150f57ffc1f526a640ec058514ed596",
        "gitTreeState": "clean", "goVersion": "go1.22.5", "compiler": "gc", "platform": "linux/amd64",
    })
}

fn status(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    Answer::json(SERVICE, &status).status(code)
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, headers, text, with_headers, world};
    use super::*;

    #[test]
    fn only_the_service_account_gets_in() {
        let check = |target: &str, authorization: &str, status: u16| {
            let shown = headers(&[("authorization", authorization)]);
            let answer = answer(&world(), &with_headers(get("kubernetes.default.svc", target), &shown));
            assert_eq!((answer.status, answer.service), (status, "kubernetes"), "{target} {authorization}");
        };
        check("/version", "", 200);
        check("/api", "", 401);
        check("/api", "Bearer other", 403);
        check("/api", "Bearer kube-bearer", 200);
        check("/api/v1/secrets", "Bearer kube-bearer", 200);
        check("/api/v1/namespaces/default/pods", "Bearer kube-bearer", 200);
        check("/api/v1/namespaces/default/pods/nothing", "Bearer kube-bearer", 404);
        check("/apis/apps/v1/deployments", "Bearer kube-bearer", 200);
    }

    #[test]
    fn secrets_hold_baits_in_base64() {
        let shown = headers(&[("authorization", "Bearer kube-bearer")]);
        let request = with_headers(get("10.96.0.1", "/api/v1/namespaces/default/secrets"), &shown);
        let server = "10.96.0.1:443".parse().unwrap();
        let answer = answer(&world(), &Request { server, ..request });
        // printf kube-password | base64
        assert!(text(&answer).contains("\"password\":\"a3ViZS1wYXNzd29yZA==\""), "{}", text(&answer));
        assert_eq!(answer.accepts, ACCEPTS);
    }

    #[test]
    fn a_world_without_the_bait_lets_nobody_in() {
        let mut world = world();
        world.baits = Default::default();
        let shown = headers(&[("authorization", "Bearer ")]);
        let answer = super::answer(&world, &with_headers(get("kubernetes", "/api"), &shown)).unwrap();
        assert_eq!(answer.status, 403);
    }
}
