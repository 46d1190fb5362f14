//! The fields of what was said to the world: DNS answers, HTTP, TLS, commands, streams, baits.

use super::content;
use super::read::net::flow_name;
use super::read::visit_all;
use super::table::{event, one_of, stable};
use super::{Category, Field, Read, Subject};
use crate::event::{
    Act, BaitAct, Carrier, CommandAct, DnsAnswer, Handshake, HttpAct, Question, StreamAct, TlsAct,
};

const HTTP: &[Category] = &[Category::Http];
const TLS: &[Category] = &[Category::Tls];
const DNS: &[Category] = &[Category::Dns, Category::DnsAnswer];
const ANSWER: &[Category] = &[Category::DnsAnswer];
const COMMAND: &[Category] = &[Category::Command];
const STREAM: &[Category] = &[Category::Stream];
const BAIT: &[Category] = &[Category::Bait];

pub(super) static FIELDS: &[Field] = &[
    // dns and dns_answer: dst is the server
    stable(event(
        DNS,
        "dns.name",
        Read::Text(|s| Some(&question(s)?.name)),
        "name that was asked for, in lower case and without a dot at the end",
    )),
    stable(event(
        DNS,
        "dns.type",
        Read::Made(|s| Some(question(s)?.type_name().into_bytes())),
        "kind of record that was asked for: A, AAAA, TXT, MX, … or TYPE and its number",
    )),
    event(
        DNS,
        "dns.length",
        Read::Number(|s| Some(question(s)?.name.len() as u64)),
        "length of dns.name in bytes",
    ),
    stable(event(
        DNS,
        "dns.parent",
        Read::Text(|s| Some(content::domain(&question(s)?.name).1)),
        "the domain that dns.name lies in: its last two labels, or three below a country's second level (co.uk)",
    )),
    event(
        DNS,
        "dns.below",
        Read::Text(|s| Some(content::domain(&question(s)?.name).0)),
        "what stands before dns.parent in dns.name, without the dot between; may be empty",
    ),
    event(
        DNS,
        "dns.below.length",
        Read::Number(|s| Some(content::domain(&question(s)?.name).0.len() as u64)),
        "length of dns.below in bytes",
    ),
    event(
        DNS,
        "dns.label.length",
        Read::Number(|s| Some(content::longest_label(&question(s)?.name).len() as u64)),
        "length of the longest label of dns.name (63 at most)",
    ),
    event(
        DNS,
        "dns.label.entropy",
        Read::Number(|s| Some(content::entropy(content::longest_label(&question(s)?.name)))),
        "entropy of the longest label of dns.name, in hundredths of a bit for each character: words have up to some 350",
    ),
    one_of(
        &["udp", "tcp", "tls", "https"],
        event(
            DNS,
            "dns.carrier",
            Read::Text(|s| Some(carrier(s)?.name().as_bytes())),
            "what the question came in: a datagram, TCP, DNS over TLS, DNS over HTTPS",
        ),
    ),
    stable(event(
        DNS,
        "dns.malformed",
        Read::Flag(malformed),
        "what was sent to a name server is no question",
    )),
    stable(event(
        ANSWER,
        "dns.code",
        Read::Number(|s| Some(answer(s)?.code.into())),
        "how it was answered (RCODE): 0 no error, 3 no such name",
    )),
    event(
        ANSWER,
        "dns.address",
        Read::Texts(|s, visit| {
            answer(s).is_some_and(|it| it.addresses.iter().any(|ip| visit(ip.to_string().as_bytes())))
        }),
        "each address in the answer; of the simulated internet, so not the real one",
    ),
    // http
    stable(event(HTTP, "http.method", Read::Text(|s| Some(&http(s)?.method)), "GET, POST, …, as sent")),
    stable(event(
        HTTP,
        "http.host",
        Read::Text(host),
        "the host that was asked for, in lower case and without a port; the name where the simulated internet \
         gave its address",
    )),
    event(HTTP, "http.target", Read::Text(|s| Some(&http(s)?.target)), "path and query, as sent"),
    event(HTTP, "http.path", Read::Text(|s| Some(path(&http(s)?.target))), "http.target without its query"),
    event(
        HTTP,
        "http.fronted",
        Read::Flag(fronted),
        "the domain in the request is another than the one that TLS around it asked for",
    ),
    event(
        HTTP,
        "http.authorization",
        Read::Text(|s| header(s, b"authorization")),
        "the login or token that it was sent with, as sent",
    ),
    event(
        HTTP,
        "http.body.sealed",
        Read::Flag(|s| Some(content::is_sealed(&http(s)?.body))),
        "the body reads as nothing: noise of no known kind, or nothing but a text that stands for bytes",
    ),
    event(HTTP, "http.version", Read::Text(|s| Some(&http(s)?.version)), "1.0, 1.1 or 2"),
    event(HTTP, "http.user_agent", Read::Text(|s| header(s, b"user-agent")), "what the client calls itself"),
    event(
        HTTP,
        "http.content_type",
        Read::Text(|s| header(s, b"content-type")),
        "what the client calls the body",
    ),
    event(
        HTTP,
        "http.header",
        Read::Texts(|s, visit| http(s).is_some_and(|it| visit_all(&it.headers, visit))),
        "each header as name: value, the name in lower case",
    ),
    event(
        HTTP,
        "http.body",
        Read::Text(|s| Some(&http(s)?.body)),
        "the first part of the request's body, as sent (64 KiB at most)",
    ),
    event(HTTP, "http.body.size", Read::Number(|s| Some(http(s)?.body_size)), "bytes of the whole body"),
    event(
        HTTP,
        "http.body.kind",
        Read::Texts(|s, visit| http(s).is_some_and(|it| content::kinds(&it.body, visit))),
        "what the body is, or what a part of a form in it is, by its first bytes: elf, gzip, zlib, zip, tar, xz, \
         zstd, bzip2, 7z, sqlite, pem, json, script",
    ),
    stable(event(
        HTTP,
        "http.status",
        Read::Number(|s| Some(http(s)?.status.into())),
        "the status that the request got",
    )),
    stable(event(HTTP, "http.secure", Read::Flag(|s| Some(http(s)?.secure)), "it came through TLS")),
    stable(event(
        HTTP,
        "http.service",
        Read::Text(|s| Some(&http(s)?.service)),
        "who answered: web, aws-metadata, kubernetes, …",
    )),
    // tls
    stable(event(
        TLS,
        "tls.server_name",
        Read::Text(|s| tls(s)?.server_name.as_deref()),
        "the name that the client asked for (SNI)",
    )),
    stable(event(
        TLS,
        "tls.alpn",
        Read::Texts(|s, visit| tls(s).is_some_and(|it| visit_all(&it.alpn, visit))),
        "each protocol that the client offered: h2, http/1.1, dot, …",
    )),
    stable(event(TLS, "tls.ja4", Read::Text(|s| Some(&tls(s)?.ja4)), "JA4 of the client's hello")),
    one_of(
        &["done", "refused", "broken"],
        event(
            TLS,
            "tls.outcome",
            Read::Text(|s| Some(tls(s)?.outcome.name().as_bytes())),
            "how the handshake went; refused: the client did not accept the certificate",
        ),
    ),
    stable(event(
        TLS,
        "tls.alert",
        Read::Text(|s| match &tls(s)?.outcome {
            Handshake::Refused { alert } => Some(alert),
            _ => None,
        }),
        "the alert of a client that refused: unknown_ca, bad_certificate, …",
    )),
    // command
    stable(event(
        COMMAND,
        "command.service",
        Read::Text(|s| Some(&command(s)?.service)),
        "the protocol: smtp, ftp, irc, redis, stratum, ssh, …",
    )),
    stable(event(
        COMMAND,
        "command.verb",
        Read::Text(|s| Some(&command(s)?.verb)),
        "the command: MAIL, USER, mining.authorize, …",
    )),
    event(COMMAND, "command.text", Read::Text(|s| Some(&command(s)?.text)), "what follows the verb"),
    event(COMMAND, "command.size", Read::Number(|s| Some(command(s)?.size)), "bytes of the whole command"),
    // stream
    stable(event(
        STREAM,
        "stream.service",
        Read::Text(|s| Some(&stream(s)?.service)),
        "who answered; raw where nobody knew the protocol",
    )),
    event(
        STREAM,
        "stream.first",
        Read::Text(|s| Some(&stream(s)?.first)),
        "the first bytes that the sandbox sent; for TLS those inside it",
    ),
    event(
        STREAM,
        "stream.kind",
        Read::Texts(|s, visit| stream(s).is_some_and(|it| content::kinds(&it.first, visit))),
        "what the first bytes are, as http.body.kind",
    ),
    event(
        STREAM,
        "stream.sealed",
        Read::Flag(|s| Some(content::is_sealed(&stream(s)?.first))),
        "the first bytes read as nothing, as http.body.sealed",
    ),
    event(STREAM, "stream.sent", Read::Number(|s| Some(stream(s)?.sent)), "bytes from the sandbox"),
    event(STREAM, "stream.received", Read::Number(|s| Some(stream(s)?.received)), "bytes to the sandbox"),
    event(
        STREAM,
        "stream.datagrams",
        Read::Number(|s| Some(stream(s)?.datagrams)),
        "datagrams from the sandbox; 0 for TCP",
    ),
    // bait
    stable(event(
        BAIT,
        "bait.name",
        Read::Text(|s| Some(&bait(s)?.name)),
        "the decoy whose secret was seen in what was sent: aws-credentials, ssh-key, …",
    )),
    stable(event(
        BAIT,
        "bait.field",
        Read::Text(|s| Some(&bait(s)?.field)),
        "the part of the decoy that was seen: secret_access_key, …",
    )),
    stable(event(
        BAIT,
        "bait.encoding",
        Read::Text(|s| Some(&bait(s)?.encoding)),
        "how it was written: plain, base64, hex, …; several in a row outermost first, gzip+base64",
    )),
    stable(event(
        BAIT,
        "bait.place",
        Read::Text(|s| Some(&bait(s)?.place)),
        "what it was in: http, https, dns, smtp, raw, …",
    )),
    stable(event(
        BAIT,
        "bait.used_at",
        Read::Text(|s| bait(s)?.used_at.as_deref()),
        "the look-alike that was shown it as a credential; absent where it was carried off",
    )),
];

