//! A recording: read, judged, written again.

use lazaret::event::Event;
use lazaret::report::log::{self, Ending, Header, LogError, Reader, Trailer, Writer};
use lazaret::rule::Findings;

use super::sample;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub fn check(bytes: &[u8]) {
    let read = match bytes.starts_with(&ZSTD) {
        // Bounded by what a small frame can grow to: the reader takes lines, not files.
        true => log::decompress(bytes).ok().map(|from| read(std::io::BufReader::new(from))),
        false => Some(read(bytes)),
    };
    let Some(Ok((header, events, ending))) = read else { return };
    judge(&events);
    let trailer = match ending {
        Some(Ending::Complete(trailer)) => *trailer,
        _ => Trailer::missing(&header),
    };
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

pub fn judge(events: &[Event]) {
    let mut findings = Findings::new(sample::rules());
    for event in events {
        findings.observe(event);
    }
    for finding in findings.finish().findings {
        assert!(!finding.evidence.is_empty(), "{finding:?}");
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
