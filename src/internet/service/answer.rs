//! Makes answers: the usual shapes, and the range of a body that was asked for.

use serde_json::Value;
use time::OffsetDateTime;

use super::{Answer, Request};

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const BYTES: &str = "application/octet-stream";
pub(super) const XML: &str = "application/xml";

impl Answer {
    pub(super) fn new(service: &'static str, status: u16) -> Answer {
        Answer { service, status, headers: Vec::new(), body: Vec::new(), accepts: &[], takes: &[] }
    }

    pub(super) fn with(service: &'static str, kind: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { body: body.into(), ..Answer::new(service, 200).header("content-type", kind) }
    }

    pub(super) fn text(service: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer::with(service, TEXT, body)
    }

    pub(super) fn json(service: &'static str, value: &Value) -> Answer {
        Answer::with(service, JSON, value.to_string())
    }

    pub(super) fn status(mut self, status: u16) -> Answer {
        self.status = status;
        self
    }

    /// Sets a header. What of the value no header can hold (RFC 9110, 5.5) is left out: it may repeat what the
    /// client sent.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        let mut value: String = value.into();
        value.retain(|c| matches!(c, ' '..='~'));
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// Names the baits whose use this is.
    pub(super) fn accepts(mut self, baits: &'static [&'static str]) -> Answer {
        self.accepts = baits;
        self
    }

    /// Names the baits whose use this is in the body.
    pub(super) fn takes(mut self, baits: &'static [&'static str]) -> Answer {
        self.takes = baits;
        self
    }

    /// The range that was asked for (RFC 9110, 14.2), where it is a single one of a whole body.
    pub(super) fn ranged(self, request: &Request<'_>) -> Answer {
        let asked = request.header("range").filter(|_| self.status == 200 && request.method == "GET");
        let Some(range) = asked.and_then(|asked| asked.strip_prefix("bytes=")) else { return self };
        let length = self.body.len();
        match span(range, length) {
            Span::Whole => self,
            Span::Nothing => Answer { body: Vec::new(), ..self }
                .status(416)
                .header("content-range", format!("bytes */{length}")),
            Span::Part(first, last) => {
                let range = format!("bytes {first}-{last}/{length}");
                let body = self.body[first..=last].to_vec();
                Answer { body, ..self }.status(206).header("content-range", range)
            }
        }
    }
}

enum Span {
    Whole,
    Nothing,
    /// The first and the last byte.
    Part(usize, usize),
}

/// What cannot be understood asks for the whole.
fn span(range: &str, length: usize) -> Span {
    let Some((first, last)) = range.split_once('-') else { return Span::Whole };
    match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
        (Ok(first), _) if first >= length => Span::Nothing,
        (Ok(first), Ok(last)) if last >= first => Span::Part(first, last.min(length - 1)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Span::Part(first, length - 1),
        (Err(_), Ok(0)) => Span::Nothing,
        (Err(_), Ok(tail)) if first.trim().is_empty() && length > 0 => {
            Span::Part(length.saturating_sub(tail), length - 1)
        }
        _ => Span::Whole,
    }
}

/// `2026-01-02T03:04:05Z` (RFC 3339), of seconds since 1970.
pub(super) fn rfc3339(seconds: u64) -> String {
    let time = moment(seconds);
    let (date, clock) = (time.date(), time.time());
    let month = u8::from(date.month());
    let (hour, minute, second) = clock.as_hms();
    format!("{:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year(), date.day())
}

/// `Fri, 02 Jan 2026 03:04:05 GMT` (RFC 9110, 5.6.7).
pub(super) fn http_date(seconds: u64) -> String {
    let time = moment(seconds);
    let (hour, minute, second) = time.time().as_hms();
    let (day, month) = (time.weekday().to_string(), time.month().to_string());
    let (day, month) = (&day[..3], &month[..3]);
    format!("{day}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", time.day(), time.year())
}

/// A time beyond what can be written is 1970.
fn moment(seconds: u64) -> OffsetDateTime {
    let seconds = i64::try_from(seconds).unwrap_or(0);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{get, with_headers};
    use super::*;

    #[test]
    fn a_range_is_cut_from_the_whole() {
        let check = |range: &str, status: u16, body: &str| {
            let headers = [(b"range".to_vec(), range.as_bytes().to_vec())];
            let answer = Answer::text("web", "0123456789").ranged(&with_headers(get("a", "/"), &headers));
            assert_eq!((answer.status, answer.body.as_slice()), (status, body.as_bytes()), "{range}");
        };
        check("bytes=0-3", 206, "0123");
        check("bytes=8-99", 206, "89");
        check("bytes=7-", 206, "789");
        check("bytes=-2", 206, "89");
        check("bytes=-99", 206, "0123456789");
        check("bytes=10-", 416, "");
        check("bytes=-0", 416, "");
        check("bytes=3-1", 200, "0123456789");
        check("bytes=0-1,3-4", 200, "0123456789");
        check("lines=0-1", 200, "0123456789");
        check("bytes=18446744073709551615-18446744073709551615", 416, "");
    }

    #[test]
    fn times_are_written_as_the_protocols_do() {
        assert_eq!(rfc3339(1_767_323_045), "2026-01-02T03:04:05Z");
        assert_eq!(http_date(1_767_323_045), "Fri, 02 Jan 2026 03:04:05 GMT");
        assert_eq!(rfc3339(u64::MAX), "1970-01-01T00:00:00Z");
    }
}
