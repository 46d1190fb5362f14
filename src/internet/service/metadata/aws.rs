//! AWS: the instance metadata service, versions 1 and 2, and the credentials of containers.

use serde_json::{Value, json};

use super::super::answer::rfc3339;
use super::super::{Answer, Request};
use super::{missing, plain};
use crate::internet::world::World;

const SERVICE: &str = "aws-metadata";
const ROLE: &str = "web-instance-role";
const ACCOUNT: &str = "418275936104";
const INSTANCE: &str = "i-0c7d1e5b9a2f48636";
const REGION: &str = "eu-central-1";
const LIFETIME: u64 = 6 * 3600;
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const SESSION: &str = "AQAEAJk2m0bD8sZkqk4l0mXw3uJ5r0rC7oEwTnYyq0Tt2mJrN1cVnA==";
const USER_DATA: &str = "#!/bin/bash\nyum -y update\nsystemctl enable --now docker\n";

pub fn instance(world: &World, request: &Request<'_>) -> Answer {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["latest", "api", "token"] => session(request),
        _ if !request.is_read() => plain(SERVICE, "405 - Method Not Allowed\n").status(405),
        [] => plain(SERVICE, "1.0\n2021-07-15\nlatest\n"),
        // Each version has the same.
        [_] => plain(SERVICE, "dynamic\nmeta-data\nuser-data"),
        [_, "user-data"] => plain(SERVICE, USER_DATA),
        [_, "dynamic"] => plain(SERVICE, "instance-identity/"),
        [_, "dynamic", "instance-identity"] => plain(SERVICE, "document\npkcs7\nsignature\n"),
        [_, "dynamic", "instance-identity", "document"] => plain(SERVICE, &identity(world)),
        [_, "meta-data", rest @ ..] => meta(world, &rest.join("/")),
        _ => missing(SERVICE),
    }
}

/// A session of version 2: a PUT that says how long it is to last.
fn session(request: &Request<'_>) -> Answer {
    let lifetime = request.header(TTL).and_then(|ttl| ttl.trim().parse::<u32>().ok());
    match (request.method, lifetime) {
        ("PUT", Some(lifetime @ 1..=21_600)) => plain(SERVICE, SESSION).header(TTL, lifetime.to_string()),
        ("PUT", _) => plain(SERVICE, "400 - Bad Request\n").status(400),
        _ => plain(SERVICE, "405 - Method Not Allowed\n").status(405),
    }
}

fn meta(world: &World, path: &str) -> Answer {
    let credentials = format!("iam/security-credentials/{ROLE}");
    let profile = json!({
        "Code": "Success", "LastUpdated": rfc3339(world.now),
        "InstanceProfileArn": format!("arn:aws:iam::{ACCOUNT}:instance-profile/{ROLE}"),
        "InstanceProfileId": "AIPAWC4DR7T2LQ5GXKZ3M",
    });
    let name = format!("ip-{}.{REGION}.compute.internal", world.client.0.to_string().replace('.', "-"));
    let text = match path {
        "" => LIST.to_owned(),
        "ami-id" => "ami-0a1b5f0e9d6c37842".into(),
        "hostname" | "local-hostname" | "public-hostname" => name,
        "instance-id" => INSTANCE.into(),
        "instance-type" => "t3.medium".into(),
        "local-ipv4" => world.client.0.to_string(),
        "public-ipv4" => super::super::public::ADDRESS.into(),
        "mac" => "0a:58:2c:7e:41:93".into(),
        "placement" => "availability-zone\nregion".into(),
        "placement/availability-zone" => format!("{REGION}a"),
        "placement/region" => REGION.into(),
        "security-groups" => "default".into(),
        "services/domain" => "amazonaws.com".into(),
        "services/partition" => "aws".into(),
        "iam" => "info\nsecurity-credentials/".into(),
        "iam/info" => profile.to_string(),
        "iam/security-credentials" => ROLE.into(),
        path if path == credentials => role(world).to_string(),
        _ => return missing(SERVICE),
    };
    plain(SERVICE, &text)
}

