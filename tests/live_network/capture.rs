//! The capture: what it holds, and where it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::place::{Place, shell};
use crate::support::live;

/// Ethernet packets of a pcapng file, after every length in it was checked.
fn packets(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(*file[at..].first_chunk().unwrap()) as usize;
    let (mut at, mut packets) = (0, Vec::new());
    while at < file.len() {
        let length = word(at + 4);
        assert_eq!((length % 4, word(at + length - 4)), (0, length), "block at {at}");
        if word(at) == 6 {
            packets.push(file[at + 28..][..word(at + 20)].to_vec());
        }
        at += length;
    }
    // Where Wireshark's tools are installed, they agree.
    if let Ok(output) = Command::new("capinfos").arg("-c").arg(path).output() {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(&packets.len().to_string()), "{text}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    packets
}

/// Where it is installed, it reads what was said inside TLS.
fn read_by_wireshark(path: &Path) {
    let mut tshark = Command::new("tshark");
    tshark.args(["-2", "-T", "fields", "-e", "http.request.uri", "-r"]).arg(path);
    if let Ok(output) = tshark.output() {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("/path-in-tls"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn holds(packets: &[Vec<u8>], bytes: &[u8]) -> bool {
    packets.iter().any(|packet| packet.windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn what_was_on_the_wire_is_in_the_capture() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "echo to-the-stream | nc -w 1 5.6.7.8 4444; nslookup to-the-datagram.example 9.8.7.6; \
                  wget -q -O - https://in-tls.example/path-in-tls";
    let said = place.analyze(&["--duration", "120s", &place.image(shell(script))]);
    assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    let path = place.path("out/capture.pcapng");
    assert!(holds(&[fs::read(&path).unwrap()], b"CLIENT_RANDOM "), "what it takes to read TLS");
    read_by_wireshark(&path);
    let packets = packets(&path);
    assert!(!holds(&packets, b"path-in-tls"));
    assert!(
        holds(&packets, b"to-the-stream\n") && holds(&packets, b"to-the-datagram\x07example"),
        "{}",
        packets.len()
    );
    assert!(holds(&packets, &[5, 6, 7, 8]) && holds(&packets, &[9, 8, 7, 6]));
    assert_eq!(place.report()["run"]["limits_hit"].as_array().unwrap().len(), 0);
    place.assert_clean();
}

#[test]
fn a_capture_ends_at_its_bound_and_the_report_says_so() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place
        .image(shell("dd if=/dev/zero bs=64k count=800 | nc -w 2 5.6.7.8 80 | dd of=/dev/null; echo done"));
    let said = place.analyze(&["--duration", "120s", "--capture-size", "1m", &reference]);
    assert!([0, 1, 4].contains(&said.code), "{}{}", said.stdout, said.stderr);
    let path = place.path("out/capture.pcapng");
    let size = fs::metadata(&path).unwrap().len();
    assert!(size <= 1 << 20 && size > 1 << 19, "{size}");
    assert!(!packets(&path).is_empty());
    let report = place.report();
    assert!(report["run"]["limits_hit"].as_array().unwrap().contains(&"capture".into()), "{}", report["run"]);
    assert_eq!(fs::read_to_string(place.path("out/stdout")).unwrap(), "done\n");
    place.assert_clean();
}
