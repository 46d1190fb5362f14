use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;
use crate::bait::{Baits, Profile, Surroundings};

fn baits() -> Baits {
    Baits::new([7; 32])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn hex(bytes: &[u8], before: &str, after: &str) -> Vec<u8> {
    bytes.iter().map(|byte| format!("{before}{byte:02x}{after}")).collect::<String>().into()
}

fn url(bytes: &[u8]) -> Vec<u8> {
    let letter = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(letter).collect::<String>().into()
}

fn base32(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |bits: &[u8]| {
        let value = (0..5).fold(0, |value, at| value << 1 | bits.get(at).copied().unwrap_or(0));
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(value)]
    };
    bits.chunks(5).map(letter).collect()
}

/// Ascii85.
fn base85(bytes: &[u8]) -> Vec<u8> {
    let group = |group: &[u8]| {
        let value =
            group.iter().chain(&[0; 4]).take(4).fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        let letter = move |place: u32| b'!' + (value / 85u32.pow(place) % 85) as u8;
        (0..=group.len() as u32).map(|at| 4 - at).map(letter).collect::<Vec<_>>()
    };
    bytes.chunks(4).flat_map(group).collect()
}

/// Long secrets in parts.
fn base58(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let part = |part: &[u8]| {
        let (mut number, mut letters) = (part.to_vec(), Vec::new());
        while number.iter().any(|byte| *byte > 0) {
            let mut rest = 0;
            for byte in &mut number {
                let value = rest << 8 | u32::from(*byte);
                (*byte, rest) = ((value / 58) as u8, value % 58);
            }
            letters.insert(0, ALPHABET[rest as usize]);
        }
        letters.push(b'\n');
        letters
    };
    bytes.chunks(500).flat_map(part).collect()
}

fn wrapped(bytes: &[u8], width: usize, end: &str) -> Vec<u8> {
    bytes.chunks(width).flat_map(|line| [line, end.as_bytes()].concat()).collect()
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    let mut header = b"PK\x03\x04\x14\x00\x00\x00\x08\x00".to_vec();
    header.resize(26, 0);
    header.extend([5, 0, 3, 0]);
    [&header[..], b"a.txtxyz", &encoder.finish().unwrap(), b"PK\x01\x02"].concat()
}

/// What is found in `sent`, in one piece and in pieces of several sizes alike.
fn found(scanner: &Scanner, sent: &[u8]) -> Vec<(String, String, String)> {
    let look = |size: usize| {
        let mut scan = scanner.scan();
        let sightings: Vec<Sighting> = sent.chunks(size).flat_map(|piece| scan.feed(piece)).collect();
        let mut found: Vec<_> =
            sightings.into_iter().map(|seen| (seen.name, seen.field, seen.encoding)).collect();
        found.sort();
        found
    };
    let whole = look(sent.len().max(1));
    let names = |found: &[(String, String, String)]| {
        found.iter().map(|(name, field, _)| (name.clone(), field.clone())).collect::<Vec<_>>()
    };
    assert_eq!(names(&look(5)), names(&whole), "in pieces");
    whole
}

type Encode = fn(&[u8]) -> Vec<u8>;

