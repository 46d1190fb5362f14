//! Azure: instance metadata and tokens of the managed identity.

use serde_json::json;

use super::super::{Answer, Request};
use crate::internet::world::World;

const SERVICE: &str = "azure-metadata";
const SUBSCRIPTION: &str = "5c1e7a90-3d42-4b86-9f0a-d27b61e8c354";
const LIFETIME: u64 = 86_399;

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let path = request.path().strip_prefix("/metadata/")?.trim_end_matches('/');
    // `/metadata/v1` is another cloud's.
    if path == "v1" || path.starts_with("v1/") || path.starts_with("v1.") {
        return None;
    }
    let told = request.header("metadata").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let error =
        |text: &str| Answer::json(SERVICE, &json!({"error": "invalid_request", "error_description": text}));
    Some(match path {
        _ if !told => error("Required metadata header not specified").status(400),
        "versions" => {
            Answer::json(SERVICE, &json!({"apiVersions": ["2019-06-01", "2021-02-01", "2023-07-01"]}))
        }
        _ if request.parameter("api-version").is_none() => error("api-version was not specified").status(400),
        "identity/oauth2/token" => token(world, request),
        "instance" => Answer::json(SERVICE, &instance(world)),
        "instance/compute" => Answer::json(SERVICE, &instance(world)["compute"]),
        _ => error("Not found").status(404),
    })
}

fn token(world: &World, request: &Request<'_>) -> Answer {
    let resource = request.parameter("resource").unwrap_or_else(|| "https://management.azure.com/".into());
    let token = json!({
        "access_token": world.baits.secret("azure-token", "access_token"), "token_type": "Bearer",
        "client_id": "8b0e2c6d-91f7-4a35-b1de-60c4f7a8932b", "resource": resource,
        "expires_in": LIFETIME.to_string(), "expires_on": (world.now + LIFETIME).to_string(),
        "not_before": world.now.to_string(),
    });
    Answer::json(SERVICE, &token)
}

fn instance(world: &World) -> serde_json::Value {
    let address = json!({"privateIpAddress": world.client.0.to_string(), "publicIpAddress": ""});
    json!({
        "compute": {
            "azEnvironment": "AzurePublicCloud", "location": "westeurope", "name": world.hostname,
            "osType": "Linux", "resourceGroupName": "production", "subscriptionId": SUBSCRIPTION,
            "vmId": "d3a94f17-52c8-46e0-8b7d-f16a0c95e2d4", "vmSize": "Standard_B2s",
        },
        "network": {"interface": [{"ipv4": {"ipAddress": [address]}, "macAddress": "0022481AB3C7"}]},
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::super::super::tests::{get, headers, with_headers, world};

    #[test]
    fn a_token_is_given_to_who_sends_the_header_and_a_version() {
        let told = headers(&[("metadata", "true")]);
        let check = |target: &str, headers: &[(Vec<u8>, Vec<u8>)], status: u16| {
            let request = with_headers(get("169.254.169.254", target), headers);
            assert_eq!(answer(&world(), &request).status, status, "{target}");
        };
        let token =
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
        check(token, &told, 200);
        check(token, &[], 400);
        check("/metadata/identity/oauth2/token", &told, 400);
        check("/metadata/instance?api-version=2021-02-01", &told, 200);
    }
}
