//! The decoder against bytes of real runs, and against bytes that are no records.

use std::path::Path;

use super::decode::{Message, decode};
use super::wire::{self, kind};
use super::{Body, Counters, Record, Stream};

/// A record with a right head and whatever body.
fn bytes(kind: u16, body: &[u8]) -> Vec<u8> {
    let size = (size_of::<wire::Head>() + body.len()) as u32;
    let mut bytes = vec![0; size_of::<wire::Head>()];
    bytes[..4].copy_from_slice(&size.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[54..].copy_from_slice(&wire::NO_SLOT.to_ne_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The same at a time, in a slot of its thread's table.
fn timed(kind: u16, time: u64, slot: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = bytes(kind, body);
    bytes[8..16].copy_from_slice(&time.to_ne_bytes());
    bytes[54..56].copy_from_slice(&slot.to_ne_bytes());
    bytes
}

fn fold(time: u64, slot: u16, first: u64, count: u64) -> Vec<u8> {
    timed(kind::FOLD, time, slot, &[first.to_ne_bytes(), count.to_ne_bytes()].concat())
}

fn piece(pieces: u64, offset: u32, text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u16).to_ne_bytes();
    let fixed = [&pieces.to_ne_bytes()[..], &offset.to_ne_bytes(), &length, &[0, 0]].concat();
    bytes(kind::PIECE, &[&fixed[..], text].concat())
}

fn exec(pieces: u64, argv_size: u32) -> Vec<u8> {
    let mut body = vec![0; size_of::<wire::Exec>()];
    body[32..40].copy_from_slice(&pieces.to_ne_bytes());
    body[40..44].copy_from_slice(&argv_size.to_ne_bytes());
    bytes(kind::EXEC, &body)
}

fn argv(records: &[Record]) -> &[u8] {
    let [Record { body: Body::Exec { argv, .. }, .. }] = records else { panic!("{records:?}") };
    argv
}

/// Every record of `fixtures/records/<stem>.bin`, a line each, is `<stem>.txt`. With LAZARET_BLESS=1 the
/// text is written anew, to be looked over.
#[test]
fn records_of_real_runs_decode_to_what_was_done() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/records");
    let mut stems = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            let (rendered, text) = (render(&std::fs::read(&path).unwrap()), path.with_extension("txt"));
            if std::env::var_os("LAZARET_BLESS").is_some() {
                std::fs::write(&text, &rendered).unwrap();
            }
            assert_eq!(rendered, std::fs::read_to_string(text).unwrap_or_default(), "{path:?}");
            stems += 1;
        }
    }
    assert_eq!(stems, 40, "a kind has no fixture");
}

#[test]
fn what_goes_out_carries_the_address_it_comes_from() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/records");
    for stem in ["connect", "send", "accept", "query", "source"] {
        let mut stream = Stream::new();
        stream.push(&std::fs::read(dir.join(stem).with_extension("bin")).unwrap());
        let record = stream.finish().remove(0);
        let (Body::Connect { local, .. }
        | Body::Send { local, .. }
        | Body::Accept { local, .. }
        | Body::Query { local, .. }
        | Body::Source { local, .. }) = record.body
        else {
            panic!("{record}")
        };
        assert_eq!((local.len(), &local[..2]), (28, &[2, 0][..]), "{stem}");
        assert_ne!(local[2..4], [0, 0], "{stem} has no port");
    }
}

fn render(mut bytes: &[u8]) -> String {
    let mut stream = Stream::new();
    while !bytes.is_empty() {
        let size = u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize;
        let (record, rest) = bytes.split_at(size);
        stream.push(record);
        bytes = rest;
    }
    let records = stream.finish();
    assert_eq!(stream.counters(), Counters::default());
    assert!(records.iter().all(|record| record.time > 0 && record.task.start > 0));
    records.iter().map(|record| format!("{} {record}\n", record.task.uid)).collect()
}

