//! One HTTP request: what it says is kept within bounds and looked through, its answer fetched from
//! [`super::super::service`], and both are told.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};

use super::super::service::{self, Answer};
use super::super::testimony::{BODY_MAX, Carrier, HEADERS_MAX, Http, Said, TEXT_MAX};
use super::doh;
use super::http::{Session, Tunnel};
use super::room::Lease;
use super::websocket;
use crate::bait::Sighting;

/// What is told of a request that broke off before it was whole: it got no answer.
const NO_STATUS: u16 = 0;
/// Headers whose value proves who one is: a secret in them is used, not carried off.
const CREDENTIALS: [&str; 12] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "private-token",
    "job-token",
    "x-api-key",
    "x-auth-token",
    "x-amz-security-token",
    "x-gitlab-token",
    "x-registry-auth",
    "x-vault-token",
    "x-consul-token",
];

/// Headers that say what every request of a client says, or prove who one is; the others may carry pieces.
const NO_CARRIERS: [&str; 14] = [
    "host",
    "connection",
    "accept",
    "accept-encoding",
    "accept-language",
    "content-length",
    "content-type",
    "transfer-encoding",
    "authorization",
    "proxy-authorization",
    "private-token",
    "x-amz-security-token",
    "x-vault-token",
    "x-registry-auth",
];

/// What a request said, within bounds.
#[derive(Debug, Default)]
struct Asked {
    method: String,
    /// In lower case, without a port.
    host: String,
    /// As `host`, with the port that was named.
    port: Option<u16>,
    target: String,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    headers_omitted: u64,
    body: Vec<u8>,
    body_size: u64,
    whole: bool,
    shown: Vec<Sighting>,
    carried: Vec<Sighting>,
}

