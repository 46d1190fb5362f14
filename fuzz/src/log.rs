//! A recording: read, judged, written again.
//!
//! A plain one is read a second time with its digest made right, because no change comes past a wrong one.

use jiff::Timestamp;
use lazaret::event::Event;
use lazaret::image::Digest;
use lazaret::pipeline::judge::{Judge, Judgement};
use lazaret::report::log::{Ending, Header, LogError, Reader, Trailer, Writer};
use lazaret::report::{self, log};

use super::sample;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub fn check(bytes: &[u8]) {
    check_one(bytes);
    if let Some(right) = with_right_digest(bytes) {
        check_one(&right);
    }
}

fn with_right_digest(log: &[u8]) -> Option<Vec<u8>> {
    const DIGEST: &[u8] = b",\"sha256\":\"";
    let end = log.windows(DIGEST.len()).rposition(|part| part == DIGEST)?;
    let digest = Digest::of(&log[..end]).hex();
    Some([&log[..end], DIGEST, digest.as_bytes(), b"\"}\n"].concat())
}

fn check_one(bytes: &[u8]) {
    let read = match bytes.starts_with(&ZSTD) {
        // Bounded by what a small frame can grow to: the reader takes lines, not files.
        true => log::decompress(bytes).ok().map(|from| read(std::io::BufReader::new(from))),
        false => Some(read(bytes)),
    };
    let Some(Ok((header, events, ending))) = read else { return };
    let trailer = match ending {
        Some(Ending::Complete(trailer)) => Some(*trailer),
        _ => None,
    };
    judge(&header, &events, trailer.clone());
    let trailer = trailer.unwrap_or_else(|| Trailer::missing(&header));
    comes_back(&header, &events, trailer);
}

type Log = (Header, Vec<Event>, Option<Ending>);

/// The events up to the first error.
fn read(from: impl std::io::BufRead) -> Result<Log, LogError> {
    const EVENTS_MAX: usize = 4096;
    let mut reader = Reader::open(from)?;
    let mut events = Vec::new();
    let mut last = 0;
    for event in reader.by_ref().take(EVENTS_MAX) {
        match event {
            Ok(event) => events.push(event),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
        let id = events[events.len() - 1].id.0;
        assert!(id > last, "ids ascend");
        last = id;
    }
    Ok((reader.header().clone(), events, reader.ending().cloned()))
}

/// As a replay does: everything is either an error or a report that a document can hold.
pub fn judge(header: &Header, events: &[Event], trailer: Option<Trailer>) {
    let mut judge = Judge::new(sample::rules(), header);
    for event in events {
        judge.observe(event, &mut |finding| assert!(!finding.evidence.is_empty(), "{finding:?}"));
    }
    let judgement =
        Judgement { policies: vec![sample::policy()], exceptions: Vec::new(), now: Timestamp::UNIX_EPOCH };
    match judge.report(header, trailer, &judgement) {
        Ok(report) => {
            let text = report::to_json(&report);
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "a document that is safe to print");
            assert!(!report::markdown(&report).is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What a log says, a log written from it says too.
pub fn comes_back(header: &Header, events: &[Event], trailer: Trailer) {
    let mut writer = Writer::new(Vec::new(), header).expect("memory to write to");
    for event in events {
        writer.write(event).expect("memory to write to");
    }
    let (bytes, trailer) = writer.finish(trailer).expect("memory to write to");
    let (header_again, events_again, ending) = read(&bytes[..]).expect("our own log");
    assert_eq!(&header_again, header);
    if trailer.counters.omitted == 0 {
        assert_eq!(events_again, events);
    }
    assert_eq!(ending, Some(Ending::Complete(Box::new(trailer))));
}