#[test]
fn decode_names_what_is_wrong() {
    let mut long_text = vec![0; size_of::<wire::OpenFailed>()];
    long_text[16] = 9;
    let mut wrong_size = bytes(kind::EXIT, &[0; 8]);
    wrong_size[0] += 1;
    for (input, expected) in [
        (vec![], "shorter than the head of a record"),
        (vec![0; 55], "shorter than the head of a record"),
        (wrong_size, "its size is not that of its bytes"),
        (bytes(kind::EXIT, &[0; 7]), "shorter than the body of its kind"),
        (bytes(kind::EXIT, &[0; 9]), "bytes are left over"),
        (bytes(kind::OPEN_FAILED, &long_text), "a text reaches beyond the record"),
        (bytes(0, &[]), "unknown kind"),
        (bytes(39, &[]), "unknown kind"),
        (bytes(u16::MAX, &[0; 64]), "unknown kind"),
    ] {
        let reason = decode(&input).err().map(|(_, reason)| reason);
        assert_eq!(reason, Some(expected), "{input:?}");
    }
}

#[test]
fn what_cannot_be_decoded_is_counted_and_shown() {
    let mut stream = Stream::new();
    stream.push(b"nonsense");
    stream.push(&bytes(99, &[]));
    let lines: Vec<_> = stream.finish().iter().map(Record::to_string).collect();
    assert_eq!(lines, ["unreadable 0: shorter than the head of a record", "unreadable 99: unknown kind"]);
    assert_eq!(stream.counters().unreadable, 2);
}

/// Random bodies of every kind, and every cut and every changed byte of the real ones.
#[test]
fn no_bytes_make_the_stream_panic() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut stream = Stream::new();
    for _ in 0..20_000 {
        let length = next() as usize % 300;
        let body: Vec<u8> = (0..length).map(|_| if next() % 3 == 0 { next() as u8 } else { 0 }).collect();
        stream.push(&body);
        let kind = if next() % 4 == 0 { kind::CHANGE + (next() % 6) as u16 } else { (next() % 52) as u16 };
        stream.push(&timed(kind, next(), next() as u16, &body));
        if next() % 100 == 0 {
            stream.take(next());
        }
    }
    for record in stream.finish() {
        let _ = record.to_string();
    }
}

#[test]
fn records_come_out_by_time_and_not_before_the_watermark() {
    let mut stream = Stream::new();
    for time in [30, 10, 20] {
        stream.push(&timed(kind::EXIT, time, wire::NO_SLOT, &[0; 8]));
    }
    let times = |records: Vec<Record>| records.iter().map(|record| record.time).collect::<Vec<_>>();
    assert_eq!(times(stream.take(30)), [10, 20]);
    stream.push(&timed(kind::EXIT, 25, wire::NO_SLOT, &[0; 8]));
    assert_eq!(times(stream.finish()), [25, 30]);
    assert_eq!(stream.counters(), Counters { late: 1, ..Counters::default() });
}

#[test]
fn pieces_become_the_argument_vector_of_the_exec_that_names_them() {
    let mut stream = Stream::new();
    stream.push(&piece(7, 0, b"one\0"));
    stream.push(&piece(8, 0, b"other\0"));
    stream.push(&piece(7, 4, b"two\0"));
    stream.push(&exec(7, 8));
    assert_eq!(argv(&stream.take(u64::MAX)), b"one\0two\0");
    assert_eq!(stream.counters(), Counters::default());
}

#[test]
fn an_argument_vector_with_a_hole_is_cut_and_pieces_without_an_exec_are_orphans() {
    let mut stream = Stream::new();
    stream.push(&piece(7, 0, b"one\0"));
    stream.push(&piece(7, 8, b"three\0"));
    stream.push(&exec(7, 14));
    let records = stream.take(u64::MAX);
    assert_eq!(argv(&records), b"one\0");
    assert!(records[0].cut);
    assert_eq!(stream.counters(), Counters { cut: 1, orphaned: 1, ..Counters::default() });

    stream.push(&piece(9, 0, b"never\0"));
    for _ in 0..4 {
        stream.take(0);
    }
    assert_eq!(stream.counters().orphaned, 2);
    stream.push(&piece(10, 0, b"at the end\0"));
    stream.finish();
    assert_eq!(stream.counters().orphaned, 3);
}

