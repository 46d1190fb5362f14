//! Answers DNS messages: every resolver in the world knows every name.
//!
//! A function from a message to its answer, whatever carried it. What cannot be read is answered with
//! FORMERR, as far as it has an id to answer to; what a resolver does not do is refused.
//!
//! Not here: sockets, and which address a name has ([`super::address`]).

mod name;
mod records;
mod scenario;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use hickory_proto::op::{Edns, Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::address::AddressBook;
use super::testimony::{Carrier, Dns, Question};
use super::world::World;

pub use name::{parse, text};

/// A resolver's answer in one datagram is no larger, whatever the client could take (the DNS flag day's
/// value, which passes every link).
const DATAGRAM_MAX: u16 = 1232;
/// Without EDNS (RFC 1035, 2.3.4).
const PLAIN_MAX: u16 = 512;
/// What we offer in EDNS.
const PAYLOAD: u16 = DATAGRAM_MAX;

/// What to send back, and what to tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Empty: nothing to send.
    pub bytes: Vec<u8>,
    pub said: Dns,
    /// The name in the letters that it was asked with; empty where there is none.
    pub spelt: Vec<u8>,
}

/// What the records of an answer come to.
#[derive(Debug, Default)]
struct Found {
    code: Option<ResponseCode>,
    answers: Vec<Record>,
    authority: Vec<Record>,
}

/// Whether it is a well-formed question.
pub fn is_question(message: &[u8]) -> bool {
    let read = Message::from_vec(message);
    read.is_ok_and(|it| it.message_type() == MessageType::Query && !it.queries().is_empty())
}

/// Answers one message.
pub fn reply(world: &World, book: &mut AddressBook, message: &[u8], carrier: Carrier) -> Reply {
    match Message::from_vec(message) {
        Ok(query) if query.message_type() == MessageType::Query => {
            answer(world, book, &query, carrier).unwrap_or_else(|| malformed(message, carrier))
        }
        // An answer that nobody asked for is answered by nobody.
        Ok(_) => Reply {
            bytes: Vec::new(),
            said: said(None, ResponseCode::FormErr, &[], carrier),
            spelt: Vec::new(),
        },
        Err(_) => malformed(message, carrier),
    }
}

/// `None`: our own answer cannot be written.
fn answer(world: &World, book: &mut AddressBook, query: &Message, carrier: Carrier) -> Option<Reply> {
    let question = query.queries().first();
    let found = match refusal(query) {
        Some(code) => Found { code: Some(code), ..Found::default() },
        None => question.map(|it| records::find(world, book, it)).unwrap_or_default(),
    };
    let code = found.code.unwrap_or(ResponseCode::NoError);
    let said = said(question, code, &found.answers, carrier);
    let bytes = write(query, found, code, carrier)?;
    Some(Reply { bytes, said, spelt: spelt(question) })
}

/// The code with which a resolver turns a well-formed message away.
fn refusal(query: &Message) -> Option<ResponseCode> {
    let [question] = query.queries() else { return Some(ResponseCode::FormErr) };
    let version = query.extensions().as_ref().map_or(0, Edns::version);
    match (query.op_code(), question.query_class(), question.query_type()) {
        _ if version > 0 => Some(ResponseCode::BADVERS),
        (OpCode::Query, DNSClass::IN | DNSClass::ANY, RecordType::AXFR | RecordType::IXFR) => {
            Some(ResponseCode::Refused)
        }
        (OpCode::Query, DNSClass::IN | DNSClass::ANY, _) => None,
        (OpCode::Query, ..) => Some(ResponseCode::Refused),
        _ => Some(ResponseCode::NotImp),
    }
}

fn said(question: Option<&Query>, code: ResponseCode, answers: &[Record], carrier: Carrier) -> Dns {
    let question = question.map(|it| Question { name: text(it.name()), kind: it.query_type().into() });
    let addresses = answers.iter().filter_map(address).collect();
    Dns { carrier, question, code: code.into(), addresses }
}

fn spelt(question: Option<&Query>) -> Vec<u8> {
    question.map(|it| name::spelt(it.name())).unwrap_or_default()
}

fn address(record: &Record) -> Option<IpAddr> {
    match record.data() {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

fn write(query: &Message, found: Found, code: ResponseCode, carrier: Carrier) -> Option<Vec<u8>> {
    let mut reply = Message::new();
    reply.set_id(query.id()).set_message_type(MessageType::Response).set_op_code(query.op_code());
    reply.set_recursion_desired(query.recursion_desired()).set_recursion_available(true);
    reply.set_checking_disabled(query.checking_disabled()).set_response_code(code);
    reply.add_queries(query.queries().iter().take(1).cloned());
    if query.extensions().is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD).set_rcode_high(code.high());
        reply.set_edns(edns);
    }
    reply.add_answers(found.answers).add_name_servers(found.authority);
    let bytes = reply.to_vec().ok()?;
    match bytes.len() > usize::from(room(query, carrier)) {
        true => cut(reply),
        false => Some(bytes),
    }
}

/// Bytes that the client can take.
fn room(query: &Message, carrier: Carrier) -> u16 {
    match (carrier, query.extensions()) {
        (Carrier::Udp, Some(edns)) => edns.max_payload().clamp(PLAIN_MAX, DATAGRAM_MAX),
        (Carrier::Udp, None) => PLAIN_MAX,
        _ => u16::MAX,
    }
}

/// The same without its records, marked so that the client asks again over TCP.
fn cut(mut reply: Message) -> Option<Vec<u8>> {
    reply.take_answers();
    reply.take_name_servers();
    reply.set_truncated(true);
    reply.to_vec().ok()
}

/// FORMERR, and the question as far as it can be read: what stands behind it does not hide it.
fn malformed(message: &[u8], carrier: Carrier) -> Reply {
    let mut decoder = BinDecoder::new(message);
    let header = Header::read(&mut decoder).ok().filter(|it| it.message_type() == MessageType::Query);
    let question = header.filter(|it| it.query_count() > 0).and_then(|_| Query::read(&mut decoder).ok());
    let bytes =
        header.and_then(|it| Message::error_msg(it.id(), it.op_code(), ResponseCode::FormErr).to_vec().ok());
    let said = said(question.as_ref(), ResponseCode::FormErr, &[], carrier);
    Reply { bytes: bytes.unwrap_or_default(), said, spelt: spelt(question.as_ref()) }
}
