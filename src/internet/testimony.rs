//! What the internet process tells the runner: the second witness, beside the probes.
//!
//! It is written by our own program, but by one that an attacker talks to, so that reading it is
//! bounded and total: a frame is a length (`u32`, little endian, at most [`FRAME_MAX`]) and so many
//! bytes of postcard. Every text is bytes that the sample chose, cut at the bound of its field.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// No frame is longer.
pub const FRAME_MAX: usize = 256 << 10;
/// Of a name, target, header value or other short text, so many bytes are kept.
pub const TEXT_MAX: usize = 4 << 10;
/// Of the headers of one request, so many are kept.
pub const HEADERS_MAX: usize = 64;
/// Of a body, mail, datagram or stream, so many bytes are kept; the rest is counted.
pub const BODY_MAX: usize = 64 << 10;

/// One thing that the sandbox said to the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Testimony {
    /// `CLOCK_BOOTTIME`, nanoseconds: the clock of the probes' records.
    pub time: u64,
    /// `None`: about the world itself ([`Said::Lost`]).
    pub flow: Option<Flow>,
    pub said: Said,
}

/// A connection or a pair of sockets, as the packets have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    pub transport: Transport,
    /// The sandbox's end.
    pub client: SocketAddr,
    /// The address that was asked for.
    pub server: SocketAddr,
}

/// What carried the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    Tcp,
    Udp,
    Icmp,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Said {
    Dns(Dns),
    Tls(Tls),
    Http(Http),
    /// A line or message of a protocol that is neither HTTP nor DNS.
    Command(Command),
    /// The end of a TCP connection, or what a UDP flow has sent so far.
    Stream(Stream),
    /// The token of a bait was in what was sent.
    Bait(Bait),
    /// So much could not be kept or read: the world's own blindness.
    Lost {
        what: Loss,
        count: u64,
    },
}

/// A DNS question, with what the world answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dns {
    pub carrier: Carrier,
    /// `None`: the bytes are no question.
    pub question: Option<Question>,
    /// RCODE of the answer (RFC 1035, 4.1.1): 0 no error, 3 no such name.
    pub code: u16,
    /// Addresses in the answer; those of an A or AAAA question teach the runner the name of a flow.
    pub addresses: Vec<IpAddr>,
}

/// A question to a name server, and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// As [`crate::event::Question::name`].
    pub name: Vec<u8>,
    pub kind: u16,
}

/// What a DNS message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carrier {
    Udp,
    Tcp,
    Tls,
    Https,
}

/// A TLS ClientHello, and how the handshake went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    pub server_name: Option<Vec<u8>>,
    pub alpn: Vec<Vec<u8>>,
    /// JA4 (FoxIO, version 1): `t13d1516h2_…`; ASCII.
    pub ja4: String,
    pub outcome: Handshake,
}

/// How a TLS handshake ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Handshake {
    Done,
    /// The client did not accept our certificate; the alert's name (RFC 8446, 6), as `unknown_ca`.
    Refused {
        alert: String,
    },
    /// It ended before it was complete.
    Broken,
}

/// One HTTP request and the status it got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    pub secure: bool,
    /// `1.0`, `1.1`, `2`.
    pub version: String,
    pub method: Vec<u8>,
    /// Host header or `:authority`, without a port.
    pub host: Vec<u8>,
    /// Path and query.
    pub target: Vec<u8>,
    /// In order; names in lower case.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub headers_omitted: u64,
    /// The first part, after transfer coding, before content coding.
    pub body: Vec<u8>,
    pub body_size: u64,
    pub status: u16,
    /// Who answered: a name of [`crate::internet::service`], or `web`.
    pub service: String,
}

/// A command of a protocol that is neither HTTP nor DNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// `smtp`, `ftp`, `irc`, `redis`, `stratum`, `ssh`, …
    pub service: String,
    /// Upper case where the protocol does not care: `MAIL`, `USER`, `mining.authorize`.
    pub verb: Vec<u8>,
    /// What follows; for a mail (`DATA`) its first part.
    pub text: Vec<u8>,
    /// Bytes of the whole.
    pub size: u64,
}

/// Words of no protocol that we know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Who answered; `raw` where the sink kept what it was sent.
    pub service: String,
    /// The first bytes the sandbox sent; for TLS those inside it.
    pub first: Vec<u8>,
    /// Bytes from the sandbox, to the sandbox; as the sockets saw them.
    pub sent: u64,
    pub received: u64,
    /// Datagrams from the sandbox; 0 for TCP.
    pub datagrams: u64,
}

/// A decoy's secret in what was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bait {
    /// Its name: `aws-credentials`, `ssh-key`, …
    pub name: String,
    /// The field of it that was seen: `secret_access_key`, …
    pub field: String,
    /// How its token was written: `plain`, `base64`, `hex`, `url`, `gzip`, `dns-labels`, `pieces`, or several in a
    /// row, outermost first: `gzip+base64`. `signature`: a key was not sent, but signed with.
    pub encoding: String,
    /// What it was in: `http`, `https`, `dns`, `smtp`, `raw`, …
    pub place: String,
    /// The look-alike that was shown the credential as a credential; `None`: it was carried off.
    pub used_at: Option<String>,
}

/// What could not be heard or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Datagrams that a full socket dropped.
    Datagrams,
    /// Packets that are not in the capture.
    Packets,
    /// Connections that could not be taken.
    Connections,
    /// Frames that the runner could not be told in time.
    Testimony,
}

impl Testimony {
    /// The frame: length and content. A testimony within the bounds of its fields always fits; one that
    /// does not is an error of ours, and `None`.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 4];
        frame = postcard::to_extend(self, frame).ok()?;
        let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length as usize <= FRAME_MAX)?;
        frame[..4].copy_from_slice(&length.to_le_bytes());
        Some(frame)
    }

    /// The content of a frame, without its length. `None`: it is none.
    pub fn decode(content: &[u8]) -> Option<Testimony> {
        match postcard::take_from_bytes(content) {
            Ok((testimony, [])) => Some(testimony),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_gives_what_was_encoded_and_refuses_the_rest() {
        let flow = Flow {
            transport: Transport::Tcp,
            client: "172.17.0.2:40000".parse().unwrap(),
            server: "[2001:db8::1]:443".parse().unwrap(),
        };
        let tls = Tls {
            server_name: Some(b"a.example".to_vec()),
            alpn: vec![],
            ja4: "t".into(),
            outcome: Handshake::Broken,
        };
        let testimony = Testimony { time: 7, flow: Some(flow), said: Said::Tls(tls) };
        let frame = testimony.encode().unwrap();
        assert_eq!(frame[..4], ((frame.len() - 4) as u32).to_le_bytes());
        assert_eq!(Testimony::decode(&frame[4..]), Some(testimony));
        assert_eq!(Testimony::decode(&frame[4..frame.len() - 1]), None);
        assert_eq!(Testimony::decode(&[&frame[4..], &[0]].concat()), None);
        assert_eq!(Testimony::decode(&[0xff; 64]), None);
    }
}
