//! The smaller clouds: Alibaba, DigitalOcean, Oracle, OpenStack, in their basic shapes.

use serde_json::json;

use super::super::{Answer, Request};
use super::{missing, plain};
use crate::internet::world::World;

const SERVICE: &str = "cloud-metadata";

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let path = request.path().trim_end_matches('/');
    let rest = |prefix: &str| path.strip_prefix(prefix);
    if let Some(rest) = rest("/metadata/v1") {
        return Some(ocean(world, rest));
    }
    if let Some(rest) = rest("/opc/v2").or_else(|| rest("/opc/v1")) {
        return Some(oracle(world, rest));
    }
    rest("/openstack").map(|rest| open_stack(world, rest))
}

fn ocean(world: &World, path: &str) -> Answer {
    let text = match path {
        "" => "id\nhostname\nuser-data\nregion\ninterfaces/\n".to_owned(),
        "/id" => "418275936".into(),
        "/hostname" => world.hostname.clone(),
        "/region" => "fra1".into(),
        "/user-data" => "#cloud-config\n".into(),
        ".json" => {
            let droplet = json!({"droplet_id": 418_275_936, "hostname": world.hostname, "region": "fra1"});
            return Answer::json(SERVICE, &droplet);
        }
        _ => return missing(SERVICE),
    };
    plain(SERVICE, &text)
}

fn oracle(world: &World, path: &str) -> Answer {
    let instance = json!({
        "displayName": world.hostname, "hostname": world.hostname, "region": "eu-frankfurt-1",
        "shape": "VM.Standard.E4.Flex", "state": "Running",
        "id": "ocid1.instance.oc1.eu-frankfurt-1.antheljt7q2mabqc5x3nw6kzr4dy",
        "compartmentId": "ocid1.tenancy.oc1..aaaaaaaab7v2k5xq3m",
    });
    match path {
        "" | "/instance" => Answer::json(SERVICE, &instance),
        "/vnics" => Answer::json(SERVICE, &json!([{"privateIp": world.client.0.to_string()}])),
        _ => missing(SERVICE),
    }
}

fn open_stack(world: &World, path: &str) -> Answer {
    let data = json!({
        "uuid": "0e5b7d94-6c21-4f38-a90d-b47f1c8e2635", "hostname": format!("{}.novalocal", world.hostname),
        "name": world.hostname, "availability_zone": "nova", "project_id": "7d1b3f90c2a84e56",
    });
    match path.rsplit('/').next().unwrap_or_default() {
        "" => plain(SERVICE, "2018-08-27\nlatest\n"),
        "meta_data.json" => Answer::json(SERVICE, &data),
        "user_data" => plain(SERVICE, "#cloud-config\n"),
        _ => missing(SERVICE),
    }
}

pub fn alibaba(world: &World, request: &Request<'_>) -> Answer {
    let path = request.path().trim_end_matches('/');
    let text = match path.strip_prefix("/latest/meta-data").unwrap_or(path) {
        "" => "hostname\ninstance-id\nprivate-ipv4\nram/\nregion-id\nzone-id".to_owned(),
        "/hostname" => world.hostname.clone(),
        "/instance-id" => "i-gw8c3k7d1x5q9r2m4n6p".into(),
        "/private-ipv4" => world.client.0.to_string(),
        "/region-id" => "eu-central-1".into(),
        "/zone-id" => "eu-central-1a".into(),
        "/ram" => "security-credentials/".into(),
        "/ram/security-credentials" => String::new(),
        _ => return missing(SERVICE),
    };
    plain(SERVICE, &text)
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::super::super::tests::{get, world};

    #[test]
    fn each_cloud_has_its_instance() {
        let check = |host: &str, target: &str, status: u16| {
            let answer = answer(&world(), &get(host, target));
            assert_eq!((answer.service, answer.status), ("cloud-metadata", status), "{host}{target}");
        };
        check("100.100.100.200", "/latest/meta-data/instance-id", 200);
        check("100.100.100.200", "/x", 404);
        check("169.254.169.254", "/metadata/v1.json", 200);
        check("169.254.169.254", "/metadata/v1/id", 200);
        check("169.254.169.254", "/opc/v2/instance/", 200);
        check("169.254.169.254", "/openstack/latest/meta_data.json", 200);
    }
}