#[test]
fn a_count_repeats_the_record_that_its_slot_holds() {
    let mut stream = Stream::new();
    stream.push(&timed(kind::DENIED, 5, 3, &[1; 64]));
    stream.push(&fold(9, 3, 5, 41));
    stream.push(&fold(10, 3, 6, 2)); // of a record that never came
    stream.push(&fold(10, 4, 5, 2)); // of another slot
    let records = stream.finish();
    assert_eq!(records.len(), 2);
    assert_eq!((records[1].time, records[1].count), (9, 41));
    assert_eq!(records[1].body, records[0].body);
    assert_eq!(stream.counters(), Counters { orphaned: 4, ..Counters::default() });
}

#[test]
fn a_count_finds_its_record_however_many_threads_came_and_went_meanwhile() {
    let of = |mut bytes: Vec<u8>, tid: u32| {
        bytes[24..28].copy_from_slice(&tid.to_ne_bytes());
        bytes[28..32].copy_from_slice(&tid.to_ne_bytes());
        bytes
    };
    let check = |do_end: bool, orphaned| {
        let mut stream = Stream::new();
        stream.push(&of(timed(kind::DENIED, 5, 3, &[1; 64]), 1));
        for tid in 2..4_000 {
            (0..16).for_each(|slot| stream.push(&of(timed(kind::DENIED, 6, slot, &[1; 64]), tid)));
            if do_end {
                stream.push(&of(timed(kind::EXIT, 7, wire::NO_SLOT, &[0; 8]), tid));
            }
        }
        stream.push(&of(fold(9, 3, 5, 2), 1));
        assert_eq!(stream.counters().orphaned, orphaned);
    };
    check(true, 0);
    // What is alive is bounded, and what is given up is counted.
    check(false, 2);
}

#[test]
fn a_count_finds_its_record_when_the_thread_took_the_number_of_its_process() {
    let of = |mut bytes: Vec<u8>, pid: u32, tid: u32| {
        bytes[24..28].copy_from_slice(&pid.to_ne_bytes());
        bytes[28..32].copy_from_slice(&tid.to_ne_bytes());
        bytes
    };
    let denied = timed(kind::DENIED, 5, 3, &[1; 64]);
    let check = |counter: (u32, u32), orphaned| {
        let mut stream = Stream::new();
        stream.push(&of(denied.clone(), 7, 9));
        stream.push(&of(fold(6, 3, 5, 2), counter.0, counter.1));
        assert_eq!(stream.finish().len(), if orphaned == 0 { 2 } else { 1 }, "{counter:?}");
        assert_eq!(stream.counters(), Counters { orphaned, ..Counters::default() }, "{counter:?}");
    };
    check((7, 7), 0);
    check((7, 8), 2);
    check((8, 8), 2);
}

#[test]
fn a_count_finds_its_record_when_the_other_ring_was_read_first() {
    let denied = timed(kind::DENIED, 5, 3, &[1; 64]);
    let mkdir = timed(kind::MKDIR, 7, 3, &[0; size_of::<wire::Names>()]);
    let (of_denied, of_mkdir) = (fold(6, 3, 5, 2), fold(8, 3, 7, 4));
    for order in [[&denied, &of_denied, &mkdir, &of_mkdir], [&mkdir, &denied, &of_denied, &of_mkdir]] {
        let mut stream = Stream::new();
        order.iter().for_each(|bytes| stream.push(bytes));
        let seen: Vec<_> = stream.finish().iter().map(|record| (record.time, record.count)).collect();
        assert_eq!(seen, [(5, 1), (6, 2), (7, 1), (8, 4)]);
        assert_eq!(stream.counters(), Counters::default());
    }
}

#[test]
fn decode_tells_an_exec_a_piece_and_a_count_from_acts() {
    assert!(matches!(decode(&exec(1, 2)), Ok(Message::Exec { .. })));
    assert!(matches!(decode(&piece(1, 0, b"x")), Ok(Message::Piece { .. })));
    assert!(matches!(decode(&fold(1, 2, 3, 4)), Ok(Message::Fold { .. })));
    assert!(matches!(decode(&bytes(kind::EXIT, &[0; 8])), Ok(Message::Act { .. })));
}
