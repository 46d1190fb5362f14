//! The records that a scenario gives a name.

use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use super::super::scenario;
use super::name;

/// `None`: the scenario says nothing of this kind, and the name is answered for as any other.
pub fn records(entry: &scenario::Name, kind: RecordType) -> Option<Vec<RData>> {
    let said = match kind {
        RecordType::A | RecordType::AAAA => return addresses(entry, kind),
        RecordType::TXT => entry.txt.iter().map(|text| RData::TXT(TXT::new(strings(text)))).collect(),
        RecordType::MX => exchanges(entry),
        RecordType::ANY => {
            let kinds = [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::TXT];
            kinds.into_iter().filter_map(|kind| records(entry, kind)).flatten().collect()
        }
        _ => Vec::new(),
    };
    Some(said).filter(|said: &Vec<RData>| !said.is_empty())
}

/// The name that the scenario says it is another name of.
pub fn alias(entry: &scenario::Name) -> Option<Name> {
    name::parse(entry.cname.as_ref()?.as_bytes())
}

pub fn cname(target: Name) -> RData {
    RData::CNAME(CNAME(target))
}

/// Where addresses are said, a family without one has none.
fn addresses(entry: &scenario::Name, kind: RecordType) -> Option<Vec<RData>> {
    let record = |address: &IpAddr| match address {
        IpAddr::V4(address) if kind == RecordType::A => Some(RData::A(A(*address))),
        IpAddr::V6(address) if kind == RecordType::AAAA => Some(RData::AAAA(AAAA(*address))),
        _ => None,
    };
    (!entry.addresses.is_empty()).then(|| entry.addresses.iter().filter_map(record).collect())
}

fn exchanges(entry: &scenario::Name) -> Vec<RData> {
    let names = entry.mx.iter().filter_map(|host| name::parse(host.as_bytes()));
    (1u16..).zip(names).map(|(place, host)| RData::MX(MX::new(place.saturating_mul(10), host))).collect()
}

/// A text record is strings of at most 255 bytes (RFC 1035, 3.3.14); ours need not end at characters.
fn strings(text: &str) -> Vec<String> {
    let mut strings = vec![String::new()];
    for c in text.chars() {
        let last = strings.last_mut().expect("one at least");
        match last.len() + c.len_utf8() <= 255 {
            true => last.push(c),
            false => strings.push(c.to_string()),
        }
    }
    strings
}
