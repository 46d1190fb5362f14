//! A datagram that is no DNS. The first two bytes are the port.

use lazaret::internet::service::datagram;

/// No answer of the world's is longer: a block of a file, and its number.
const ANSWER_MAX: usize = 4 + 512;

pub fn check(bytes: &[u8]) {
    let Some((port, said)) = bytes.split_first_chunk() else { return };
    let client = ([172, 17, 0, 2], 40_000).into();
    let heard = datagram(u16::from_be_bytes(*port), client, said, (1_800_000_000, 0));
    assert!(!heard.service.is_empty() && heard.answer.len() <= ANSWER_MAX, "{heard:?}");
    assert!(heard.command.iter().all(|(verb, text)| !verb.is_empty() && text.len() <= said.len()));
    let answered = datagram(u16::from_be_bytes(*port), client, &heard.answer, (1_800_000_000, 0));
    assert!(heard.service == "tftp" || answered.answer.is_empty(), "no two servers talk for ever");
}
