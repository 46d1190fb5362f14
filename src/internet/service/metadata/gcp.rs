//! Google Cloud: the metadata server, which asks for its header.

use serde_json::json;

use super::super::{Answer, Request};
use super::{missing, plain};
use crate::internet::world::World;

const SERVICE: &str = "gcp-metadata";
const PROJECT: &str = "web-production-318204";
const NUMBER: &str = "731905284416";
const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");
const LIFETIME: u64 = 3599;

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let path = request.path().trim_end_matches('/');
    let inside = path.strip_prefix("/computeMetadata/v1");
    let named = request.host.starts_with("metadata");
    let answer = match inside {
        Some(_) if request.header(FLAVOR.0) != Some(FLAVOR.1) => plain(SERVICE, REFUSED).status(403),
        Some(path) => value(world, request, path),
        None if path == "/computeMetadata" => plain(SERVICE, "v1/\n"),
        None if named && path.is_empty() => plain(SERVICE, "computeMetadata/\n"),
        None => return None,
    };
    Some(answer.header(FLAVOR.0, FLAVOR.1).header("server", "Metadata Server for VM"))
}

const REFUSED: &str = "Missing required header \"Metadata-Flavor\": \"Google\".\n";

fn value(world: &World, request: &Request<'_>, path: &str) -> Answer {
    let account = format!("{NUMBER}-compute@developer.gserviceaccount.com");
    let path = path.replace(&account, "default");
    let token = json!({
        "access_token": world.baits.secret("gcp-token", "access_token"),
        "expires_in": LIFETIME, "token_type": "Bearer",
    });
    let text = match path.as_str() {
        "" => "instance/\noslogin/\nproject/\n".into(),
        "/project/project-id" => PROJECT.into(),
        "/project/numeric-project-id" => NUMBER.into(),
        "/project" => "attributes/\nnumeric-project-id\nproject-id\n".into(),
        "/instance" if request.parameter("recursive").is_some() => {
            return Answer::json(SERVICE, &instance(world, &account));
        }
        "/instance" => "attributes/\nhostname\nid\nservice-accounts/\nzone\n".into(),
        "/instance/id" => "4821097736514208339".into(),
        "/instance/name" => world.hostname.clone(),
        "/instance/hostname" => format!("{}.c.{PROJECT}.internal", world.hostname),
        "/instance/zone" => format!("projects/{NUMBER}/zones/europe-west3-b"),
        "/instance/machine-type" => format!("projects/{NUMBER}/machineTypes/e2-medium"),
        "/instance/attributes" => "cluster-name\n".into(),
        "/instance/attributes/cluster-name" => "production".into(),
        "/instance/service-accounts" => format!("default/\n{account}/\n"),
        "/instance/service-accounts/default" => "aliases\nemail\nidentity\nscopes\ntoken\n".into(),
        "/instance/service-accounts/default/email" => account,
        "/instance/service-accounts/default/scopes" => SCOPE.into(),
        "/instance/service-accounts/default/token" => return Answer::json(SERVICE, &token),
        _ => return missing(SERVICE),
    };
    Answer { body: text.into_bytes(), ..plain(SERVICE, "").header("content-type", "application/text") }
}

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform\n";

fn instance(world: &World, account: &str) -> serde_json::Value {
    let accounts = json!({"default": {"aliases": ["default"], "email": account, "scopes": [SCOPE.trim()]}});
    json!({
        "id": 4_821_097_736_514_208_339_u64, "name": world.hostname,
        "zone": format!("projects/{NUMBER}/zones/europe-west3-b"), "serviceAccounts": accounts,
        "attributes": {"cluster-name": "production"},
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::super::super::tests::{get, headers, with_headers, world};
    use super::*;

    #[test]
    fn a_token_is_given_to_who_sends_the_header() {
        let target = "/computeMetadata/v1/instance/service-accounts/default/token";
        let flavored = headers(&[(FLAVOR.0, FLAVOR.1)]);
        let check = |host: &str| {
            assert_eq!(answer(&world(), &get(host, target)).status, 403, "{host}");
            let given = answer(&world(), &with_headers(get(host, target), &flavored));
            let token: serde_json::Value = serde_json::from_slice(&given.body).unwrap();
            assert_eq!(token["access_token"], "ya29.gcp", "{host}");
        };
        check("metadata.google.internal");
        check("169.254.169.254");
    }
}
