//! Packet lines (gitprotocol-common(5)): a length in four hexadecimal digits, which counts itself.

/// The end of a message.
pub const FLUSH: &[u8] = b"0000";
/// Longer lines do not exist.
const LINE_MAX: usize = 65_520;
/// Bytes of a pack in one line: what the side band allows.
const BAND_MAX: usize = 65_515;

pub fn line(text: &str) -> Vec<u8> {
    packet(text.as_bytes())
}

fn packet(content: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", content.len() + 4).into_bytes();
    packet.extend(content);
    packet
}

/// Data in the first band, cut as it must be, without the end.
pub fn banded(data: &[u8]) -> Vec<u8> {
    data.chunks(BAND_MAX).flat_map(|chunk| packet(&[&[1], chunk].concat())).collect()
}

/// The lines of a message, without their newlines, as far as they are whole; special ones are left out.
pub fn lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let digits = std::str::from_utf8(length).ok().filter(|_| length.iter().all(u8::is_ascii_hexdigit));
        match digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()) {
            Some(0..=2) => bytes = rest,
            Some(length @ 4..=LINE_MAX) if rest.len() >= length - 4 => {
                let (content, rest) = rest.split_at(length - 4);
                lines.push(content.strip_suffix(b"\n").unwrap_or(content));
                bytes = rest;
            }
            _ => break,
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_are_cut_or_broken() {
        let check = |bytes: &[u8], expected: &[&[u8]]| assert_eq!(lines(bytes), expected, "{bytes:?}");
        check(b"0009done\n0000", &[b"done"]);
        check(b"0006a\n00010005b", &[b"a", b"b"]);
        check(b"0004", &[b""]);
        check(b"0009don", &[]);
        check(b"0003x", &[]);
        check(b"zzzz", &[]);
        check(b"+004", &[]);
        check(b"ffff", &[]);
        check(b"", &[]);
    }

    #[test]
    fn a_line_counts_itself() {
        assert_eq!(line("done\n"), b"0009done\n");
        assert_eq!(banded(b"x"), b"0006\x01x");
    }
}
