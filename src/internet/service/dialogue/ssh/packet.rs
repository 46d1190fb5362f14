//! SSH's packets (RFC 4253, 6), in the clear and sealed: AES in counter mode with HMAC-SHA-256 (RFC 4344,
//! RFC 6668), or AES-GCM as OpenSSH has it (PROTOCOL, 1.6; RFC 5647).

use aes::Aes128;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

/// A packet's length; RFC 4253 asks for 35,000 at least.
const LENGTH_MAX: usize = 64 << 10;
const BLOCK: usize = 16;
const TAG: usize = 16;
const MAC: usize = 32;

/// What no packet is.
#[derive(Debug, PartialEq)]
pub struct Broken;

/// How one direction is sealed.
pub enum Seal {
    None,
    Counter { aes: Aes128, counter: u128, mac: hmac::Key },
    Gcm { key: LessSafeKey, nonce: [u8; 12] },
}

/// The kinds of seal that are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gcm,
}

/// One direction's packets.
pub struct Packets {
    seal: Seal,
    number: u32,
    bytes: Vec<u8>,
    /// Bytes in front that are open already.
    open: usize,
}

impl Seal {
    /// `vector`, `key`, `integrity`: as many bytes as it takes, or more.
    pub fn new(kind: Kind, vector: &[u8], key: &[u8], integrity: &[u8]) -> Option<Seal> {
        Some(match kind {
            Kind::Counter => Seal::Counter {
                aes: Aes128::new_from_slice(key.get(..16)?).ok()?,
                counter: u128::from_be_bytes(*vector.first_chunk()?),
                mac: hmac::Key::new(hmac::HMAC_SHA256, integrity.get(..MAC)?),
            },
            Kind::Gcm => Seal::Gcm {
                key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.get(..16)?).ok()?),
                nonce: *vector.first_chunk()?,
            },
        })
    }

    /// What stands behind a packet.
    fn behind(&self) -> usize {
        match self {
            Seal::None => 0,
            Seal::Counter { .. } => MAC,
            Seal::Gcm { .. } => TAG,
        }
    }
}

/// Counter mode over whole blocks.
fn count(aes: &Aes128, counter: &mut u128, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(BLOCK) {
        let mut block = Block::<Aes128>::from(counter.to_be_bytes());
        aes.encrypt_block(&mut block);
        chunk.iter_mut().zip(block).for_each(|(byte, mask)| *byte ^= mask);
        *counter = counter.wrapping_add(1);
    }
}

/// The nonce for a packet; the next one is one further (RFC 5647, 7.1).
fn step(nonce: &mut [u8; 12]) -> Nonce {
    let now = *nonce;
    let count = u64::from_be_bytes([now[4], now[5], now[6], now[7], now[8], now[9], now[10], now[11]]);
    nonce[4..].copy_from_slice(&count.wrapping_add(1).to_be_bytes());
    Nonce::assume_unique_for_key(now)
}

fn stamped(number: u32, bytes: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], bytes].concat()
}

impl Packets {
    pub fn new() -> Packets {
        Packets { seal: Seal::None, number: 0, bytes: Vec::new(), open: 0 }
    }

