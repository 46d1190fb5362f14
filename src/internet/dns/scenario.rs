//! What a scenario says about a name.

use std::net::IpAddr;

use hickory_proto::op::Query;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::super::address::AddressBook;
use super::super::scenario as file;
use super::super::world::World;
use super::{Found, name, records};

/// Aliases of aliases that are followed.
const ALIASES_MAX: usize = 8;
/// Of one string of a TXT record (RFC 1035, 3.3).
const STRING_MAX: usize = 255;

/// `None`: nothing of this kind, so that it is answered as of any other name.
pub(super) fn find(
    world: &World,
    book: &mut AddressBook,
    question: &Query,
    said: &file::Name,
) -> Option<Found> {
    if let Some(alias) = &said.cname {
        return Some(Found { answers: follow(world, book, question, alias), ..Found::default() });
    }
    let data = match question.query_type() {
        RecordType::A | RecordType::AAAA if said.addresses.is_empty() => return None,
        kind @ (RecordType::A | RecordType::AAAA) => addresses(&said.addresses, kind),
        RecordType::TXT if !said.txt.is_empty() => {
            said.txt.iter().map(|text| RData::TXT(txt(text))).collect()
        }
        RecordType::MX if !said.mx.is_empty() => exchanges(&said.mx),
        _ => return None,
    };
    Some(records::with(question, data))
}

fn addresses(addresses: &[IpAddr], kind: RecordType) -> Vec<RData> {
    let data = addresses.iter().map(|address| match address {
        IpAddr::V4(address) => RData::A(A(*address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
    });
    data.filter(|data| data.record_type() == kind).collect()
}

fn exchanges(hosts: &[String]) -> Vec<RData> {
    let hosts = hosts.iter().filter_map(|host| name::parse(host.as_bytes()));
    (1..).zip(hosts).map(|(place, host)| RData::MX(MX::new(place * 10, host))).collect()
}

fn txt(text: &str) -> TXT {
    TXT::from_bytes(text.as_bytes().chunks(STRING_MAX).collect())
}

/// The alias, and what it leads to.
fn follow(world: &World, book: &mut AddressBook, question: &Query, alias: &str) -> Vec<Record> {
    let mut answers = Vec::new();
    let (mut owner, mut alias) = (question.name().clone(), alias.to_owned());
    for _ in 0..ALIASES_MAX {
        let Some(target) = name::parse(alias.as_bytes()) else { break };
        answers.push(Record::from_rdata(owner, records::TTL, RData::CNAME(CNAME(target.clone()))));
        match world.scenario.name(&alias).and_then(|said| said.cname.clone()) {
            Some(next) => (owner, alias) = (target, next),
            None => {
                answers.extend(at(world, book, question, target));
                break;
            }
        }
    }
    answers
}

fn at(world: &World, book: &mut AddressBook, question: &Query, target: Name) -> Vec<Record> {
    if question.query_type() == RecordType::CNAME {
        return Vec::new();
    }
    let question = Query::query(target, question.query_type());
    records::find(world, book, &question).answers
}
