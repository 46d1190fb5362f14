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

/// Names what a body is, and what the parts of a form in it are.
pub fn kinds(body: &[u8], visit: Visit<'_>) -> bool {
    if kind(body).is_some_and(|name| visit(name.as_bytes())) {
        return true;
    }
    if !body.starts_with(b"--") {
        return false;
    }
    let heads = (0..body.len()).filter(|&at| body[at..].starts_with(b"\r\n\r\n"));
    let parts = heads.take(PARTS_MAX).filter_map(|at| kind(&body[at + 4..]));
    parts.into_iter().any(|name| visit(name.as_bytes()))
}

#[rustfmt::skip]
const MAGIC: [(&[u8], &str); 11] = [
    (b"\x7fELF", "elf"), (b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"SQLite format 3\0", "sqlite"), (b"-----BEGIN ", "pem"), (b"Salted__", "openssl"), (b"#!", "script"),
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
