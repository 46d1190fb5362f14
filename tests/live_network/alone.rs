//! The internet process without a sandbox: a thread of the test with a network namespace of its own is
//! who it is connected to.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Instant;

use lazaret::bait::Baits;
use lazaret::internet::process::{Internet, Summary};
use lazaret::internet::testimony::{Said, Testimony, Transport};
use lazaret::internet::world::{Scenario, World};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

use crate::support::{PATIENCE, live};

fn world(capture_max: u64) -> World {
    World {
        hostname: "0123456789ab".into(),
        client: (Ipv4Addr::new(172, 17, 0, 2), "fd3f:9a1c:7e20::2".parse().unwrap()),
        gateway: (Ipv4Addr::new(172, 17, 0, 1), "fd3f:9a1c:7e20::1".parse().unwrap()),
        resolver: Ipv4Addr::new(10, 0, 0, 2).into(),
        now: 1_800_000_000,
        baits: Baits::default(),
        scenario: Scenario::default(),
        capture_max,
    }
}

/// Runs `client` in a network namespace that is connected to an internet; gives what that heard, and what
/// it says of itself at the end. Its capture is left at `capture`.
pub fn connected(capture: &Path, client: impl FnOnce() + Send + 'static) -> (Vec<Testimony>, Summary) {
    let mut internet = Internet::start(Path::new(env!("CARGO_BIN_EXE_lazaret"))).unwrap();
    internet.admit(&File::create_new(capture).unwrap()).unwrap();
    internet.enter(&world(1 << 20)).unwrap();
    let ((ready, is_ready), (go, may_go)) = (mpsc::channel(), mpsc::channel());
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ready.send(File::open("/proc/thread-self/ns/net").unwrap()).unwrap();
        may_go.recv().unwrap();
        client();
    });
    internet.connect_namespace(is_ready.recv().unwrap().as_fd()).unwrap();
    go.send(()).unwrap();
    let mut heard = Vec::new();
    while !thread.is_finished() {
        if let Some(fd) = internet.testimony_fd() {
            poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::from(20_u8)).unwrap();
        }
        heard.append(&mut internet.read());
    }
    thread.join().unwrap();
    internet.dismiss();
    let (rest, summary, _) = internet.stop();
    heard.extend(rest);
    (heard, summary.unwrap())
}

/// Of every kind that a sandbox can ask for.
fn destinations() -> Vec<SocketAddr> {
    let link_local = SocketAddrV6::new("fe80::42:acff:fe11:1".parse().unwrap(), 9, 0, 36);
    let others = [
        "1.2.3.4:81",
        "8.8.8.8:65535",
        "172.17.0.1:1",
        "172.17.200.7:4444",
        "169.254.169.254:2",
        "[2001:db8::7]:444",
        "[fd3f:9a1c:7e20::1]:1",
        "[fd3f:9a1c:7e20::77]:3",
    ];
    others.iter().map(|it| it.parse().unwrap()).chain([link_local.into()]).collect()
}

fn flows(heard: &[Testimony], transport: Transport) -> BTreeSet<SocketAddr> {
    let streams = heard.iter().filter(|it| matches!(it.said, Said::Stream(_)));
    let flows = streams.filter_map(|it| it.flow).filter(|flow| flow.transport == transport);
    // The testimony of a link-local address may name its interface.
    flows.map(|flow| SocketAddr::new(flow.server.ip(), flow.server.port())).collect()
}

#[test]
fn every_address_and_port_takes_what_it_is_sent() {
    if !live() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("capture.pcapng");
    let (heard, summary) = connected(&capture, || {
        for to in destinations() {
            let stream = TcpStream::connect_timeout(&to, PATIENCE);
            let mut stream = stream.unwrap_or_else(|error| panic!("{to}: {error}"));
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"hello").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap_or_else(|error| panic!("{to}: {error}"));
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            UdpSocket::bind(any).unwrap().send_to(b"knock", to).unwrap();
        }
    });
    let expected = destinations().into_iter().map(|it| SocketAddr::new(it.ip(), it.port()));
    let expected: BTreeSet<_> = expected.collect();
    assert_eq!(flows(&heard, Transport::Tcp), expected);
    assert_eq!(flows(&heard, Transport::Udp), expected);
    assert_eq!(summary.captured.bytes, fs::metadata(&capture).unwrap().len());
    assert!(summary.captured.packets > 50 && !summary.captured.truncated, "{summary:?}");
}

/// `A example.com`, RFC 1035.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    if !live() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    connected(&directory.path().join("capture"), || {
        for resolver in ["10.0.0.2:53", "9.9.9.9:53", "172.17.0.1:53", "[2001:db8::35]:53"] {
            let resolver: SocketAddr = resolver.parse().unwrap();
            let any = if resolver.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.send_to(QUESTION, resolver).unwrap();
            let mut answer = [0; 512];
            let (length, from) =
                socket.recv_from(&mut answer).unwrap_or_else(|it| panic!("{resolver}: {it}"));
            assert_eq!((from, &answer[..2], length > QUESTION.len()), (resolver, &QUESTION[..2], true));
        }
    });
}

#[test]
fn every_address_answers_a_ping() {
    if !live() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    connected(&directory.path().join("capture"), || {
        for address in ["9.9.9.9", "172.17.0.1", "172.17.9.9", "2001:db8::9"] {
            let ping = Command::new("/bin/busybox").args(["ping", "-c", "1", "-W", "10", address]).output();
            let ping = ping.expect("busybox-static is installed (fixtures/setup images)");
            assert!(ping.status.success(), "{address}: {ping:?}");
        }
    });
}

#[test]
fn a_flood_of_connections_and_of_bytes_is_taken_and_bounded() {
    if !live() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("capture.pcapng");
    let (heard, summary) = connected(&capture, || {
        let begin = Instant::now();
        for number in 0..3000_u32 {
            let to = SocketAddr::from((Ipv4Addr::from(0x0500_0000 + number), 10_000));
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
            stream.write_all(b"x").unwrap();
        }
        println!("3000 connections in {:?}", begin.elapsed());
        let mut stream = TcpStream::connect_timeout(&"6.6.6.6:6666".parse().unwrap(), PATIENCE).unwrap();
        let begin = Instant::now();
        for _ in 0..512 {
            stream.write_all(&[7; 64 << 10]).unwrap();
        }
        println!("32 MiB in {:?}", begin.elapsed());
        stream.shutdown(Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    assert_eq!(flows(&heard, Transport::Tcp).len(), 3001);
    let sent = heard.iter().filter_map(|it| match &it.said {
        Said::Stream(stream) => Some(stream.sent),
        _ => None,
    });
    assert_eq!(sent.max(), Some(32 << 20));
    assert!(summary.captured.truncated && summary.captured.bytes <= 1 << 20, "{summary:?}");
    assert_eq!(fs::metadata(&capture).unwrap().len(), summary.captured.bytes);
}
