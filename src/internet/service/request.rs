//! Reads a request: path, query, headers, credentials.

use super::Request;

/// Longer paths and queries are cut before they are looked at.
const TARGET_MAX: usize = 4 << 10;

impl<'r> Request<'r> {
    /// Without the query; `/` where there is none.
    pub(super) fn path(&self) -> &'r str {
        let path = self.origin_form();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// What follows the question mark; empty without one.
    pub(super) fn query(&self) -> &'r str {
        self.origin_form().split_once('?').map_or("", |(_, query)| query)
    }

    /// The decoded value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query().split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
    }

    /// The parts of the path between slashes, decoded; empty ones are left out.
    pub(super) fn segments(&self) -> Vec<String> {
        self.path().split('/').filter(|part| !part.is_empty()).map(decode).collect()
    }

    /// The first header of that name (lower case), where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&'r str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(key, _)| key == name.as_bytes())?;
        std::str::from_utf8(value).ok()
    }

    pub(super) fn accepts_type(&self, part: &str) -> bool {
        self.header("accept").is_some_and(|accept| accept.contains(part))
    }

    /// What the client calls itself; empty where it says nothing.
    pub(super) fn agent(&self) -> &'r str {
        self.header("user-agent").unwrap_or_default()
    }

    /// The credential behind `Bearer`, `Token` or `token`.
    pub(super) fn bearer(&self) -> Option<&'r str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
        known.then(|| token.trim())
    }

    pub(super) fn is_signed_in(&self) -> bool {
        self.header("authorization").is_some()
    }

    /// Host, and the port where it is not the usual one.
    pub(super) fn authority(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() };
        match self.server.port() {
            port if port == usual => host,
            port => format!("{host}:{port}"),
        }
    }

    /// `https://host`, for links to the server itself.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// The host is this name, or below it.
    pub(super) fn is_at(&self, domain: &str) -> bool {
        let host = self.host.trim_end_matches('.');
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    pub(super) fn is_at_any(&self, domains: &[&str]) -> bool {
        domains.iter().any(|domain| self.is_at(domain))
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(self.method, "GET" | "HEAD")
    }

    /// A proxy is asked with the whole address (RFC 9112, 3.2.2).
    fn origin_form(&self) -> &'r str {
        let target = cut(self.target, TARGET_MAX);
        let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
        match rest {
            Some(rest) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
            None => target,
        }
    }
}

/// At most so many bytes, whole characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Undoes percent-encoding; what is no UTF-8 afterwards is replaced.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| byte == b'%').and_then(hex);
        bytes.push(pair.unwrap_or(byte));
        rest = if pair.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)
}

#[cfg(test)]
mod tests {
    use super::super::tests::get;
    use super::*;

    #[test]
    fn a_target_is_taken_apart_however_it_is_written() {
        let check = |target: &str, path: &str, query: &str| {
            let request = get("a.example", target);
            assert_eq!((request.path(), request.query()), (path, query), "{target}");
        };
        check("/a/b?x=1&y", "/a/b", "x=1&y");
        check("/", "/", "");
        check("", "/", "");
        check("?q", "/", "q");
        check("http://a.example:80/x?y", "/x", "y");
        check("http://a.example", "/", "");
        check("*", "*", "");
    }

    #[test]
    fn segments_are_decoded_after_they_are_cut() {
        assert_eq!(get("a", "/@s%2fn//%zz/%").segments(), ["@s/n", "%zz", "%"]);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("", 3), "");
    }
}
