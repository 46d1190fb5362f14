//! Which protocol the first bytes of a stream begin.
//!
//! Ports tell nothing: malware talks HTTP to any of them, and anything to port 443. So the client's first
//! bytes decide; only where it says nothing at all does the port tell who speaks first.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    Tls,
    Http1,
    /// With prior knowledge (RFC 9113, 3.3).
    Http2,
    Socks,
    /// It begins as one of these, and is not yet it.
    Begun,
    /// Nothing is known yet.
    Open,
    Other,
}

/// The client's first bytes, and what they are; [`Guess::Open`] with none: it said nothing.
#[derive(Debug, PartialEq)]
pub struct First {
    pub bytes: Vec<u8>,
    pub guess: Guess,
    /// The client will say no more.
    pub ended: bool,
}

/// A request line is no longer while it is not known whether it is one.
const LINE_MAX: usize = 8 << 10;
/// How long one who has begun to speak may take for a breath.
const BREATH: Duration = Duration::from_millis(300);
/// The same where it is known what is being said.
const LONG_BREATH: Duration = Duration::from_secs(20);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const METHODS: [&[u8]; 12] = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"REPORT",
    b"MKCOL",
];

/// Reads until it is known what the client says; `patience`: how long it may say nothing, `None` for ever.
pub async fn first(
    from: &mut (impl AsyncRead + Unpin + ?Sized),
    patience: Option<Duration>,
) -> io::Result<First> {
    let mut bytes = Vec::new();
    loop {
        let guess = guess(&bytes);
        let wait = match guess {
            Guess::Open if bytes.is_empty() => patience,
            Guess::Begun => Some(LONG_BREATH),
            Guess::Open => Some(BREATH),
            _ => return Ok(First { bytes, guess, ended: false }),
        };
        let mut piece = [0; 2048];
        let read = match wait {
            Some(wait) => timeout(wait, from.read(&mut piece)).await,
            None => Ok(from.read(&mut piece).await),
        };
        match read {
            Ok(Ok(0)) => return Ok(First { guess: settled(&bytes), bytes, ended: true }),
            Ok(Ok(length)) => bytes.extend_from_slice(&piece[..length]),
            Ok(Err(error)) if bytes.is_empty() => return Err(error),
            // What it has said before it broke off counts.
            Ok(Err(_)) => return Ok(First { guess: settled(&bytes), bytes, ended: true }),
            Err(_) => return Ok(First { guess: settled(&bytes), bytes, ended: false }),
        }
    }
}

/// What it is when no more comes.
fn settled(bytes: &[u8]) -> Guess {
    if bytes.is_empty() { Guess::Open } else { Guess::Other }
}

/// What these bytes are so far.
pub fn guess(bytes: &[u8]) -> Guess {
    match bytes {
        [] => Guess::Open,
        [0x16] => Guess::Begun,
        [0x16, 3, ..] => Guess::Tls,
        [5, count, rest @ ..] if usize::from(*count) == rest.len() && *count > 0 => Guess::Socks,
        [4] | [4, 1, ..] if bytes.len() < 9 => Guess::Open,
        // Version 4: to connect; port, address, and the user's name, which is text.
        [4, 1, _, _, _, _, _, _, user, ..] if matches!(user, 0 | 0x20..=0x7e) => Guess::Socks,
        [5] => Guess::Open,
        [5, count, rest @ ..] if rest.len() < usize::from(*count) => Guess::Open,
        _ if bytes.starts_with(PREFACE) => Guess::Http2,
        _ if PREFACE.starts_with(bytes) => Guess::Begun,
        _ => text(bytes),
    }
}

fn text(bytes: &[u8]) -> Guess {
    // Empty lines before a request are skipped (RFC 9112, 2.2).
    let line = match bytes {
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => rest,
        _ => bytes,
    };
    let Some(space) = line.iter().position(|byte| !is_token(*byte)) else {
        return word(line);
    };
    let (method, rest) = (&line[..space], &line[space..]);
    if method.is_empty() || rest[0] != b' ' {
        return Guess::Other;
    }
    if METHODS.contains(&method) && is_target(method, &rest[1..]) {
        return Guess::Http1;
    }
    match line.iter().position(|byte| *byte == b'\n') {
        Some(end) if is_request_line(&line[..end]) => Guess::Http1,
        None if line.len() < LINE_MAX => Guess::Open,
        _ => Guess::Other,
    }
}

/// A first word that is not over yet.
fn word(word: &[u8]) -> Guess {
    const LENGTH_MAX: usize = 32;
    match word {
        _ if !word.is_empty() && METHODS.iter().any(|method| method.starts_with(word)) => Guess::Begun,
        _ if word.len() < LENGTH_MAX => Guess::Open,
        _ => Guess::Other,
    }
}

fn is_target(method: &[u8], target: &[u8]) -> bool {
    let absolute = [&b"http://"[..], b"https://"].iter().any(|scheme| target.starts_with(scheme));
    target.starts_with(b"/") || absolute || (method == b"CONNECT" && target.contains(&b':'))
}

fn is_request_line(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.len() > 9 && line[line.len() - 9..].starts_with(b" HTTP/1.")
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Guess) {
        assert_eq!(guess(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn first_bytes_tell_the_protocol() {
        check(b"", Guess::Open);
        check(&[0x16], Guess::Begun);
        check(&[0x16, 3, 1], Guess::Tls);
        check(&[0x16, 9], Guess::Other);
        check(b"PRI * HT", Guess::Begun);
        check(PREFACE, Guess::Http2);
        check(b"PRI * HTTP/2.0\r\n\r\nXX", Guess::Other);
        check(&[5, 1, 0], Guess::Socks);
        check(&[5, 2, 0], Guess::Open);
        check(&[5, 0, 0], Guess::Other);
        check(&[4, 1, 0, 80, 1, 2, 3, 4], Guess::Open);
        check(&[4, 1, 0, 80, 1, 2, 3, 4, 0], Guess::Socks);
        check(&[4, 1, 0, 80, 1, 2, 3, 4, b'u'], Guess::Socks);
        check(&[4, 2, 0, 80, 1, 2, 3, 4, 0], Guess::Other);
        check(b"GE", Guess::Begun);
        check(b"GEE", Guess::Open);
        check(b"\r\n", Guess::Open);
        check(b"GET /", Guess::Http1);
        check(b"\r\nGET / HTTP/1.1\r\n", Guess::Http1);
        check(b"GET http://a.example/ HTTP/1.1", Guess::Http1);
        check(b"CONNECT a.example:443", Guess::Http1);
        check(b"get x HTTP/1.0\r\n", Guess::Http1);
        check(b"BREW pot HTTP/1.1\n", Guess::Http1);
        check(b"PING\r\n", Guess::Other);
        check(b"NICK bot", Guess::Open);
        check(b"NICK bot\r\n", Guess::Other);
        check(b"GET key\r\n", Guess::Other);
        check(b"*1\r\n$4\r\nPING\r\n", Guess::Other);
        check(b"SSH-2.0-x\r\n", Guess::Other);
        check(&[0, 29, 1, 2], Guess::Other);
        check(b"{\"id\":1}", Guess::Other);
        check(&[b'x'; 40], Guess::Other);
    }

    #[test]
    fn a_line_without_an_end_is_not_waited_for_for_ever() {
        let long = [b"FOO ".to_vec(), vec![b'x'; LINE_MAX]].concat();
        check(&long, Guess::Other);
    }
}
