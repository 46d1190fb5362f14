//! A client as plain as those that need it.

use tokio::io::{DuplexStream, duplex};
use tokio::task::{LocalSet, spawn_local};

use super::super::hello::{Reading, read};
use super::super::{Authority, Secrets};
use super::*;

/// As BusyBox 1.35 says it to `127.0.0.1`, without its random.
fn busybox() -> Vec<u8> {
    let ciphers = [0, 0xff, 0xc0, 0x23, 0xc0, 0x27, 0xc0, 0x2b, 0xc0, 0x2f, 0, 0x3c, 0, 0x3d, 0, 0x9c];
    let extensions =
        [&[0, 0, 0, 14, 0, 12, 0, 0, 9][..], b"127.0.0.1", &[0, 10, 0, 6, 0, 4, 0, 0x17, 0, 0x1d]].concat();
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