#[rustfmt::skip]
const ENCODINGS: &[(&str, Encode)] = &[
    ("plain", <[u8]>::to_vec),
    ("plain", |bytes| wrapped(bytes, 10, "\r\n")),
    ("plain", |bytes| wrapped(bytes, 70, "=\r\n")),
    ("reversed", |bytes| bytes.iter().rev().copied().collect()),
    ("xor", |bytes| bytes.iter().map(|byte| byte ^ 0x5a).collect()),
    ("utf-16", |bytes| bytes.iter().flat_map(|byte| [*byte, 0]).collect()),
    ("utf-16", |bytes| bytes.iter().flat_map(|byte| [0, *byte]).collect()),
    ("url", |bytes| bytes.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect()),
    ("plain", |bytes| bytes.iter().flat_map(|byte| format!("\\u{byte:04x}").into_bytes()).collect()),
    ("base64", |bytes| STANDARD.encode(bytes).into()),
    ("base64", |bytes| STANDARD.encode([b"x", bytes].concat()).into()),
    ("base64", |bytes| STANDARD.encode([b"xy", bytes].concat()).into()),
    ("base64", |bytes| URL_SAFE_NO_PAD.encode(bytes).into()),
    ("base64", |bytes| wrapped(STANDARD.encode(bytes).as_bytes(), 76, "\r\n")),
    ("base64", |bytes| wrapped(STANDARD.encode(bytes).as_bytes(), 19, "\\n")),
    ("base64", |bytes| url(STANDARD.encode(bytes).as_bytes())),
    ("base64", |bytes| STANDARD.encode(bytes).replace('/', "\\/").into()),
    ("base64", |bytes| [b"GET /upload/a", STANDARD_NO_PAD.encode(bytes).as_bytes()].concat()),
    ("hex", |bytes| hex(bytes, "", "")),
    ("hex", |bytes| hex(bytes, "", "").to_ascii_uppercase()),
    ("hex", |bytes| hex(bytes, "", ":")),
    ("hex", |bytes| hex(bytes, " ", "")),
    ("hex", |bytes| hex(bytes, "\\x", "")),
    ("hex", |bytes| hex(bytes, "0x", ", ")),
    ("hex", |bytes| wrapped(&hex(bytes, "", ""), 60, "\n")),
    ("base32", base32),
    ("rot47", |bytes| bytes.iter().map(|byte| if *byte > 32 { (byte - 33 + 47) % 94 + 33 } else { *byte }).collect()),
    ("xor", |bytes| bytes.iter().zip(b"Key7+".iter().cycle()).map(|(byte, key)| byte ^ key).collect()),
    ("base64+xor", |bytes| {
        STANDARD.encode(bytes.iter().zip(b"S3cr3tK3y!".iter().cycle()).map(|(byte, key)| byte ^ key).collect::<Vec<_>>()).into()
    }),
    ("base85", |bytes| base85(bytes)),
    ("base85", |bytes| base85(&[b"xyz", bytes].concat())),
    ("base58", base58),
    ("decimal", |bytes| format!("{{\"data\":{bytes:?}}}").into()),
    ("decimal", |bytes| bytes.iter().map(|byte| format!("&#{byte};")).collect::<String>().into()),
    ("gzip", gzip),
    ("gzip", zlib),
    ("gzip", zip),
    ("base64+gzip", |bytes| STANDARD.encode(gzip(bytes)).into()),
    ("gzip+base64", |bytes| gzip(STANDARD.encode(bytes).as_bytes())),
    ("base64+base64", |bytes| STANDARD.encode(STANDARD.encode(bytes)).into()),
    ("base64+reversed", |bytes| STANDARD.encode(bytes.iter().rev().copied().collect::<Vec<_>>()).into()),
    ("hex+base64", |bytes| hex(STANDARD.encode(bytes).as_bytes(), "", "")),
    ("base64+base64+gzip", |bytes| STANDARD.encode(STANDARD.encode(gzip(bytes))).into()),
];

#[test]
fn every_secret_is_found_in_every_encoding() {
    let baits = baits();
    let scanner = Scanner::new(&baits);
    for (number, (encoding, encode)) in ENCODINGS.iter().enumerate() {
        for bait in baits.iter() {
            // A secret has no line of its own: what stands around it is sent with it.
            for secret in &bait.secrets {
                let sent = [b"{\"q\": \"", &encode(secret.value.as_bytes())[..], b"\"}"].concat();
                let expected = (bait.name.clone(), secret.field.clone(), (*encoding).to_owned());
                assert_eq!(found(&scanner, &sent), [expected], "{number} {encoding}: {}", bait.name);
            }
        }
    }
}

#[test]
fn every_planted_file_gives_its_bait_away_when_it_is_sent() {
    let baits = baits();
    let scanner = Scanner::new(&baits);
    let image = Surroundings { working_dir: b"/", has: &|_| false };
    for name in Profile::names() {
        for decoy in baits.decoys(&Profile::shipped(name).unwrap(), &image) {
            let names: HashSet<String> =
                found(&scanner, &decoy.content).into_iter().map(|(name, ..)| name).collect();
            let expected: HashSet<String> = decoy.bait.map(str::to_owned).into_iter().collect();
            assert_eq!(names, expected, "{}", String::from_utf8_lossy(&decoy.path));
        }
    }
}

