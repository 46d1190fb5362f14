//! What the simulated internet adds to a run, and how many connections a second it answers.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lazaret::bait::Baits;
use lazaret::internet::process::Internet;
use lazaret::internet::world::{Scenario, World};
use nix::sched::{CloneFlags, unshare};

use super::Place;
use super::measure::{ROUNDS, head, line, median};

pub fn bench(place: &Place) {
    head("the simulated internet");
    added_to_a_run(place);
    alone(place);
}

/// Whole runs without and with, in turn.
fn added_to_a_run(place: &Place) {
    let (tree, state) = (place.tree(), place.path().join("state"));
    run(place, &state, &tree, "none");
    let pairs =
        (0..3 * ROUNDS).map(|_| ["none", "simulated"].map(|network| run(place, &state, &tree, network)));
    let (without, with): (Vec<f64>, Vec<f64>) = pairs.map(|[without, with]| (without, with)).unzip();
    let differences = with.iter().zip(&without).map(|(with, without)| with - without).collect();
    line("a whole run without a network", &milliseconds(median(without)), "");
    line("the same with the simulated internet", &milliseconds(median(with)), "");
    line("what it adds, pair by pair", &milliseconds(median(differences)), "≤ 30 ms");
}

fn run(place: &Place, state: &Path, tree: &Path, network: &str) -> f64 {
    let out = place.path().join("out");
    let _ = fs::remove_dir_all(&out);
    let clock = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .arg("--state")
        .arg(state)
        .args(["analyze", "--policy", "observe", "--network", network, "--out"])
        .arg(&out)
        .arg(tree)
        .args(["--", "/load", "now"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("lazaret").code() != Some(5));
    clock.elapsed().as_secs_f64()
}

/// The process by itself.
fn alone(place: &Place) {
    let (mut up, mut down, mut raw, mut http) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let once = once(&place.path().join("capture.pcapng"));
        up.push(once.up.as_secs_f64());
        down.push(once.down.as_secs_f64());
        raw.push(once.raw);
        http.push(once.http);
    }
    line("· from the start of its process to a connected namespace", &milliseconds(median(up)), "");
    line("· from the word to stop to its last word", &milliseconds(median(down)), "");
    line("connections that send a word, by one client", &per_second(median(raw)), "≥ 2000/s");
    line("connections with an HTTP request, by one client", &per_second(median(http)), "≥ 2000/s");
}

struct Once {
    up: Duration,
    down: Duration,
    /// Connections a second.
    raw: f64,
    http: f64,
}

fn once(capture: &Path) -> Once {
    let ((ready, is_ready), (go, may_go)) = (mpsc::channel(), mpsc::channel());
    let client = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        ready.send(File::open("/proc/thread-self/ns/net").expect("its own")).expect("a listener");
        may_go.recv().expect("a word");
        let http = rate(80, b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
        (rate(4444, b"words\n"), http)
    });
    let namespace = is_ready.recv().expect("a namespace");
    let clock = Instant::now();
    let mut internet = Internet::start(Path::new("/proc/self/exe")).expect("an internet");
    internet.admit(&File::create(capture).expect("a file")).expect("an internet");
    internet.enter(&world()).expect("an internet");
    internet.connect_namespace(namespace.as_fd()).expect("a wire");
    let up = clock.elapsed();
    go.send(()).expect("a client");
    while !client.is_finished() {
        internet.read();
        std::thread::sleep(Duration::from_millis(1));
    }
    let (raw, http) = client.join().expect("a client");
    let clock = Instant::now();
    internet.dismiss();
    let (_, summary, leaving) = internet.stop();
    let down = clock.elapsed();
    summary.expect("a summary");
    drop(leaving);
    Once { up, down, raw, http }
}

/// One connection after the other for a second, each to another address.
fn rate(port: u16, words: &[u8]) -> f64 {
    let (clock, mut done) = (Instant::now(), 0_u32);
    while clock.elapsed() < Duration::from_secs(1) {
        let to = SocketAddr::from((Ipv4Addr::from(0x0500_0000 + done), port));
        let mut stream = TcpStream::connect(to).expect("an answer");
        stream.write_all(words).expect("a taker");
        if port == 80 {
            stream.read_to_end(&mut Vec::new()).expect("a page");
        }
        done += 1;
    }
    f64::from(done) / clock.elapsed().as_secs_f64()
}

fn world() -> World {
    World {
        hostname: "0123456789ab".into(),
        client: (Ipv4Addr::new(172, 17, 0, 2), "fd3f:9a1c:7e20::2".parse().expect("an address")),
        gateway: (Ipv4Addr::new(172, 17, 0, 1), "fd3f:9a1c:7e20::1".parse().expect("an address")),
        resolver: Ipv4Addr::new(10, 0, 0, 2).into(),
        now: 1_800_000_000,
        baits: Baits::default(),
        scenario: Scenario::default(),
        capture_max: 256 << 20,
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

fn per_second(rate: f64) -> String {
    format!("{rate:.0} /s")
}