fn answer(s: Subject<'_>) -> Option<&DnsAnswer> {
    match &s.event.act {
        Act::DnsAnswer(act) => Some(act),
        _ => None,
    }
}

fn question(s: Subject<'_>) -> Option<&Question> {
    match &s.event.act {
        Act::Dns(act) => act.question.as_ref(),
        _ => answer(s)?.question.as_ref(),
    }
}

fn carrier(s: Subject<'_>) -> Option<Carrier> {
    match &s.event.act {
        Act::Dns(act) => Some(act.carrier),
        _ => Some(answer(s)?.carrier),
    }
}

fn malformed(s: Subject<'_>) -> Option<bool> {
    match &s.event.act {
        Act::Dns(act) => Some(act.question.is_none()),
        _ => Some(answer(s)?.question.is_none()),
    }
}

fn http(s: Subject<'_>) -> Option<&HttpAct> {
    match &s.event.act {
        Act::Http(act) => Some(act),
        _ => None,
    }
}

/// An address that the world made up differs from run to run; the name that it was made for does not.
fn host(s: Subject<'_>) -> Option<&[u8]> {
    let act = http(s)?;
    let server = act.flow.server.ip().to_canonical().to_string();
    let bare = act.host.strip_prefix(b"[").and_then(|it| it.strip_suffix(b"]")).unwrap_or(&act.host);
    if bare == server.as_bytes() { flow_name(s).or(Some(&act.host)) } else { Some(&act.host) }
}