#[test]
fn a_part_of_a_secret_is_enough() {
    let baits = baits();
    let scanner = Scanner::new(&baits);
    let key = baits.secret("aws-credentials", "secret_access_key");
    for begin in 0..=8 {
        assert_eq!(found(&scanner, &key.as_bytes()[begin..begin + 32]).len(), 1, "{begin}");
    }
    let key = baits.secret("ssh-key", "private_key");
    let half = key.len() * 2 / 3;
    assert_eq!(found(&scanner, &key.as_bytes()[half - 40..]).len(), 1);
    // Nothing of it but what every key has.
    assert_eq!(found(&scanner, &key.as_bytes()[..key.len() / 2]), []);
}

#[test]
fn a_secret_is_told_once_in_each_stream() {
    let baits = baits();
    let scanner = Scanner::new(&baits);
    let token = baits.secret("github-token", "token");
    for _ in 0..2 {
        let mut scan = scanner.scan();
        assert_eq!(scan.feed(format!("{token} {token}").as_bytes()).len(), 1);
        assert_eq!(scan.feed(STANDARD.encode(token).as_bytes()), []);
    }
}

#[test]
fn other_secrets_of_the_same_kinds_are_none() {
    let scanner = Scanner::new(&baits());
    let others = Baits::new([8; 32]);
    for bait in others.iter() {
        for secret in &bait.secrets {
            assert_eq!(found(&scanner, secret.value.as_bytes()), [], "{}", bait.name);
            assert_eq!(found(&scanner, STANDARD.encode(&secret.value).as_bytes()), [], "{}", bait.name);
        }
    }
    assert_eq!(Scanner::new(&Baits::default()).scan().feed(b"anything"), []);
}

#[test]
fn a_bomb_is_not_read_to_its_end_and_hides_nothing_behind_it() {
    let baits = baits();
    let scanner = Scanner::new(&baits);
    let bomb = gzip(&vec![0; 64 << 20]);
    let mut inflater = inflate::Inflater::default();
    let (mut read, mut room) = (Vec::new(), 1 << 20);
    inflater.feed(&bomb, &mut read, &mut room);
    assert!(read.len() < 2 << 20, "{}", read.len());
    let sent = [&bomb[..4 << 10], &gzip(baits.secret("npm-token", "token").as_bytes())].concat();
    let mut scan = scanner.scan();
    assert_eq!(scan.feed(&sent).len(), 1);
}

/// Asks for these names; gives what was found, by name and encoding.
fn asked(scanner: &Scanner, names: &[String]) -> Vec<(String, String)> {
    let sightings = names.iter().flat_map(|name| scanner.name(name.as_bytes()));
    sightings.map(|seen| (seen.name, seen.encoding)).collect()
}

fn cut(text: &str, size: usize, write: impl Fn(usize, &str) -> String) -> Vec<String> {
    let pieces = text.as_bytes().chunks(size).enumerate();
    pieces.map(|(number, piece)| write(number, std::str::from_utf8(piece).unwrap())).collect()
}

#[test]
fn names_carry_secrets_in_labels_over_names() {
    let baits = baits();
    let key = baits.secret("aws-credentials", "secret_access_key");
    let line = format!("aws_secret_access_key = {key}\n");
    let coded = String::from_utf8(hex(line.as_bytes(), "", "")).unwrap();
    let thirtytwo = String::from_utf8(base32(line.as_bytes())).unwrap();
    let dashed = URL_SAFE_NO_PAD.encode(&line);
    let twice = |names: Vec<String>| names.into_iter().flat_map(|name| [name.clone(), name]).collect();
    let long: &dyn Fn(usize, &str) -> String = &|_, piece| format!("{piece}.evil.example");
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("dns-labels+hex", cut(&coded, 60, long)),
        ("dns-labels+hex", cut(&coded, 20, long)),
        ("dns-labels+hex", twice(cut(&coded, 31, long))),
        ("dns-labels+hex", cut(&coded, 40, |number, piece| format!("{number}.{piece}.evil.example"))),
        ("dns-labels+hex", cut(&coded, 40, |number, piece| format!("{piece}.{number}.x.evil.example"))),
        ("dns-labels+hex", vec![cut(&coded, 60, |_, piece| piece.to_owned()).join(".") + ".t.evil.example."]),
        ("dns-labels+base32", cut(&thirtytwo.to_lowercase(), 50, long)),
        ("dns-labels+base32", cut(&thirtytwo, 25, long)),
        ("dns-labels+base64", cut(&dashed, 63, long)),
        ("dns-labels+base64", cut(&dashed.to_lowercase(), 40, long)),
        ("dns-labels", cut(&key.replace(['+', '/'], "-"), 20, long)),
        ("dns-labels", cut(&key.replace(['+', '/'], "-").to_lowercase(), 20, long)),
    ];
    for (number, (encoding, names)) in cases.into_iter().enumerate() {
        let found = asked(&Scanner::new(&baits), &names);
        assert_eq!(found, [("aws-credentials".to_owned(), encoding.to_owned())], "{number}: {names:?}");
    }
}

