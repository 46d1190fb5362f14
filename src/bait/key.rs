//! Private keys in the files that programs keep them in.
//!
//! An SSH key is a real one, so that `ssh` and `ssh-keygen` take it without a word. A cloud account's RSA
//! key has the right structure and numbers of the right size, but no arithmetic behind them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::dice::Dice;

const KIND: &[u8] = b"ssh-ed25519";
/// Where the seed begins in the decoded key: behind the magic, cipher, KDF and its options (none), the count,
/// the public key, the length of the private part, its two check numbers, kind and public key once more,
/// and a length (OpenSSH, PROTOCOL.key).
const SEED_AT: usize = 15 + 8 + 8 + 4 + 4 + 4 + 51 + 4 + 8 + 15 + 36 + 4;
const WRAPPED_AT: usize = 70;

/// An unencrypted key as `ssh-keygen -t ed25519` writes it.
pub(super) fn open_ssh(dice: &mut Dice, comment: &str) -> String {
    let seed = dice.bytes(32);
    // Any 32 bytes are a seed.
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes are a seed");
    let public = pair.public_key().as_ref();
    let blob = [string(KIND), string(public)].concat();
    let check = dice.bytes(4);
    let mut private =
        [&check[..], &check, &blob, &string(&[&seed[..], public].concat()), &string(comment.as_bytes())]
            .concat();
    private.extend((1..=8).take((8 - private.len() % 8) % 8));
    let none = string(b"none");
    let key = [
        b"openssh-key-v1\0",
        &none[..],
        &none,
        &string(b""),
        &1u32.to_be_bytes(),
        &string(&blob),
        &string(&private),
    ]
    .concat();
    let text = wrapped(&STANDARD.encode(key), WRAPPED_AT);
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n")
}

/// The `.pub` that belongs to such a key; its blob stands in front of the private part.
pub(super) fn public(open_ssh: &[u8]) -> Vec<u8> {
    format!("ssh-ed25519 {} deploy@build-02\n", STANDARD.encode(blob(open_ssh))).into()
}

/// What a client shows of such a key to log in with it.
pub(super) fn blob(open_ssh: &[u8]) -> Vec<u8> {
    let key = STANDARD.decode(body(&String::from_utf8_lossy(open_ssh))).unwrap_or_default();
    key.get(43..43 + 51).unwrap_or_default().to_vec()
}

/// The letters of such a key that nothing but the seed decides.
pub(super) fn telling_part(open_ssh: &str) -> String {
    let body = body(open_ssh);
    let (first, last) = ((SEED_AT * 4).div_ceil(3), (SEED_AT + 32) * 4 / 3);
    body.get(first..last).unwrap_or_default().to_owned()
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// A PKCS #8 container with an RSA key of 2048 bits, in PEM (RFC 5958, RFC 8017 A.1.2).
pub(super) fn pkcs8(dice: &mut Dice) -> String {
    let mut number = |bytes: usize| {
        let mut number = dice.bytes(bytes);
        number[0] |= 0x80;
        number[bytes - 1] |= 1;
        integer(&number)
    };
    let (modulus, exponent) = (number(256), number(256));
    let rest: Vec<u8> = (0..5).flat_map(|_| number(128)).collect();
    let rsa = der(0x30, &[integer(&[0]), modulus, integer(&[1, 0, 1]), exponent, rest].concat());
    const RSA_ENCRYPTION: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let key = der(0x30, &[&integer(&[0])[..], RSA_ENCRYPTION, &der(0x04, &rsa)].concat());
    let text = wrapped(&STANDARD.encode(key), 64);
    format!("-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n")
}

fn integer(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number[0] & 0x80 == 0 { &[] } else { &[0] };
    der(0x02, &[sign, number].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let [high, low] = length.to_be_bytes();
    match length {
        0..0x80 => [&[tag, low][..], content].concat(),
        0x80..0x100 => [&[tag, 0x81, low][..], content].concat(),
        _ => [&[tag, 0x82, high, low][..], content].concat(),
    }
}

/// A string of the SSH wire format (RFC 4251, 5).
fn string(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], content].concat()
}

fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place % width == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_part_is_decided_by_the_seed_alone() {
        let key = |seed: u8| open_ssh(&mut Dice::new(&[seed; 32], "key"), "me@here");
        let (one, other) = (telling_part(&key(1)), telling_part(&key(2)));
        assert_eq!((one.len(), other.len()), (42, 42));
        assert!(one.chars().zip(other.chars()).filter(|(one, other)| one == other).count() < 12);
        // The seed is what the decoded letters around it are.
        let seed = Dice::new(&[1; 32], "key").bytes(32);
        assert_eq!(STANDARD.decode(body(&key(1))).unwrap()[SEED_AT..SEED_AT + 32], seed);
    }
}
