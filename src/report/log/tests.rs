mod sample;

use std::io::{BufReader, Read};
use std::sync::Arc;

use sample::{bytes, every_event, process, program};

use super::*;
use crate::event::{Act, Bytes, Event, EventId, Exec, Program, ProgramId};
use crate::report::document::{CoverageState, Exit, ExitReason, Recording};

fn header() -> Header {
    Header { id: "run-1".into(), created: "2026-01-02T03:04:05Z".into(), ..Header::default() }
}

fn trailer() -> Trailer {
    let mut trailer = Trailer::default();
    trailer.run.exit = Exit { code: Some(0), signal: None, reason: ExitReason::Exited };
    trailer.run.held_seconds = 0.1;
    trailer.coverage.push(Coverage {
        family: "memory".into(),
        state: CoverageState::None,
        reason: "not built yet".into(),
    });
    trailer
}

fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    writer.finish(trailer()).unwrap().0
}

fn read(log: &[u8]) -> Result<(Vec<Event>, Ending), LogError> {
    let mut reader = Reader::open(log)?;
    let events = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    let ending = reader.ending().unwrap().clone();
    Ok((events, ending))
}

/// Replaces the first `from` by `to`, and repairs the digest so that only the change is found.
fn edited(log: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(log).unwrap();
    assert!(text.contains(from), "{from} is not in the log");
    let text = text.replacen(from, to, 1);
    let (body, _) = text.rsplit_once(",\"sha256\"").unwrap();
    use sha2::Digest as _;
    let sum = text::digest::hex(&sha2::Sha256::digest(body.as_bytes()).into());
    format!("{body},\"sha256\":\"{sum}\"}}\n").into_bytes()
}

#[test]
fn every_kind_of_event_comes_back_as_it_was() {
    let events = every_event();
    let (again, ending) = read(&written(&events)).unwrap();
    assert_eq!(again, events);
    let Ending::Complete(end) = ending else { panic!("no trailer") };
    assert_eq!(end.coverage, trailer().coverage);
    assert_eq!(end.run.recording, Recording::Complete);
    assert_eq!(
        end.counters,
        Counters { events: events.len() as u64, programs: 2, omitted: 0, truncated: false }
    );
}

#[test]
fn header_comes_back_as_it_was() {
    let log = written(&[]);
    assert!(log.starts_with(b"{\"lazaret.events\":1,\"id\":\"run-1\""), "{}", String::from_utf8_lossy(&log));
    assert_eq!(*Reader::open(log.as_slice()).unwrap().header(), header());
}

#[test]
fn the_same_events_give_the_same_bytes() {
    let log = written(&every_event());
    let (events, _) = read(&log).unwrap();
    assert_eq!(written(&events), log);
}

#[test]
fn a_log_cut_anywhere_after_its_header_has_no_trailer() {
    let log = written(&every_event()[..4]);
    let header_length = log.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for length in header_length..log.len() {
        assert_eq!(read(&log[..length]).unwrap().1, Ending::Missing, "cut at {length}");
    }
}

#[test]
fn a_cut_compressed_log_has_no_trailer() {
    let mut compressor = compress(Vec::new()).unwrap();
    compressor.write_all(&written(&every_event())).unwrap();
    let packed = compressor.finish().unwrap();
    let unpack = |packed: &[u8]| {
        let mut reader = Reader::open(BufReader::new(decompress(packed).unwrap()))?;
        let count = reader.by_ref().collect::<Result<Vec<_>, _>>()?.len();
        Ok::<_, LogError>((count, reader.ending().cloned()))
    };
    assert_eq!(unpack(&packed).unwrap().0, every_event().len());
    // Flushed in the middle, as after a kill: whole blocks, and no end.
    let mut flushed = compress(Vec::new()).unwrap();
    let log = written(&every_event());
    flushed.write_all(&log[..log.len() / 2]).unwrap();
    flushed.flush().unwrap();
    assert_eq!(unpack(flushed.get_ref()).unwrap().1, Some(Ending::Missing));
}

#[test]
fn any_changed_byte_is_noticed() {
    let log = written(&every_event()[..3]);
    for index in 0..log.len() {
        let mut changed = log.clone();
        changed[index] ^= 1;
        let result = read(&changed);
        assert!(
            !matches!(result, Ok((_, Ending::Complete(_)))),
            "byte {index} of {}",
            String::from_utf8_lossy(&changed)
        );
    }
    let digit = edited(&log, "\"start\"", "\"start\"").len() - 4;
    let mut changed = log.clone();
    changed[digit] = if changed[digit] == b'0' { b'1' } else { b'0' };
    assert!(matches!(read(&changed), Err(LogError::Digest { .. })));
}

#[test]
fn another_version_is_told_apart() {
    let log = edited(&written(&[]), "\"lazaret.events\":1", "\"lazaret.events\":2");
    assert!(matches!(read(&log), Err(LogError::Version { found: 2 })));
    for start in ["", "{}\n", "[]\n", "hello\n", "{\"lazaret.events\":\"1\"}\n", "{\"lazaret.events\":1"] {
        assert!(matches!(read(start.as_bytes()), Err(LogError::NoHeader { .. })), "{start:?}");
    }
}

