//! Vault and Consul, in their basic shapes.

use serde_json::{Value, json};

use super::{Answer, Request};
use crate::internet::world::World;

pub fn answer(_: &World, request: &Request<'_>) -> Option<Answer> {
    if request.server.port() == 8200 || request.host.starts_with("vault.") {
        return Some(vault(request));
    }
    let consul = matches!(request.server.port(), 8500 | 8501) || request.host.starts_with("consul.");
    consul.then(|| self::consul(request))
}

fn vault(request: &Request<'_>) -> Answer {
    const SERVICE: &str = "vault";
    let ok = |value: &Value| Answer::json(SERVICE, value);
    let token = request.header("x-vault-token").is_some();
    let answer = match request.path() {
        "/v1/sys/health" => {
            ok(&json!({"initialized": true, "sealed": false, "standby": false, "version": "1.16.2"}))
        }
        "/v1/sys/seal-status" => {
            ok(&json!({"type": "shamir", "initialized": true, "sealed": false, "version": "1.16.2"}))
        }
        path if path.starts_with("/v1/auth/") && path.contains("/login") => {
            let auth =
                json!({"client_token": "hvs.CAESIJ3", "policies": ["default"], "lease_duration": 3600});
            // Pods log in with their service token (Vault's auth method `kubernetes`).
            ok(&json!({"auth": auth})).takes(&["kube-token"])
        }
        _ if !token => ok(&json!({"errors": ["missing client token"]})).status(403),
        "/v1/auth/token/lookup-self" => ok(&json!({"data": {"policies": ["default"], "ttl": 3600}})),
        "/v1/sys/mounts" => ok(&json!({"data": {"secret/": {"type": "kv"}}})),
        _ => ok(&json!({"errors": ["permission denied"]})).status(403),
    };
    answer.accepts(&["vault-token"])
}

fn consul(request: &Request<'_>) -> Answer {
    const SERVICE: &str = "consul";
    let ok = |value: &Value| Answer::json(SERVICE, value);
    match request.path() {
        "/v1/agent/self" => {
            ok(&json!({"Config": {"Datacenter": "dc1", "NodeName": "node-1", "Version": "1.18.1"}}))
        }
        "/v1/status/leader" => ok(&json!("10.0.0.5:8300")),
        "/v1/catalog/services" => ok(&json!({"consul": []})),
        "/v1/agent/members" | "/v1/catalog/nodes" => ok(&json!([])),
        path if path.starts_with("/v1/kv/") && request.is_read() => Answer::new(SERVICE, 404),
        _ => ok(&json!(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, headers, with_headers, world};
    use super::*;

    #[test]
    fn stores_of_secrets_are_there_and_closed() {
        let shown = headers(&[("x-vault-token", "hvs.x")]);
        let check = |server: &str, target: &str, headers: &[(Vec<u8>, Vec<u8>)], status: u16| {
            let server = server.parse().unwrap();
            let request = Request { server, ..with_headers(get("10.0.0.5", target), headers) };
            assert_eq!(answer(&world(), &request).status, status, "{server}{target}");
        };
        check("10.0.0.5:8200", "/v1/sys/health", &[], 200);
        check("10.0.0.5:8200", "/v1/auth/token/lookup-self", &[], 403);
        check("10.0.0.5:8200", "/v1/auth/token/lookup-self", &shown, 200);
        check("10.0.0.5:8200", "/v1/secret/data/app", &shown, 403);
        check("10.0.0.5:8500", "/v1/agent/self", &[], 200);
        check("10.0.0.5:8500", "/v1/kv/app", &[], 404);
    }
}
