//! Clients that mean harm. After each of them the world still answers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::super::testimony::{Handshake, Said};
use super::stage::{Stage, play, play_in, play_with};
use crate::bait::Baits;

fn survives(attacks: &'static [&'static [u8]]) -> Vec<Said> {
    play(move |stage| async move {
        for attack in attacks {
            stage.say(attack).await;
            stage.still_answers().await;
        }
    })
}

#[test]
fn requests_that_two_readers_read_differently_are_refused_or_read_once() {
    let said = survives(&[
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ]);
    let ends = said.iter().filter(|it| matches!(it, Said::Stream(_))).count();
    assert_eq!(ends, 22, "every connection is told of");
}

#[test]
fn a_head_without_end_is_refused() {
    let said = play(|stage| async move {
        let line = b"GET / HTTP/1.1\r\n".to_vec();
        stage.say(&[&line[..], b"X: ", &vec![b'x'; 1 << 20]].concat()).await;
        stage.say(&[&line[..], &b"a: b\r\n".repeat(100_000)].concat()).await;
        stage.still_answers().await;
    });
    assert_eq!(said.iter().filter(|it| matches!(it, Said::Http(_))).count(), 1, "the last alone was whole");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// GET / of https, in the static table (RFC 7541, appendix A).
const GET: &[u8] = &[0x82, 0x84, 0x87, 0x41, 1, b'a'];

async fn floods(stage: &Stage, frames: impl Iterator<Item = Vec<u8>>) {
    let mut bytes = [PREFACE, SETTINGS].concat();
    frames.for_each(|frame| bytes.extend(frame));
    let stream = stage.connect().await;
    let (mut from, mut to) = stream.into_split();
    let reads =
        tokio::task::spawn_local(async move { while matches!(from.read(&mut [0; 4096]).await, Ok(1..)) {} });
    let _ = to.write_all(&bytes).await;
    let _ = to.shutdown().await;
    reads.await.unwrap();
    stage.still_answers().await;
}

#[test]
fn floods_of_http2_frames_end_their_own_connection() {
    let said = play(|stage| async move {
        let ids = || (0..50_000u32).map(|number| number * 2 + 1);
        // CVE-2023-44487: streams opened and taken back.
        floods(&stage, ids().flat_map(|id| [frame(1, 5, id, GET), frame(3, 0, id, &[0, 0, 0, 8])])).await;
        // CVE-2024-27316: headers that never end.
        let open = std::iter::once(frame(1, 1, 1, GET));
        floods(&stage, open.chain((0..50_000).map(|_| frame(9, 0, 1, &[0, 1, b'x', 1, b'y'])))).await;
        // CVE-2019-9515 and 9512: every one asks for an answer.
        floods(&stage, (0..50_000).map(|_| SETTINGS.to_vec())).await;
        floods(&stage, (0..50_000).map(|_| frame(6, 0, 0, &[0; 8]))).await;
        // CVE-2019-9518: frames without content.
        let open = std::iter::once(frame(1, 4, 1, GET));
        floods(&stage, open.chain((0..50_000).map(|_| frame(0, 0, 1, &[])))).await;
        floods(&stage, std::iter::once(frame(1, 5, 0, GET))).await;
        floods(&stage, std::iter::once(vec![0xff; 100])).await;
    });
    assert!(said.iter().filter(|it| matches!(it, Said::Stream(_))).count() >= 14);
}

#[test]
fn what_only_begins_as_tls_is_told_as_a_stream() {
    let said = survives(&[
        b"\x16\x03\x01\xff\xff\xff",
        b"\x16\x03\x01\0\x04\x02\0\0\0",
        b"\x16\x03\x01\0\0",
        b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
        b"\x16",
        b"\x16\x03\x01\0\x05\x01\0",
    ]);
    assert!(!said.iter().any(|it| matches!(it, Said::Tls(_))));
}

#[test]
fn an_old_version_is_refused_with_an_alert_and_told() {
    let said = play(|stage| async move {
        // TLS 1.0 with two old ciphers, and no extensions.
        let body = [&[3, 1][..], &[9; 32], &[0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]].concat();
        let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
        let heard = stage.say(&[&[22, 3, 1, 0, message.len() as u8][..], &message].concat()).await;
        assert_eq!(heard.first(), Some(&21), "an alert: {heard:?}");
    });
    let Said::Tls(tls) = &said[0] else { panic!("{said:?}") };
    assert_eq!(tls.outcome, Handshake::Broken);
    assert_eq!(tls.ja4, "t10i020000_f54dd463d39b_000000000000");
}

#[test]
fn clients_that_hold_on_and_say_little_do_not_keep_others_out() {
    const PLACES: usize = 32;
    const SLOW: usize = 200;
    let said = play_in(PLACES, |stage| async move {
        let mut slow = Vec::new();
        for number in 0..SLOW {
            let mut stream = stage.connect().await;
            let begun: &[u8] = match number % 4 {
                0 => b"GET / HTTP/1.1\r\nHost: slow\r\n",
                1 => b"\x16\x03\x01\x02\0\x01",
                2 => b"",
                _ => PREFACE,
            };
            stream.write_all(begun).await.unwrap();
            slow.push(stream);
        }
        stage.still_answers().await;
        drop(slow);
    });
    assert_eq!(said.iter().filter(|it| matches!(it, Said::Stream(_))).count(), SLOW + 1);
}

#[test]
fn a_flood_of_connections_is_told_to_the_last() {
    const FLOOD: usize = 2000;
    let said = play(|stage| async move {
        for _ in 0..FLOOD {
            let mut stream = stage.connect().await;
            stream.write_all(b"\0x").await.unwrap();
        }
        stage.still_answers().await;
    });
    assert_eq!(said.iter().filter(|it| matches!(it, Said::Stream(_))).count(), FLOOD + 1);
}

/// What a connection may cost at worst: what is kept of it, the readers' buffers, and what looks through it.
const CONNECTION_MAX: usize = 512 << 10;

#[test]
fn memory_is_bounded_by_the_number_of_connections_whatever_they_send() {
    const CONNECTIONS: usize = 48;
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
    let noise: Vec<u8> = (0..80 << 10).map(|at: u32| (at.wrapping_mul(0x9e37_79b1) >> 13) as u8).collect();
    play_with(Baits::new([7; 32]), |stage| async move {
        let mut slow = Vec::new();
        stage.still_answers().await;
        let before = resident();
        for number in 0..CONNECTIONS {
            let mut stream = stage.connect().await;
            let begun: &[u8] = if number % 2 == 0 { HEAD } else { b"\0" };
            stream.write_all(begun).await.unwrap();
            stream.write_all(&noise).await.unwrap();
            slow.push(stream);
        }
        stage.still_answers().await;
        let more = resident().saturating_sub(before);
        eprintln!("MEMORY {} per connection", more / CONNECTIONS);
        assert!(more < CONNECTIONS * CONNECTION_MAX, "{more} bytes for {CONNECTIONS} connections");
    });
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
