//! One way to read a stream, and those that begin from it.

use aho_corasick::automaton::StateID;

use super::chunk::dropped;
use super::decode::{Coding, Run};
use super::digits::{Base58, Decimal};
use super::inflate::Inflater;
use super::pattern::{Automata, Hit, KEY_MAX, Patterns};

/// Encodings in a row that are looked through.
const DEPTH_MAX: u8 = 3;

/// Bytes of a view in which the rarer ways to write are looked for.
const EARLY: usize = 128 << 10;

/// What a view is looked at with, and what comes of it.
pub(super) struct Search<'s> {
    pub patterns: &'s Patterns,
    /// The encodings that led to the view.
    pub chain: Vec<&'static str>,
    pub hits: Vec<Hit>,
    /// Bytes that decompression may still add.
    pub room: u64,
}

/// Bytes that decompression may add to a stream, beside so many times what was sent.
pub(super) const FREE: u64 = 1 << 20;
pub(super) const RATIO: u64 = 16;

/// A stream as it stands, or as one encoding reads another.
#[derive(Debug)]
pub(super) struct View {
    depth: u8,
    /// Bytes so far.
    seen: usize,
    quoted: Unquote,
    text: Text,
    signs: Option<StateID>,
    differences: Option<Differences>,
    runs: Vec<(Run, Vec<Option<Box<View>>>)>,
    decimal: Option<(Decimal, Option<Box<View>>)>,
    base58: Option<(Base58, Option<Box<View>>)>,
    inflater: Option<(Inflater, Option<Box<View>>)>,
}

impl View {
    /// Of bytes as they came.
    pub fn stream() -> View {
        View { base58: Some(Default::default()), differences: Some(Differences::default()), ..View::at(0) }
    }

    fn at(depth: u8) -> View {
        let deeper = depth < DEPTH_MAX;
        // Upper and lower letters alone: hardly ever around something else, and costly to read so.
        let codings = Coding::ALL.into_iter().filter(|coding| depth == 0 || *coding != Coding::Base32);
        let run = |coding: Coding| {
            let readings = (0..coding.group()).map(|_| None).collect();
            (Run::new(coding), readings)
        };
        View {
            depth,
            seen: 0,
            quoted: Unquote::default(),
            text: Text::default(),
            signs: None,
            differences: None,
            runs: if deeper { codings.map(run).collect() } else { Vec::new() },
            decimal: (depth <= 1).then(Default::default),
            base58: None,
            inflater: deeper.then(|| (Inflater::default(), None)),
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8], search: &mut Search<'_>) {
        let mut plain = Vec::with_capacity(bytes.len());
        self.quoted.feed(bytes, &mut plain);
        self.text.feed(&plain, search);
        let is_early = self.seen < EARLY;
        self.seen = self.seen.saturating_add(bytes.len());
        if is_early && self.depth <= 1 {
            self.signs(bytes, search);
        }
        if let Some(differences) = &mut self.differences
            && (self.depth == 0 || differences.count < KEYED_MAX)
        {
            differences.feed(bytes, search);
        }
        for (run, readings) in &mut self.runs {
            let mut read = vec![Vec::new(); readings.len()];
            run.feed(plain.iter().map(|(byte, _)| *byte), &mut read);
            for (reading, read) in readings.iter_mut().zip(read) {
                look(reading, &read, run.name(), self.depth, search);
            }
        }
        if let Some((decimal, reading)) = self.decimal.as_mut().filter(|_| is_early) {
            let mut read = Vec::new();
            decimal.feed(plain.iter().map(|(byte, _)| *byte), &mut read);
            look_last(reading, &read, "decimal", search);
        }
        if let Some((base58, reading)) = self.base58.as_mut().filter(|_| is_early) {
            let mut read = Vec::new();
            base58.feed(plain.iter().map(|(byte, _)| *byte), &mut read);
            look_last(reading, &read, "base58", search);
        }
        if let Some((inflater, reading)) = &mut self.inflater {
            let mut read = Vec::new();
            inflater.feed(bytes, &mut read, &mut search.room);
            look(reading, &read, "gzip", self.depth, search);
        }
    }

    /// Looks for what is written with all signs.
    fn signs(&mut self, bytes: &[u8], search: &mut Search<'_>) {
        let Search { patterns, chain, hits, .. } = search;
        let automata = patterns.signs();
        let mut state = self.signs.unwrap_or_else(|| automata.start());
        for &byte in bytes.iter().filter(|byte| !dropped(**byte)) {
            state = automata.step(state, byte, |secret, form, _| {
                let encoding = chain.iter().copied().chain([form]).collect();
                hits.push(Hit { secret, encoding });
            });
        }
        self.signs = Some(state);
    }
}

/// Looks at what an encoding gave, where it gave anything.
fn look(view: &mut Option<Box<View>>, read: &[u8], name: &'static str, depth: u8, search: &mut Search<'_>) {
    if read.is_empty() {
        return;
    }
    search.chain.push(name);
    let new = || {
        // What is XORed is often put into letters.
        let differences = (depth == 0 && matches!(name, "base64" | "hex")).then(Differences::default);
        Box::new(View { differences, ..View::at(depth + 1) })
    };
    view.get_or_insert_with(new).feed(read, search);
    search.chain.pop();
}

