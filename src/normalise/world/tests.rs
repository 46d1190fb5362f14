use std::net::IpAddr;

use super::super::tests::{INIT, Image, fork_and_exec, normaliser, overlay_file, record, task};
use super::super::{Gaps, Record, SLACK};
use super::*;
use crate::event::{NetAct, NetAction};
use crate::internet::testimony::Transport;

const TCP: KernelSocket = KernelSocket { family: 2, kind: 1, protocol: 6 };
const UDP: KernelSocket = KernelSocket { family: 2, kind: 2, protocol: 17 };

/// Two processes, 11 and 12, by pid.
fn two() -> Normaliser<Image> {
    let mut normaliser = normaliser();
    fork_and_exec(&mut normaliser, 11, overlay_file("/bin/sh", 3));
    fork_and_exec(&mut normaliser, 12, overlay_file("/usr/bin/app", 4));
    normaliser
}

fn sockaddr(address: &str) -> Vec<u8> {
    let address: SocketAddr = address.parse().unwrap();
    let (family, ip) = match address.ip() {
        IpAddr::V4(ip) => (2_u16, ip.octets().to_vec()),
        IpAddr::V6(ip) => (10, [&[0; 4][..], &ip.octets()].concat()),
    };
    [&family.to_ne_bytes()[..], &address.port().to_be_bytes(), &ip].concat()
}

fn connect(socket: KernelSocket, local: &str, remote: &str) -> Body {
    Body::Connect { socket, local: sockaddr(local), remote: sockaddr(remote), result: 0 }
}

fn query(local: &str, server: &str, name: &str) -> Body {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    let body: Vec<u8> = labels.chain([0, 0, 1, 0, 1]).collect();
    let payload = [&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &body[..]].concat();
    Body::Query { socket: UDP, local: sockaddr(local), server: sockaddr(server), payload, result: 30 }
}

fn said(time: u64, transport: Transport, client: &str, server: &str, said: Said) -> Testimony {
    let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
    Testimony { time, flow: Some(testimony::Flow { transport, client, server }), said }
}

fn stream() -> Said {
    let (service, first) = ("raw".to_owned(), b"x".to_vec());
    Said::Stream(testimony::Stream { service, first, sent: 1, received: 0, datagrams: 0 })
}

fn answer(carrier: testimony::Carrier, name: &str, kind: u16, address: &str) -> Said {
    let question = Some(testimony::Question { name: name.into(), kind });
    Said::Dns(testimony::Dns { carrier, question, code: 0, addresses: vec![address.parse().unwrap()] })
}

/// The pid of whoever is told to have said it.
fn who(events: &[Event]) -> Option<u32> {
    events.last().expect("an event").process.as_ref().map(|process| process.key.pid)
}

fn names(events: &[Event]) -> Vec<&'static str> {
    let name = |event: &Event| match event.act {
        Act::Dns(_) => "dns",
        Act::DnsAnswer(_) => "dns_answer",
        _ => "other",
    };
    events.iter().map(name).collect()
}

#[test]
fn a_flow_belongs_to_the_process_that_opened_it_last_before() {
    let mut normaliser = two();
    let far = "203.0.113.9:443";
    normaliser.observe(record(300, task(11), connect(TCP, "10.0.0.2:40000", far)));
    normaliser.observe(record(500, task(12), connect(TCP, "10.0.0.2:40000", far)));
    normaliser.observe(record(510, task(11), connect(TCP, "10.0.0.2:40001", far)));
    let mut check = |time, client, server, expected| {
        let heard = normaliser.hear(said(time, Transport::Tcp, client, server, stream()));
        assert_eq!(who(&heard), expected, "{time} {client} {server}");
    };
    check(400, "10.0.0.2:40000", far, Some(11));
    check(600, "10.0.0.2:40000", far, Some(12));
    check(600, "10.0.0.2:40001", far, Some(11));
    // The record can be later than what was heard, by a little.
    check(299, "10.0.0.2:40000", far, Some(11));
    check(600, "10.0.0.2:40000", "203.0.113.9:444", None);
    check(600, "10.0.0.2:40002", far, None);
    assert_eq!(normaliser.gaps(), Gaps { unjoined: 2, ..Gaps::default() });
}

