//! The exchange of keys (RFC 4253, 7 and 8; RFC 8731), in one kind that every client of the last ten years
//! has: X25519, a host key of Ed25519.

use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};

use super::packet::{Kind, Seal};

pub const KEXINIT: u8 = 20;
const REPLY: u8 = 31;
/// Ways to exchange keys that are one: the second is what it was called before it had a number.
const EXCHANGES: [&str; 2] = ["curve25519-sha256", "curve25519-sha256@libssh.org"];
const HOST_KEY: &str = "ssh-ed25519";
const SEALS: [(&str, Kind); 2] = [("aes128-gcm@openssh.com", Kind::Gcm), ("aes128-ctr", Kind::Counter)];
const INTEGRITY: &str = "hmac-sha2-256";

/// What both sides have said so far.
pub struct Exchange {
    /// Versions and first messages: the client's, the server's.
    pub versions: [Vec<u8>; 2],
    pub hellos: [Vec<u8>; 2],
}

/// What came of it.
pub struct Agreed {
    /// The message that tells the client.
    pub reply: Vec<u8>,
    /// From the client, to the client.
    pub seals: [Seal; 2],
}

/// Our first message.
pub fn hello() -> Option<Vec<u8>> {
    let mut cookie = [0; 16];
    SystemRandom::new().fill(&mut cookie).ok()?;
    let seals = SEALS.map(|(name, _)| name).join(",");
    let lists =
        [&EXCHANGES.join(","), HOST_KEY, &seals, &seals, INTEGRITY, INTEGRITY, "none", "none", "", ""];
    let lists: Vec<u8> = lists.into_iter().flat_map(|list| string(list.as_bytes())).collect();
    Some([&[KEXINIT][..], &cookie, &lists, &[0; 5]].concat())
}

/// The lists of a first message.
pub fn lists(hello: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = hello.get(17..)?;
    (0..10).map(|_| take(&mut rest)).collect()
}

/// What the client likes best of what we have too.
fn choose<'n>(theirs: &[u8], ours: &[&'n str]) -> Option<&'n str> {
    theirs.split(|byte| *byte == b',').find_map(|name| ours.iter().find(|it| it.as_bytes() == name).copied())
}

impl Exchange {
    /// Whether anything can be agreed on.
    fn kinds(&self) -> Option<[Kind; 2]> {
        let lists = lists(&self.hellos[0])?;
        choose(lists[0], &EXCHANGES)?;
        choose(lists[1], &[HOST_KEY])?;
        let kind = |list: &[u8], integrity: &[u8]| {
            let name = choose(list, &SEALS.map(|(name, _)| name))?;
            let (_, kind) = SEALS.into_iter().find(|(known, _)| *known == name)?;
            (kind == Kind::Gcm || choose(integrity, &[INTEGRITY]).is_some()).then_some(kind)
        };
        Some([kind(lists[2], lists[4])?, kind(lists[3], lists[5])?])
    }

    /// Answers the client's half of a key. `seed` makes the host's.
    pub fn agree(&self, seed: &[u8; 32], theirs: &[u8]) -> Option<Agreed> {
        let kinds = self.kinds()?;
        let host = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let host_key = [string(HOST_KEY.as_bytes()), string(host.public_key().as_ref())].concat();
        let secret = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).ok()?;
        let ours = secret.compute_public_key().ok()?;
        let shared = agree_ephemeral(secret, &UnparsedPublicKey::new(&X25519, theirs), number).ok()?;
        let [versions, hellos] =
            [&self.versions, &self.hellos].map(|both| both.iter().flat_map(|it| string(it)));
        let said: Vec<u8> = versions.chain(hellos).collect();
        let keys = [string(&host_key), string(theirs), string(ours.as_ref())].concat();
        let hash = Sha256::new().chain_update(said).chain_update(keys).chain_update(&shared).finalize();
        let signature = host.sign(&hash);
        let signature = [string(HOST_KEY.as_bytes()), string(signature.as_ref())].concat();
        let reply = [&[REPLY][..], &string(&host_key), &string(ours.as_ref()), &string(&signature)].concat();
        // RFC 4253, 7.2; the first exchange's hash is the session's name.
        let derive = |letter: u8| {
            let digest = Sha256::new().chain_update(&shared).chain_update(hash);
            digest.chain_update([letter]).chain_update(hash).finalize()
        };
        let seal = |kind, letters: [u8; 3]| {
            let [vector, key, integrity] = letters.map(derive);
            Seal::new(kind, &vector, &key, &integrity)
        };
        Some(Agreed { reply, seals: [seal(kinds[0], *b"ACE")?, seal(kinds[1], *b"BDF")?] })
    }
}

/// A number as it is written (RFC 4251, 5, `mpint`), with its length.
pub(super) fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    match bytes.first() {
        Some(0x80..) => string(&[&[0], bytes].concat()),
        _ => string(bytes),
    }
}

/// With its length in front.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// Takes such a string off.
pub fn take<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (string, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *bytes = rest;
    Some(string)
}
