//! What is answered to datagrams that are not DNS: the time (NTP), one's own address (STUN), files (TFTP).
//! Every other datagram is accepted and gets no answer.

use std::net::{IpAddr, SocketAddr};

use super::payload;
use super::public;

const NTP_PORT: u16 = 123;
const TFTP_PORT: u16 = 69;
/// Files have blocks of so many bytes, of which a shorter one is the last (RFC 1350).
const BLOCK: usize = 512;

/// Seconds since 1970 in the world, with the part of a second in 32 bits.
pub type Now = (u64, u32);

/// Who speaks here, and what.
#[derive(Debug, PartialEq)]
pub struct Datagram {
    pub service: &'static str,
    pub answer: Vec<u8>,
    /// A command that is worth telling: verb and text.
    pub command: Option<(&'static [u8], Vec<u8>)>,
}

/// `client` is who asks, from outside.
pub fn datagram(port: u16, client: SocketAddr, bytes: &[u8], now: Now) -> Datagram {
    let plain = |service, answer| Datagram { service, answer, command: None };
    if let Some(answer) = stun(client, bytes) {
        return plain("stun", answer);
    }
    match port {
        NTP_PORT => ntp(bytes, now).map_or(plain("raw", Vec::new()), |answer| plain("ntp", answer)),
        TFTP_PORT => tftp(bytes, now.0).unwrap_or(plain("raw", Vec::new())),
        161 => plain("snmp", Vec::new()),
        514 => plain("syslog", Vec::new()),
        _ if is_quic(bytes) => plain("quic", Vec::new()),
        _ => plain("raw", Vec::new()),
    }
}

/// The answer of a time server (RFC 5905, 7.3) to a client's packet.
fn ntp(question: &[u8], (seconds, part): Now) -> Option<Vec<u8>> {
    const LENGTH: usize = 48;
    const CLIENT: u8 = 3;
    const SERVER: u8 = 4;
    /// From 1900 to 1970.
    const EPOCH: u64 = 2_208_988_800;
    let question = question.get(..LENGTH).filter(|it| it[0] & 7 == CLIENT)?;
    let version = question[0] & 0x38;
    let time = [((seconds + EPOCH) as u32).to_be_bytes(), part.to_be_bytes()].concat();
    // Stratum 2, the poll that was asked for, a precision of a microsecond; root delay, dispersion and
    // reference.
    let mut answer = vec![version | SERVER, 2, question[2], 0xec];
    answer.extend([0, 0, 2, 0, 0, 0, 4, 0, 10, 0, 0, 1]);
    // Reference, origin (the client's own), receive, transmit.
    for part in [&time[..], &question[40..48], &time, &time] {
        answer.extend(part);
    }
    Some(answer)
}

/// A Binding request (RFC 5389; RFC 3489 without the cookie) is told the address that the world knows its
/// sender by.
fn stun(client: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    let (head, rest) = bytes.split_first_chunk::<20>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[..2] != [0, 1] || length != rest.len() || length % 4 != 0 {
        return None;
    }
    let address: IpAddr = public::ADDRESS.parse().expect("our own address");
    let IpAddr::V4(address) = address else { return None };
    let is_new = head[4..8] == COOKIE;
    // The newer form is masked with the cookie.
    let mask = |byte: u8, at: usize| if is_new { byte ^ COOKIE[at] } else { byte };
    let [high, low] = client.port().to_be_bytes();
    let kind: u8 = if is_new { 0x20 } else { 1 };
    let mut answer = vec![1, 1, 0, 12];
    answer.extend(&head[4..]);
    answer.extend([0, kind, 0, 8, 0, 1, mask(high, 0), mask(low, 1)]);
    answer.extend(address.octets().into_iter().enumerate().map(|(at, byte)| mask(byte, at)));
    Some(answer)
}

/// Reading gets a file in one block; writing is taken, block by block.
fn tftp(bytes: &[u8], now: u64) -> Option<Datagram> {
    const READ: u16 = 1;
    const WRITE: u16 = 2;
    const DATA: u16 = 3;
    let (code, rest) = bytes.split_first_chunk()?;
    let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    let told =
        |verb, answer| Some(Datagram { service: "tftp", answer, command: Some((verb, name.to_vec())) });
    match u16::from_be_bytes(*code) {
        READ => {
            let name = String::from_utf8_lossy(name);
            let file = payload::by_name(&name, now).map(|(_, file)| file).filter(|file| file.len() < BLOCK);
            let file = file.unwrap_or_else(payload::shell);
            told(b"READ", [&[0, 3, 0, 1][..], &file].concat())
        }
        WRITE => told(b"WRITE", vec![0, 4, 0, 0]),
        DATA => {
            let answer = [&[0, 4][..], rest.get(..2)?].concat();
            Some(Datagram { service: "tftp", answer, command: None })
        }
        _ => Some(Datagram { service: "tftp", answer: Vec::new(), command: None }),
    }
}

/// A first packet of QUIC (RFC 9000, 17.2): a long header with the fixed bit, and a version.
fn is_quic(bytes: &[u8]) -> bool {
    bytes.len() >= 1200
        && bytes[0] & 0xc0 == 0xc0
        && [[0, 0, 0, 1], [0x6b, 0x33, 0x43, 0xcf]].contains(&[bytes[1], bytes[2], bytes[3], bytes[4]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = (1_700_000_000, 7);

    fn ask(port: u16, bytes: &[u8]) -> Datagram {
        datagram(port, "172.17.0.2:40000".parse().unwrap(), bytes, NOW)
    }

    #[test]
    fn a_time_server_answers_a_client_with_the_worlds_time() {
        let mut question = [0; 48];
        question[0] = 0x23;
        question[40..48].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let answer = ask(123, &question).answer;
        assert_eq!(answer.len(), 48);
        assert_eq!((answer[0], answer[1]), (0x24, 2));
        assert_eq!(answer[24..32], question[40..48]);
        assert_eq!(answer[40..44], 3_908_988_800u32.to_be_bytes());
        assert_eq!(ask(123, &answer).answer, b"", "an answer is not answered");
        assert_eq!(ask(123, &question[..47]).service, "raw");
    }

    #[test]
    fn who_asks_for_its_address_is_told_the_public_one() {
        let id = [9; 12];
        let new = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &id].concat();
        let answer = ask(19_302, &new).answer;
        assert_eq!(answer[..24], [&[1, 1, 0, 12][..], &new[4..], &[0, 0x20, 0, 8]].concat());
        let address: Vec<u8> = answer[28..].iter().zip(&new[4..]).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(address, [18, 196, 74, 213]);
        let old = [&[0, 1, 0, 0][..], &[7; 16]].concat();
        assert_eq!(ask(3478, &old).answer[20..], [0, 1, 0, 8, 0, 1, 0x9c, 0x40, 18, 196, 74, 213]);
        assert_eq!(ask(3478, &answer).answer, b"", "an answer is not answered");
        assert_eq!(ask(3478, &new[..19]).answer, b"");
    }

    #[test]
    fn files_are_given_and_taken() {
        let read = ask(69, b"\0\x01bins.sh\0octet\0");
        assert_eq!(read.command, Some((&b"READ"[..], b"bins.sh".to_vec())));
        assert!(read.answer.starts_with(b"\0\x03\0\x01#!/bin/sh") && read.answer.len() < BLOCK);
        assert!(ask(69, b"\0\x01mirai.x86\0octet\0").answer.starts_with(b"\0\x03\0\x01\x7fELF"));
        assert_eq!(ask(69, b"\0\x02loot\0octet\0").answer, b"\0\x04\0\0");
        assert_eq!(ask(69, b"\0\x03\0\x07data").answer, b"\0\x04\0\x07");
        assert_eq!(ask(69, b"\0\x04\0\x01").answer, b"");
        assert_eq!(ask(69, b"\0").service, "raw");
    }
}