pub async fn exchange(
    session: Rc<Session>,
    request: Request<Incoming>,
) -> Result<Response<Held>, Infallible> {
    let _place = session.connection.servers.room.request().await;
    let version = version(request.version());
    let (head, body) = request.into_parts();
    let mut asked = Asked { method: head.method.to_string(), ..Asked::default() };
    asked.address(&head.uri, &head.headers);
    let _lease = asked.hear(&session, &head.headers, body).await;
    asked.join(&session);
    let (answer, response) = respond(&session, &asked, &head.method).await;
    tell(&session, asked, &answer, version).await;
    Ok(response)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

impl Asked {
    /// Where it goes: the absolute form and HTTP/2 say it in the target, the others in a header.
    fn address(&mut self, uri: &hyper::Uri, headers: &HeaderMap) {
        let header = headers.get("host").map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let authority = uri.authority().map(|it| it.as_str().to_owned()).or(header).unwrap_or_default();
        let (host, port) = split_port(authority.rsplit('@').next().unwrap_or_default());
        self.host = host.to_ascii_lowercase();
        self.port = port;
        self.target = match uri.path_and_query() {
            Some(path) => path.to_string(),
            None => authority,
        };
    }

    /// Takes in headers and body, to the end of it.
    async fn hear(&mut self, session: &Session, headers: &HeaderMap, mut body: Incoming) -> Lease {
        let connection = &session.connection;
        let mut scan = connection.servers.scanner.scan();
        for text in [&self.method, &self.host, &self.target] {
            self.carried.extend(scan.feed(text.as_bytes()));
            self.carried.extend(scan.feed(b"\n"));
        }
        let mut credentials = connection.servers.scanner.scan();
        for (name, value) in headers {
            self.header(name, value);
            let (scan, found) = match CREDENTIALS.contains(&name.as_str()) {
                true => (&mut credentials, &mut self.shown),
                false => (&mut scan, &mut self.carried),
            };
            found.extend(scan.feed(value.as_bytes()));
            found.extend(scan.feed(b"\n"));
        }
        let expected = body.size_hint().upper().unwrap_or(BODY_MAX as u64).min(BODY_MAX as u64);
        let lease = connection.servers.room.lease(expected as usize);
        self.whole = loop {
            match body.frame().await {
                None => break true,
                Some(Err(_)) => break false,
                Some(Ok(frame)) => {
                    let data = frame.data_ref().map(|it| &it[..]).unwrap_or_default();
                    for value in frame.trailers_ref().into_iter().flat_map(HeaderMap::values) {
                        self.carried.extend(scan.feed(value.as_bytes()));
                    }
                    let room = lease.bytes().saturating_sub(self.body.len());
                    self.body.extend_from_slice(&data[..data.len().min(room)]);
                    self.body_size += data.len() as u64;
                    self.carried.extend(scan.feed(data));
                }
            }
        };
        lease
    }

    /// What is cut into pieces over several requests, and not seen in this one alone.
    fn join(&mut self, session: &Session) {
        let headers = self.headers.iter().map(|(name, value)| (&name[..], &value[..]));
        let carriers = headers.filter(|(name, _)| !NO_CARRIERS.iter().any(|other| other.as_bytes() == *name));
        let target = (&b"target"[..], self.target.as_bytes());
        let scanner = session.connection.servers.scanner;
        let joined = scanner.request(self.host.as_bytes(), [target].into_iter().chain(carriers));
        let known = |seen: &Sighting| {
            let mut known = self.carried.iter().chain(&self.shown);
            known.any(|other| (&other.name, &other.field) == (&seen.name, &seen.field))
        };
        let joined: Vec<_> = joined.into_iter().filter(|seen| !known(seen)).collect();
        self.carried.extend(joined);
    }

    fn header(&mut self, name: &HeaderName, value: &HeaderValue) {
        if self.headers.len() >= HEADERS_MAX {
            self.headers_omitted += 1;
            return;
        }
        let value = value.as_bytes();
        let kept = value[..value.len().min(TEXT_MAX)].to_vec();
        self.headers.push((name.as_str().as_bytes().to_vec(), kept));
    }
}

/// A port where there is one; the brackets of an IPv6 address go.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match authority.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

async fn respond(session: &Session, asked: &Asked, method: &Method) -> (Answer, Response<Held>) {
    if !asked.whole {
        let answer = plain("web", NO_STATUS);
        return (answer, Response::new(Held::default()));
    }
    if *method == Method::CONNECT && session.protocol == "1" {
        *session.tunnel.borrow_mut() = Some(Tunnel::Port(asked.port.unwrap_or(443)));
        return (plain("proxy", 200), Response::new(Held::default()));
    }
    if let Some(accept) = websocket::accept(&asked.headers).filter(|_| session.protocol == "1") {
        *session.tunnel.borrow_mut() = Some(Tunnel::WebSocket);
        let fixed =
            [("connection", "Upgrade"), ("upgrade", "websocket")].map(|(name, value)| (name, value.into()));
        let headers = fixed.into_iter().chain([("sec-websocket-accept", accept)]).collect();
        let answer = Answer { headers, ..plain("websocket", 101) };
        let response = written(&answer, method, None);
        return (answer, response);
    }
    let message = doh::question(&asked.method, &asked.target, &asked.headers, &asked.body);
    let named = doh::named(&asked.host, &asked.target, &asked.headers);
    let answer = match (message, named) {
        (Some(message), _) => resolve(session, &message, doh::MESSAGE, Some).await,
        (None, Some(message)) => resolve(session, &message, doh::JSON, |answer| doh::json(&answer)).await,
        (None, None) => ask(session, asked),
    };
    let lease = session.connection.servers.room.lease_whole(answer.body.len());
    let Some(lease) = lease else {
        let answer = plain("web", 503);
        let response = written(&answer, method, None);
        return (answer, response);
    };
    let response = written(&answer, method, Some(lease));
    (answer, response)
}

fn plain(service: &'static str, status: u16) -> Answer {
    Answer { service, status, headers: Vec::new(), body: Vec::new(), accepts: &[], takes: &[] }
}

async fn resolve(
    session: &Session,
    question: &[u8],
    kind: &str,
    write: fn(Vec<u8>) -> Option<Vec<u8>>,
) -> Answer {
    let connection = &session.connection;
    let answer = connection.servers.resolve(connection.flow, question, Carrier::Https).await;
    let headers = vec![("content-type", kind.to_owned()), ("cache-control", "max-age=300".to_owned())];
    match write(answer) {
        Some(body) => Answer { headers, body, ..plain("dns", 200) },
        None => plain("dns", 400),
    }
}

fn ask(session: &Session, asked: &Asked) -> Answer {
    let connection = &session.connection;
    let request = service::Request {
        secure: connection.secure.get(),
        server: connection.flow.server,
        host: &asked.host,
        method: &asked.method,
        target: &asked.target,
        headers: &asked.headers,
        body: &asked.body,
    };
    service::answer(&connection.servers.world, &request)
}

fn written(answer: &Answer, method: &Method, lease: Option<Lease>) -> Response<Held> {
    let body = Bytes::copy_from_slice(&answer.body);
    let mut response = Response::new(Held::default());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in &answer.headers {
        // A header that echoes what no header can hold is left out.
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    if !response.headers().contains_key(CONTENT_TYPE) && !body.is_empty() {
        let unknown = HeaderValue::from_static("application/octet-stream");
        response.headers_mut().insert(CONTENT_TYPE, unknown);
    }
    match *method == Method::HEAD {
        true => drop(response.headers_mut().insert(CONTENT_LENGTH, body.len().into())),
        false => *response.body_mut() = Held { inner: Full::new(body), _lease: lease },
    }
    response
}

async fn tell(session: &Session, asked: Asked, answer: &Answer, version: &str) {
    let connection = &session.connection;
    let secure = connection.secure.get();
    let place = if secure { "https" } else { "http" };
    let cut = |text: &str| text.as_bytes()[..text.len().min(TEXT_MAX)].to_vec();
    let http = Http {
        secure,
        version: version.into(),
        method: cut(&asked.method),
        host: cut(&asked.host),
        target: cut(&asked.target),
        headers: asked.headers,
        headers_omitted: asked.headers_omitted,
        body: asked.body,
        body_size: asked.body_size,
        status: answer.status,
        service: answer.service.into(),
    };
    connection.say(Said::Http(http)).await;
    let (used, stray): (Vec<_>, Vec<_>) =
        asked.shown.into_iter().partition(|it| answer.accepts.contains(&it.name.as_str()));
    connection.saw(used, place, Some(answer.service)).await;
    connection.saw(stray, place, None).await;
    let (given, carried): (Vec<_>, Vec<_>) =
        asked.carried.into_iter().partition(|it| answer.takes.contains(&it.name.as_str()));
    connection.saw(given, place, Some(answer.service)).await;
    connection.saw(carried, place, None).await;
}

/// A body whose bytes are leased until it is sent or given up.
#[derive(Default)]
pub struct Held {
    inner: Full<Bytes>,
    _lease: Option<Lease>,
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: &str, host: &str, port: Option<u16>) {
        assert_eq!(split_port(authority), (host, port));
    }

    #[test]
    fn a_host_stands_without_its_port() {
        check("a.example", "a.example", None);
        check("a.example:8080", "a.example", Some(8080));
        check("[2001:db8::1]:443", "2001:db8::1", Some(443));
        check("[2001:db8::1]", "2001:db8::1", None);
        check("2001:db8::1", "2001:db8::1", None);
        check("a.example:99999", "a.example", None);
        check("", "", None);
    }
}