#[test]
fn errors_name_the_line_and_the_field() {
    let cases = [
        ("\"argv\":[", "\"argv\":[7,", "argv"),
        ("\"deleted\":true", "\"deleted\":1", "exe.deleted"),
        ("\"deleted\":true", "\"erased\":true", "unknown field `erased`"),
        ("\"phase\":\"setup\"", "\"phase\":\"night\"", "unknown variant `night`"),
        (",\"count\":2", ",\"count\":0", "event.count: is 0"),
        (",\"count\":2", ",\"count\":-1", "event.count"),
        ("\"event\":{\"id\":3", "\"event\":{\"id\":0", "event.id: 0 does not follow 1"),
        ("\"program\":2}", "\"program\":9}", "event.process.program: program 9 does not stand before"),
        ("\"lineage\":[1]", "\"lineage\":[4]", "program.lineage: program 4 does not stand before"),
        ("run\u{fffd}ff.sh", "run\u{fffd}FF.sh", "two lower-case hexadecimal digits"),
        ("\"events\":5,", "\"events\":6,", "trailer.counters: do not agree"),
    ];
    for (from, to, said) in cases {
        let log = edited(&written(&every_event()[..5]), from, to);
        let error = read(&log).unwrap_err();
        let LogError::Field { line, .. } = &error else { panic!("{from}: {error}") };
        assert_eq!(*line, line_of(&log, to), "{from}: {error}");
        assert!(error.to_string().contains(said), "{from}: {error}");
    }
}

/// The line, counted from 1, in which a piece of text stands first.
fn line_of(log: &[u8], piece: &str) -> u64 {
    let text = std::str::from_utf8(log).unwrap();
    let place = text.find(piece).unwrap();
    1 + text[..place].matches('\n').count() as u64
}

#[test]
fn nothing_may_follow_the_trailer() {
    for rest in ["\n", "x", "{\"event\":{}}\n"] {
        let log = [written(&[]), rest.into()].concat();
        assert!(matches!(read(&log), Err(LogError::AfterTrailer { .. })), "{rest:?}");
    }
}

#[test]
fn an_endless_line_is_refused_within_bounded_memory() {
    let log = written(&[]);
    let header_length = log.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let endless = log[..header_length].chain(std::io::repeat(b'x'));
    let mut reader = Reader::open(BufReader::new(endless)).unwrap();
    assert!(matches!(reader.next(), Some(Err(LogError::LongLine { line: 2 }))));
    assert!(reader.next().is_none());
    assert!(reader.ending().is_none());
}

#[test]
fn beyond_its_bound_a_log_takes_evidence_only_and_says_so() {
    let events = every_event();
    let bound = written(&events[..6]).len() as u64;
    let mut writer = Writer::with_bound(Vec::new(), &header(), bound).unwrap();
    let (last, others) = events.split_last().unwrap();
    for event in others {
        writer.write(event).unwrap();
    }
    let before = writer.counters();
    writer.write_evidence(last).unwrap();
    assert!(before.truncated && before.omitted > 10);
    let (again, ending) = read(&writer.finish(trailer()).unwrap().0).unwrap();
    assert_eq!(again.last(), Some(last));
    let Ending::Complete(end) = ending else { panic!("no trailer") };
    assert_eq!(end.run.recording, Recording::Truncated);
    assert_eq!(end.run.events.unlogged, before.omitted);
    assert_eq!(end.counters.events + end.counters.omitted, events.len() as u64);
}

#[test]
fn evidence_has_a_bound_too() {
    let events = every_event();
    let mut writer = Writer::with_bound(Vec::new(), &header(), 1000).unwrap();
    for id in 1..1000 {
        writer.write_evidence(&Event { id: EventId(id), ..events[0].clone() }).unwrap();
    }
    assert!(writer.counters().omitted > 900);
    assert!(writer.finish(trailer()).unwrap().0.len() < 4000);
}

#[test]
fn a_list_that_the_kernel_would_not_take_is_refused_on_both_sides() {
    let mut event = every_event().remove(0);
    event.act =
        Act::Exec(Exec { asked: bytes(b"x"), env: vec![bytes(b""); LIST_MAX + 1], ..Exec::default() });
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    writer.write(&event).unwrap();
    assert_eq!(writer.counters().omitted, 1);
    let log = edited(
        &written(&every_event()[..1]),
        "\"A=b\"",
        &"\"\",".repeat(LIST_MAX).as_str()[..3 * LIST_MAX - 1],
    );
    let error = read(&log).unwrap_err().to_string();
    assert!(error.contains("more than"), "{error}");
}

#[test]
fn programs_take_no_more_memory_than_the_bound() {
    let mut writer = Writer::new(std::io::sink(), &header()).unwrap();
    let base = program(1, b"/bin/sh", &[]);
    let argv: Arc<[Bytes]> = vec![bytes(b""); LIST_MAX].into();
    for id in 1..=6 {
        let program = Arc::new(Program { id: ProgramId(id), argv: argv.clone(), ..base.clone() });
        let event =
            Event { id: EventId(u64::from(id)), process: Some(process(&program)), ..every_event().remove(0) };
        writer.write_evidence(&event).unwrap();
    }
    assert_eq!((writer.counters().programs, writer.counters().omitted), (3, 3));
}

#[test]
fn a_mangled_log_is_an_error_or_an_ending_and_never_a_panic() {
    let log = written(&every_event());
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut endings = 0;
    for _ in 0..3000 {
        let mut mangled = log.clone();
        for _ in 0..1 + random(4) {
            if mangled.is_empty() {
                break;
            }
            let place = random(mangled.len());
            match random(4) {
                0 => mangled[place] = b"{}[]\",:0n\n\\\xff"[random(11)],
                1 => drop(mangled.drain(place..(place + random(40)).min(mangled.len()))),
                2 => mangled.truncate(place + 1),
                _ => mangled.extend_from_within(place..),
            }
        }
        let Ok(reader) = Reader::open(mangled.as_slice()) else { continue };
        endings += usize::from(reader.take(1000).all(|event| event.is_ok()));
    }
    assert!(endings > 0);
}
