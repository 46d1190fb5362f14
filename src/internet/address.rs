//! The address book: one address for each name, kept both ways.
//!
//! A name always gets the same address (a hash of it into ranges of well-known hosting providers), so
//! that a flow can be given the name that was asked for, and a second run of the same image sees the
//! same addresses. No special address is ever given: the ranges are public ones.
//!
//! The sample chooses the names, so the book is bounded: past [`NAMES_MAX`] the oldest is forgotten here
//! (the runner has been told of it by then), and asking for it again gives the same address as long as
//! nobody took it meanwhile.
//!
//! Not here: names with an address of their own, as the cloud's metadata. See [`super::dns`].

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use sha2::{Digest, Sha256};

/// So many names are known at one time: some 20 MiB with the longest names.
pub const NAMES_MAX: usize = 1 << 15;

/// First address and prefix length. Addresses that people know by heart (resolvers) lie elsewhere.
const RANGES: [(Ipv4Addr, u32); 6] = [
    (Ipv4Addr::new(13, 224, 0, 0), 12),
    (Ipv4Addr::new(18, 128, 0, 0), 10),
    (Ipv4Addr::new(23, 32, 0, 0), 11),
    (Ipv4Addr::new(34, 64, 0, 0), 10),
    (Ipv4Addr::new(52, 0, 0, 0), 10),
    (Ipv4Addr::new(104, 16, 0, 0), 12),
];
/// The IPv6 address of a name is this /96 and its IPv4 address.
const PREFIX: [u16; 6] = [0x2606, 0x4700, 0x3031, 0, 0, 0];

/// Which name has which address.
#[derive(Debug, Default)]
pub struct AddressBook {
    addresses: HashMap<Rc<[u8]>, Ipv4Addr>,
    names: HashMap<Ipv4Addr, Rc<[u8]>>,
    oldest: VecDeque<Rc<[u8]>>,
}

impl AddressBook {
    /// An empty one.
    pub fn new() -> AddressBook {
        AddressBook::default()
    }

    /// The IPv4 address of a name, which is in lower case.
    pub fn v4(&mut self, name: &[u8]) -> Ipv4Addr {
        if let Some(address) = self.addresses.get(name) {
            return *address;
        }
        if self.oldest.len() >= NAMES_MAX {
            self.forget();
        }
        let free = (0u32..).map(|attempt| place(name, attempt)).find(|at| !self.names.contains_key(at));
        let address = free.expect("more addresses than names");
        let name: Rc<[u8]> = name.into();
        self.addresses.insert(Rc::clone(&name), address);
        self.names.insert(address, Rc::clone(&name));
        self.oldest.push_back(name);
        address
    }

    /// The IPv6 address of a name: the same whenever it is asked.
    pub fn v6(&mut self, name: &[u8]) -> Ipv6Addr {
        let [a, b, c, d] = self.v4(name).octets();
        let [p, q, r, s, t, u] = PREFIX;
        Ipv6Addr::new(p, q, r, s, t, u, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }

    /// The name that was given this address.
    pub fn name(&self, address: IpAddr) -> Option<&[u8]> {
        let address = match address {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => embedded(address)?,
        };
        self.names.get(&address).map(|name| &**name)
    }

    fn forget(&mut self) {
        let Some(name) = self.oldest.pop_front() else { return };
        if let Some(address) = self.addresses.remove(&name) {
            self.names.remove(&address);
        }
    }
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [prefix @ .., high, low] = address.segments();
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    (prefix == PREFIX).then(|| Ipv4Addr::new(a, b, c, d))
}

/// Each attempt hashes anew: nobody can make names that all follow one another.
fn place(name: &[u8], attempt: u32) -> Ipv4Addr {
    let digest = Sha256::new().chain_update(attempt.to_be_bytes()).chain_update(name).finalize();
    let word = |at: usize| u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]);
    let (first, length) = RANGES[word(0) as usize % RANGES.len()];
    let address = u32::from(first) | (word(4) & (u32::MAX >> length));
    // Not a network's own address, nor what looks like a broadcast.
    match address & 0xff {
        0 | 255 => Ipv4Addr::from(address ^ 0x55),
        _ => Ipv4Addr::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ordinary(address: Ipv4Addr) -> bool {
        let [_, _, _, last] = address.octets();
        let special = address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_documentation();
        !special && last != 0 && last != 255
    }

    #[test]
    fn a_name_has_one_ordinary_address_and_the_address_its_name() {
        let mut book = AddressBook::new();
        for number in 0..500 {
            let name = format!("host-{number}.example").into_bytes();
            let (v4, v6) = (book.v4(&name), book.v6(&name));
            assert!(is_ordinary(v4), "{v4}");
            assert_eq!(book.v4(&name), v4);
            assert_eq!(book.name(v4.into()), Some(&name[..]));
            assert_eq!(book.name(v6.into()), Some(&name[..]));
            assert_eq!(AddressBook::new().v4(&name), v4, "another run gives the same");
        }
        assert_eq!(book.name("8.8.8.8".parse().unwrap()), None);
        assert_eq!(book.name("2001:db8::1".parse().unwrap()), None);
    }

    #[test]
    fn a_place_that_is_taken_is_not_given_again() {
        let mut book = AddressBook::new();
        let taken = place(b"second.example", 0);
        book.names.insert(taken, b"first.example"[..].into());
        assert_ne!(book.v4(b"second.example"), taken);
        assert_eq!(book.name(taken.into()), Some(&b"first.example"[..]));
    }

    #[test]
    fn a_flood_of_names_does_not_grow_the_book() {
        let mut book = AddressBook::new();
        let first = book.v4(b"first.example");
        for number in 0..NAMES_MAX + 1000 {
            book.v4(format!("{number}.flood.example").as_bytes());
        }
        assert_eq!(book.addresses.len(), NAMES_MAX);
        assert_eq!(book.names.len(), NAMES_MAX);
        assert_eq!(book.oldest.len(), NAMES_MAX);
        assert_eq!(book.name(first.into()), None, "forgotten");
    }
}
