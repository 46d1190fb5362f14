//! What can be said of a name or of the first bytes of something sent, without knowing the protocol.

use super::Visit;

/// So many parts of a form are looked at.
const PARTS_MAX: usize = 16;
/// Second levels under which countries let domains be registered.
const SECOND: [&[u8]; 12] =
    [b"co", b"com", b"org", b"net", b"ac", b"gov", b"edu", b"or", b"ne", b"go", b"gob", b"mil"];

/// What stands before a name's domain, and the domain: the last two labels, or three below a country's
/// second level. A dot inside a label (`\.`) parts nothing.
pub fn domain(name: &[u8]) -> (&[u8], &[u8]) {
    let mut starts = dots(name).rev().map(|dot| dot + 1);
    let (last, second) = (starts.next(), starts.next());
    let (Some(last), Some(second)) = (last, second) else { return (b"", name) };
    let is_country = name.len() - last == 2 && SECOND.contains(&&name[second..last - 1]);
    let start = if is_country { starts.next().unwrap_or(0) } else { second };
    (&name[..start.saturating_sub(1)], &name[start..])
}

pub fn longest_label(name: &[u8]) -> &[u8] {
    let ends = dots(name).chain([name.len()]);
    let mut start = 0;
    let labels = ends.map(|end| {
        let label = &name[start..end];
        start = end + 1;
        label
    });
    labels.max_by_key(|label| label.len()).unwrap_or_default()
}

/// Where the dots stand that part labels.
fn dots(name: &[u8]) -> impl DoubleEndedIterator<Item = usize> {
    (0..name.len()).filter(|&at| name[at] == b'.' && (at == 0 || name[at - 1] != b'\\'))
}

/// Shannon entropy in hundredths of a bit for each byte.
pub fn entropy(bytes: &[u8]) -> u64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let all = bytes.len() as f64;
    let bits = |count: &u32| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    };
    let sum: f64 = counts.iter().filter(|count| **count > 0).map(bits).sum();
    (sum * 100.0).round() as u64
}

/// True of what reads as nothing, though there is enough of it: noise of no known kind, or nothing but a text
/// that stands for bytes (hexadecimal, base32, base64, base85); the whole, a part of a form, or a string of JSON.
pub fn is_sealed(bytes: &[u8]) -> bool {
    match kind(bytes) {
        Some("json") => strings(bytes).any(is_coded),
        Some(_) => false,
        None if bytes.starts_with(b"--") => parts(bytes).any(|part| is_noise(part) || is_coded(part)),
        None => is_noise(bytes) || is_coded(bytes),
    }
}

/// Less is no cargo: an identifier, a hash.
const CARGO: usize = 80;

fn is_coded(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let text = &text[..end];
    if text.len() < CARGO {
        return false;
    }
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/_-\r\n".contains(byte);
    if text.iter().all(is_letter) {
        return entropy(text) >= 300 && text.iter().any(u8::is_ascii_digit);
    }
    // Base85: half of what is printed, and no words.
    let marks = text.iter().filter(|byte| byte.is_ascii_punctuation()).count();
    let is_printed = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b'\r' | b'\n');
    text.iter().all(is_printed) && marks * 6 >= text.len() && entropy(text) >= 530
}

/// As a cipher leaves it, down to a XOR with a key of some letters.
fn is_noise(bytes: &[u8]) -> bool {
    const LEAST: usize = 48;
    if bytes.len() < LEAST || std::str::from_utf8(bytes).is_ok() {
        return false;
    }
    let is_text = |byte: &&u8| matches!(byte, 0x20..=0x7e | b'\t' | b'\r' | b'\n');
    let foreign = bytes.len() - bytes.iter().filter(is_text).count();
    let nought = bytes.iter().filter(|byte| **byte == 0).count();
    let most = (100.0 * (bytes.len() as f64).log2()).min(800.0) as u64;
    foreign * 3 >= bytes.len() && nought * 20 <= bytes.len() && entropy(bytes) * 5 >= most * 4
}

/// Strings of JSON, as they are written.
fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'"').skip(1).step_by(2)
}

/// Contents of the parts of a form.
fn parts(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let heads = (0..body.len()).filter(|&at| body[at..].starts_with(b"\r\n\r\n"));
    heads.take(PARTS_MAX).map(|at| {
        let part = &body[at + 4..];
        let end = part.windows(4).position(|end| end == b"\r\n--").unwrap_or(part.len());
        &part[..end]
    })
}

