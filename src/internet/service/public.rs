//! Small public services: what is my address, am I connected.

use serde_json::{Value, json};

use super::answer::JSON;
use super::{Answer, Request};
use crate::internet::world::World;

/// The address under which the sandbox is told to be seen; the metadata services say the same.
pub const ADDRESS: &str = "18.196.74.213";

pub fn answer(_: &World, request: &Request<'_>) -> Option<Answer> {
    connectivity(request).or_else(|| address(request))
}

/// What systems fetch to learn whether a portal is in their way: host or path, and what they expect.
fn connectivity(request: &Request<'_>) -> Option<Answer> {
    const SERVICE: &str = "connectivity";
    let text = |text: &'static str| Some(Answer::text(SERVICE, text));
    match (request.host, request.path()) {
        (_, "/generate_204" | "/gen_204") => Some(Answer::new(SERVICE, 204)),
        ("www.msftconnecttest.com", _) => text("Microsoft Connect Test"),
        ("www.msftncsi.com", _) => text("Microsoft NCSI"),
        ("detectportal.firefox.com", _) => text("success\n"),
        (
            "captive.apple.com" | "www.apple.com",
            "/hotspot-detect.html" | "/" | "/library/test/success.html",
        ) => {
            let page = "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>\n";
            Some(Answer::with(SERVICE, super::answer::HTML, page))
        }
        ("connectivity-check.ubuntu.com" | "nmcheck.gnome.org", _) => {
            Some(text("NetworkManager is online\n")?.header("x-networkmanager-status", "online"))
        }
        _ => None,
    }
}

/// Answer the caller's address and nothing else, as text; some have more under other paths.
const PLAIN: [&str; 20] = [
    "ifconfig.me",
    "icanhazip.com",
    "api.ipify.org",
    "api64.ipify.org",
    "checkip.amazonaws.com",
    "ident.me",
    "ifconfig.co",
    "ifconfig.io",
    "ip.sb",
    "ipecho.net",
    "ipinfo.io",
    "ip-api.com",
    "myexternalip.com",
    "wtfismyip.com",
    "ipapi.co",
    "ipwho.is",
    "myip.dnsomatic.com",
    "checkip.dyndns.org",
    "api.myip.com",
    "l2.io",
];
/// Of these, they speak JSON whatever they are asked.
const ALWAYS_JSON: [&str; 4] = ["ip-api.com", "ipwho.is", "api.myip.com", "ipapi.co"];

fn address(request: &Request<'_>) -> Option<Answer> {
    const SERVICE: &str = "ip-echo";
    let path = request.path();
    if request.is_at_any(&["httpbin.org"]) && path == "/ip" {
        return Some(Answer::json(SERVICE, &json!({"origin": ADDRESS})));
    }
    if request.is_at_any(&["cloudflare.com", "one.one.one.one", "1.1.1.1"]) && path == "/cdn-cgi/trace" {
        return Some(Answer::text(SERVICE, format!("ip={ADDRESS}\nloc=DE\ncolo=FRA\n")));
    }
    if !request.is_at_any(&PLAIN) {
        return None;
    }
    if request.is_at("checkip.dyndns.org") {
        let page = format!("<html><body>Current IP Address: {ADDRESS}</body></html>\n");
        return Some(Answer::with(SERVICE, super::answer::HTML, page));
    }
    let part = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let text = match part {
        "country" | "country_code" => "DE",
        "city" => "Frankfurt am Main",
        "org" => "AS16509 Amazon.com, Inc.",
        "ip" => ADDRESS,
        _ if wants_json(request, part) => return Some(Answer::json(SERVICE, &description())),
        _ => ADDRESS,
    };
    let end = if request.is_at_any(&["api.ipify.org", "ifconfig.me"]) { "" } else { "\n" };
    Some(Answer::text(SERVICE, format!("{text}{end}")))
}

fn wants_json(request: &Request<'_>, part: &str) -> bool {
    let asked = request.parameter("format").is_some_and(|format| format.starts_with("json"));
    let by_path = matches!(part, "json" | "all.json") || (request.is_at("ipinfo.io") && part.is_empty());
    asked || by_path || request.is_at_any(&ALWAYS_JSON) || request.accepts_type(JSON)
}

/// Each service has some of these.
fn description() -> Value {
    json!({
        "ip": ADDRESS, "query": ADDRESS, "status": "success", "success": true, "country": "DE",
        "countryCode": "DE", "region": "Hesse", "city": "Frankfurt am Main", "org": "AS16509 Amazon.com, Inc.",
        "isp": "Amazon.com, Inc.", "timezone": "Europe/Berlin",
    })
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, text, world};
    use super::*;

    #[test]
    fn the_address_is_the_same_everywhere() {
        let check = |host: &str, target: &str, expected: &str| {
            let answer = answer(&world(), &get(host, target));
            assert!(text(&answer).contains(expected), "{host}{target}: {}", text(&answer));
        };
        check("ifconfig.me", "/", ADDRESS);
        check("icanhazip.com", "/", ADDRESS);
        check("ipv4.icanhazip.com", "/", ADDRESS);
        check("api.ipify.org", "/?format=json", "\"ip\":\"18.");
        check("ip-api.com", "/json/", "\"query\":\"18.");
        check("ipinfo.io", "/ip", ADDRESS);
        check("ipinfo.io", "/json", "\"ip\"");
        check("ipinfo.io", "/country", "DE");
        check("httpbin.org", "/ip", "origin");
        assert_eq!(answer(&world(), &get("www.gstatic.com", "/generate_204")).status, 204);
    }
}
