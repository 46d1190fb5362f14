//! Whole packets, with their headers: a datagram that is written (RFC 791, 8200 and 768), an echo request that
//! is read (RFC 792 and 4443).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

const UDP: u8 = 17;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
/// Type, code, checksum, identifier and number.
const ECHO_HEADER: usize = 8;
const TTL: u8 = 64;
const UDP_HEADER: usize = 8;

/// The packet that carries `bytes` from `server` to `client`. Fails where it is longer than a packet can
/// be, or the two are of different families.
pub fn udp(server: SocketAddr, client: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let length = u16::try_from(UDP_HEADER + bytes.len()).map_err(too_long)?;
    let mut packet = Vec::with_capacity(40 + UDP_HEADER + bytes.len());
    match (server, client) {
        (SocketAddr::V4(server), SocketAddr::V4(client)) => {
            let total = length.checked_add(20).ok_or(io::ErrorKind::InvalidInput)?;
            // Identification and checksum are the kernel's to fill in (raw(7)).
            packet.extend([0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0x40, 0, TTL, UDP, 0, 0]);
            packet.extend(server.ip().octets());
            packet.extend(client.ip().octets());
        }
        (SocketAddr::V6(server), SocketAddr::V6(client)) => {
            packet.extend([0x60, 0, 0, 0, (length >> 8) as u8, length as u8, UDP, TTL]);
            packet.extend(server.ip().octets());
            packet.extend(client.ip().octets());
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    let header = packet.len();
    for number in [server.port(), client.port(), length, 0] {
        packet.extend(number.to_be_bytes());
    }
    packet.extend(bytes);
    // Both addresses stand at the end of the header of either family.
    let addresses = if server.is_ipv4() { header - 8 } else { header - 32 };
    let sum = checksum(&packet[addresses..], u32::from(UDP) + u32::from(length));
    packet[header + 6..header + 8].copy_from_slice(&sum.to_be_bytes());
    Ok(packet)
}

/// What an echo request over IPv4 carries, whence and whither; the packet begins with its IP header.
pub fn echo_v4(packet: &[u8]) -> Option<(&[u8], Ipv4Addr, Ipv4Addr)> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let address = |at: usize| packet.get(at..)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets));
    let echo = packet.get(header..).filter(|echo| echo.first() == Some(&ECHO_REQUEST))?;
    Some((echo.get(ECHO_HEADER..)?, address(12)?, address(16)?))
}

/// What an echo request over IPv6 carries; there is no IP header.
pub fn echo_v6(message: &[u8]) -> Option<&[u8]> {
    message.get(ECHO_HEADER..).filter(|_| message[0] == ECHO_REQUEST_V6)
}

/// RFC 1071, with the rest of the pseudo-header in `start`; a zero is sent as its other form (RFC 768).
fn checksum(bytes: &[u8], start: u32) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let odd = rest.first().map_or(0, |byte| u32::from(*byte) << 8);
    let words = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair)));
    let mut sum = words.sum::<u32>() + odd + start;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => 0xffff,
        sum => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(server: &str, client: &str, bytes: &[u8], expected: &[u8]) {
        let packet = udp(server.parse().unwrap(), client.parse().unwrap(), bytes).unwrap();
        assert_eq!(packet, expected, "{server} → {client}");
    }

    #[test]
    fn udp_writes_both_families_with_their_checksum() {
        // The sums: RFC 1071 by another program.
        check(
            "8.8.8.8:53",
            "172.17.0.2:40000",
            b"abc",
            &[
                0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17, 0, 0, 8, 8, 8, 8, 172, 17, 0, 2, 0, 53, 0x9c, 0x40, 0,
                11, 0xe2, 0xdc, b'a', b'b', b'c',
            ],
        );
        check(
            "[2001:db8::1]:53",
            "[fd00::2]:40000",
            b"ab",
            &[
                96, 0, 0, 0, 0, 10, 17, 64, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfd, 0, 0,
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 53, 156, 64, 0, 10, 0xd7, 69, 97, 98,
            ],
        );
    }

    #[test]
    fn udp_refuses_what_no_packet_holds() {
        let (v4, v6) = ("1.2.3.4:5".parse().unwrap(), "[::1]:5".parse().unwrap());
        assert!(udp(v4, v6, b"").is_err());
        assert!(udp(v4, v4, &vec![0; 65_508]).is_err());
        assert!(udp(v4, v4, &vec![0; 65_507]).is_ok());
        assert!(udp(v6, v6, &vec![0; 65_528]).is_err());
    }

    #[test]
    fn an_echo_request_is_read_and_nothing_else() {
        let ip = [0x45, 0, 0, 31, 0, 0, 0, 0, 64, 1, 0, 0, 172, 17, 0, 2, 203, 0, 113, 9];
        let echo = |kind: u8| [&ip[..], &[kind, 0, 0, 0, 0, 1, 0, 2], b"abc"].concat();
        let (from, to) = ([172, 17, 0, 2].into(), [203, 0, 113, 9].into());
        assert_eq!(echo_v4(&echo(8)), Some((&b"abc"[..], from, to)));
        assert_eq!(echo_v4(&echo(0)), None, "an answer");
        assert_eq!(echo_v4(&echo(8)[..24]), None, "cut in its header");
        assert_eq!(echo_v4(&[0x4f, 0, 0]), None);
        assert_eq!(echo_v4(&[]), None);
        assert_eq!(echo_v6(b"\x80\0\0\0\0\x01\0\x02xy"), Some(&b"xy"[..]));
        assert_eq!(echo_v6(b"\x87\0\0\0\0\x01\0\x02xy"), None);
        assert_eq!(echo_v6(b"\x80\0"), None);
    }

    #[test]
    fn a_sum_of_zero_is_sent_as_ones() {
        assert_eq!(checksum(&[0xff, 0xff], 0), 0xffff);
        assert_eq!(checksum(&[0, 1, 2], 0), !0x0201);
    }
}
