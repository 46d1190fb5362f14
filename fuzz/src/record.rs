//! Bytes of the rings → records → events → log and findings: the way of everything that is seen.
//!
//! The input is records one after the other; each says its own size. Every eighth is followed by a
//! turn, as a drain ends.

use lazaret::event::{File, Phase};
use lazaret::normalise::{Normaliser, Provenance};
use lazaret::record::{Body, Record, Stream};
use lazaret::report::log::{Header, Trailer};

use super::log;

const TURN: u64 = 8;

pub fn check(bytes: &[u8]) {
    let (records, unreadable) = decode(bytes);
    let mut normaliser = Normaliser::new(Image, 100_000, 1);
    let mut events = vec![normaliser.enter(Phase::Start, 0)];
    for record in records {
        assert!(!record.to_string().is_empty());
        events.extend(normaliser.observe(record));
    }
    assert_eq!(normaliser.gaps().unreadable, unreadable, "what was no record is counted");
    assert!(events.iter().all(|event| event.count > 0));
    log::judge(&events);
    log::comes_back(&Header::default(), &events, Trailer::default());
}

fn decode(mut bytes: &[u8]) -> (Vec<Record>, u64) {
    let mut stream = Stream::new();
    let (mut records, mut pushed) = (Vec::new(), 0);
    while !bytes.is_empty() {
        let (record, rest) = bytes.split_at(size(bytes));
        bytes = rest;
        stream.push(record);
        pushed += 1;
        if pushed % TURN == 0 {
            let watermark = time(record);
            let ready = stream.take(watermark);
            is_in_order(&ready);
            assert!(ready.iter().all(|record| record.time < watermark));
            records.extend(ready);
        }
    }
    let rest = stream.finish();
    is_in_order(&rest);
    records.extend(rest);
    assert!(stream.finish().is_empty(), "nothing stays behind");
    assert!(records.len() as u64 <= pushed, "no record comes of nothing");
    let is_unreadable = |record: &&Record| matches!(record.body, Body::Unreadable { .. });
    let unreadable = records.iter().filter(is_unreadable).count() as u64;
    assert_eq!(stream.counters().unreadable, unreadable);
    (records, unreadable)
}

fn is_in_order(records: &[Record]) {
    assert!(records.is_sorted_by_key(|record| record.time));
}

/// What the record says it has, as far as there is so much.
fn size(bytes: &[u8]) -> usize {
    let said = bytes.first_chunk().map_or(u32::MAX, |size| u32::from_ne_bytes(*size));
    (said as usize).clamp(1, bytes.len())
}

fn time(record: &[u8]) -> u64 {
    record.get(8..16).and_then(<[u8]>::first_chunk).map_or(0, |time| u64::from_ne_bytes(*time))
}

/// An image that has an answer to everything.
struct Image;

impl Provenance for Image {
    fn layer_of(&mut self, path: &[u8]) -> Option<u16> {
        (!path.len().is_multiple_of(3)).then_some((path.len() % 3) as u16)
    }
    /// Links, too, that lead anywhere the bytes say.
    fn entry_at(&mut self, path: &[u8]) -> lazaret::normalise::ImageEntry {
        use lazaret::normalise::ImageEntry;
        match path.len() % 4 {
            0 => ImageEntry::Absent,
            1 => ImageEntry::Link(path.iter().rev().copied().collect()),
            2 => ImageEntry::Directory,
            _ => ImageEntry::Other,
        }
    }

    fn digest_of(&mut self, file: &File, _: lazaret::normalise::Start) -> Option<[u8; 32]> {
        (file.path.len() % 2 == 0).then_some([7; 32])
    }
}
