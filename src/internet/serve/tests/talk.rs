//! Clients that mean what they say.

use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use base64::Engine;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::super::super::testimony::{BODY_MAX, Carrier, Handshake, Http, Said, Stream, Tls};
use super::stage::{Stage, one, play, two, without_streams};

fn request(method: &str, uri: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(uri).header("host", "a.example:8080");
    request.header("user-agent", "test").body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

fn http(said: &[Said]) -> Vec<&Http> {
    said.iter().filter_map(|it| if let Said::Http(http) = it { Some(http) } else { None }).collect()
}

fn tls(said: &[Said]) -> &Tls {
    said.iter().find_map(|it| if let Said::Tls(tls) = it { Some(tls) } else { None }).expect("a hello")
}

fn stream(said: &[Said]) -> &Stream {
    said.iter().find_map(|it| if let Said::Stream(it) = it { Some(it) } else { None }).expect("an end")
}

#[test]
fn a_request_is_answered_and_told() {
    let said = play(|stage| async move {
        let (response, _) = one(stage.connect().await, request("POST", "/gate?id=7", b"hello")).await;
        assert!(response.status().as_u16() >= 200);
    });
    let told = http(&said);
    let [told] = told[..] else { panic!("{said:?}") };
    assert_eq!(
        (&told.method[..], &told.host[..], &told.target[..]),
        (&b"POST"[..], &b"a.example"[..], &b"/gate?id=7"[..])
    );
    assert_eq!(
        (told.secure, told.version.as_str(), &told.body[..], told.body_size),
        (false, "1.1", &b"hello"[..], 5)
    );
    assert!(told.headers.contains(&(b"user-agent".to_vec(), b"test".to_vec())));
    let end = stream(&said);
    assert_eq!(end.service, "http");
    assert!(end.first.starts_with(b"POST /gate") && end.sent == end.first.len() as u64);
    assert!(end.received > 0);
}

#[test]
fn requests_of_one_connection_are_told_one_by_one() {
    let said = play(|stage| async move {
        let requests = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n0\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let heard = stage.say(requests).await;
        assert_eq!(heard.windows(9).filter(|part| part == b"HTTP/1.1 ").count(), 3);
    });
    let targets: Vec<&[u8]> = http(&said).iter().map(|it| &it.target[..]).collect();
    assert_eq!(targets, [b"/1", b"/2", b"/3"]);
    assert_eq!(http(&said)[1].body, b"abc");
}

#[test]
fn a_large_upload_is_counted_whole_and_kept_in_part() {
    const PIECES: usize = 32;
    let said = play(|stage| async move {
        let mut stream = stage.connect().await;
        let size = PIECES * 64 * 1024;
        let head =
            format!("POST /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        for _ in 0..PIECES {
            stream.write_all(&[b'x'; 64 * 1024]).await.unwrap();
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
    });
    assert_eq!(http(&said)[0].body_size, PIECES as u64 * 64 * 1024);
    assert_eq!(http(&said)[0].body.len(), BODY_MAX);
    assert!(stream(&said).sent > PIECES as u64 * 64 * 1024);
}

#[test]
fn a_request_that_breaks_off_is_told_without_a_status() {
    let said = play(|stage| async move {
        stage.say(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort").await;
    });
    assert_eq!((http(&said)[0].status, &http(&said)[0].body[..]), (0, &b"short"[..]));
}

#[test]
fn https_is_spoken_in_the_protocol_that_was_agreed() {
    let said = play(|stage| async move {
        let stream = stage.connect().await;
        let tls = stage.trusting(stream, "shop.example", &[b"h2", b"http/1.1"]).await;
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        two(tls, request("GET", "https://shop.example/cart", b"")).await;
    });
    let told = tls(&said);
    assert_eq!(told.server_name.as_deref(), Some(&b"shop.example"[..]));
    assert_eq!(told.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert!(told.ja4.starts_with("t13d") && told.ja4.len() == 36, "{}", told.ja4);
    assert_eq!(told.outcome, Handshake::Done);
    let told = http(&said)[0];
    assert_eq!((told.secure, told.version.as_str(), &told.host[..]), (true, "2", &b"shop.example"[..]));
    assert!(stream(&said).first.starts_with(b"PRI * HTTP/2.0"), "what is inside TLS");
}

#[test]
fn a_hello_that_comes_byte_by_byte_is_a_hello() {
    let said = play(|stage| async move {
        let stream = Trickle(stage.connect().await);
        let tls = stage.trusting(stream, "slow.example", &[]).await;
        one(tls, request("GET", "/", b"")).await;
    });
    assert_eq!(tls(&said).outcome, Handshake::Done);
    assert_eq!(http(&said).len(), 1);
}

#[test]
fn an_address_is_certified_where_no_name_was_asked_for() {
    let said = play(|stage| async move {
        let stream = stage.connect().await;
        let tls = stage.trusting(stream, "127.0.0.1", &[]).await;
        one(tls, request("GET", "/", b"")).await;
    });
    assert_eq!(tls(&said).server_name, None);
    assert!(tls(&said).ja4.starts_with("t13i"));
}

#[test]
fn who_does_not_trust_the_authority_is_told_with_the_alert() {
    let said = play(|stage| async move {
        let stream = stage.connect().await;
        assert!(stage.tls(stream, "bank.example", &[], &[]).await.is_err());
    });
    assert_eq!(tls(&said).outcome, Handshake::Refused { alert: "unknown_ca".into() });
    assert_eq!(stream(&said).service, "tls");
}

#[test]
fn a_tunnel_in_a_proxy_is_looked_into() {
    let said = play(|stage| async move {
        let mut stream = stage.connect().await;
        let connect = b"CONNECT hidden.example:443 HTTP/1.1\r\nHost: hidden.example:443\r\n\r\n";
        stream.write_all(connect).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&head));
        let tls = stage.trusting(stream, "hidden.example", &[]).await;
        one(tls, request("GET", "/inside", b"")).await;
    });
    let told = http(&said);
    assert_eq!((&told[0].method[..], told[0].service.as_str()), (&b"CONNECT"[..], "proxy"));
    assert_eq!(&told[0].target[..], b"hidden.example:443");
    assert_eq!((&told[1].target[..], told[1].secure), (&b"/inside"[..], true));
    assert_eq!(tls(&said).server_name.as_deref(), Some(&b"hidden.example"[..]));
}

#[test]
fn a_proxys_request_names_its_host_itself() {
    let said = play(|stage| async move {
        stage
            .say(b"GET http://Real.example:81/x?y HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n")
            .await;
    });
    assert_eq!((&http(&said)[0].host[..], &http(&said)[0].target[..]), (&b"real.example"[..], &b"/x?y"[..]));
}

#[test]
fn socks_leads_to_what_is_inside() {
    let said = play(|stage| async move {
        let mut stream = stage.connect().await;
        stream.write_all(&[5, 1, 0]).await.unwrap();
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.unwrap();
        stream.write_all(&[&[5, 1, 0, 3, 9], &b"c2.onion."[..], &[0, 80]].concat()).await.unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).await.unwrap();
        one(stream, request("GET", "/in", b"")).await;
    });
    let Said::Command(command) = &said[0] else { panic!("{said:?}") };
    assert_eq!((command.service.as_str(), &command.text[..]), ("socks", &b"c2.onion.:80"[..]));
    assert_eq!(&http(&said)[0].target[..], b"/in");
}

#[test]
fn a_websocket_is_agreed_to_and_unmasked() {
    let said = play(|stage| async move {
        let mut stream = stage.connect().await;
        let head = b"GET /ws HTTP/1.1\r\nHost: c2.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        // "Hello" of RFC 6455, 5.7, sent ahead of the answer; a ping; the end.
        let frames = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58, 0x89, 0x81, 0, 0, 0, 0, b'p',
            0x88, 0x80, 0, 0, 0, 0,
        ];
        stream.write_all(&[&head[..], &frames].concat()).await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert!(heard.starts_with(b"HTTP/1.1 101 "), "{:?}", String::from_utf8_lossy(&heard));
        assert!(heard.ends_with(&[0x8a, 1, b'p', 0x88, 0]), "{heard:?}");
    });
    let command =
        said.iter().find_map(|it| if let Said::Command(it) = it { Some(it) } else { None }).unwrap();
    assert_eq!(
        (command.service.as_str(), &command.verb[..], &command.text[..]),
        ("websocket", &b"TEXT"[..], &b"Hello"[..])
    );
    assert_eq!(http(&said)[0].status, 101);
    assert_eq!(stream(&said).service, "websocket");
}

