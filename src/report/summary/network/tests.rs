use std::time::Duration;

use super::*;
use crate::event::{EventId, File, FileAct, FileKind, OpenMode, Origin, Outcome, Phase};

fn text(text: &str) -> Bytes {
    Bytes::from(text.as_bytes())
}

fn said(protocol: Protocol, client: &str, server: &str) -> Said {
    let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
    Said { protocol, client, server, name: Some(text("evil.example")) }
}

fn tcp() -> Said {
    said(Protocol::Tcp, "10.0.0.2:40000", "203.0.113.9:443")
}

fn summary(acts: Vec<Act>) -> (Network, Vec<BaitUse>, u64) {
    let mut summary = NetworkSummary::new();
    for (index, act) in acts.into_iter().enumerate() {
        summary.observe(&event(index, act));
    }
    summary.finish()
}

fn event(index: usize, act: Act) -> Event {
    Event {
        id: EventId(index as u64 + 1),
        at: Duration::from_secs(index as u64),
        phase: Phase::Start,
        process: None,
        act,
        outcome: Outcome::Done,
        count: 1,
        cut: false,
    }
}

fn net(action: NetAction) -> Act {
    let remote = Some(Endpoint::Inet("203.0.113.9:443".parse().unwrap()));
    let name = Some(text("evil.example"));
    Act::Net(NetAct { action, protocol: Protocol::Tcp, local: None, remote, name })
}

fn stream(flow: Said, sent: u64, received: u64) -> Act {
    let (service, first) = (text("raw"), text("hello\x1b"));
    Act::Stream(StreamAct { flow, service, first, sent, received, datagrams: 0 })
}

#[test]
fn a_flow_has_its_name_bytes_and_first_words_whoever_counted_them() {
    let ended = net(NetAction::Close { sent: 100, received: 7 });
    let (network, ..) = summary(vec![net(NetAction::Connect), stream(tcp(), 90, 9), ended]);
    let [flow] = &network.flows[..] else { panic!("{network:?}") };
    assert_eq!((flow.name.as_deref(), flow.port), (Some("evil.example"), Some(443)));
    assert_eq!((flow.sent, flow.received, flow.count), (100, 9, 1));
    assert_eq!(flow.service.as_deref(), Some("raw"));
    assert!(flow.first.as_ref().unwrap().starts_with("hello"));
}

#[test]
fn datagrams_are_told_with_their_sum_and_counted_once() {
    let udp = |port: u16| said(Protocol::Udp, &format!("10.0.0.2:{port}"), "203.0.113.9:99");
    let (network, ..) = summary(vec![stream(udp(1), 10, 1), stream(udp(1), 30, 1), stream(udp(2), 5, 0)]);
    let [flow] = &network.flows[..] else { panic!("{network:?}") };
    assert_eq!((flow.sent, flow.received, flow.count), (35, 1, 1));
}

#[test]
fn a_datagram_socket_that_sent_nothing_is_no_flow() {
    let udp = |action, port: u16| {
        let remote = Some(Endpoint::Inet(([203, 0, 113, 9], port).into()));
        Act::Net(NetAct { action, protocol: Protocol::Udp, local: None, remote, name: None })
    };
    let (connect, silent) = (NetAction::Connect, NetAction::Close { sent: 0, received: 0 });
    let spoke = NetAction::Close { sent: 9, received: 0 };
    let acts = [(connect, 1), (connect, 2), (connect, 2), (silent, 1), (spoke, 2), (NetAction::Send, 3)];
    let (network, ..) = summary(acts.into_iter().map(|(action, port)| udp(action, port)).collect());
    let flows: Vec<_> = network.flows.iter().map(|it| (it.port, it.count, it.sent)).collect();
    assert_eq!(flows, [(Some(2), 2, 9), (Some(3), 1, 0)]);
}

#[test]
fn a_flow_to_a_name_server_says_so() {
    let server = "10.0.0.2:53";
    let remote = Some(Endpoint::Inet(server.parse().unwrap()));
    let protocol = Protocol::Udp;
    let connect = Act::Net(NetAct { action: NetAction::Connect, protocol, local: None, remote, name: None });
    let question = Some(Question { name: text("a.example"), kind: 1 });
    let flow = said(protocol, "10.0.0.9:40000", server);
    let answered =
        Act::DnsAnswer(DnsAnswer { flow, carrier: Carrier::Udp, question, code: 0, addresses: vec![] });
    let (network, ..) = summary(vec![connect, answered]);
    assert_eq!(network.flows[0].service.as_deref(), Some("dns"));
}

