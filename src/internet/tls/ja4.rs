//! JA4, the fingerprint of a TLS client, as FoxIO's technical description has it (`technical_details/JA4.md`
//! of FoxIO-LLC/ja4; JA4 itself is BSD 3-Clause).

use sha2::{Digest, Sha256};

use super::hello::ClientHello;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const NOTHING: &str = "000000000000";

/// `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub fn ja4(hello: &ClientHello) -> String {
    let ciphers = plain(&hello.ciphers);
    let extensions = plain(&hello.extensions);
    let name = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let [version, alpn] = [version(hello), &alpn(hello)];
    let [how_many_ciphers, how_many_extensions] = [ciphers.len().min(99), extensions.len().min(99)];
    let first = format!("t{version}{name}{how_many_ciphers:02}{how_many_extensions:02}{alpn}");
    format!("{first}_{}_{}", hash(&sorted(ciphers)), extension_hash(extensions, &plain(&hello.signatures)))
}

/// Without the values that are there to be ignored (RFC 8701).
fn plain(values: &[u16]) -> Vec<u16> {
    values.iter().copied().filter(|value| !is_grease(*value)).collect()
}

fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

fn version(hello: &ClientHello) -> &'static str {
    let highest = plain(&hello.versions).into_iter().max().unwrap_or(hello.version);
    match highest {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// First and last character of the first protocol, of its hex form where they are none.
fn alpn(hello: &ClientHello) -> String {
    let (Some(first), Some(last)) =
        (hello.alpn.first().and_then(|name| name.first()), hello.alpn.first().and_then(|name| name.last()))
    else {
        return "00".into();
    };
    match first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        true => format!("{}{}", char::from(*first), char::from(*last)),
        false => format!("{:x}{:x}", first >> 4, last & 0x0f),
    }
}

fn extension_hash(extensions: Vec<u16>, signatures: &[u16]) -> String {
    let others = extensions.into_iter().filter(|kind| ![SERVER_NAME, ALPN].contains(kind)).collect();
    let mut text = sorted(others);
    if !text.is_empty() && !signatures.is_empty() {
        text = format!("{text}_{}", list(signatures));
    }
    hash(&text)
}

fn sorted(mut values: Vec<u16>) -> String {
    values.sort_unstable();
    list(&values)
}

fn list(values: &[u16]) -> String {
    let texts: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    texts.join(",")
}

fn hash(text: &str) -> String {
    if text.is_empty() {
        return NOTHING.into();
    }
    let digest = Sha256::digest(text);
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::hello::{self, Reading};
    use super::*;

    /// The worked example of the description: Chrome, with GREASE in every list.
    fn described() -> ClientHello {
        ClientHello {
            version: 0x0303,
            versions: vec![0xbaba, 0x0304, 0x0303],
            ciphers: vec![
                0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
                0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                0x5a5a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
                0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x8a8a,
            ],
            signatures: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
            groups: vec![],
            server_name: Some(b"example.com".to_vec()),
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }

    #[test]
    fn the_example_of_the_description_comes_out() {
        assert_eq!(ja4(&described()), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        let Reading::Hello(read) = hello::read(&hello::tests::stream(&described(), 300)) else {
            panic!("no hello")
        };
        assert_eq!(ja4(&read), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn what_is_missing_is_written_as_zeros() {
        let old = ClientHello { version: 0x0301, ..ClientHello::default() };
        assert_eq!(ja4(&old), "t10i000000_000000000000_000000000000");
        let unsigned = ClientHello { signatures: vec![], ..described() };
        assert_eq!(ja4(&unsigned), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    fn check_alpn(protocol: &[u8], expected: &str) {
        let hello = ClientHello { alpn: vec![protocol.to_vec()], ..ClientHello::default() };
        assert_eq!(alpn(&hello), expected, "{protocol:?}");
    }

    #[test]
    fn a_protocol_is_its_first_and_last_character() {
        check_alpn(b"http/1.1", "h1");
        check_alpn(b"q", "qq");
        check_alpn(b"", "00");
        check_alpn(&[0xab], "ab");
        check_alpn(&[0xab, 0xcd], "ad");
        check_alpn(&[0x30, 0xab], "3b");
        check_alpn(&[0x30, 0x31, 0xab, 0xcd], "3d");
        check_alpn(&[0x30, 0xab, 0xcd, 0x31], "01");
    }

    #[test]
    fn more_than_two_digits_hold_is_written_as_99() {
        let many = ClientHello { ciphers: (1..200).collect(), ..described() };
        assert!(ja4(&many).starts_with("t13d9916h2_"));
    }
}