#[test]
fn what_is_no_protocol_is_kept_and_counted() {
    let said = play(|stage| async move {
        stage.say(b"\x01\x02\x03 whatever").await;
    });
    let expected = Stream {
        service: "raw".into(),
        first: b"\x01\x02\x03 whatever".to_vec(),
        sent: 12,
        received: 0,
        datagrams: 0,
    };
    assert_eq!(said, [Said::Stream(expected)]);
}

#[test]
fn who_connects_and_says_nothing_is_told_as_well() {
    let said = play(|stage| async move {
        stage.say(b"").await;
        drop(stage.connect().await);
    });
    assert_eq!(said.len(), 2, "{said:?}");
}

fn question(name: &str) -> Vec<u8> {
    let mut message = Message::new();
    message.set_id(1).add_query(Query::query(Name::from_str(name).unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

fn names(said: &[Said]) -> Vec<(Carrier, Vec<u8>)> {
    let dns = said.iter().filter_map(|it| if let Said::Dns(dns) = it { Some(dns) } else { None });
    dns.map(|it| (it.carrier, it.question.clone().expect("a question").name)).collect()
}

#[test]
fn dns_over_tls_takes_several_questions() {
    let said = play(|stage| async move {
        let stream = stage.connect().await;
        let mut tls = stage.trusting(stream, "dns.example", &[b"dot"]).await;
        for name in ["a.example.", "b.example."] {
            let message = question(name);
            tls.write_u16(message.len() as u16).await.unwrap();
            tls.write_all(&message).await.unwrap();
        }
        for _ in 0..2 {
            let mut answer = vec![0; tls.read_u16().await.unwrap().into()];
            tls.read_exact(&mut answer).await.unwrap();
            assert_eq!(Message::from_vec(&answer).unwrap().answers().len(), 1);
        }
    });
    let [a, b] = ["a.example", "b.example"].map(|name| (Carrier::Tls, name.as_bytes().to_vec()));
    assert_eq!(names(&said), [a, b]);
}

#[test]
fn dns_over_https_is_answered_on_any_host() {
    let said = play(|stage| async move {
        let stream = stage.connect().await;
        let tls = stage.trusting(stream, "resolver.example", &[b"h2"]).await;
        let mut post = request("POST", "https://resolver.example/dns-query", &question("post.example."));
        post.headers_mut().insert("content-type", "application/dns-message".parse().unwrap());
        let (response, body) = two(tls, post).await;
        assert_eq!(response.headers()["content-type"], "application/dns-message");
        assert_eq!(Message::from_vec(&body).unwrap().answers().len(), 1);
        let encoded = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(question("get.example."));
        let get = request("GET", &format!("/dns-query?dns={encoded}"), b"");
        let (_, body) = one(stage.connect().await, get).await;
        assert_eq!(Message::from_vec(&body).unwrap().answers().len(), 1);
    });
    let [post, get] = ["post.example", "get.example"].map(|name| (Carrier::Https, name.as_bytes().to_vec()));
    assert_eq!(names(&said), [post, get]);
    assert!(http(&said).iter().all(|it| it.service == "dns" && it.status == 200));
}

#[test]
fn the_end_of_the_run_ends_and_tells_what_is_open() {
    let said = play(|stage: Stage| async move {
        let mut stream = stage.connect().await;
        stream.write_all(b"\0still here").await.unwrap();
        // Only once the server has taken that in is there something to tell.
        stage.still_answers().await;
        std::mem::forget(stream.into_std().unwrap());
    });
    let firsts =
        said.iter().filter_map(|it| if let Said::Stream(it) = it { Some(&it.first[..]) } else { None });
    assert!(firsts.into_iter().any(|it| it == b"\0still here"), "{said:?}");
    assert_eq!(without_streams(said).len(), 1);
}

/// Writes one byte at a time.
struct Trickle<W>(W);

impl<W: AsyncRead + Unpin> AsyncRead for Trickle<W> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Trickle<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
