//! A Docker Engine whose API is open to everybody: a usual way to move to the next host.

use serde_json::{Value, json};

use super::{Answer, Request};
use crate::internet::world::World;

const SERVICE: &str = "docker";
const CONTAINER: &str = "4c01db0b339c7b0a9d1f5e2c8a6b3d7f9e0c1a2b3c4d5e6f708192a3b4c5d6e7";
const EXEC: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0918273645546372819f0e1d2c3b4a596";

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let segments = request.segments();
    let mut parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    // `/v1.44/containers/json`; without a version the newest is meant.
    let versioned = parts.first().is_some_and(|part| part.starts_with("v1."));
    if versioned {
        parts.remove(0);
    }
    let known = matches!(request.server.port(), 2375 | 2376) || (versioned && is_engine(&parts));
    known.then(|| {
        engine(world, request, &parts)
            .header("api-version", "1.44")
            .header("server", "Docker/25.0.5 (linux)")
            .header("ostype", "linux")
    })
}

fn is_engine(parts: &[&str]) -> bool {
    const OBJECTS: [&str; 6] = ["containers", "images", "exec", "volumes", "networks", "info"];
    parts.first().is_some_and(|part| OBJECTS.contains(part))
}

fn engine(world: &World, request: &Request<'_>, parts: &[&str]) -> Answer {
    let ok = |value: &Value| Answer::json(SERVICE, value);
    match (request.method, parts) {
        ("GET" | "HEAD", ["_ping"]) => Answer::text(SERVICE, "OK"),
        ("GET", ["version"]) => ok(&version()),
        ("GET", ["info"]) => ok(&info(world)),
        ("GET", ["containers" | "images", "json"]) => ok(&json!([])),
        ("GET", ["volumes"]) => ok(&json!({"Volumes": [], "Warnings": []})),
        ("GET", ["networks"]) => ok(&json!([])),
        ("GET", ["containers", _, "json"]) => ok(&container()),
        ("GET", ["containers", _, "logs"]) => Answer::with(SERVICE, "application/vnd.docker.raw-stream", ""),
        ("GET", ["images", .., "json"]) => ok(&json!({"Id": format!("sha256:{CONTAINER}"), "Os": "linux"})),
        ("GET", ["exec", _, "json"]) => ok(&json!({"ID": EXEC, "Running": false, "ExitCode": 0})),
        ("POST", ["containers", "create"]) => ok(&json!({"Id": CONTAINER, "Warnings": []})).status(201),
        ("POST", ["containers", _, "exec"]) => ok(&json!({"Id": EXEC})).status(201),
        ("POST", ["containers", _, "wait"]) => ok(&json!({"StatusCode": 0})),
        ("POST", ["containers", _, "attach"]) | ("POST", ["exec", _, "start"]) => {
            Answer::with(SERVICE, "application/vnd.docker.raw-stream", "")
        }
        ("POST", ["containers", _, _]) | ("DELETE", ["containers", _]) => Answer::new(SERVICE, 204),
        ("POST", ["images", "create"]) => ok(&json!({"status": "Download complete"})),
        ("POST", ["auth"]) => {
            ok(&json!({"Status": "Login Succeeded", "IdentityToken": ""})).accepts(&["registry-login"])
        }
        ("POST", ["build"]) => ok(&json!({"stream": "Successfully built 4c01db0b339c\n"})),
        ("POST", ["volumes" | "networks", "create"]) => {
            ok(&json!({"Name": "data", "Id": CONTAINER})).status(201)
        }
        _ => ok(&json!({"message": "page not found"})).status(404),
    }
}

fn version() -> Value {
    json!({
        "Platform": {"Name": "Docker Engine - Community"}, "Version": "25.0.5", "ApiVersion": "1.44",
        "MinAPIVersion": "1.24", "GitCommit": "e63daec", "GoVersion": "go1.21.8", "Os": "linux", "Arch": "amd64",
        "KernelVersion": "6.1.0-25-amd64", "BuildTime": "2024-03-19T15:05:18.000000000+00:00",
    })
}

fn info(world: &World) -> Value {
    json!({
        "ID": "b7c2f6d1-3e0a-4d59-8c1f-5a9e7b2d4f60", "Containers": 0, "Images": 0, "Driver": "overlay2",
        "NCPU": 4, "MemTotal": 8_229_998_592_u64, "Name": world.hostname, "ServerVersion": "25.0.5",
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)", "OSType": "linux", "Architecture": "x86_64",
    })
}

fn container() -> Value {
    json!({
        "Id": CONTAINER, "Name": "/app", "Image": format!("sha256:{CONTAINER}"),
        "State": {"Status": "running", "Running": true, "ExitCode": 0}, "Config": {"Tty": false},
    })
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, world};
    use super::*;

    #[test]
    fn a_container_is_made_and_started() {
        let check = |method: &str, target: &str, status: u16| {
            let server = "10.0.0.5:2375".parse().unwrap();
            let request = Request { method, server, ..get("10.0.0.5", target) };
            let answer = answer(&world(), &request);
            assert_eq!((answer.status, answer.service), (status, SERVICE), "{method} {target}");
        };
        check("GET", "/_ping", 200);
        check("GET", "/v1.44/version", 200);
        check("POST", "/v1.44/containers/create?name=x", 201);
        check("POST", "/containers/4c01/start", 204);
        check("GET", "/nothing", 404);
    }
}