#[test]
fn datagrams_mapped_addresses_and_taken_connections_are_joined_too() {
    let mut normaliser = two();
    let (local, remote) = (sockaddr("0.0.0.0:5000"), sockaddr("192.0.2.1:53"));
    normaliser.observe(record(300, task(11), Body::Send { socket: UDP, local, remote, result: 1 }));
    let (local, remote) = (sockaddr("[::ffff:10.0.0.2]:5001"), sockaddr("[::ffff:192.0.2.1]:80"));
    let six = KernelSocket { family: 10, ..TCP };
    normaliser.observe(record(310, task(12), Body::Connect { socket: six, local, remote, result: -115 }));
    let (local, remote) = (sockaddr("10.0.0.2:80"), sockaddr("10.0.0.1:7000"));
    normaliser.observe(record(320, task(11), Body::Accept { socket: TCP, local, remote }));
    let (local, remote) = (sockaddr("10.0.0.2:5002"), Vec::new());
    normaliser.observe(record(330, task(12), Body::Source { socket: UDP, local, remote }));
    let mut check = |transport, client, server, expected| {
        let heard = normaliser.hear(said(400, transport, client, server, stream()));
        assert_eq!(who(&heard), expected, "{client} {server}");
    };
    check(Transport::Udp, "10.0.0.2:5000", "192.0.2.1:53", Some(11));
    check(Transport::Udp, "10.0.0.2:5000", "192.0.2.7:99", Some(11));
    check(Transport::Tcp, "10.0.0.2:5001", "192.0.2.1:80", Some(12));
    check(Transport::Tcp, "10.0.0.2:80", "10.0.0.1:7000", Some(11));
    check(Transport::Udp, "10.0.0.2:5002", "192.0.2.9:1", Some(12));
    check(Transport::Icmp, "10.0.0.2:0", "192.0.2.9:0", None);
    assert_eq!(normaliser.gaps().unjoined, 0, "an echo need not be joined");
}

#[test]
fn what_the_sandbox_itself_opened_has_no_process_and_is_no_gap() {
    let mut normaliser = two();
    normaliser.observe(record(300, INIT, connect(TCP, "10.0.0.2:40000", "192.0.2.1:80")));
    let heard = normaliser.hear(said(400, Transport::Tcp, "10.0.0.2:40000", "192.0.2.1:80", stream()));
    assert_eq!(who(&heard), None);
    assert_eq!(normaliser.gaps(), Gaps::default());
}

#[test]
fn a_question_is_told_once_whoever_saw_it() {
    let mut normaliser = two();
    let (client, server) = ("10.0.0.2:5000", "192.0.2.53:53");
    let question = |time| record(time, task(11), query(client, server, "A.example"));
    normaliser.observe(Record { count: 2, ..question(300) });
    let mut check = |transport, server, said_, expected: &[&str]| {
        let heard = normaliser.hear(said(400, transport, client, server, said_));
        assert_eq!(names(&heard), expected);
        heard
    };
    use testimony::Carrier;
    check(Transport::Udp, server, answer(Carrier::Udp, "a.example", 1, "203.0.113.1"), &["dns_answer"]);
    check(
        Transport::Udp,
        server,
        answer(Carrier::Udp, "b.example", 1, "203.0.113.2"),
        &["dns", "dns_answer"],
    );
    check(Transport::Udp, server, answer(Carrier::Udp, "a.example", 1, "203.0.113.1"), &["dns_answer"]);
    check(
        Transport::Udp,
        server,
        answer(Carrier::Udp, "a.example", 1, "203.0.113.1"),
        &["dns", "dns_answer"],
    );
    let heard = check(
        Transport::Tcp,
        server,
        answer(Carrier::Tls, "a.example", 16, "203.0.113.1"),
        &["dns", "dns_answer"],
    );
    let Act::Dns(DnsAct { carrier, question: Some(question), .. }) = &heard[0].act else {
        panic!("{heard:?}")
    };
    assert_eq!(
        (*carrier, &*question.name, question.kind),
        (crate::event::Carrier::Tls, &b"a.example"[..], 16)
    );
}

