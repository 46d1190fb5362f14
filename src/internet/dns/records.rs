//! The records of a name: what a scenario says, what is known by heart, and else what an ordinary host
//! of that name would have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::super::address::AddressBook;
use super::super::world::World;
use super::Found;
use super::name;
use super::scenario;

/// Seconds.
pub(super) const TTL: u32 = 300;
/// Of a SOA: refresh, retry, expire, minimum.
const TIMES: (i32, i32, i32, u32) = (7200, 900, 1_209_600, 300);

/// The cloud's metadata service, on every cloud.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The first address of a cluster's usual range for services.
const KUBERNETES: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Names whose address everybody knows.
const KNOWN: [(&str, Ipv4Addr); 8] = [
    ("metadata.google.internal", METADATA),
    ("metadata", METADATA),
    ("instance-data", METADATA),
    ("instance-data.ec2.internal", METADATA),
    ("kubernetes", KUBERNETES),
    ("kubernetes.default", KUBERNETES),
    ("kubernetes.default.svc", KUBERNETES),
    ("kubernetes.default.svc.cluster.local", KUBERNETES),
];
/// Ports of the services that are looked up by SRV.
const PORTS: [(&[u8], u16); 10] = [
    (b"_kerberos", 88),
    (b"_ldap", 389),
    (b"_submission", 587),
    (b"_imaps", 993),
    (b"_sip", 5060),
    (b"_xmpp-client", 5222),
    (b"_xmpp-server", 5269),
    (b"_minecraft", 25565),
    (b"_mongodb", 27017),
    (b"_etcd-client", 2379),
];

/// The answer to a question of class IN.
pub(super) fn find(world: &World, book: &mut AddressBook, question: &Query) -> Found {
    let text = name::text(question.name());
    let known = String::from_utf8_lossy(&text);
    if let Some(said) = world.scenario.name(&known).and_then(|it| scenario::find(world, book, question, it)) {
        return said;
    }
    if world.scenario.is_nxdomain(&known) {
        return no_such_name(question);
    }
    if let Some(fixed) = fixed(world, &known) {
        return given(question, fixed);
    }
    match question.query_type() {
        _ if text.ends_with(b".arpa") => reverse(world, book, question),
        // Of the root and of what has no host only the resolver itself has records.
        _ if text.is_empty() => with(question, Vec::new()),
        kind => with(question, ordinary(book, question.name(), &text, kind)),
    }
}

/// Addresses that a name has by definition: one of each family, or none of it.
pub(super) fn fixed(world: &World, name: &str) -> Option<(Option<Ipv4Addr>, Option<Ipv6Addr>)> {
    if name == "localhost" || name.ends_with(".localhost") {
        return Some((Some(Ipv4Addr::LOCALHOST), Some(Ipv6Addr::LOCALHOST)));
    }
    if name == world.hostname.to_lowercase() {
        return Some((Some(world.client.0), Some(world.client.1)));
    }
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    known.map(|(_, address)| (Some(*address), None))
}

fn given(question: &Query, (v4, v6): (Option<Ipv4Addr>, Option<Ipv6Addr>)) -> Found {
    let kind = question.query_type();
    let wanted = |it: RecordType| kind == it || kind == RecordType::ANY;
    let v4 = v4.filter(|_| wanted(RecordType::A)).map(|it| RData::A(A(it)));
    let v6 = v6.filter(|_| wanted(RecordType::AAAA)).map(|it| RData::AAAA(AAAA(it)));
    with(question, v4.into_iter().chain(v6).collect())
}

/// The records in answer, or where there are none the zone's SOA (RFC 2308, 2.2).
pub(super) fn with(question: &Query, data: Vec<RData>) -> Found {
    let record = |data| Record::from_rdata(question.name().clone(), TTL, data);
    let answers: Vec<Record> = data.into_iter().map(record).collect();
    let authority = if answers.is_empty() { vec![start(question.name())] } else { Vec::new() };
    Found { code: None, answers, authority }
}

fn no_such_name(question: &Query) -> Found {
    Found { code: Some(ResponseCode::NXDomain), answers: Vec::new(), authority: vec![start(question.name())] }
}

fn reverse(world: &World, book: &AddressBook, question: &Query) -> Found {
    let network = question.name().parse_arpa_name().ok();
    let address = network.filter(|it| it.prefix_len() == it.max_prefix_len()).map(|it| it.addr());
    match address.and_then(|it| host(world, book, it)) {
        Some(name) if question.query_type() == RecordType::PTR => with(question, vec![RData::PTR(PTR(name))]),
        Some(_) => with(question, Vec::new()),
        None => no_such_name(question),
    }
}

fn host(world: &World, book: &AddressBook, address: IpAddr) -> Option<Name> {
    let own = address == world.client.0 || address == world.client.1;
    match (own, address.is_loopback()) {
        (true, _) => name::parse(world.hostname.as_bytes()),
        (_, true) => name::parse(b"localhost"),
        _ => name::parse(book.name(address)?),
    }
}

fn ordinary(book: &mut AddressBook, name: &Name, text: &[u8], kind: RecordType) -> Vec<RData> {
    match kind {
        RecordType::A => vec![RData::A(A(book.v4(text)))],
        RecordType::AAAA => vec![RData::AAAA(AAAA(book.v6(text)))],
        RecordType::MX => vec![RData::MX(MX::new(10, below(name, "mail")))],
        RecordType::NS => ["ns1", "ns2"].map(|host| RData::NS(NS(below(&zone(name), host)))).into(),
        RecordType::SOA => vec![start(name).into_data()],
        RecordType::TXT => vec![RData::TXT(TXT::new(vec![note(text)]))],
        RecordType::SRV => vec![RData::SRV(service(name))],
        RecordType::ANY => [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::NS, RecordType::TXT]
            .into_iter()
            .flat_map(|kind| ordinary(book, name, text, kind))
            .collect(),
        _ => Vec::new(),
    }
}

fn note(name: &[u8]) -> String {
    match name.starts_with(b"_dmarc.") {
        true => "v=DMARC1; p=none".into(),
        false => "v=spf1 a mx ~all".into(),
    }
}

/// Of `_service._proto.host`: the host, at the port that the service is known for.
fn service(name: &Name) -> SRV {
    let first = name.iter().next().unwrap_or_default().to_ascii_lowercase();
    let port = PORTS.iter().find(|(service, _)| *service == &first[..]).map_or(443, |(_, port)| *port);
    let hosts = name.iter().filter(|label| !label.starts_with(b"_"));
    let host = Name::from_labels(hosts).unwrap_or_else(|_| name.clone());
    SRV::new(10, 10, port, host)
}

fn start(name: &Name) -> Record {
    let zone = zone(name);
    let (refresh, retry, expire, minimum) = TIMES;
    let [server, mail] = ["ns1", "hostmaster"].map(|host| below(&zone, host));
    let soa = SOA::new(server, mail, 2_026_010_101, refresh, retry, expire, minimum);
    Record::from_rdata(zone, TTL, RData::SOA(soa))
}

/// The last two labels: what one registers.
fn zone(name: &Name) -> Name {
    name.trim_to(2)
}

/// A host below a name; the name itself where it is as long as names can be.
fn below(name: &Name, host: &str) -> Name {
    name.prepend_label(host).unwrap_or_else(|_| name.clone())
}
