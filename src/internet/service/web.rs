//! The ordinary web server that stands at every name: answers of the kind that was asked for.

use serde_json::json;

use super::answer::{HTML, JSON, TEXT, http_date};
use super::payload::{by_name, node, page, shell};
use super::{Answer, Request};
use crate::internet::world::World;

const SERVICE: &str = "web";
/// A file that was put there a month ago.
const AGE: u64 = 31 * 86_400;

pub fn answer(world: &World, request: &Request<'_>) -> Answer {
    let answer = match request.method {
        "GET" | "HEAD" => read(world, request),
        "OPTIONS" => Answer::new(SERVICE, 204).header("allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        "PUT" => Answer::json(SERVICE, &json!({"status": "ok"})).status(201),
        "DELETE" => Answer::new(SERVICE, 204),
        "CONNECT" => Answer::new(SERVICE, 405).header("allow", "GET, HEAD, POST"),
        "PROPFIND" => Answer::with(SERVICE, "application/xml", MULTISTATUS).status(207),
        _ => Answer::json(SERVICE, &json!({"status": "ok"})),
    };
    answer.header("server", "nginx")
}

const MULTISTATUS: &str = "<?xml version=\"1.0\"?>\n<D:multistatus xmlns:D=\"DAV:\"/>\n";

fn read(world: &World, request: &Request<'_>) -> Answer {
    let path = request.path();
    let (kind, body) = match path {
        "/robots.txt" => (TEXT, b"User-agent: *\nDisallow:\n".to_vec()),
        "/health" | "/healthz" | "/ping" | "/status" => (TEXT, b"ok\n".to_vec()),
        _ => match by_name(path, world.now) {
            Some(file) => file,
            None => page_or_program(request),
        },
    };
    Answer::with(SERVICE, kind, body)
        .header("accept-ranges", "bytes")
        .header("last-modified", http_date(world.now.saturating_sub(AGE)))
}

/// The path's ending says nothing: a browser wants a page, a program with JSON on its lips wants JSON, and
/// what `curl` or a downloader fetches is most likely piped into a shell or made executable.
fn page_or_program(request: &Request<'_>) -> (&'static str, Vec<u8>) {
    if is_interface(request) {
        (JSON, b"{\"status\":\"ok\"}\n".to_vec())
    } else if is_browser(request) || (request.path().ends_with('/') && !is_installer(request)) {
        (HTML, page(request.host))
    } else if is_node(request) {
        ("text/javascript", node())
    } else {
        ("application/x-sh", shell())
    }
}

/// What Node.js' own `fetch` and the usual clients for it call themselves.
fn is_node(request: &Request<'_>) -> bool {
    const NAMES: [&str; 5] = ["node", "undici", "axios", "got", "node-fetch"];
    let agent = request.header("user-agent").unwrap_or_default();
    let name = agent.split(['/', ' ']).next().unwrap_or_default();
    NAMES.contains(&name)
}

fn is_interface(request: &Request<'_>) -> bool {
    const PARTS: [&str; 8] = ["api", "graphql", "v1", "v2", "v3", "rest", "rpc", "json"];
    let by_path = request.segments().iter().any(|part| PARTS.contains(&part.as_str()));
    by_path || request.host.starts_with("api.") || request.accepts_type("json")
}

/// `get.docker.com`, `sh.rustup.rs`: names under which nothing stands but a script.
fn is_installer(request: &Request<'_>) -> bool {
    const NAMES: [&str; 6] = ["bootstrap", "get", "install", "run", "setup", "sh"];
    request.host.split('.').next().is_some_and(|first| NAMES.contains(&first))
}

fn is_browser(request: &Request<'_>) -> bool {
    request.accepts_type("text/html") || request.accepts_type("image/")
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, headers, text, with_headers, world};
    use super::*;

    #[test]
    fn an_answer_is_of_the_kind_that_was_asked_for() {
        let check = |target: &str, agent: &str, accept: &str, starts: &str| {
            let said = headers(&[("user-agent", agent), ("accept", accept)]);
            let answer = answer(&world(), &with_headers(get("www.example.com", target), &said));
            assert!(text(&answer).starts_with(starts), "{target} {agent}: {}", text(&answer));
        };
        check("/", "curl/8", "*/*", "<!doctype html>");
        check("/install", "curl/8", "*/*", "#!/bin/sh");
        check("/setup_20.x", "Wget/1.21", "*/*", "#!/bin/sh");
        check("/about", "Mozilla/5.0", "text/html,*/*", "<!doctype html>");
        check("/api/task", "python-requests/2", "*/*", "{");
        check("/task", "x", "application/json", "{");
        check("/robots.txt", "x", "*/*", "User-agent");
        check("/a.php?x=1", "x", "*/*", "<?php");
    }

    #[test]
    fn a_host_of_installers_has_a_script_at_its_root() {
        assert!(text(&answer(&world(), &get("get.docker.com", "/"))).starts_with("#!/bin/sh"));
        assert!(text(&answer(&world(), &get("getaway.example", "/"))).starts_with("<!doctype"));
    }

    #[test]
    fn what_is_sent_is_taken() {
        let check = |method: &str, status: u16| {
            let answer = answer(&world(), &Request { method, ..get("c2.example", "/gate.php") });
            assert_eq!(answer.status, status, "{method}");
        };
        check("POST", 200);
        check("PUT", 201);
        check("DELETE", 204);
        check("OPTIONS", 204);
        check("CONNECT", 405);
        check("BREW", 200);
    }
}
