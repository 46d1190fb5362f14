//! What a resolver of the world answers, asked with messages as a stub resolver writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use super::super::address::AddressBook;
use super::super::testimony::{Carrier, Question};
use super::super::world::{Scenario, World};
use super::*;

fn world() -> World {
    World {
        hostname: "web-1".into(),
        client: (Ipv4Addr::new(172, 17, 0, 2), Ipv6Addr::LOCALHOST),
        gateway: (Ipv4Addr::new(172, 17, 0, 1), Ipv6Addr::LOCALHOST),
        resolver: IpAddr::from([172, 17, 0, 1]),
        now: 1_790_000_000,
        baits: Default::default(),
        scenario: Scenario::default(),
        capture_max: 0,
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new();
    message.set_id(7).set_recursion_desired(true);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn ask(book: &mut AddressBook, message: &Message) -> (Message, Dns) {
    let reply = reply(&world(), book, &message.to_vec().unwrap(), Carrier::Udp);
    (Message::from_vec(&reply.bytes).unwrap(), reply.said)
}

/// The data of the answers, as text.
fn check(name: &str, kind: RecordType, expected: &[&str]) {
    let (answer, said) = ask(&mut AddressBook::new(), &query(name, kind));
    let data: Vec<String> = answer.answers().iter().map(|record| record.data().to_string()).collect();
    assert_eq!(data, expected, "{name} {kind}");
    assert_eq!((answer.id(), answer.response_code()), (7, ResponseCode::NoError));
    assert_eq!(said.question.unwrap().kind, u16::from(kind));
    assert_eq!(answer.name_servers().is_empty(), !expected.is_empty(), "a SOA stands for no data");
}

#[test]
fn every_name_resolves_and_the_answer_is_told() {
    let mut book = AddressBook::new();
    let (answer, said) = ask(&mut book, &query("C2.Evil.example.", RecordType::A));
    let RData::A(address) = answer.answers()[0].data() else { panic!("{answer:?}") };
    assert_eq!(answer.answers()[0].name().to_string(), "C2.Evil.example.", "letters as they were asked");
    assert_eq!(book.name(address.0.into()), Some(&b"c2.evil.example"[..]));
    let question = Question { name: b"c2.evil.example".to_vec(), kind: 1 };
    let expected =
        Dns { carrier: Carrier::Udp, question: Some(question), code: 0, addresses: vec![address.0.into()] };
    assert_eq!(said, expected);
    let pointer = Name::from(IpAddr::from(address.0));
    let (answer, _) = ask(&mut book, &query(&pointer.to_string(), RecordType::PTR));
    assert_eq!(answer.answers()[0].data().to_string(), "c2.evil.example.");
    let (answer, _) = ask(&mut book, &query("c2.evil.example.", RecordType::AAAA));
    let RData::AAAA(address) = answer.answers()[0].data() else { panic!("{answer:?}") };
    assert_eq!(book.name(address.0.into()), Some(&b"c2.evil.example"[..]));
}

#[test]
fn each_kind_of_question_has_a_plausible_answer() {
    check("a.example.", RecordType::MX, &["10 mail.a.example."]);
    check("www.a.example.", RecordType::NS, &["ns1.a.example.", "ns2.a.example."]);
    check("a.example.", RecordType::TXT, &["v=spf1 a mx ~all"]);
    check("_dmarc.a.example.", RecordType::TXT, &["v=DMARC1; p=none"]);
    check("_xmpp-server._tcp.a.example.", RecordType::SRV, &["10 10 5269 a.example."]);
    check("_x._tcp.a.example.", RecordType::SRV, &["10 10 443 a.example."]);
    for kind in [RecordType::HTTPS, RecordType::SVCB, RecordType::CNAME, RecordType::CAA, RecordType::NULL] {
        check("a.example.", kind, &[]);
    }
    let (answer, said) = ask(&mut AddressBook::new(), &query("a.example.", RecordType::ANY));
    assert_eq!(answer.answers().len(), 6);
    assert_eq!(said.addresses.len(), 2);
}

#[test]
fn names_with_an_address_of_their_own_keep_it() {
    check("metadata.google.internal.", RecordType::A, &["169.254.169.254"]);
    check("metadata.google.internal.", RecordType::AAAA, &[]);
    check("kubernetes.default.svc.", RecordType::A, &["10.96.0.1"]);
    check("kubernetes.default.svc.cluster.local.", RecordType::A, &["10.96.0.1"]);
    check("localhost.", RecordType::A, &["127.0.0.1"]);
    check("localhost.", RecordType::AAAA, &["::1"]);
    check("WEB-1.", RecordType::A, &["172.17.0.2"]);
    check("2.0.17.172.in-addr.arpa.", RecordType::PTR, &["web-1."]);
}

#[test]
fn an_address_that_nobody_was_given_has_no_name() {
    for name in ["8.8.8.8.in-addr.arpa.", "8.in-addr.arpa.", "x.arpa."] {
        let (answer, said) = ask(&mut AddressBook::new(), &query(name, RecordType::PTR));
        assert_eq!(answer.response_code(), ResponseCode::NXDomain, "{name}");
        assert_eq!(said.code, 3);
    }
}

#[test]
fn what_no_resolver_does_is_turned_away() {
    let mut update = query("a.example.", RecordType::A);
    update.set_op_code(OpCode::Update);
    let mut chaos = query("version.bind.", RecordType::TXT);
    chaos.queries_mut()[0].set_query_class(DNSClass::CH);
    let mut two = query("a.example.", RecordType::A);
    two.add_query(Query::query(Name::from_str("b.example.").unwrap(), RecordType::A));
    let mut new = query("a.example.", RecordType::A);
    new.set_edns(Edns::new().set_version(1).clone());
    let none = Message::new();
    let cases = [
        (update, ResponseCode::NotImp),
        (chaos, ResponseCode::Refused),
        (query("a.example.", RecordType::AXFR), ResponseCode::Refused),
        (two, ResponseCode::FormErr),
        (none, ResponseCode::FormErr),
        (new, ResponseCode::BADVERS),
    ];
    for (message, code) in cases {
        let (answer, said) = ask(&mut AddressBook::new(), &message);
        assert_eq!(said.code, u16::from(code), "{message:?}");
        assert_eq!(answer.response_code().low(), code.low(), "{message:?}");
        assert!(answer.answers().is_empty());
    }
}

#[test]
fn what_is_no_message_gets_an_error_as_far_as_it_can_get_one() {
    let right = query("secret.evil.example.", RecordType::A).to_vec().unwrap();
    let cut = |length: usize| reply(&world(), &mut AddressBook::new(), &right[..length], Carrier::Udp);
    for length in 0..right.len() {
        let reply = cut(length);
        assert_eq!((reply.said.code, reply.said.question), (1, None), "{length}");
        assert_eq!(reply.bytes.is_empty(), length < 12, "{length}");
    }
    // One additional record is announced and is none: the question is told all the same.
    let mut lying = right.clone();
    lying[11] = 1;
    let reply = reply(&world(), &mut AddressBook::new(), &lying, Carrier::Udp);
    assert_eq!(reply.said.question.unwrap().name, b"secret.evil.example");
    assert_eq!(reply.said.code, 1);
}

#[test]
fn an_answer_is_not_answered() {
    let mut answer = query("a.example.", RecordType::A);
    answer.set_message_type(MessageType::Response);
    let reply = reply(&world(), &mut AddressBook::new(), &answer.to_vec().unwrap(), Carrier::Udp);
    assert_eq!(reply.bytes, b"");
}

#[test]
fn a_large_answer_is_cut_for_who_cannot_take_it() {
    // Names of full length in every record.
    let label = "x".repeat(60);
    let name = format!("{label}.{label}.{label}.{}.", "y".repeat(55));
    let message = query(&name, RecordType::ANY);
    let whole = reply(&world(), &mut AddressBook::new(), &message.to_vec().unwrap(), Carrier::Tcp).bytes;
    let (answer, _) = ask(&mut AddressBook::new(), &message);
    let fits = whole.len() <= 512;
    assert_eq!(answer.truncated(), !fits, "{} bytes", whole.len());
    assert!(!Message::from_vec(&whole).unwrap().truncated());
    let mut edns = query(&name, RecordType::ANY);
    edns.set_edns(Edns::new().set_max_payload(4096).clone());
    let (answer, _) = ask(&mut AddressBook::new(), &edns);
    assert!(!answer.truncated());
    assert_eq!(answer.max_payload(), 1232);
}

#[test]
fn no_byte_of_a_question_does_harm() {
    let mut right = query("www.a.example.", RecordType::A);
    right.set_edns(Edns::new());
    let right = right.to_vec().unwrap();
    let mut book = AddressBook::new();
    for at in 0..right.len() {
        for value in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
            let mut wrong = right.clone();
            wrong[at] = value;
            reply(&world(), &mut book, &wrong, Carrier::Udp);
        }
    }
}

#[test]
fn a_scenario_is_heard_before_everything_else() {
    let text = "names:
  - { name: c2.example, addresses: [203.0.113.5], txt: [one, two], mx: [b.example, a.example] }
  - { name: www.example, cname: c2.example }
  - { name: loop.example, cname: loop.example }
refuse: { names: ['*.dga.example'] }
";
    let scenario = Scenario::parse("s.yaml", text.as_bytes(), &mut |_, _| unreachable!()).unwrap();
    let world = World { scenario, ..world() };
    let check = |name: &str, kind: RecordType, code: ResponseCode, expected: &[&str]| {
        let message = query(name, kind).to_vec().unwrap();
        let reply = reply(&world, &mut AddressBook::new(), &message, Carrier::Udp);
        let answer = Message::from_vec(&reply.bytes).unwrap();
        let data: Vec<String> = answer.answers().iter().map(|record| record.data().to_string()).collect();
        assert_eq!(
            (answer.response_code(), data),
            (code, expected.iter().map(|it| (*it).to_owned()).collect()),
            "{name}"
        );
    };
    let good = ResponseCode::NoError;
    check("C2.example.", RecordType::A, good, &["203.0.113.5"]);
    check("c2.example.", RecordType::AAAA, good, &[]);
    check("c2.example.", RecordType::TXT, good, &["one", "two"]);
    check("c2.example.", RecordType::MX, good, &["10 b.example.", "20 a.example."]);
    check("c2.example.", RecordType::NS, good, &["ns1.c2.example.", "ns2.c2.example."]);
    check("www.example.", RecordType::A, good, &["c2.example.", "203.0.113.5"]);
    check("www.example.", RecordType::CNAME, good, &["c2.example."]);
    check("x.dga.example.", RecordType::A, ResponseCode::NXDomain, &[]);
    let message = query("loop.example.", RecordType::A).to_vec().unwrap();
    assert!(!reply(&world, &mut AddressBook::new(), &message, Carrier::Udp).bytes.is_empty());
}