#[test]
fn requests_to_one_host_carry_secrets_in_pieces() {
    let baits = baits();
    let key = baits.secret("aws-credentials", "secret_access_key");
    let line = format!("aws_secret_access_key = {key}\n");
    let coded = String::from_utf8(hex(line.as_bytes(), "", "")).unwrap();
    let dashed = URL_SAFE_NO_PAD.encode(&line);
    let asked = |host: &str, part: &str, values: &[String]| {
        let scanner = Scanner::new(&baits);
        let ask = |(number, value): (usize, &String)| {
            let host = host.replace('N', &number.to_string());
            scanner.request(host.as_bytes(), [(part.as_bytes(), value.as_bytes())].into_iter())
        };
        let seen: Vec<_> = values.iter().enumerate().flat_map(ask).collect();
        seen.into_iter().map(|seen| (seen.name, seen.encoding)).collect::<Vec<_>>()
    };
    let check = |part: &str, encoding: &str, values: Vec<String>| {
        let expected = [("aws-credentials".to_owned(), encoding.to_owned())];
        assert_eq!(asked("a.example", part, &values), expected, "{values:?}");
        assert_eq!(asked("N.example", part, &values), [], "{values:?}");
    };
    check("target", "pieces+hex", cut(&coded, 20, |_, piece| format!("/img/{piece}.png")));
    check("target", "pieces+hex", cut(&coded, 8, |number, piece| format!("/i?{number}={piece}&v=2")));
    check("cookie", "pieces+base64", cut(&dashed, 24, |_, piece| format!("lang=en; sid={piece}")));
    check("user-agent", "pieces+base64", cut(&dashed, 16, |_, piece| format!("Mozilla/5.0 ({piece}) Gecko")));
    assert_eq!(asked("a.example", "target", &vec!["/health".to_owned(); 50]), []);
}

#[test]
fn ordinary_names_are_none_and_domains_are_apart() {
    let baits = baits();
    let scanner = Scanner::new(&baits);
    let names: Vec<String> = (0..500).map(|number| format!("host{number}.d{number}.example")).collect();
    assert_eq!(asked(&scanner, &names), []);
    assert_eq!(asked(&scanner, &["".into(), ".".into(), "a".into(), "\\".into(), "a\\..b..c".into()]), []);
    let key = baits.secret("aws-credentials", "access_key_id").to_lowercase();
    let apart = [format!("{}.one.example", &key[..10]), format!("{}.two.other", &key[10..])];
    assert_eq!(asked(&scanner, &apart), []);
}

#[test]
fn names_tell_of_the_machine_by_its_name() {
    let check = |hostname: &str, name: &str, expected: Option<&str>| {
        let scanner = Scanner::new(&Baits::default()).with_machine(hostname);
        let found = scanner.name(name.as_bytes());
        let encodings: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.encoding.as_str())).collect();
        let expected: Vec<_> = expected.map(|encoding| ("machine-name", encoding)).into_iter().collect();
        assert_eq!(encodings, expected, "{name}");
    };
    const NAME: &str = "713bdce97de8";
    check(NAME, "713bdce97de8.root.pkg.example.com", Some("dns-labels"));
    check(NAME, "373133626463653937646538.0.example.com", Some("dns-labels+hex"));
    check(NAME, "g4ytgytemnstsn3emu4a.x.example.com", Some("dns-labels+base32"));
    check(NAME, "713bdce97de8", None);
    check(NAME, "www.example.com", None);
    check("web", "web.pkg.example.com", None);
}
