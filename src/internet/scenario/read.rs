//! A scenario out of YAML, strictly and bounded.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{HEADERS, Line, Name, Reply, Scenario, ScenarioError, Script, plain};
use crate::yaml::strict::{self, Located, Map, Problem, entries, list, text, texts, value};
use crate::yaml::{Content, Node, nearest};

/// Of each list, so many entries.
const ENTRIES_MAX: usize = 1000;
/// Of the ports that are refused, which are rules of a packet filter.
const PORTS_MAX: usize = 100;
/// All bodies together: the world must travel to the internet process.
const BODIES_MAX: u64 = 8 << 20;

type Payload<'p> = &'p mut dyn FnMut(&str, u64) -> io::Result<Vec<u8>>;

pub fn scenario(file: &str, bytes: &[u8], payload: Payload<'_>) -> Result<Scenario, ScenarioError> {
    let mut bodies = Bodies { payload, left: BODIES_MAX };
    strict::root(file, bytes, |node| {
        let map = Map::new(node, "the scenario", &["names", "http", "dialogues", "refuse"])?;
        let each = |key| map.read(key, bounded).map(Option::unwrap_or_default);
        let refuse = map.read("refuse", refuse)?.unwrap_or_default();
        Ok(Scenario {
            names: each("names")?.iter().map(name).collect::<Result<_, _>>()?,
            http: each("http")?.iter().map(|node| reply(node, &mut bodies)).collect::<Result<_, _>>()?,
            dialogues: each("dialogues")?.iter().map(script).collect::<Result<_, _>>()?,
            refused_names: refuse.names,
            refused_ports: refuse.ports,
        })
    })
}

fn bounded<'a>(node: &'a Node, place: &str) -> Result<&'a [Node], Located> {
    at_most(ENTRIES_MAX, node, place)
}

fn at_most<'a>(most: usize, node: &'a Node, place: &str) -> Result<&'a [Node], Located> {
    match list(node, place)? {
        items if items.len() <= most => Ok(items),
        items => Err(value(node, place, &items.len().to_string(), format!("at most {most} entries"), None)),
    }
}

/// Names that do not exist, ports that are closed.
#[derive(Default)]
struct Refused {
    names: Vec<String>,
    ports: Vec<(u16, u16)>,
}

fn refuse(node: &Node, place: &str) -> Result<Refused, Located> {
    let map = Map::new(node, place, &["names", "ports"])?;
    let names = map.read("names", bounded)?.unwrap_or_default();
    let ports = map.read("ports", |node, place| at_most(PORTS_MAX, node, place))?.unwrap_or_default();
    Ok(Refused {
        names: names.iter().map(|node| domain(node, "names")).collect::<Result<_, _>>()?,
        ports: ports.iter().map(ports_from).collect::<Result<_, _>>()?,
    })
}

/// `4444`, `6000-7000`.
fn ports_from(node: &Node) -> Result<(u16, u16), Located> {
    let found = text(node, "ports")?;
    let (first, last) = found.split_once('-').unwrap_or((found, found));
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => {
            Err(value(node, "ports", found, "a port, or two with a hyphen between (6000-7000)".into(), None))
        }
    }
}

/// 1 to 65535.
fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn name(node: &Node) -> Result<Name, Located> {
    let map = Map::new(node, "a name", &["name", "addresses", "cname", "txt", "mx"])?;
    let addresses = map.read("addresses", bounded)?.unwrap_or_default();
    let exchanges = map.read("mx", bounded)?.unwrap_or_default();
    Ok(Name {
        name: domain(map.need("name")?, "name")?,
        addresses: addresses.iter().map(address).collect::<Result<_, _>>()?,
        cname: map.read("cname", domain)?,
        txt: map.read("txt", texts)?.unwrap_or_default(),
        mx: exchanges.iter().map(|node| domain(node, "mx")).collect::<Result<_, _>>()?,
    })
}

fn address(node: &Node) -> Result<std::net::IpAddr, Located> {
    let found = text(node, "addresses")?;
    let expected = || value(node, "addresses", found, "an address of IPv4 or IPv6".into(), None);
    found.parse().map_err(|_| expected())
}

/// A name or a pattern of names (RFC 1035, 2.3.4: at most 253 characters).
fn domain(node: &Node, place: &str) -> Result<String, Located> {
    let found = text(node, place)?;
    let name = plain(found);
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    match !name.is_empty() && name.len() <= 253 && name.chars().all(good) {
        true => Ok(name),
        false => Err(value(node, place, found, "a name, or a pattern with *".into(), None)),
    }
}