/// The same, and no further: what is written so is hardly ever around something else.
fn look_last(view: &mut Option<Box<View>>, read: &[u8], name: &'static str, search: &mut Search<'_>) {
    look(view, read, name, DEPTH_MAX - 1, search);
}

/// A byte, and what it was before.
type Plain = (u8, Was);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Was {
    Itself,
    /// `%41` (RFC 3986, 2.1).
    Url,
}

/// Takes back what URLs and the strings of JSON do to a text.
#[derive(Debug, Default)]
struct Unquote {
    /// `%`, or `%` and a digit.
    percent: Vec<u8>,
    backslash: bool,
    /// Digits of `\u0041` so far, while they last.
    unicode: Option<Vec<u8>>,
}

impl Unquote {
    fn feed(&mut self, bytes: &[u8], plain: &mut Vec<Plain>) {
        for &byte in bytes {
            match (self.percent.as_slice(), byte) {
                ([], b'%') => self.percent.push(byte),
                ([], _) => self.letter(byte, plain),
                ([_], _) if byte.is_ascii_hexdigit() => self.percent.push(byte),
                ([_, high], _) if byte.is_ascii_hexdigit() => {
                    plain.push((digit(*high) << 4 | digit(byte), Was::Url));
                    self.percent.clear();
                }
                // It was none; the letter itself may begin one.
                _ => {
                    plain.extend(self.percent.drain(..).map(|byte| (byte, Was::Itself)));
                    match byte {
                        b'%' => self.percent.push(byte),
                        _ => self.letter(byte, plain),
                    }
                }
            }
        }
    }

    /// `\/` is a slash, and `\u0041` is A (RFC 8259, 7); the letter of `\n`, and of `\x41`, is none of the text.
    fn letter(&mut self, byte: u8, plain: &mut Vec<Plain>) {
        let Some(mut digits) = self.unicode.take() else { return self.bare(byte, plain) };
        if !byte.is_ascii_hexdigit() {
            plain.extend(digits.into_iter().map(|byte| (byte, Was::Itself)));
            return self.bare(byte, plain);
        }
        digits.push(byte);
        if let [b'0', b'0', high, low] = digits[..] {
            plain.push((digit(high) << 4 | digit(low), Was::Itself));
        } else if digits.len() < 4 {
            self.unicode = Some(digits);
        }
    }

    fn bare(&mut self, byte: u8, plain: &mut Vec<Plain>) {
        let quoted = std::mem::take(&mut self.backslash);
        match byte {
            b'\\' if !quoted => self.backslash = true,
            b'u' if quoted => self.unicode = Some(Vec::new()),
            b'n' | b'r' | b'x' if quoted => plain.push((b'\n', Was::Itself)),
            _ => plain.push((byte, Was::Itself)),
        }
    }
}

fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).unwrap_or(0) as u8
}

/// Looks for the parts of secrets as letters.
#[derive(Debug, Default)]
struct Text {
    state: Option<StateID>,
    /// Letters so far, and the last at which a URL's or UTF-16's was taken back.
    letters: usize,
    url: usize,
    wide: usize,
}

impl Text {
    fn feed(&mut self, plain: &[Plain], search: &mut Search<'_>) {
        let Search { patterns, chain, hits, .. } = search;
        let mut state = self.state.unwrap_or_else(|| patterns.text.start());
        for &(byte, was) in plain {
            if dropped(byte) {
                self.wide = if byte == 0 { self.letters } else { self.wide };
                continue;
            }
            self.letters += 1;
            self.url = if was == Was::Url { self.letters } else { self.url };
            let (letters, url, wide) = (self.letters, self.url, self.wide);
            state = patterns.text.step(state, byte, |secret, form, length| {
                let mut encoding = chain.to_vec();
                let begin = letters - length.min(letters);
                encoding.extend((wide > begin).then_some("utf-16"));
                encoding.extend((url > begin).then_some("url"));
                if form != "plain" || encoding.is_empty() {
                    encoding.push(form);
                }
                hits.push(Hit { secret, encoding });
            });
        }
        self.state = Some(state);
    }
}

/// Bytes of a view in which keys of more than one byte are looked for.
const KEYED_MAX: usize = 32 << 10;

/// Looks for them as a XOR with a short key leaves them.
#[derive(Debug, Default)]
struct Differences {
    /// One for each length of the key.
    states: Vec<StateID>,
    recent: [u8; KEY_MAX],
    count: usize,
}

impl Differences {
    fn feed(&mut self, bytes: &[u8], search: &mut Search<'_>) {
        let Search { patterns, chain, hits, .. } = search;
        let automata = patterns.differences();
        if self.states.is_empty() {
            self.states = automata.iter().map(Automata::start).collect();
        }
        for &byte in bytes {
            let keys = if self.count < KEYED_MAX { KEY_MAX } else { 1 };
            for (key, (automaton, state)) in (1..=keys).zip(automata.iter().zip(&mut self.states)) {
                let before = self.recent[(self.count + KEY_MAX - key) % KEY_MAX];
                *state = automaton.step(*state, byte ^ before, |secret, form, _| {
                    let encoding = chain.iter().copied().chain([form]).collect();
                    hits.push(Hit { secret, encoding });
                });
            }
            self.recent[self.count % KEY_MAX] = byte;
            self.count += 1;
        }
    }
}
