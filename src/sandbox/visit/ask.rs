//! What a visitor says at a door: the first words of clients that are met everywhere.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Transport;

/// A shell answers 42013, which no echo does; the rule `port-runs-commands` knows the number.
const LINE: &[u8] = b"echo $((41984+29))\n";

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// Nothing at first: some servers speak first. Then a word that many of them know.
    Greeting,
    HttpGet,
    HttpPost,
    TlsHello,
    RedisPing,
    /// What a client of a SOCKS proxy says first (RFC 1928).
    SocksHello,
    /// A line of text; a shell behind the port would run it.
    Line,
    /// One datagram: a question where names are served, else a line.
    Datagram,
}

impl Ask {
    /// What is asked at a door, in order, each over a connection of its own.
    pub fn all(transport: Transport) -> &'static [Ask] {
        match transport {
            Transport::Tcp => {
                use Ask::{Greeting, HttpGet, HttpPost, Line, RedisPing, SocksHello, TlsHello};
                &[Greeting, HttpGet, HttpPost, TlsHello, RedisPing, SocksHello, Line]
            }
            Transport::Udp => &[Ask::Datagram],
        }
    }

    /// The name in logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Ask::Greeting => "greeting",
            Ask::HttpGet => "http_get",
            Ask::HttpPost => "http_post",
            Ask::TlsHello => "tls_hello",
            Ask::RedisPing => "redis_ping",
            Ask::SocksHello => "socks_hello",
            Ask::Line => "line",
            Ask::Datagram => "datagram",
        }
    }

    /// Its bytes.
    pub(super) fn words(self, address: SocketAddr) -> Vec<u8> {
        match self {
            Ask::Greeting => b"HELP\r\n".to_vec(),
            Ask::HttpGet => http(address, "GET", ""),
            Ask::HttpPost => http(address, "POST", "username=admin&password=admin"),
            Ask::TlsHello => tls_hello(),
            Ask::SocksHello => b"\x05\x01\x00".to_vec(),
            Ask::RedisPing => b"*1\r\n$4\r\nPING\r\n".to_vec(),
            Ask::Line => LINE.to_vec(),
            Ask::Datagram if address.port() == 53 => question(),
            Ask::Datagram => LINE.to_vec(),
        }
    }
}

fn http(address: SocketAddr, method: &str, body: &str) -> Vec<u8> {
    let entity = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"),
    };
    format!(
        "{method} / HTTP/1.1\r\nHost: {address}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n{entity}\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A ClientHello of TLS 1.2 (RFC 5246, 7.4.1.2) with the suites and groups that every server has one of.
fn tls_hello() -> Vec<u8> {
    const SUITES: [u16; 6] = [0xc02f, 0xc030, 0xc02b, 0xc02c, 0x009c, 0x002f];
    // supported_groups: x25519, secp256r1; ec_point_formats: uncompressed; signature_algorithms.
    const EXTENSIONS: &[u8] = &[
        0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00, 0x17, //
        0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, //
        0x00, 0x0d, 0x00, 0x0a, 0x00, 0x08, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, 0x02, 0x01,
    ];
    let short = |length: usize| (length as u16).to_be_bytes();
    let mut hello = vec![0x03, 0x03];
    // Its randomness is nobody's secret: no key ever comes of it.
    hello.extend((0u8..32).map(|byte| byte.wrapping_mul(167).wrapping_add(29)));
    hello.push(0);
    hello.extend(short(SUITES.len() * 2));
    hello.extend(SUITES.iter().flat_map(|suite| suite.to_be_bytes()));
    hello.extend([1, 0]);
    hello.extend(short(EXTENSIONS.len()));
    hello.extend(EXTENSIONS);
    let handshake = [&[1, 0][..], &short(hello.len()), &hello].concat();
    [&[0x16, 0x03, 0x01][..], &short(handshake.len()), &handshake].concat()
}

/// `example.com`, A (RFC 1035, 4.1).
fn question() -> Vec<u8> {
    [&[0x3a, 0x91, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x07example\x03com\0", &[0, 1, 0, 1]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_messages_of_their_protocols() {
        let address: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let post = String::from_utf8(Ask::HttpPost.words(address)).unwrap();
        let (head, body) = post.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        let hello = tls_hello();
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
        assert_eq!(usize::from(u16::from_be_bytes([hello[7], hello[8]])), hello.len() - 9);
        for ask in [Transport::Tcp, Transport::Udp].into_iter().flat_map(Ask::all) {
            assert!(!ask.words(address).is_empty(), "{ask:?}");
        }
    }
}
