//! TLS 1.2 for clients that say too little for rustls: BusyBox's and others that name no signature
//! algorithms. One cipher (`TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`), no resumption, no renegotiation, no
//! client certificates (RFC 5246, 5288, 8422).
//!
//! What is read is the sample's and goes nowhere else, so that nothing here has to keep a secret; it has
//! to be total and bounded. The primitives are ring's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{
    Algorithm, ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral,
};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::sign::CertifiedKey;
use rustls::{KeyLog, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::hello::{ClientHello, SIGNATURE_ALGORITHMS};

const CIPHER: u16 = 0xc02b;
const VERSION: [u8; 2] = [3, 3];
const GROUP_P256: u16 = 0x0017;
const GROUP_X25519: u16 = 0x001d;
/// ecdsa_secp256r1_sha256 (RFC 8446, 4.2.3).
const SIGNATURE: [u8; 2] = [4, 3];

/// Kinds of records (RFC 5246, 6.2.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// Of a record's content, and of one that is encrypted.
const CONTENT_MAX: usize = 1 << 14;
const RECORD_MAX: usize = CONTENT_MAX + 2048;
const HEADER: usize = 5;
/// The part of a nonce that is sent, and the seal.
const EXPLICIT: usize = 8;
const TAG: usize = 16;

/// True where this client can be served here and only here.
pub fn serves(hello: &ClientHello) -> bool {
    let names_none = !hello.extensions.contains(&SIGNATURE_ALGORITHMS);
    names_none && hello.version == 0x0303 && hello.ciphers.contains(&CIPHER)
}

/// Shakes hands with a client whose hello is `message`; `rest`: what it has said since. An alert of the
/// client's is an error as rustls has it.
pub async fn accept<P: AsyncRead + AsyncWrite + Unpin>(
    hello: &ClientHello,
    message: &[u8],
    rest: Vec<u8>,
    pipe: P,
    key: &CertifiedKey,
    log: &dyn KeyLog,
) -> io::Result<Bare<P>> {
    let client_random = message.get(6..38).ok_or(io::ErrorKind::InvalidData)?.to_vec();
    let random = SystemRandom::new();
    let mut server_random = [0; 32];
    random.fill(&mut server_random).map_err(no)?;
    let (group, algorithm) = group(hello);
    let secret = EphemeralPrivateKey::generate(algorithm, &random).map_err(no)?;
    let public = secret.compute_public_key().map_err(no)?;
    let exchange = key_exchange(group, public.as_ref(), &client_random, &server_random, key)?;
    let mut said = message.to_vec();
    let mut wire = Wire { inner: pipe, incoming: rest };
    for message in [server_hello(&server_random), certificate(key), exchange, handshake(14, &[])] {
        said.extend(&message);
        // Some readers take each record for one message.
        for piece in message.chunks(CONTENT_MAX) {
            wire.inner.write_all(&record(HANDSHAKE, piece)).await?;
        }
    }
    wire.inner.flush().await?;
    let theirs = wire.message().await?;
    let share = theirs.get(5..).filter(|share| theirs[0] == 16 && share.len() == usize::from(theirs[4]));
    let share = UnparsedPublicKey::new(algorithm, share.ok_or(io::ErrorKind::InvalidData)?);
    said.extend(&theirs);
    let seed = [&client_random[..], &server_random].concat();
    let master =
        agree_ephemeral(secret, &share, |shared| prf(shared, "master secret", &seed, 48)).map_err(no)?;
    log.log("CLIENT_RANDOM", &client_random, &master);
    let keys = Keys::new(&master, &client_random, &server_random)?;
    let mut bare = Bare { wire, keys, plain: Vec::new(), outgoing: Vec::new(), state: State::Open };
    bare.finish(&master, said).await?;
    Ok(bare)
}

/// ring tells nothing about what failed.
fn no(_: ring::error::Unspecified) -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn group(hello: &ClientHello) -> (u16, &'static Algorithm) {
    match hello.groups.contains(&GROUP_X25519) {
        true => (GROUP_X25519, &X25519),
        // Who names none takes any (RFC 8422, 4).
        false => (GROUP_P256, &ECDH_P256),
    }
}

fn server_hello(random: &[u8; 32]) -> Vec<u8> {
    // No session to resume; no compression; "renegotiation_info", empty (RFC 5746).
    let [high, low] = CIPHER.to_be_bytes();
    let end = [0, high, low, 0, 0, 5, 0xff, 1, 0, 1, 0];
    handshake(2, &[&VERSION[..], random, &end].concat())
}

fn certificate(key: &CertifiedKey) -> Vec<u8> {
    let chain: Vec<u8> = key.cert.iter().flat_map(|it| [&length3(it.len())[..], it].concat()).collect();
    handshake(11, &[&length3(chain.len())[..], &chain].concat())
}

fn key_exchange(
    group: u16,
    public: &[u8],
    client_random: &[u8],
    server_random: &[u8],
    key: &CertifiedKey,
) -> io::Result<Vec<u8>> {
    const NAMED_CURVE: u8 = 3;
    let parameters = [&[NAMED_CURVE][..], &group.to_be_bytes(), &[public.len() as u8], public].concat();
    let signer = key.key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
    let signer = signer.ok_or(io::ErrorKind::Unsupported)?;
    let signature =
        signer.sign(&[client_random, server_random, &parameters].concat()).map_err(io::Error::other)?;
    let length = (signature.len() as u16).to_be_bytes();
    Ok(handshake(12, &[&parameters, &SIGNATURE[..], &length, &signature].concat()))
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length3(body.len()), body].concat()
}

