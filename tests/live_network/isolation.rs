//! Nothing that the sandbox sends gets further than the world's end of the wire.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::time::{SystemTime, UNIX_EPOCH};

use lazaret::sys::packet::PacketRing;
use nix::ifaddrs::getifaddrs;

use crate::place::{Place, busybox, run};
use crate::support::{PATIENCE, live, program};

/// Everything of the host that could be reached, and an ear on each of its interfaces.
struct Ears {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    unix: UnixListener,
    packets: PacketRing,
}

impl Ears {
    fn open(name: &str) -> Ears {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let tcp: Vec<_> = any.map(|it| TcpListener::bind((it, 0)).unwrap()).into();
        let udp: Vec<_> = any.map(|it| UdpSocket::bind((it, 0)).unwrap()).into();
        tcp.iter().for_each(|it| it.set_nonblocking(true).unwrap());
        udp.iter().for_each(|it| it.set_nonblocking(true).unwrap());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let unix = UnixListener::bind_addr(&address).unwrap();
        unix.set_nonblocking(true).unwrap();
        Ears { tcp, udp, unix, packets: PacketRing::open(1 << 20, 32, 10).unwrap() }
    }

    fn ports(&self) -> BTreeSet<u16> {
        let tcp = self.tcp.iter().map(|it| it.local_addr().unwrap().port());
        tcp.chain(self.udp.iter().map(|it| it.local_addr().unwrap().port())).collect()
    }

    /// What was heard, in words.
    fn heard(&mut self, marker: &[u8]) -> Vec<String> {
        let mut heard = Vec::new();
        heard
            .extend(self.tcp.iter().filter_map(|it| it.accept().ok()).map(|(_, from)| format!("tcp {from}")));
        let mut buffer = [0; 64];
        heard.extend(
            self.udp
                .iter()
                .filter_map(|it| it.recv_from(&mut buffer).ok())
                .map(|(_, from)| format!("udp {from}")),
        );
        heard.extend(self.unix.accept().ok().map(|_| "unix".to_owned()));
        self.packets.drain(&mut |packet| {
            if packet.bytes.windows(marker.len()).any(|window| window == marker) {
                heard.push(format!("packet on interface {}", packet.interface));
            }
        });
        heard
    }
}

/// Of the host, of loopback, of what engines give to theirs, of nobody.
fn addresses() -> BTreeSet<IpAddr> {
    let own = getifaddrs().unwrap().filter_map(|it| {
        let address = it.address?;
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::from(it.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|it| it.ip().into()))
    });
    let others = [
        "127.0.0.1",
        "::1",
        "172.17.0.1",
        "172.17.255.255",
        "10.0.0.1",
        "169.254.169.254",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "fd3f:9a1c:7e20::1",
    ];
    own.chain(others.map(|it| it.parse().unwrap())).collect()
}

#[test]
fn no_packet_of_the_sandbox_reaches_the_host_or_leaves_it() {
    if !live() {
        return;
    }
    let marker = format!("marker-{:x}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos());
    // The place is had by one test at a time, and looks at what is open on the host.
    let place = Place::new();
    let mut ears = Ears::open(&marker);
    let mut command = vec!["/reach".to_owned(), marker.clone(), marker.clone()];
    for address in addresses() {
        for port in ears.ports() {
            command.extend([address.to_string(), port.to_string()]);
        }
    }
    let layer = busybox().file("reach", &program::build("reach"), 0o755);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let said = place.analyze(&["--duration", "120s", &place.image(run(layer, &command))]);
    assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    let ways = std::fs::read_to_string(place.path("out/stdout")).unwrap();
    // Else nothing was tried.
    assert!(ways.contains("tcp 10.0.0.1\n") && ways.contains("udp 10.0.0.1\n"), "{ways}");
    for way in ["unix", "raw", "packet", "route", "flags", "unlink"] {
        assert!(!ways.contains(way), "{ways}");
    }
    assert_eq!(ears.heard(marker.as_bytes()), Vec::<String>::new());
    // The ears do hear.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, ears.udp[0].local_addr().unwrap().port()));
    socket.send_to(marker.as_bytes(), own).unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    let mut heard = ears.heard(marker.as_bytes());
    while !(heard.iter().any(|it| it.starts_with("udp")) && heard.iter().any(|it| it.starts_with("packet"))) {
        assert!(std::time::Instant::now() < until, "{heard:?}");
        heard.extend(ears.heard(marker.as_bytes()));
    }
    drop(ears);
    place.assert_clean();
}
