//! A DNS message, as any client may send it.

use lazaret::internet::address::AddressBook;
use lazaret::internet::dns;
use lazaret::internet::testimony::{Carrier, Said, Testimony};

use super::world;

pub fn check(bytes: &[u8]) {
    let world = world::world();
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        let mut book = AddressBook::new();
        let reply = dns::reply(&world, &mut book, bytes, carrier);
        let most = if carrier == Carrier::Udp { 1232 } else { 65_535 };
        assert!(reply.bytes.len() <= most, "{} bytes", reply.bytes.len());
        assert!(reply.bytes.is_empty() || reply.bytes[..2] == bytes[..2], "an answer has the question's id");
        assert!(reply.bytes.is_empty() || reply.bytes[2] & 0x80 != 0, "an answer is an answer");
        if let Some(question) = &reply.said.question {
            assert!(!question.name.iter().any(u8::is_ascii_uppercase), "{question:?}");
        }
        for address in &reply.said.addresses {
            assert!(!address.is_unspecified() && !address.is_multicast(), "{address}");
        }
        let again = dns::reply(&world, &mut book, bytes, carrier);
        assert_eq!(again, reply, "the same question has the same answer");
        let testimony = Testimony { time: 0, flow: None, said: Said::Dns(reply.said) };
        assert!(testimony.encode().is_some());
    }
}
