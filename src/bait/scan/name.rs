//! Finds secrets in the names that a resolver is asked for.
//!
//! A name has room for little: exfiltration cuts a secret into labels, over several of one name and over
//! many names below one domain. Which labels carry and which only count is not known, so each name is read
//! in a few ways: all labels below a domain of two, or of three; or the longest alone. Each way is one
//! stream, from name to name. Resolvers ask twice (A, AAAA), and again: a name that was asked for a moment
//! ago adds nothing.

use std::collections::{HashSet, VecDeque};

use aho_corasick::automaton::StateID;

use super::pattern::{Hit, Patterns, fold};
use super::view::{Search, View};

/// Domains that are followed at once; the one that was asked for longest ago is given up.
const DOMAINS_MAX: usize = 64;
/// Names that count as asked a moment ago.
const RECENT: usize = 16;
/// Bytes that decompression may make of one name.
const NAME_ROOM: u64 = 64 << 10;

/// The domains that names were asked below, the last one last.
#[derive(Debug, Default)]
pub(super) struct Names {
    domains: VecDeque<Domain>,
}

#[derive(Debug)]
struct Domain {
    name: Vec<u8>,
    recent: VecDeque<Vec<u8>>,
    ways: [Way; 3],
    seen: HashSet<usize>,
}

/// One way to read names as a stream: with the letters as they are, and without their case.
#[derive(Debug)]
struct Way {
    view: View,
    folded: Option<StateID>,
}

impl Names {
    pub fn ask(&mut self, name: &[u8], patterns: &Patterns) -> Vec<Hit> {
        let labels = labels(name);
        // Below a domain of two labels there must be one more.
        let Some(below) = labels.len().checked_sub(2).filter(|below| *below > 0) else { return Vec::new() };
        let parent = labels[below..].join(&b'.').to_ascii_lowercase();
        let domain = self.domain(parent);
        if domain.recent.contains(&labels.concat()) {
            return Vec::new();
        }
        domain.recent.push_back(labels.concat());
        if domain.recent.len() > RECENT {
            domain.recent.pop_front();
        }
        let longest = labels[..below].iter().rev().max_by_key(|label| label.len());
        let texts =
            [labels[..below].concat(), labels[..below - 1].concat(), longest.cloned().unwrap_or_default()];
        let mut hits = Vec::new();
        for (way, text) in domain.ways.iter_mut().zip(texts) {
            way.feed(&text, patterns, &mut hits);
        }
        hits.retain(|hit| domain.seen.insert(hit.secret));
        hits
    }

    fn domain(&mut self, name: Vec<u8>) -> &mut Domain {
        let known = self.domains.iter().position(|domain| domain.name == name);
        let domain = known.and_then(|known| self.domains.remove(known)).unwrap_or_else(|| Domain::new(name));
        if self.domains.len() == DOMAINS_MAX {
            self.domains.pop_front();
        }
        self.domains.push_back(domain);
        self.domains.back_mut().expect("one was pushed just now")
    }
}

impl Domain {
    fn new(name: Vec<u8>) -> Domain {
        let way = || Way { view: View::stream(), folded: None };
        Domain { name, recent: VecDeque::new(), ways: [way(), way(), way()], seen: HashSet::new() }
    }
}

impl Way {
    fn feed(&mut self, text: &[u8], patterns: &Patterns, hits: &mut Vec<Hit>) {
        // What comes of a name by decompression is little: a name is short.
        let room = NAME_ROOM;
        let mut search = Search { patterns, chain: vec!["dns-labels"], hits: std::mem::take(hits), room };
        self.view.feed(text, &mut search);
        *hits = search.hits;
        let folded = patterns.folded();
        let mut state = self.folded.unwrap_or_else(|| folded.start());
        for byte in text {
            state = folded.step(state, fold(*byte), |secret, form, _| {
                let encoding = if form == "plain" { vec!["dns-labels"] } else { vec!["dns-labels", form] };
                hits.push(Hit { secret, encoding });
            });
        }
        self.folded = Some(state);
    }
}

/// A dot or a backslash of a label has a backslash before it.
fn labels(name: &[u8]) -> Vec<Vec<u8>> {
    let mut labels = vec![Vec::new()];
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => labels.last_mut().expect("there is always one").extend(bytes.next()),
            _ => labels.last_mut().expect("there is always one").push(byte),
        }
    }
    labels.retain(|label| !label.is_empty());
    labels
}
