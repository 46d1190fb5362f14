//! A node of the cluster: its kubelet, which lists pods and runs commands in them, and its etcd.

use serde_json::json;

use super::super::{Answer, Request};

pub fn answer(request: &Request<'_>) -> Option<Answer> {
    match request.server.port() {
        10250 | 10255 => Some(kubelet(request)),
        2379 | 2380 => Some(etcd(request)),
        _ => None,
    }
}

fn kubelet(request: &Request<'_>) -> Answer {
    const SERVICE: &str = "kubelet";
    let container = json!({"name": "web", "image": "registry.internal/web:1.8"});
    let pod = json!({
        "metadata": {"name": "web-7c9f6d5b84-x2x9k", "namespace": "default"},
        "spec": {"nodeName": "node-1", "containers": [container]}, "status": {"phase": "Running"},
    });
    let segments = request.segments();
    match segments.first().map_or("", String::as_str) {
        "pods" | "runningpods" => Answer::json(
            SERVICE,
            &json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [pod]}),
        ),
        "healthz" => Answer::text(SERVICE, "ok"),
        // A command that is run in a container answers with what it printed.
        "run" if request.method == "POST" => {
            Answer::text(SERVICE, "uid=0(root) gid=0(root) groups=0(root)\n")
        }
        "exec" => Answer::text(SERVICE, "you must specify at least 1 of stdin, stdout, stderr\n").status(400),
        "metrics" | "stats" | "logs" => Answer::text(SERVICE, ""),
        _ => Answer::text(SERVICE, "404 page not found\n").status(404),
    }
    .accepts(super::ACCEPTS)
}

fn etcd(request: &Request<'_>) -> Answer {
    const SERVICE: &str = "etcd";
    match request.path() {
        "/version" => Answer::json(SERVICE, &json!({"etcdserver": "3.5.15", "etcdcluster": "3.5.0"})),
        "/health" => Answer::json(SERVICE, &json!({"health": "true", "reason": ""})),
        path if path.starts_with("/v2/keys") => {
            let node = json!({"key": "/", "dir": true, "nodes": []});
            Answer::json(SERVICE, &json!({"action": "get", "node": node}))
        }
        path if path.starts_with("/v3/") => Answer::json(
            SERVICE,
            &json!({"header": {"cluster_id": "14841639068965178418", "revision": "184223"}}),
        ),
        _ => Answer::text(SERVICE, "404 page not found\n").status(404),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::super::super::tests::{get, text, world};
    use super::*;

    #[test]
    fn a_node_is_known_by_its_ports() {
        let check = |method: &str, server: &str, target: &str, service: &str, expected: &str| {
            let server = server.parse().unwrap();
            let answer = answer(&world(), &Request { method, server, ..get("10.0.0.5", target) });
            assert!(text(&answer).contains(expected), "{server}{target}: {}", text(&answer));
            assert_eq!(answer.service, service, "{server}{target}");
        };
        check("GET", "10.0.0.5:10250", "/pods", "kubelet", "PodList");
        check("POST", "10.0.0.5:10250", "/run/default/web/web?cmd=id", "kubelet", "uid=0");
        check("GET", "10.0.0.5:2379", "/version", "etcd", "etcdserver");
        check("GET", "10.0.0.5:2379", "/v2/keys/?recursive=true", "etcd", "\"dir\":true");
    }
}
