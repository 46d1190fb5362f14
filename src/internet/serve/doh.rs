//! DNS over HTTPS (RFC 8484): which requests are one, whatever host they go to.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

pub const MESSAGE: &str = "application/dns-message";

/// With or without padding: the standard says without, clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The DNS message in a request. `None`: it is an ordinary request.
pub fn question(method: &str, target: &str, headers: &[(Vec<u8>, Vec<u8>)], body: &[u8]) -> Option<Vec<u8>> {
    match method {
        "POST" => is(headers, b"content-type").then(|| body.to_vec()),
        "GET" => {
            let query = target.split_once('?')?.1;
            let value = query.split('&').find_map(|pair| pair.strip_prefix("dns="))?;
            let expected = is(headers, b"accept") || target.starts_with("/dns-query");
            expected.then(|| BASE64.decode(value).ok()).flatten()
        }
        _ => None,
    }
}

fn is(headers: &[(Vec<u8>, Vec<u8>)], name: &[u8]) -> bool {
    let mut values = headers.iter().filter(|(other, _)| other == name);
    values.any(|(_, value)| value.trim_ascii().to_ascii_lowercase().starts_with(MESSAGE.as_bytes()))
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
}
