//! What a client says in a conversation that is not HTTP. The first two bytes are the port; what follows is
//! said at once, and again in pieces of uneven lengths.

use lazaret::internet::service::{Turn, dialogue};
use lazaret::internet::testimony::BODY_MAX;

use super::world;

/// An answer to each byte is no longer, apart from what a greeting takes.
const ANSWER_MAX: usize = 1 << 10;

pub fn check(bytes: &[u8]) {
    let Some((port, said)) = bytes.split_first_chunk() else { return };
    let port = u16::from_be_bytes(*port);
    let whole = hear(port, said, said.len().max(1));
    let pieces = hear(port, said, 1 + said.len() % 7);
    assert_eq!(whole, pieces, "port {port}: the same commands however they are cut");
}

/// The verbs of what was reported.
fn hear(port: u16, said: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut dialogue = dialogue(&world::world(), port, said);
    assert!(!dialogue.service().is_empty());
    dialogue.greet();
    let mut verbs = Vec::new();
    for piece in said.chunks(piece) {
        let mut turn = Turn::default();
        dialogue.hear(piece, &mut turn);
        assert!(turn.say.len() <= ANSWER_MAX * (piece.len() + 1), "{} bytes of answer", turn.say.len());
        for (verb, text, _) in &turn.commands {
            assert!(verb.len() + text.len() <= BODY_MAX + said.len());
        }
        verbs.extend(turn.commands.into_iter().map(|(verb, _, _)| verb));
        // Over; or what follows belongs inside TLS.
        if turn.close || turn.start_tls {
            break;
        }
    }
    verbs
}