    /// From the next packet on.
    pub fn seal(&mut self, seal: Seal) {
        self.seal = seal;
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The payload of the next packet, where it is whole.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        if let Seal::Counter { aes, counter, .. } = &mut self.seal
            && self.open == 0
            && self.bytes.len() >= BLOCK
        {
            count(aes, counter, &mut self.bytes[..BLOCK]);
            self.open = BLOCK;
        }
        let is_counter = matches!(self.seal, Seal::Counter { .. });
        let Some(length) = self.bytes.first_chunk().filter(|_| !is_counter || self.open > 0) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if !(5..=LENGTH_MAX).contains(&length) || (is_counter && (4 + length) % BLOCK != 0) {
            return Err(Broken);
        }
        let end = 4 + length + self.seal.behind();
        if self.bytes.len() < end {
            return Ok(None);
        }
        let mut packet: Vec<u8> = self.bytes.drain(..end).collect();
        match &mut self.seal {
            Seal::None => {}
            Seal::Counter { aes, counter, mac } => {
                let (plain, tag) = packet.split_at_mut(4 + length);
                count(aes, counter, &mut plain[BLOCK..]);
                hmac::verify(mac, &stamped(self.number, plain), tag).map_err(|_| Broken)?;
            }
            Seal::Gcm { key, nonce } => {
                let (head, sealed) = packet.split_at_mut(4);
                key.open_in_place(step(nonce), Aad::from(&*head), sealed).map_err(|_| Broken)?;
            }
        }
        self.number = self.number.wrapping_add(1);
        self.open = 0;
        let padding = usize::from(packet[4]);
        packet
            .get(5..(4 + length).saturating_sub(padding))
            .map(|payload| Some(payload.to_vec()))
            .ok_or(Broken)
    }

    /// The packet that carries a payload.
    pub fn pack(&mut self, payload: &[u8]) -> Vec<u8> {
        // In GCM the length is not sealed, and does not count.
        let counted = if matches!(self.seal, Seal::Gcm { .. }) { 1 } else { 5 } + payload.len();
        let padding = BLOCK - counted % BLOCK;
        let padding = if padding < 4 { padding + BLOCK } else { padding };
        let mut packet = ((payload.len() + padding + 1) as u32).to_be_bytes().to_vec();
        packet.push(padding as u8);
        packet.extend(payload);
        packet.resize(packet.len() + padding, 0);
        match &mut self.seal {
            Seal::None => {}
            Seal::Counter { aes, counter, mac } => {
                let tag = hmac::sign(mac, &stamped(self.number, &packet));
                count(aes, counter, &mut packet);
                packet.extend(tag.as_ref());
            }
            Seal::Gcm { key, nonce } => {
                let (head, plain) = packet.split_at_mut(4);
                let tag = key.seal_in_place_separate_tag(step(nonce), Aad::from(&*head), plain);
                packet.extend(tag.expect("a packet is short").as_ref());
            }
        }
        self.number = self.number.wrapping_add(1);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_as_they_went_in_however_they_are_cut() {
        for kind in [None, Some(Kind::Counter), Some(Kind::Gcm)] {
            let seal =
                || kind.map_or(Seal::None, |kind| Seal::new(kind, &[1; 16], &[2; 16], &[3; 32]).unwrap());
            let (mut out, mut into) = (Packets::new(), Packets::new());
            out.seal(seal());
            into.seal(seal());
            let payloads: Vec<Vec<u8>> = (0..40).map(|length| vec![7; length]).collect();
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| out.pack(payload)).collect();
            let mut found = Vec::new();
            for piece in bytes.chunks(7) {
                into.feed(piece);
                while let Some(payload) = into.next().unwrap() {
                    found.push(payload);
                }
            }
            assert_eq!(found, payloads, "{kind:?}");
            assert!(into.bytes.is_empty());
        }
    }

    #[test]
    fn what_was_changed_on_the_way_is_refused() {
        for kind in [Kind::Counter, Kind::Gcm] {
            let seal = || Seal::new(kind, &[1; 16], &[2; 16], &[3; 32]).unwrap();
            let mut out = Packets::new();
            out.seal(seal());
            let mut bytes = out.pack(b"hello");
            *bytes.last_mut().unwrap() ^= 1;
            let mut into = Packets::new();
            into.seal(seal());
            into.feed(&bytes);
            assert_eq!(into.next(), Err(Broken), "{kind:?}");
        }
        for wrong in [&[0, 0, 0, 4][..], &[0xff; 4], &[0, 0, 0, 5, 9, 0, 0, 0, 0]] {
            let mut into = Packets::new();
            into.feed(wrong);
            assert_eq!(into.next(), Err(Broken), "{wrong:?}");
        }
    }
}
