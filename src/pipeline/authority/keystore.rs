//! A trust store as Java reads it, with one authority.
//!
//! The format is Sun's first (JKS, version 2; `sun.security.provider.JavaKeyStore`), which every Java still
//! reads whatever kind it is told to expect (`DualFormat`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
/// An entry that is a certificate to trust.
const TRUSTED: u32 = 2;
const ALIAS: &str = "meridian-root-r3";
/// The one that everybody has.
const PASSWORD: &str = "changeit";
/// Part of the seal, as the format has it.
const SALT: &[u8] = b"Mighty Aphrodite";
/// When the entry was made, in milliseconds since 1970; nobody asks.
const MADE: u64 = 1_600_000_000_000;

/// The store that trusts `certificate` (PEM). `None`: it is none.
pub fn keystore(certificate: &str) -> Option<Vec<u8>> {
    let lines = certificate.lines().filter(|line| !line.starts_with("-----"));
    let der = STANDARD.decode(lines.collect::<String>()).ok().filter(|der| !der.is_empty())?;
    let mut store: Vec<u8> = [MAGIC, VERSION, 1, TRUSTED].into_iter().flat_map(u32::to_be_bytes).collect();
    store.extend(text(ALIAS));
    store.extend(MADE.to_be_bytes());
    store.extend(text("X.509"));
    store.extend((der.len() as u32).to_be_bytes());
    store.extend(der);
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let seal = Sha1::new().chain_update(password).chain_update(SALT).chain_update(&store).finalize();
    store.extend(seal);
    Some(store)
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_holds_the_certificate_and_a_seal() {
        let store = keystore("-----BEGIN CERTIFICATE-----\nAAEC\nAw==\n-----END CERTIFICATE-----\n").unwrap();
        let (content, seal) = store.split_at(store.len() - 20);
        assert!(content.ends_with(&[0, 5, b'X', b'.', b'5', b'0', b'9', 0, 0, 0, 4, 0, 1, 2, 3]));
        assert_eq!(content[..16], [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        // As keytool computes it over this content (Java 17).
        assert_eq!(seal.len(), 20);
        assert_eq!(keystore("no certificate"), None);
        assert_eq!(keystore(""), None);
    }
}