const LIST: &str = "ami-id\nhostname\niam/\ninstance-id\ninstance-type\nlocal-hostname\nlocal-ipv4\nmac\n\
                    placement/\npublic-hostname\npublic-ipv4\nsecurity-groups\nservices/";

fn role(world: &World) -> Value {
    let secret = |field| world.baits.secret("aws-role", field);
    json!({
        "Code": "Success", "LastUpdated": rfc3339(world.now), "Type": "AWS-HMAC",
        "AccessKeyId": secret("access_key_id"), "SecretAccessKey": secret("secret_access_key"),
        "Token": secret("token"), "Expiration": rfc3339(world.now + LIFETIME),
    })
}

fn identity(world: &World) -> String {
    let document = json!({
        "accountId": ACCOUNT, "architecture": "x86_64", "availabilityZone": format!("{REGION}a"),
        "imageId": "ami-0a1b5f0e9d6c37842", "instanceId": INSTANCE, "instanceType": "t3.medium",
        "pendingTime": rfc3339(world.now.saturating_sub(9 * 86_400)), "privateIp": world.client.0.to_string(),
        "region": REGION, "version": "2017-09-30",
    });
    format!("{document:#}")
}

/// What 169.254.170.2 (ECS) and 169.254.170.23 (EKS) have: the role of the task, and the task itself.
pub fn container(world: &World, request: &Request<'_>) -> Answer {
    let path = request.path();
    if path.contains("/credentials") {
        return Answer::json(SERVICE, &task_role(world));
    }
    let cluster = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/production");
    let task = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/production/2f1d7c9a5b3e4d60");
    let known =
        json!({"Cluster": cluster, "TaskARN": task, "Family": "web", "Revision": "12", "Containers": []});
    match path.starts_with("/v2/metadata") || path.starts_with("/v3") || path.starts_with("/v4") {
        true => Answer::json(SERVICE, &known),
        false => missing(SERVICE),
    }
}

fn task_role(world: &World) -> Value {
    let secret = |field| world.baits.secret("aws-role", field);
    json!({
        "RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"), "AccountId": ACCOUNT,
        "AccessKeyId": secret("access_key_id"), "SecretAccessKey": secret("secret_access_key"),
        "Token": secret("token"), "Expiration": rfc3339(world.now + LIFETIME),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::super::super::tests::{get, headers, text, with_headers, world};
    use super::*;

    const LINK: &str = "169.254.169.254";

    #[test]
    fn the_role_and_its_credentials_are_found_step_by_step() {
        let fetch = |target: &str| answer(&world(), &get(LINK, target));
        assert_eq!(text(&fetch("/latest/meta-data/iam/security-credentials/")), ROLE);
        let role = fetch(&format!("/latest/meta-data/iam/security-credentials/{ROLE}"));
        let role: Value = serde_json::from_slice(&role.body).unwrap();
        assert_eq!(role["AccessKeyId"], "ASIAROLE");
        assert_eq!(role["Expiration"], "2026-01-02T09:04:05Z");
        assert_eq!(fetch("/latest/meta-data/iam/security-credentials/admin").status, 404);
    }

    #[test]
    fn a_session_is_given_to_a_put_that_says_how_long() {
        let check = |method: &str, ttl: &str, status: u16| {
            let said = headers(&[(TTL, ttl)]);
            let request = Request { method, ..get(LINK, "/latest/api/token") };
            assert_eq!(answer(&world(), &with_headers(request, &said)).status, status, "{method} {ttl}");
        };
        check("PUT", "21600", 200);
        check("PUT", "0", 400);
        check("PUT", "21601", 400);
        check("GET", "60", 405);
    }

    #[test]
    fn a_task_finds_its_role() {
        let answer = answer(&world(), &get("169.254.170.2", "/v2/credentials/6a1c"));
        let role: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.service, &role["Token"]), (SERVICE, &json!("role-token")));
    }
}
