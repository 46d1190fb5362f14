//! Finds secrets that are cut into pieces over many requests to one host.
//!
//! A piece stands in a path, a query, a cookie or another header; around it stands what is the same in each
//! request, and perhaps a counter. So of each part of a request the words are taken that were not in it the
//! last time: the longest of them is one stream, the last of them another.

use std::collections::{HashSet, VecDeque};

use super::pattern::{Hit, Patterns};
use super::view::{Search, View};

/// Hosts that are followed at once; the one that was asked longest ago is given up.
const HOSTS_MAX: usize = 16;
/// Parts of a request that are followed; those that come later are not.
const PARTS_MAX: usize = 8;
/// Of one part.
const PART_MAX: usize = 4096;
/// Bytes that decompression may make of one piece.
const PIECE_ROOM: u64 = 64 << 10;

/// The hosts that were asked, the last one last.
#[derive(Debug, Default)]
pub(super) struct Requests {
    hosts: VecDeque<Host>,
}

#[derive(Debug)]
struct Host {
    name: Vec<u8>,
    parts: Vec<Part>,
    seen: HashSet<usize>,
}

#[derive(Debug)]
struct Part {
    name: Vec<u8>,
    words: Vec<Vec<u8>>,
    longest: View,
    last: View,
}

impl Requests {
    pub fn ask<'v>(
        &mut self,
        host: &[u8],
        parts: impl Iterator<Item = (&'v [u8], &'v [u8])>,
        patterns: &Patterns,
    ) -> Vec<Hit> {
        let host = self.host(host);
        let mut hits = Vec::new();
        for (name, value) in parts {
            if let Some(part) = host.part(name) {
                part.feed(&value[..value.len().min(PART_MAX)], patterns, &mut hits);
            }
        }
        hits.retain(|hit| host.seen.insert(hit.secret));
        hits
    }

    fn host(&mut self, name: &[u8]) -> &mut Host {
        let known = self.hosts.iter().position(|host| host.name == name);
        let new = || Host { name: name.to_vec(), parts: Vec::new(), seen: HashSet::new() };
        let host = known.and_then(|known| self.hosts.remove(known)).unwrap_or_else(new);
        if self.hosts.len() == HOSTS_MAX {
            self.hosts.pop_front();
        }
        self.hosts.push_back(host);
        self.hosts.back_mut().expect("one was pushed just now")
    }
}

impl Host {
    fn part(&mut self, name: &[u8]) -> Option<&mut Part> {
        let known = self.parts.iter().position(|part| part.name == name);
        let at = known.or_else(|| {
            let (longest, last) = (View::stream(), View::stream());
            let new = Part { name: name.to_vec(), words: Vec::new(), longest, last };
            (self.parts.len() < PARTS_MAX).then(|| self.parts.push(new))?;
            Some(self.parts.len() - 1)
        })?;
        self.parts.get_mut(at)
    }
}

impl Part {
    fn feed(&mut self, value: &[u8], patterns: &Patterns, hits: &mut Vec<Hit>) {
        let words = words(value);
        let new: Vec<&Vec<u8>> = words.iter().filter(|word| !self.words.contains(word)).collect();
        let longest = new.iter().max_by_key(|word| word.len());
        for (view, piece) in [(&mut self.longest, longest), (&mut self.last, new.last())] {
            let Some(piece) = piece else { continue };
            let hits_so_far = std::mem::take(hits);
            let mut search = Search { patterns, chain: vec!["pieces"], hits: hits_so_far, room: PIECE_ROOM };
            view.feed(piece, &mut search);
            *hits = search.hits;
        }
        self.words = words;
    }
}

/// Runs of letters, digits, and the signs of base64 other than the one that fills up.
fn words(value: &[u8]) -> Vec<Vec<u8>> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_' | b'%');
    let words = value.split(|byte| !is_letter(byte)).filter(|word| !word.is_empty());
    words.map(<[u8]>::to_vec).collect()
}
