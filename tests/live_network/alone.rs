//! The internet process without a sandbox: a thread of the test with a network namespace of its own is
//! who it is connected to.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use lazaret::bait::Baits;
use lazaret::internet::process::Internet;
use lazaret::internet::testimony::{Said, Testimony, Transport};
use lazaret::internet::world::{Scenario, World};
use nix::sched::{CloneFlags, unshare};

use crate::support::live;

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

#[test]
fn every_address_and_port_answers_from_itself() {
    if !live() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let capture = File::create_new(directory.path().join("capture.pcapng")).unwrap();
    let begin = Instant::now();
    let mut internet =
        Internet::start(Path::new(env!("CARGO_BIN_EXE_lazaret")), &world(1 << 20), capture).unwrap();
    println!("started {:?}", begin.elapsed());
    assert!(internet.authority_pem().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    println!("ready {:?}", begin.elapsed());
    let (ready, go) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel::<()>());
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").unwrap();
        ready.0.send(()).unwrap();
        go.1.recv().unwrap();
        for to in [
            "1.2.3.4:80",
            "8.8.8.8:65535",
            "172.17.0.1:1",
            "169.254.169.254:80",
            "[2001:db8::7]:443",
            "[fe80::42:acff:fe11:1%2]:9",
            "[fd3f:9a1c:7e20::1]:22",
        ] {
            let address: std::net::SocketAddr = to.parse().unwrap_or_else(|_| {
                std::net::SocketAddr::V6(std::net::SocketAddrV6::new(
                    "fe80::42:acff:fe11:1".parse().unwrap(),
                    9,
                    0,
                    2,
                ))
            });
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
                .unwrap_or_else(|e| panic!("{to}: {e}"));
            stream.write_all(b"hello").unwrap();
            let mut back = [0; 5];
            stream.read_exact(&mut back).unwrap();
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.connect(address).unwrap();
            socket.send(b"knock").unwrap();
            let mut back = [0; 16];
            let length = socket.recv(&mut back).unwrap_or_else(|e| panic!("udp {to}: {e}"));
            assert_eq!(&back[..length], b"knock", "{to}");
        }
        for address in ["9.9.9.9", "172.17.0.1", "2001:db8::9"] {
            let out = std::process::Command::new("/bin/busybox")
                .args(["ping", "-c", "1", "-W", "3", address])
                .output()
                .unwrap();
            assert!(out.status.success(), "{address}: {out:?}");
        }
    });
    ready.1.recv().unwrap();
    // The thread's own namespace is found by its thread id.
    let task = std::fs::read_dir("/proc/self/task").unwrap().flatten().find(|task| {
        let net = |path: std::path::PathBuf| std::fs::read_link(path.join("ns/net")).unwrap();
        net(task.path()) != net("/proc/self".into())
    });
    let namespace = File::open(task.unwrap().path().join("ns/net")).unwrap();
    let connect = Instant::now();
    internet.connect_namespace(namespace.as_fd()).unwrap();
    println!("connected {:?}", connect.elapsed());
    go.0.send(()).unwrap();
    thread.join().unwrap();
    let stop = Instant::now();
    let mut all = internet.read();
    let (rest, summary) = internet.stop();
    println!("stopped {:?}", stop.elapsed());
    all.extend(rest);
    let summary = summary.unwrap();
    println!("{summary:?}");
    let streams = |transport| {
        all.iter()
            .filter(move |it: &&Testimony| {
                it.flow.unwrap().transport == transport && matches!(it.said, Said::Stream(_))
            })
            .count()
    };
    assert_eq!((streams(Transport::Tcp), streams(Transport::Udp)), (7, 7));
    assert_eq!(
        summary.captured.bytes,
        std::fs::metadata(directory.path().join("capture.pcapng")).unwrap().len()
    );
}