fn length3(length: usize) -> [u8; 3] {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    [a, b, c]
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[kind, VERSION[0], VERSION[1], high, low][..], content].concat()
}

/// RFC 5246, 5, with SHA-256.
fn prf(secret: &[u8], label: &str, seed: &[u8], length: usize) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let seed = [label.as_bytes(), seed].concat();
    let (mut a, mut output) = (hmac::sign(&key, &seed), Vec::new());
    while output.len() < length {
        output.extend(hmac::sign(&key, &[a.as_ref(), &seed].concat()).as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    output.truncate(length);
    output
}

/// Whole records out of what comes.
struct Wire<P> {
    inner: P,
    incoming: Vec<u8>,
}

impl<P> Wire<P> {
    /// Kind and content of the next record, where it is whole.
    fn next(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let Some([kind, _, _, high, low]) = self.incoming.first_chunk::<HEADER>().copied() else {
            return Ok(None);
        };
        let end = HEADER + usize::from(u16::from_be_bytes([high, low]));
        if end > HEADER + RECORD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.incoming.len() < end {
            return Ok(None);
        }
        let content = self.incoming[HEADER..end].to_vec();
        self.incoming.drain(..end);
        Ok(Some((kind, content)))
    }
}

impl<P: AsyncRead + Unpin> Wire<P> {
    async fn record(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut piece = [0; 4096];
        loop {
            if let Some(record) = self.next()? {
                return Ok(record);
            }
            match self.inner.read(&mut piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.incoming.extend_from_slice(&piece[..length]),
            }
        }
    }

    /// A record of this kind; an alert ends it.
    async fn expect(&mut self, kind: u8) -> io::Result<Vec<u8>> {
        match self.record().await? {
            (found, content) if found == kind => Ok(content),
            (ALERT, content) => Err(alert(&content)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// A whole handshake message in the clear: a client's is short.
    async fn message(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            message.extend(self.expect(HANDSHAKE).await?);
            let length =
                message.get(1..4).map(|it| u32::from_be_bytes([0, it[0], it[1], it[2]]) as usize + 4);
            match length {
                Some(length) if length == message.len() => return Ok(message),
                _ if message.len() < CONTENT_MAX => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

fn alert(content: &[u8]) -> io::Error {
    let description = content.get(1).copied().unwrap_or_default();
    io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(description.into()))
}

/// One for each direction.
struct Half {
    key: LessSafeKey,
    fixed: [u8; 4],
    number: u64,
}

struct Keys {
    client: Half,
    server: Half,
}

impl Keys {
    fn new(master: &[u8], client_random: &[u8], server_random: &[u8]) -> io::Result<Keys> {
        let block = prf(master, "key expansion", &[server_random, client_random].concat(), 40);
        let half = |key: &[u8], fixed: &[u8]| {
            let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).map_err(no)?);
            Ok::<_, io::Error>(Half { key, fixed: [fixed[0], fixed[1], fixed[2], fixed[3]], number: 0 })
        };
        Ok(Keys { client: half(&block[..16], &block[32..36])?, server: half(&block[16..32], &block[36..])? })
    }
}

impl Half {
    /// Nonce and what is vouched for beside the content.
    fn terms(&mut self, explicit: [u8; EXPLICIT], kind: u8, length: usize) -> (Nonce, Aad<Vec<u8>>) {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.fixed);
        nonce[4..].copy_from_slice(&explicit);
        let beside =
            [&self.number.to_be_bytes()[..], &[kind], &VERSION, &(length as u16).to_be_bytes()].concat();
        self.number += 1;
        (Nonce::assume_unique_for_key(nonce), Aad::from(beside))
    }

    fn open(&mut self, kind: u8, content: &[u8]) -> io::Result<Vec<u8>> {
        let (explicit, sealed) = content.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
        let length = sealed.len().checked_sub(TAG).ok_or(io::ErrorKind::InvalidData)?;
        let (nonce, beside) = self.terms(*explicit, kind, length);
        let mut sealed = sealed.to_vec();
        self.key.open_in_place(nonce, beside, &mut sealed).map_err(no)?;
        sealed.truncate(length);
        Ok(sealed)
    }

    /// The whole record.
    fn seal(&mut self, kind: u8, content: &[u8]) -> io::Result<Vec<u8>> {
        let explicit = self.number.to_be_bytes();
        let (nonce, beside) = self.terms(explicit, kind, content.len());
        let mut sealed = content.to_vec();
        self.key.seal_in_place_append_tag(nonce, beside, &mut sealed).map_err(no)?;
        Ok(record(kind, &[&explicit[..], &sealed].concat()))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    /// The client will say no more.
    Heard,
    /// We have said that we will say no more.
    Closed,
}

/// The stream inside.
pub struct Bare<P> {
    wire: Wire<P>,
    keys: Keys,
    plain: Vec<u8>,
    outgoing: Vec<u8>,
    state: State,
}

impl<P: AsyncRead + AsyncWrite + Unpin> Bare<P> {
    /// The last messages of the handshake; `said`: all before them.
    async fn finish(&mut self, master: &[u8], said: Vec<u8>) -> io::Result<()> {
        self.wire.expect(CHANGE_CIPHER_SPEC).await?;
        let sealed = self.wire.expect(HANDSHAKE).await?;
        let theirs = self.keys.client.open(HANDSHAKE, &sealed)?;
        let verify = |label, said: &[u8]| handshake(20, &prf(master, label, &Sha256::digest(said), 12));
        if theirs != verify("client finished", &said) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let ours = verify("server finished", &[said, theirs].concat());
        let sealed = self.keys.server.seal(HANDSHAKE, &ours)?;
        self.wire.inner.write_all(&[record(CHANGE_CIPHER_SPEC, &[1]), sealed].concat()).await?;
        self.wire.inner.flush().await
    }

    fn take(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let content = self.keys.client.open(kind, content)?;
        match (kind, content.get(1)) {
            (DATA, _) => self.plain = content,
            // close_notify.
            (ALERT, Some(0)) => self.state = State::Heard,
            (ALERT, _) => return Err(alert(&content)),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(())
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match ready!(Pin::new(&mut self.wire.inner).poll_write(cx, &self.outgoing))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => drop(self.outgoing.drain(..length)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<P: AsyncRead + AsyncWrite + Unpin> AsyncRead for Bare<P> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.plain.is_empty() {
                let length = this.plain.len().min(buf.remaining());
                buf.put_slice(&this.plain[..length]);
                this.plain.drain(..length);
                return Poll::Ready(Ok(()));
            }
            if this.state != State::Open {
                return Poll::Ready(Ok(()));
            }
            if let Some((kind, content)) = this.wire.next()? {
                this.take(kind, &content)?;
                continue;
            }
            let mut piece = [0; 4096];
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.wire.inner).poll_read(cx, &mut read))?;
            match read.filled() {
                [] => this.state = State::Heard,
                filled => this.wire.incoming.extend_from_slice(filled),
            }
        }
    }
}

impl<P: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Bare<P> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let piece = &bytes[..bytes.len().min(CONTENT_MAX)];
        this.outgoing = this.keys.server.seal(DATA, piece)?;
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.wire.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if this.state != State::Closed {
            // A warning, close_notify.
            this.outgoing = this.keys.server.seal(ALERT, &[1, 0])?;
            this.state = State::Closed;
            ready!(this.poll_drain(cx))?;
        }
        Pin::new(&mut this.wire.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::{LocalSet, spawn_local};

    use super::super::hello::{Reading, read};
    use super::super::{Authority, Secrets};
    use super::*;

    /// As BusyBox 1.35 says it to `127.0.0.1`, without its random.
    fn busybox() -> Vec<u8> {
        let ciphers = [0, 0xff, 0xc0, 0x23, 0xc0, 0x27, 0xc0, 0x2b, 0xc0, 0x2f, 0, 0x3c, 0, 0x3d, 0, 0x9c];
        let extensions =
            [&[0, 0, 0, 14, 0, 12, 0, 0, 9][..], b"127.0.0.1", &[0, 10, 0, 6, 0, 4, 0, 0x17, 0, 0x1d]]
                .concat();
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 16], &ciphers, &[1, 0, 0, 28], &extensions].concat();
        handshake(1, &body)
    }

    /// A client as plain as its hello; what it says in the end is changed by `spoil`.
    async fn client(pipe: DuplexStream, spoil: fn(&mut Vec<u8>)) -> io::Result<Bare<DuplexStream>> {
        let mut said = busybox();
        let mut wire = Wire { inner: pipe, incoming: Vec::new() };
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(wire.message().await?);
        }
        said.extend(heard.concat());
        let (hello, exchange) = (&heard[0], &heard[2]);
        assert_eq!(exchange[4..8], [3, 0, 0x1d, 32], "the group that both know");
        let secret = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let share = secret.compute_public_key().unwrap();
        let theirs = UnparsedPublicKey::new(&X25519, &exchange[8..40]);
        let (ours, server) = ([7; 32], hello[6..38].to_vec());
        let seed = [&ours[..], &server].concat();
        let master = agree_ephemeral(secret, &theirs, |it| prf(it, "master secret", &seed, 48)).unwrap();
        let message = handshake(16, &[&[32], share.as_ref()].concat());
        said.extend(&message);
        let mut keys = Keys::new(&master, &ours, &server)?;
        std::mem::swap(&mut keys.client, &mut keys.server);
        let mut finished = handshake(20, &prf(&master, "client finished", &Sha256::digest(&said), 12));
        spoil(&mut finished);
        let sealed = keys.server.seal(HANDSHAKE, &finished)?;
        let flight = [record(HANDSHAKE, &message), record(CHANGE_CIPHER_SPEC, &[1]), sealed].concat();
        wire.inner.write_all(&flight).await?;
        wire.expect(CHANGE_CIPHER_SPEC).await?;
        let theirs = wire.expect(HANDSHAKE).await?;
        let expected = prf(&master, "server finished", &Sha256::digest([said, finished].concat()), 12);
        assert_eq!(keys.client.open(HANDSHAKE, &theirs)?, handshake(20, &expected));
        Ok(Bare { wire, keys, plain: Vec::new(), outgoing: Vec::new(), state: State::Open })
    }

    async fn server(pipe: DuplexStream) -> io::Result<Bare<DuplexStream>> {
        let authority = Authority::generate(1_790_000_000).unwrap();
        let message = busybox();
        let Reading::Hello(hello) = read(&record(HANDSHAKE, &message)) else { panic!("a hello") };
        assert!(serves(&hello));
        let key = authority.certify(Some(b"a.example"), [127, 0, 0, 1].into()).unwrap();
        accept(&hello, &message, Vec::new(), pipe, &key, &Secrets::default()).await
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, future)
    }

    #[test]
    fn a_client_that_names_no_signatures_is_served() {
        run(async {
            let (near, far) = duplex(64 << 10);
            let talk = async {
                let mut client = client(near, |_| {}).await.unwrap();
                client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
                client.flush().await.unwrap();
                client.shutdown().await.unwrap();
                let mut heard = Vec::new();
                client.state = State::Open;
                client.read_to_end(&mut heard).await.unwrap();
                heard
            };
            let serve = async {
                let mut server = server(far).await.unwrap();
                let mut heard = Vec::new();
                server.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard, b"GET / HTTP/1.0\r\n\r\n");
                server.write_all(&[b'x'; 50_000]).await.unwrap();
                server.shutdown().await.unwrap();
            };
            let serve = spawn_local(serve);
            assert_eq!(talk.await, [b'x'; 50_000]);
            serve.await.unwrap();
        });
    }

    #[test]
    fn a_last_word_that_does_not_fit_ends_it() {
        run(async {
            let (near, far) = duplex(64 << 10);
            let server = spawn_local(server(far));
            let client = client(near, |finished| finished[6] ^= 1).await;
            assert!(client.is_err() && server.await.unwrap().is_err());
        });
    }

    #[test]
    fn what_is_no_handshake_ends_it_and_an_alert_is_told() {
        let check = |said: &[u8]| {
            run(async {
                let (mut near, far) = duplex(64 << 10);
                near.write_all(said).await.unwrap();
                near.shutdown().await.unwrap();
                let server = spawn_local(server(far));
                let _ = near.read_to_end(&mut Vec::new()).await;
                super::super::outcome(&server.await.unwrap().err().unwrap())
            })
        };
        use crate::internet::testimony::Handshake;
        let refused = Handshake::Refused { alert: "unknown_ca".into() };
        assert_eq!(check(&record(ALERT, &[2, 48])), refused);
        assert_eq!(check(&record(HANDSHAKE, &handshake(16, &[32]))), Handshake::Broken);
        assert_eq!(check(&record(HANDSHAKE, &handshake(16, &[]))), Handshake::Broken);
        assert_eq!(check(&[HANDSHAKE, 3, 3, 0xff, 0xff]), Handshake::Broken);
        assert_eq!(check(&record(HANDSHAKE, &[16, 0xff, 0xff, 0xff])), Handshake::Broken);
        assert_eq!(check(&record(DATA, b"x")), Handshake::Broken);
    }

    #[test]
    fn who_says_what_rustls_needs_is_left_to_it() {
        let Reading::Hello(hello) = read(&record(HANDSHAKE, &busybox())) else { panic!("a hello") };
        let mut named = (*hello).clone();
        named.extensions.push(SIGNATURE_ALGORITHMS);
        let mut old = (*hello).clone();
        old.version = 0x0301;
        let mut other = *hello;
        other.ciphers = vec![0x002f];
        assert!(!serves(&named) && !serves(&old) && !serves(&other));
    }
}