/// What is left for bodies, and where files come from.
struct Bodies<'p> {
    payload: Payload<'p>,
    left: u64,
}

fn reply(node: &Node, bodies: &mut Bodies<'_>) -> Result<Reply, Located> {
    let known = ["host", "path", "method", "status", "headers", "text", "base64", "file"];
    let map = Map::new(node, "an HTTP answer", &known)?;
    let pattern = |key| map.read(key, text).map(|found| found.unwrap_or("*").to_owned());
    Ok(Reply {
        host: domain(map.need("host")?, "host")?,
        path: pattern("path")?,
        method: pattern("method")?,
        status: map.read("status", status)?.unwrap_or(200),
        headers: map.read("headers", headers)?.unwrap_or_default(),
        body: bodies.body(&map, node)?,
    })
}

/// A final status; the interim ones are the server's.
fn status(node: &Node, place: &str) -> Result<u16, Located> {
    let found = text(node, place)?;
    let status = found.parse().ok().filter(|status| (200..=599).contains(status));
    status.ok_or_else(|| value(node, place, found, "a number from 200 to 599".into(), None))
}

fn headers(node: &Node, place: &str) -> Result<Vec<(String, String)>, Located> {
    let mut headers = Vec::new();
    for (name, line, node) in entries(node, place)? {
        let lower = name.to_ascii_lowercase();
        if !HEADERS.contains(&lower.as_str()) {
            let near = nearest(&lower, HEADERS);
            return Err((
                line,
                Problem::UnknownKey { key: name.to_owned(), place: place.to_owned(), nearest: near },
            ));
        }
        let found = text(node, name)?;
        if !found.chars().all(|c| matches!(c, ' '..='~')) {
            return Err(value(node, name, found, "one line of ASCII".into(), None));
        }
        headers.push((lower, found.to_owned()));
    }
    Ok(headers)
}

impl Bodies<'_> {
    /// One of `text`, `base64` and `file`; nothing where there is none.
    fn body(&mut self, map: &Map<'_>, whole: &Node) -> Result<Vec<u8>, Located> {
        let said: Vec<(&str, &Node)> =
            ["text", "base64", "file"].into_iter().filter_map(|key| Some((key, map.get(key)?))).collect();
        let body = match said.as_slice() {
            [] => Vec::new(),
            [("text", node)] => text(node, "text")?.as_bytes().to_vec(),
            [("base64", node)] => encoded(node)?,
            [(_, node)] => self.file(node)?,
            [_, (key, _), ..] => {
                let expected = "the only one of text, base64 and file".to_owned();
                return Err(value(whole, "an HTTP answer", key, expected, None));
            }
        };
        self.left = self.left.checked_sub(body.len() as u64).ok_or_else(|| {
            value(
                whole,
                "an HTTP answer",
                "its body",
                format!("with all others at most {BODIES_MAX} bytes"),
                None,
            )
        })?;
        Ok(body)
    }

    /// A file beside the scenario: a plain name, so that a scenario reads nothing else.
    fn file(&mut self, node: &Node) -> Result<Vec<u8>, Located> {
        let found = text(node, "file")?;
        if found.is_empty() || found.contains('/') || found.starts_with('.') {
            return Err(value(node, "file", found, "the name of a file beside the scenario".into(), None));
        }
        (self.payload)(found, self.left)
            .map_err(|error| value(node, "file", found, format!("a file that can be read ({error})"), None))
    }
}

fn encoded(node: &Node) -> Result<Vec<u8>, Located> {
    let found = text(node, "base64")?;
    let packed: String = found.split_whitespace().collect();
    STANDARD
        .decode(packed)
        .map_err(|error| value(node, "base64", "the text", format!("base64 ({error})"), None))
}

fn script(node: &Node) -> Result<Script, Located> {
    let map = Map::new(node, "a dialogue", &["port", "greeting", "lines"])?;
    let node = map.need("port")?;
    let found = text(node, "port")?;
    let number =
        port(found).ok_or_else(|| value(node, "port", found, "a number from 1 to 65535".into(), None))?;
    let lines = map.read("lines", bounded)?.unwrap_or_default();
    Ok(Script {
        port: number,
        greeting: map.read("greeting", text)?.unwrap_or_default().to_owned(),
        lines: lines.iter().map(line).collect::<Result<_, _>>()?,
    })
}

