//! What a part of a secret looks like in base85, wherever in the encoded text it begins.

use super::chunk::dropped;

/// Bytes and letters of a group.
const GROUP: usize = 4;
const LETTERS: u32 = 5;

/// Adobe's Ascii85, RFC 1924 (Git, Python) and ZeroMQ's Z85.
const ALPHABETS: [&[u8; 85]; 3] = [
    b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
];

/// The letters that the part alone decides, for each alphabet and each place in a group where it may begin;
/// without those that are passed over in what is sent.
pub(super) fn forms(chunk: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let places = (0..GROUP).map(|skipped| chunk.get(skipped..).unwrap_or_default());
    places.flat_map(|part| ALPHABETS.map(|alphabet| encode(part, alphabet)))
}

fn encode(part: &[u8], alphabet: &[u8; 85]) -> Vec<u8> {
    let (groups, _) = part.as_chunks::<GROUP>();
    let letters = groups.iter().flat_map(|group| {
        let value = u32::from_be_bytes(*group);
        (0..LETTERS).rev().map(move |place| alphabet[(value / 85u32.pow(place) % 85) as usize])
    });
    letters.filter(|letter| !dropped(*letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_written_as_others_write_it() {
        // Python: base64.a85encode, base64.b85encode; ZeroMQ's specification 32.
        assert_eq!(encode(b"secret token", ALPHABETS[0]), b"F(Jj%ATT&:Deip%");
        assert_eq!(encode(b"secret token", ALPHABETS[1]), b"b7f<4Wpp5PZ);_4");
        assert_eq!(encode(&[0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b], ALPHABETS[2]), b"HelloWorld");
    }
}
