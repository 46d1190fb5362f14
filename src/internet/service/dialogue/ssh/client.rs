//! The other side, for tests: as much of a client as it takes to get in.

use ring::agreement::{EphemeralPrivateKey, PublicKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, UnparsedPublicKey as Verifier};
use sha2::{Digest, Sha256};

use super::exchange::{number, string, take};
use super::packet::{Kind, Packets, Seal};

pub struct Client {
    version: Vec<u8>,
    hello: Vec<u8>,
    secret: Option<EphemeralPrivateKey>,
    public: PublicKey,
    heard: Packets,
    said: Packets,
    messages: Vec<Vec<u8>>,
}

impl Client {
    pub fn new(version: &[u8], hello: &[u8]) -> Client {
        let secret = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let public = secret.compute_public_key().unwrap();
        let (heard, said) = (Packets::new(), Packets::new());
        let (version, hello) = (version.to_vec(), hello.to_vec());
        Client { version, hello, secret: Some(secret), public, heard, said, messages: Vec::new() }
    }

    pub fn begin(&mut self) -> Vec<u8> {
        [&self.version[..], b"\r\n", &self.said.pack(&self.hello.clone())].concat()
    }

    pub fn exchange(&mut self) -> Vec<u8> {
        self.said.pack(&[&[30][..], &string(self.public.as_ref())].concat())
    }

    /// Checks the server's answer; from then on both sides are sealed.
    pub fn keys(&mut self, cipher: &str) -> Vec<u8> {
        let [theirs, reply, new] = &self.messages[..] else { panic!("{:?}", self.messages) };
        assert_eq!((theirs[0], reply[0], &new[..]), (20, 31, &[21][..]));
        let mut rest = &reply[1..];
        let (host, share, mut signature) =
            (take(&mut rest).unwrap(), take(&mut rest).unwrap(), take(&mut rest).unwrap());
        let secret = self.secret.take().unwrap();
        let shared = agree_ephemeral(secret, &UnparsedPublicKey::new(&X25519, share), number).unwrap();
        let server = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3";
        let parts: [&[u8]; 7] =
            [&self.version, server, &self.hello, theirs, host, self.public.as_ref(), share];
        let said: Vec<u8> = parts.iter().flat_map(|part| string(part)).chain(shared.clone()).collect();
        let hash = Sha256::digest(said);
        let (mut host, _) = (host, assert_eq!(take(&mut signature), Some(&b"ssh-ed25519"[..])));
        take(&mut host);
        Verifier::new(&ED25519, take(&mut host).unwrap())
            .verify(&hash, take(&mut signature).unwrap())
            .unwrap();
        let key = |letter: &u8| Sha256::digest([&shared[..], &hash, &[*letter], &hash].concat()).to_vec();
        let kind = if cipher == "aes128-ctr" { Kind::Counter } else { Kind::Gcm };
        let seal = |letters: [u8; 3]| {
            let [vector, key, integrity] = letters.each_ref().map(key);
            Seal::new(kind, &vector, &key, &integrity).unwrap()
        };
        let new = self.said.pack(&[21]);
        self.said.seal(seal(*b"ACE"));
        self.heard.seal(seal(*b"BDF"));
        new
    }

    pub fn pack(&mut self, payload: &[u8]) -> Vec<u8> {
        self.said.pack(payload)
    }

    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.heard.feed(bytes);
        let mut new = Vec::new();
        while let Some(payload) = self.heard.next().unwrap() {
            new.push(payload);
        }
        self.messages.extend(new.clone());
        new
    }
}