fn line(node: &Node) -> Result<Line, Located> {
    let map = Map::new(node, "a line", &["expect", "answer", "close"])?;
    Ok(Line {
        expect: map.need_text("expect")?,
        answer: map.read("answer", text)?.unwrap_or_default().to_owned(),
        close: map.read("close", truth)?.unwrap_or(false),
    })
}

fn truth(node: &Node, place: &str) -> Result<bool, Located> {
    match &node.content {
        Content::Scalar { text, quoted: false } if text == "true" => Ok(true),
        Content::Scalar { text, quoted: false } if text == "false" => Ok(false),
        _ => Err(value(node, place, text(node, place)?, "true or false".into(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        scenario("s.yaml", text.as_bytes(), &mut |name, max| match name {
            "stage.sh" => Ok(b"#!/bin/sh\nexit 3\n".to_vec()),
            "large" => Ok(vec![0; max as usize + 1]),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        })
    }

    /// The example between the fences of the page that explains scenarios.
    #[test]
    fn the_example_of_the_documentation_is_right() {
        let page = include_str!("../../../fixtures/scenarios/README.md");
        let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let scenario = parse(example).unwrap_or_else(|error| panic!("{error}"));
        let name = scenario.name("C2.example.").unwrap();
        assert_eq!(
            name.addresses,
            ["203.0.113.5".parse::<std::net::IpAddr>().unwrap(), "2001:db8::5".parse().unwrap()]
        );
        assert!(scenario.is_nxdomain("kq3v.dga.example") && !scenario.is_nxdomain("dga.example"));
        assert_eq!(scenario.refused_ports(), [(6667, 6667), (5000, 6000)]);
        assert_eq!(scenario.reply("c2.example", "/stage2", "GET").unwrap().body, b"#!/bin/sh\nexit 3\n");
        let script = scenario.script(4444).unwrap();
        assert_eq!(script.line("LOGIN me").unwrap().answer, "+OK\r\n");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
            assert_eq!(error, expected, "{text}");
        };
        check("https: []\n", "s.yaml:1: unknown key \"https\" in the scenario; did you mean \"http\"?");
        check("names:\n  - nme: a\n", "s.yaml:2: unknown key \"nme\" in a name; did you mean \"name\"?");
        check("names: a\n", "s.yaml:1: names must be a list, not a single value");
        check(
            "names:\n  - name: a\n    addresses: [1.2.3]\n",
            "s.yaml:3: addresses is \"1.2.3\", but must be an address of IPv4 or IPv6",
        );
        check(
            "names:\n  - name: 'a b'\n",
            "s.yaml:2: name is \"a b\", but must be a name, or a pattern with *",
        );
        check("http:\n  - path: /\n", "s.yaml:2: an HTTP answer has no \"host\"");
        check(
            "http:\n  - host: a\n    status: 99\n",
            "s.yaml:3: status is \"99\", but must be a number from 200 to 599",
        );
        check(
            "http:\n  - host: a\n    file: ../x\n",
            "s.yaml:3: file is \"../x\", but must be the name of a file beside the scenario",
        );
        check(
            "http:\n  - host: a\n    file: x\n",
            "s.yaml:3: file is \"x\", but must be a file that can be read (entity not found)",
        );
        check(
            "http:\n  - host: a\n    headers: {Locatoin: /}\n",
            "s.yaml:3: unknown key \"Locatoin\" in headers; did you mean \"location\"?",
        );
        check(
            "http:\n  - host: a\n    headers: {location: \"/\\r\\nx: y\"}\n",
            "s.yaml:3: location is \"/\\r\\nx: y\", but must be one line of ASCII",
        );
        check(
            "http:\n  - host: a\n    text: a\n    file: b\n",
            "s.yaml:2: an HTTP answer is \"file\", but must be the only one of text, base64 and file",
        );
        check(
            "http:\n  - host: a\n    file: large\n",
            "s.yaml:2: an HTTP answer is \"its body\", but must be with all others at most 8388608 bytes",
        );
        check("dialogues:\n  - port: 0\n", "s.yaml:2: port is \"0\", but must be a number from 1 to 65535");
        check(
            "dialogues:\n  - port: 1\n    lines: [{expect: a, close: 'true'}]\n",
            "s.yaml:3: close is \"true\", but must be true or false",
        );
        check(
            "refuse: {ports: [7-6]}\n",
            "s.yaml:1: ports is \"7-6\", but must be a port, or two with a hyphen between (6000-7000)",
        );
    }
}
