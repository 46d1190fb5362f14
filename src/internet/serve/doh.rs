//! DNS over HTTPS: which requests are one, whatever host they go to. As messages (RFC 8484), or in the JSON
//! that the big public resolvers answer to a name in the query.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Record, RecordType};
use serde_json::json;

use super::super::dns;

/// Resolvers that take names at `/resolve`.
const JSON_HOSTS: [&str; 3] = ["dns.google", "8.8.8.8", "8.8.4.4"];
pub const JSON: &str = "application/dns-json";

pub const MESSAGE: &str = "application/dns-message";

/// With or without padding: the standard says without, clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The DNS message in a request. `None`: it is an ordinary request.
pub fn question(method: &str, target: &str, headers: &[(Vec<u8>, Vec<u8>)], body: &[u8]) -> Option<Vec<u8>> {
    match method {
        "POST" => is(headers, b"content-type", MESSAGE).then(|| body.to_vec()),
        "GET" => {
            let query = target.split_once('?')?.1;
            let value = query.split('&').find_map(|pair| pair.strip_prefix("dns="))?;
            let expected = is(headers, b"accept", MESSAGE) || target.starts_with("/dns-query");
            expected.then(|| BASE64.decode(value).ok()).flatten()
        }
        _ => None,
    }
}

/// The question about a name in the query, as a message. `None`: it is an ordinary request.
pub fn named(host: &str, target: &str, headers: &[(Vec<u8>, Vec<u8>)]) -> Option<Vec<u8>> {
    let (path, query) = target.split_once('?')?;
    let is_resolver = JSON_HOSTS.contains(&host) && path == "/resolve";
    if !is_resolver && !is(headers, b"accept", JSON) {
        return None;
    }
    let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let name = dns::parse(&decoded(value("name")?))?;
    let kind = value("type").unwrap_or("A").to_ascii_uppercase();
    let kind = kind.parse::<u16>().map(RecordType::from).or_else(|_| kind.parse::<RecordType>()).ok()?;
    let mut message = Message::new();
    message.set_recursion_desired(true).add_query(Query::query(name, kind));
    message.to_vec().ok()
}

fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().iter();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let pair = bytes.as_slice().get(..2).filter(|_| *byte == b'%');
        let escaped = pair.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        if escaped.is_some() {
            bytes.nth(1);
        }
        decoded.push(escaped.unwrap_or(*byte));
    }
    decoded
}

/// An answer as the resolvers write it in JSON.
pub fn json(answer: &[u8]) -> Option<Vec<u8>> {
    let message = Message::from_vec(answer).ok()?;
    let record = |record: &Record| {
        let kind = u16::from(record.record_type());
        let data = record.data().to_string();
        json!({"name": record.name().to_string(), "type": kind, "TTL": record.ttl(), "data": data})
    };
    let question = |it: &Query| json!({"name": it.name().to_string(), "type": u16::from(it.query_type())});
    let mut said = json!({
        "Status": u16::from(message.response_code()),
        "TC": message.truncated(), "RD": true, "RA": true, "AD": false, "CD": false,
        "Question": message.queries().iter().map(question).collect::<Vec<_>>(),
    });
    for (key, records) in [("Answer", message.answers()), ("Authority", message.name_servers())] {
        if !records.is_empty() {
            said[key] = records.iter().map(record).collect();
        }
    }
    Some(said.to_string().into_bytes())
}

fn is(headers: &[(Vec<u8>, Vec<u8>)], name: &[u8], kind: &str) -> bool {
    let mut values = headers.iter().filter(|(other, _)| other == name);
    values.any(|(_, value)| value.trim_ascii().to_ascii_lowercase().starts_with(kind.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, target: &str, header: (&str, &str), expected: Option<&[u8]>) {
        let headers = [(header.0.as_bytes().to_vec(), header.1.as_bytes().to_vec())];
        assert_eq!(question(method, target, &headers, b"\0body").as_deref(), expected, "{method} {target}");
    }

    #[test]
    fn a_question_is_known_by_its_type() {
        check("POST", "/any", ("content-type", MESSAGE), Some(b"\0body"));
        check("POST", "/dns-query", ("content-type", "text/plain"), None);
        check("GET", "/dns-query?dns=AAEC_-8", ("x", "y"), Some(&[0, 1, 2, 255, 239]));
        check(
            "GET",
            "/x?a=b&dns=AAEC_-8=",
            ("accept", "Application/DNS-message"),
            Some(&[0, 1, 2, 255, 239]),
        );
        check("GET", "/x?dns=AAEC", ("accept", "*/*"), None);
        check("GET", "/dns-query?dns=!!", ("accept", MESSAGE), None);
        check("PUT", "/dns-query?dns=AAEC", ("accept", MESSAGE), None);
    }

    fn check_named(host: &str, target: &str, accept: &str, expected: Option<(&str, u16)>) {
        let headers = [(b"accept".to_vec(), accept.as_bytes().to_vec())];
        let message = named(host, target, &headers).map(|it| Message::from_vec(&it).unwrap());
        let asked =
            message.map(|it| (it.queries()[0].name().to_string(), it.queries()[0].query_type().into()));
        assert_eq!(asked, expected.map(|(name, kind)| (name.to_owned(), kind)), "{host}{target}");
    }

    #[test]
    fn a_name_in_the_query_is_a_question_to_a_resolver() {
        check_named("dns.google", "/resolve?name=c2.example&type=TXT", "*/*", Some(("c2.example.", 16)));
        check_named("dns.google", "/resolve?type=28&name=c2%2Eexample.", "*/*", Some(("c2.example.", 28)));
        check_named("cloudflare-dns.com", "/dns-query?name=a.b", JSON, Some(("a.b.", 1)));
        check_named("cloudflare-dns.com", "/dns-query?name=a.b", "*/*", None);
        check_named("dns.google", "/resolve?name=", "*/*", Some((".", 1)));
        check_named("dns.google", "/resolve?name=a..b", "*/*", None);
        check_named("dns.google", "/resolve?name=a.b&type=NOSUCH", "*/*", None);
        check_named("dns.google", "/other?name=a.b", "*/*", None);
    }

    #[test]
    fn an_answer_is_written_as_resolvers_write_it() {
        let mut message = Message::from_vec(&named("dns.google", "/resolve?name=a.b", &[]).unwrap()).unwrap();
        let data = hickory_proto::rr::RData::A(std::net::Ipv4Addr::new(192, 0, 2, 1).into());
        message.add_answer(Record::from_rdata(message.queries()[0].name().clone(), 300, data));
        let said: serde_json::Value =
            serde_json::from_slice(&json(&message.to_vec().unwrap()).unwrap()).unwrap();
        assert_eq!((&said["Status"], &said["Answer"][0]["data"]), (&json!(0), &json!("192.0.2.1")));
        assert_eq!(json(b"no message"), None);
    }
}