#[test]
fn an_address_that_was_given_for_a_name_has_that_name_from_then_on() {
    let mut normaliser = two();
    let reach = |normaliser: &mut Normaliser<Image>, time| {
        let event = normaliser.observe(record(time, task(11), connect(TCP, "10.0.0.2:4", "203.0.113.9:443")));
        let Some(Act::Net(NetAct { action: NetAction::Connect, name, .. })) = event.map(|it| it.act) else {
            panic!("a connect")
        };
        name.map(|name| String::from_utf8_lossy(&name).into_owned())
    };
    assert_eq!(reach(&mut normaliser, 300), None);
    use testimony::Carrier;
    let told = |kind, name| {
        let answer = answer(Carrier::Https, name, kind, "203.0.113.9");
        said(310, Transport::Tcp, "10.0.0.2:5", "192.0.2.8:443", answer)
    };
    normaliser.hear(told(16, "not-an-address.example"));
    assert_eq!(reach(&mut normaliser, 320), None);
    normaliser.hear(told(1, "Evil.example"));
    assert_eq!(reach(&mut normaliser, 330).as_deref(), Some("evil.example"));
    let heard = normaliser.hear(said(340, Transport::Tcp, "10.0.0.2:4", "203.0.113.9:443", stream()));
    let flow = heard[0].act.flow().unwrap();
    assert_eq!(flow.name.as_deref(), Some(&b"evil.example"[..]));
    // A name that the client only claims is none of the address.
    let hello = testimony::Tls {
        server_name: Some(b"Front.example".to_vec()),
        alpn: vec![b"h2".to_vec()],
        ja4: "t13".into(),
        outcome: testimony::Handshake::Refused { alert: "unknown_ca".into() },
    };
    let heard =
        normaliser.hear(said(350, Transport::Tcp, "10.0.0.2:4", "203.0.113.10:443", Said::Tls(hello)));
    let Act::Tls(act) = &heard[0].act else { panic!("{heard:?}") };
    assert_eq!(act.server_name.as_deref(), Some(&b"front.example"[..]));
    assert_eq!(act.flow.name, None);
}

#[test]
fn a_testimony_expects_its_connect_and_its_question() {
    let mut normaliser = two();
    let (client, server) = ("10.0.0.2:5000", "192.0.2.53:53");
    let question = answer(testimony::Carrier::Udp, "a.example", 1, "203.0.113.1");
    let asked = said(290, Transport::Udp, client, server, question);
    let sent = said(290, Transport::Udp, client, server, stream());
    assert!(normaliser.expects(&asked) && normaliser.expects(&sent));
    normaliser.observe(record(295, task(11), connect(UDP, client, server)));
    assert!(normaliser.expects(&asked) && !normaliser.expects(&sent));
    normaliser.observe(record(300, task(11), query(client, server, "a.example")));
    assert!(!normaliser.expects(&asked));
    let early = Testimony { time: 299 - 10, ..sent };
    assert!(!normaliser.expects(&early));
    normaliser.observe(record(SLACK + 1000, task(11), connect(TCP, "10.0.0.2:1", "192.0.2.1:1")));
    assert!(normaliser.expects(&said(999, Transport::Tcp, "10.0.0.2:1", "192.0.2.1:1", stream())));
}

#[test]
fn what_the_world_lost_is_a_gap_and_so_is_what_belongs_nowhere() {
    let mut normaliser = two();
    for what in [Loss::Datagrams, Loss::Packets, Loss::Connections, Loss::Testimony, Loss::Testimony] {
        let said = Said::Lost { what, count: 2 };
        assert_eq!(normaliser.hear(Testimony { time: 1, flow: None, said }), []);
    }
    let world = WorldLosses { datagrams: 2, packets: 2, connections: 2, testimony: 4 };
    assert_eq!(normaliser.gaps(), Gaps { world, ..Gaps::default() });
    assert_eq!(normaliser.hear(Testimony { time: 1, flow: None, said: stream() }), []);
    assert_eq!(normaliser.gaps().unreadable, 1);
}