fn path(target: &[u8]) -> &[u8] {
    target.split(|&byte| byte == b'?').next().unwrap_or(target)
}

fn header<'a>(s: Subject<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let value = |header: &'a crate::event::Bytes| header.strip_prefix(name)?.strip_prefix(b": ");
    http(s)?.headers.iter().find_map(value)
}

/// Hosts that are addresses belong to no domain.
fn fronted(s: Subject<'_>) -> Option<bool> {
    let act = http(s)?;
    let (inner, outer) = (&act.host[..], act.server_name.as_deref()?);
    let is_name = |host: &[u8]| host.last().is_some_and(u8::is_ascii_alphabetic) && host.contains(&b'.');
    Some(is_name(inner) && is_name(outer) && content::domain(inner).1 != content::domain(outer).1)
}

fn tls(s: Subject<'_>) -> Option<&TlsAct> {
    match &s.event.act {
        Act::Tls(act) => Some(act),
        _ => None,
    }
}

fn command(s: Subject<'_>) -> Option<&CommandAct> {
    match &s.event.act {
        Act::Command(act) => Some(act),
        _ => None,
    }
}

fn stream(s: Subject<'_>) -> Option<&StreamAct> {
    match &s.event.act {
        Act::Stream(act) => Some(act),
        _ => None,
    }
}

fn bait(s: Subject<'_>) -> Option<&BaitAct> {
    match &s.event.act {
        Act::Bait(act) => Some(act),
        _ => None,
    }
}