/// Names what a body is, and what the parts of a form in it are.
pub fn kinds(body: &[u8], visit: Visit<'_>) -> bool {
    if kind(body).is_some_and(|name| visit(name.as_bytes())) {
        return true;
    }
    if !body.starts_with(b"--") {
        return false;
    }
    let mut names = parts(body).filter_map(kind);
    names.any(|name| visit(name.as_bytes()))
}

#[rustfmt::skip]
const MAGIC: [(&[u8], &str); 14] = [
    (b"\x7fELF", "elf"), (b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"SQLite format 3\0", "sqlite"), (b"-----BEGIN ", "pem"), (b"Salted__", "openssl"), (b"#!", "script"),
    (b"\x78\x01", "zlib"), (b"\x78\x9c", "zlib"), (b"\x78\xda", "zlib"),
];

fn kind(bytes: &[u8]) -> Option<&'static str> {
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(name);
    }
    // `ustar` of POSIX and of GNU (tar(5), at offset 257 of the first header).
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("tar");
    }
    let text = bytes.trim_ascii_start();
    (text.starts_with(b"{") || text.starts_with(b"[")).then_some("json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_can_be_registered() {
        let check = |name: &str, below: &str, parent: &str| {
            assert_eq!(domain(name.as_bytes()), (below.as_bytes(), parent.as_bytes()), "{name}");
        };
        check("a.b.example.com", "a.b", "example.com");
        check("example.com", "", "example.com");
        check("a.example.co.uk", "a", "example.co.uk");
        check("example.co.uk", "", "example.co.uk");
        check("co.uk", "", "co.uk");
        check("localhost", "", "localhost");
        check("", "", "");
        check("a\\.b.example.org", "a\\.b", "example.org");
    }

    #[test]
    fn the_longest_label_and_its_entropy_tell_words_from_noise() {
        assert_eq!(longest_label(b"a.bbb.cc"), b"bbb");
        assert_eq!(longest_label(b""), b"");
        assert_eq!(entropy(b""), 0);
        assert_eq!(entropy(b"aaaa"), 0);
        assert_eq!(entropy(b"abcd"), 200);
        assert!(entropy(b"deb.debian") < 350);
        assert!(entropy(b"mzxw6ytboi4dcnbrgeydambqga4dimjs") > 350);
    }

    #[test]
    fn what_reads_as_nothing_is_sealed() {
        let check = |body: &[u8], expected: bool| {
            assert_eq!(is_sealed(body), expected, "{}", String::from_utf8_lossy(body));
        };
        let noise: Vec<u8> = (0..200_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let base64 = "c2VjcmV0IGtleSBvZiBhIG1hY2hpbmUgdGhhdCBpcyBub3QgeW91cnM".repeat(3);
        let base85 =
            "VPaz%R7FG_Wo~pJWMyh+Xm4$0b8{~-Z*6ZoNkm6bQ(t0UZ!~jmVrhAbNJB+XLs~;wd0=h>Nn&YaP*h<{".repeat(2);
        check(&noise, true);
        check(base64.as_bytes(), true);
        check(base85.as_bytes(), true);
        check(format!("{{\"d\":\"{base64}\"}}").as_bytes(), true);
        check(&[b"--x\r\nA: b\r\n\r\n", &noise[..], b"\r\n--x--"].concat(), true);
        check(&noise[..40], false);
        check(&[b"\x1f\x8b\x08", &noise[..]].concat(), false);
        check(
            b"host=a&version=1.2.3&uptime=17777&arch=x86_64&os=linux&tags=one,two,three,four,five,six",
            false,
        );
        check(b"{\"host\":\"a\",\"token\":\"eyJhbGciOiJI.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c\"}", false);
        check("Grüße aus dem Süden, wo die Bäume blühen und die Vögel übers Land fliegen".as_bytes(), false);
        check(b"6d0a3f4bb5f4ee2f1f2d9ad6f7cbb5a86d0a3f4b", false);
    }

    #[test]
    fn a_body_is_known_by_its_first_bytes_also_within_a_form() {
        let check = |body: &[u8], expected: &[&str]| {
            let mut found = Vec::new();
            kinds(body, &mut |name| {
                found.push(String::from_utf8_lossy(name).into_owned());
                false
            });
            assert_eq!(found, expected, "{body:?}");
        };
        check(b"", &[]);
        check(b"\x7fELF\x02", &["elf"]);
        check(b" {\"a\":1}", &["json"]);
        check(b"user=a&b=c", &[]);
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        check(&tar, &["tar"]);
        check(b"--x\r\nA: b\r\n\r\nplain\r\n--x\r\nA: b\r\n\r\n\x1f\x8b\x08", &["gzip"]);
        check(b"-----BEGIN OPENSSH PRIVATE KEY-----\n", &["pem"]);
    }
}