#[test]
fn a_question_and_its_answer_are_one_entry() {
    let question = Some(Question { name: text("a.example"), kind: 1 });
    let asked = Act::Dns(DnsAct { server: None, carrier: Carrier::Udp, question: question.clone() });
    let addresses = vec!["203.0.113.9".parse().unwrap()];
    let answered =
        Act::DnsAnswer(DnsAnswer { flow: tcp(), carrier: Carrier::Https, question, code: 0, addresses });
    let (network, ..) = summary(vec![asked.clone(), answered, asked]);
    let [question] = &network.dns[..] else { panic!("{network:?}") };
    assert_eq!((question.count, question.code), (2, Some(0)));
    assert_eq!(question.addresses, ["203.0.113.9"]);
    assert_eq!(question.carriers, ["udp", "https"]);
}

#[test]
fn requests_that_are_alike_are_counted_with_all_their_bytes() {
    let http = |target: &str, body: &str| {
        Act::Http(HttpAct {
            flow: tcp(),
            secure: true,
            server_name: None,
            version: text("2"),
            method: text("POST"),
            host: text("evil.example"),
            target: text(target),
            headers: vec![text("user-agent: curl/8")],
            headers_omitted: 0,
            body: text(body),
            body_size: 10,
            status: 200,
            service: text("web"),
        })
    };
    let (network, ..) =
        summary(vec![net(NetAction::Connect), http("/a", ""), http("/a", "x"), http("/b", "")]);
    let shown: Vec<_> = network.http.iter().map(|it| (it.target.as_str(), it.count, it.body_size)).collect();
    assert_eq!(shown, [("/a", 2, 20), ("/b", 1, 10)]);
    assert_eq!(
        (network.http[0].body.as_deref(), network.http[0].user_agent.as_deref()),
        (Some("x"), Some("curl/8"))
    );
    assert_eq!(network.flows[0].service.as_deref(), Some("https"));
    assert_eq!(network.flows[0].first.as_deref(), Some("POST /a"));
}

#[test]
fn a_decoy_is_told_by_what_became_of_it() {
    let bait = |used_at: Option<&str>| {
        Act::Bait(BaitAct {
            flow: tcp(),
            name: text("aws-credentials"),
            field: text("token"),
            encoding: text("base64"),
            place: text("https"),
            used_at: used_at.map(text),
        })
    };
    let (_, baits, omitted) = summary(vec![bait(None), bait(None), bait(Some("aws"))]);
    let shown: Vec<_> = baits.iter().map(|it| (it.what, it.place.as_str(), it.count, it.event)).collect();
    assert_eq!(shown, [(BaitDeed::CarriedOff, "https", 2, 1), (BaitDeed::Used, "aws", 1, 3)]);
    assert_eq!((omitted, baits[0].remote.as_deref()), (0, Some("evil.example:443")));
}

#[test]
fn a_decoy_that_was_read_is_told_with_its_place_and_count() {
    let mut summary = crate::report::Summary::new(&[]);
    let read = OpenMode { read: true, ..OpenMode::default() };
    let open = |bait: Option<&str>, mode| {
        let path = text("/root/.aws/credentials");
        let (kind, origin) = (FileKind::Regular, Origin::Written);
        let file = File { path, verified: true, inode: None, kind, origin, bait: bait.map(text) };
        Act::File(FileAct::Open { file, mode })
    };
    let acts = [
        open(Some("aws"), read),
        open(Some("aws"), read),
        open(None, read),
        open(Some("x"), OpenMode::default()),
    ];
    for (index, act) in acts.into_iter().enumerate() {
        summary.observe(&event(index, act));
    }
    let behaviour = summary.finish();
    let [bait] = &behaviour.baits[..] else { panic!("{behaviour:?}") };
    assert_eq!((bait.bait.as_str(), bait.what, bait.count), ("aws", BaitDeed::Read, 2));
    assert_eq!((bait.place.as_str(), &bait.remote, &bait.field), ("/root/.aws/credentials", &None, &None));
}

#[test]
fn what_does_not_fit_is_counted() {
    let flow = |port: usize| said(Protocol::Udp, "10.0.0.2:1", &format!("203.0.113.9:{port}"));
    let (network, ..) = summary((1..=FLOWS_MAX + 5).map(|port| stream(flow(port), 1, 0)).collect());
    assert_eq!((network.flows.len(), network.flows_omitted), (FLOWS_MAX, 5));
}
