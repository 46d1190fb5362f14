//! What was said to the world outside, in one line.

use super::{escape, protocol_name};
use crate::event::{
    BaitAct, Bytes, CommandAct, DnsAnswer, Flow, Handshake, HttpAct, Question, StreamAct, TlsAct,
};

/// Of a text that was sent, so many bytes are shown.
const SAID_MAX: usize = 120;

pub fn question(question: Option<&Question>) -> String {
    match question {
        Some(question) => format!("{} {}", question.type_name(), escape(&question.name)),
        None => "what is no question".to_owned(),
    }
}

pub fn dns_answer(act: &DnsAnswer) -> String {
    let answer = match (act.code, act.addresses.as_slice()) {
        (0, []) => "an answer".to_owned(),
        (0, [address, ..]) => address.to_string(),
        (3, _) => "that there is no such name".to_owned(),
        (code, _) => format!("code {code}"),
    };
    let (question, carrier) = (question(act.question.as_ref()), act.carrier.name());
    format!("asked {} over {carrier} for {question} and was told {answer}", at(&act.flow))
}

pub fn http(act: &HttpAct) -> String {
    let scheme = if act.secure { "https" } else { "http" };
    let body = if act.body_size > 0 { format!(" with {} bytes", act.body_size) } else { String::new() };
    let (method, host) = (escape(&act.method), escape(&act.host));
    format!("asked by {method} for {scheme}://{host}{}{body}, status {}", escape(&act.target), act.status)
}

pub fn tls(act: &TlsAct) -> String {
    let name = act.server_name.as_ref().map(|name| format!(" as {}", escape(name))).unwrap_or_default();
    let outcome = match &act.outcome {
        Handshake::Done => String::new(),
        Handshake::Refused { alert } => format!(", and refused its certificate ({})", escape(alert)),
        Handshake::Broken => ", and broke it off".to_owned(),
    };
    format!("began TLS with {}{name}{outcome}", at(&act.flow))
}

pub fn command(act: &CommandAct) -> String {
    let (service, verb) = (escape(&act.service), escape(&act.verb));
    format!("said {verb} {} to {service} at {}", said(&act.text), at(&act.flow))
}

pub fn stream(act: &StreamAct) -> String {
    let (service, protocol) = (escape(&act.service), protocol_name(act.flow.protocol));
    let first =
        if act.first.is_empty() { String::new() } else { format!(", first \"{}\"", said(&act.first)) };
    let StreamAct { sent, received, .. } = act;
    let flow = at(&act.flow);
    format!("sent {sent} bytes ({protocol}, {service}) to {flow} and received {received}{first}")
}

pub fn bait(act: &BaitAct) -> String {
    let (name, field, encoding) = (escape(&act.name), escape(&act.field), escape(&act.encoding));
    let what = format!("the {field} of the decoy {name} ({encoding})");
    match &act.used_at {
        Some(service) => format!("showed {what} to {} as a credential", escape(service)),
        None => format!("sent {what} by {} to {}", escape(&act.place), at(&act.flow)),
    }
}

/// The far end, with its name where one is known.
fn at(flow: &Flow) -> String {
    match &flow.name {
        Some(name) => format!("{} ({})", escape(name), flow.server),
        None => flow.server.to_string(),
    }
}

fn said(text: &Bytes) -> String {
    let cut = &text[..text.len().min(SAID_MAX)];
    escape(cut) + if cut.len() < text.len() { "…" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Carrier, Protocol};

    fn flow() -> Flow {
        Flow {
            protocol: Protocol::Tcp,
            client: "10.0.0.2:40000".parse().unwrap(),
            server: "203.0.113.9:443".parse().unwrap(),
            name: Some(b"a.example"[..].into()),
        }
    }

    #[test]
    fn what_was_said_reads_as_one_line_without_a_control_character() {
        let text = |text: &[u8]| Bytes::from(text);
        let answer = DnsAnswer {
            flow: flow(),
            carrier: Carrier::Tls,
            question: Some(Question { name: text(b"x\x1b.example"), kind: 16 }),
            code: 3,
            addresses: vec![],
        };
        let http = HttpAct {
            flow: flow(),
            secure: true,
            server_name: None,
            version: text(b"2"),
            method: text(b"POST"),
            host: text(b"a.example"),
            target: text(b"/x\n"),
            headers: vec![],
            headers_omitted: 0,
            body: text(b""),
            body_size: 7,
            status: 200,
            service: text(b"web"),
        };
        let alert = Handshake::Refused { alert: text(b"unknown_ca") };
        let tls = TlsAct { flow: flow(), server_name: None, alpn: vec![], ja4: text(b"t"), outcome: alert };
        let command = CommandAct {
            flow: flow(),
            service: text(b"irc"),
            verb: text(b"JOIN"),
            text: text(&[b'#'; 200]),
            size: 205,
        };
        let check = |shown: String, expected: &str| assert_eq!(shown, expected);
        check(
            dns_answer(&answer),
            r"asked a.example (203.0.113.9:443) over tls for TXT x\x1b.example and was told that there is no such name",
        );
        check(super::http(&http), r"asked by POST for https://a.example/x\x0a with 7 bytes, status 200");
        check(
            super::tls(&tls),
            "began TLS with a.example (203.0.113.9:443), and refused its certificate (unknown_ca)",
        );
        assert!(super::command(&command).contains(&format!("said JOIN {}… to irc", "#".repeat(120))));
    }
}
