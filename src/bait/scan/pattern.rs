//! What is looked for: the parts of all secrets, in automata that are walked byte by byte.

use std::sync::OnceLock;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Sighting;
use super::base85;
use super::chunk::{chunks, dropped};
use crate::bait::Baits;

/// A part of a secret was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Its place among all secrets.
    pub secret: usize,
    /// Encodings, outermost first.
    pub encoding: Vec<&'static str>,
}

pub(super) struct Patterns {
    /// Bait and field.
    secrets: Vec<(String, String)>,
    /// Each part, with its secret.
    chunks: Vec<(usize, Vec<u8>)>,
    /// As it stands, reversed, and shifted by thirteen letters.
    pub text: Automata,
    /// In what is written with all signs, so that nothing of it is a quotation: base85, and shifted by forty-seven.
    signs: OnceLock<Automata>,
    /// Each byte against the one so many places before it: what a XOR with a key of that length leaves as it was.
    differences: OnceLock<Vec<Automata>>,
    /// In names whose letters lost their case.
    folded: OnceLock<Automata>,
}

/// One automaton; each of its patterns is a secret, in a form.
pub(super) struct Automata {
    automaton: Option<NFA>,
    meanings: Vec<(usize, &'static str)>,
}

/// The longest key of a XOR that is looked for.
pub(super) const KEY_MAX: usize = 12;
/// Fewer differences may stand anywhere.
const DIFFERENCES_LEAST: usize = 10;

type Write = fn(&[u8]) -> Vec<u8>;

impl Patterns {
    pub fn new(baits: &Baits) -> Patterns {
        let (mut secrets, mut all) = (Vec::new(), Vec::new());
        for bait in baits.iter() {
            for secret in &bait.secrets {
                all.extend(chunks(&secret.value).into_iter().map(|chunk| (secrets.len(), chunk)));
                secrets.push((bait.name.clone(), secret.field.clone()));
            }
        }
        let forms: [(&str, Write); 3] = [("plain", <[u8]>::to_vec), ("reversed", reversed), ("rot13", rot13)];
        let text = forms
            .iter()
            .flat_map(|(form, write)| all.iter().map(move |(secret, chunk)| (*secret, *form, write(chunk))));
        Patterns {
            text: Automata::new(text),
            signs: OnceLock::new(),
            differences: OnceLock::new(),
            folded: OnceLock::new(),
            secrets,
            chunks: all,
        }
    }

    /// Built when the first stream comes.
    pub fn signs(&self) -> &Automata {
        self.signs.get_or_init(|| {
            let forms = self.chunks.iter().flat_map(|(secret, chunk)| {
                let shifted = [rot47(chunk), rot47(&reversed(chunk))].map(|text| (*secret, "rot47", text));
                shifted.into_iter().chain(base85::forms(chunk).map(|text| (*secret, "base85", text)))
            });
            Automata::new(forms)
        })
    }

    /// One for each length of a key from 1, built when the first stream comes.
    pub fn differences(&self) -> &[Automata] {
        self.differences.get_or_init(|| {
            let chunks = &self.chunks;
            let of = |key: usize| {
                let texts =
                    chunks.iter().map(move |(secret, chunk)| (*secret, "xor", differences(chunk, key)));
                Automata::new(texts.filter(move |(.., text)| key == 1 || text.len() >= DIFFERENCES_LEAST))
            };
            (1..=KEY_MAX).map(of).collect()
        })
    }

    /// Built when the first name is asked for.
    pub fn folded(&self) -> &Automata {
        self.folded.get_or_init(|| {
            let forms = self.chunks.iter().flat_map(|(secret, chunk)| {
                let encoded = (0..3).map(|shift| ("base64", shifted_base64(chunk, shift)));
                let forms = [("plain", chunk.clone())].into_iter().chain(encoded);
                forms.map(|(form, text)| (*secret, form, text.iter().copied().map(fold).collect()))
            });
            Automata::new(forms)
        })
    }

    pub fn sighting(&self, hit: &Hit) -> Sighting {
        let (name, field) = self.secrets[hit.secret].clone();
        Sighting { name, field, encoding: hit.encoding.join("+") }
    }
}

impl Automata {
    fn new(patterns: impl Iterator<Item = (usize, &'static str, Vec<u8>)>) -> Automata {
        let (mut texts, mut meanings) = (Vec::new(), Vec::new());
        for (secret, form, text) in patterns {
            texts.push(text);
            meanings.push((secret, form));
        }
        let mut builder = NFA::builder();
        builder.match_kind(MatchKind::Standard);
        let automaton = (!texts.is_empty()).then(|| builder.build(&texts));
        // It is refused where it has more than 2^31 states; these are thousands.
        Automata { automaton: automaton.and_then(Result::ok), meanings }
    }

    /// Where every walk begins.
    pub fn start(&self) -> StateID {
        let start = self.automaton.as_ref().map(|automaton| automaton.start_state(Anchored::No));
        start.and_then(Result::ok).unwrap_or_default()
    }

    /// One step; calls `found` with secret, form and length of each pattern that ends here.
    #[inline]
    pub fn step(
        &self,
        state: StateID,
        byte: u8,
        mut found: impl FnMut(usize, &'static str, usize),
    ) -> StateID {
        let Some(automaton) = &self.automaton else { return state };
        let state = automaton.next_state(Anchored::No, state, byte);
        if automaton.is_match(state) {
            for index in 0..automaton.match_len(state) {
                let pattern = automaton.match_pattern(state, index);
                let (secret, form) = self.meanings[pattern.as_usize()];
                found(secret, form, automaton.pattern_len(pattern));
            }
        }
        state
    }
}

/// A letter of a name: no case, and whatever stands in for the two of base64 that names do not take.
pub(super) fn fold(byte: u8) -> u8 {
    if matches!(byte, b'+' | b'/' | b'_') { b'-' } else { byte.to_ascii_lowercase() }
}

fn reversed(chunk: &[u8]) -> Vec<u8> {
    chunk.iter().rev().copied().collect()
}

fn rot13(chunk: &[u8]) -> Vec<u8> {
    let shift = |byte: &u8| match byte {
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        _ => *byte,
    };
    chunk.iter().map(shift).collect()
}

fn rot47(chunk: &[u8]) -> Vec<u8> {
    let shift = |byte: &u8| if byte.is_ascii_graphic() { (byte - b'!' + 47) % 94 + b'!' } else { *byte };
    chunk.iter().map(shift).filter(|byte| !dropped(*byte)).collect()
}

fn differences(chunk: &[u8], key: usize) -> Vec<u8> {
    chunk.iter().zip(chunk.iter().skip(key)).map(|(before, byte)| before ^ byte).collect()
}

/// The letters of base64 that the part alone decides, where `shift` bytes of a group stand before it.
fn shifted_base64(chunk: &[u8], shift: usize) -> Vec<u8> {
    let encoded = STANDARD_NO_PAD.encode([&[0; 2][..shift], chunk].concat());
    let (first, last) = ((shift * 8).div_ceil(6), (shift + chunk.len()) * 8 / 6);
    encoded.as_bytes()[first..last].to_vec()
}
