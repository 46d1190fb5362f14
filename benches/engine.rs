//! What one processor can judge, write, read and decode in a second of its own time: other work on the
//! machine does not count. No privileges are needed.
//!
//! Results and how to read them: benches/README.md.

mod measure;

use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use lazaret::event::{Event, File};
use lazaret::normalise::{Normaliser, Provenance};
use lazaret::record::{Record, Stream};
use lazaret::report::log::{self, Header, Reader, Trailer, Writer};
use lazaret::rule::{Findings, RuleSet};
use measure::{head, line, per_second, rate};

fn main() {
    let events = events();
    head("one processor");
    rules("shipped rules", &RuleSet::shipped(), &events, "≥ 1 M/s");
    rules("3,000 generated rules beside them", &many_rules(3000), &events, "≥ 500 k/s");
    event_log(&events);
    records();
}

/// Ordinary images at work: a package installation, a build, four servers.
fn events() -> Vec<Event> {
    let mut events = Vec::new();
    for name in ["package-install", "build-job", "servers"] {
        let path = Path::new("fixtures/ordinary").join(name).with_extension("jsonl.zst");
        let file = std::fs::File::open(path).expect("a recording");
        let from = log::decompress(BufReader::new(file)).expect("a compressed log");
        let reader = Reader::open(BufReader::new(from)).expect("a log");
        events.extend(reader.map(|event| event.expect("an event")));
    }
    events
}

fn rules(name: &str, rules: &RuleSet, events: &[Event], goal: &str) {
    let mut matcher = rules.matcher();
    let matching = rate(|| {
        let found: usize = events.iter().map(|event| matcher.matches(event).count()).sum();
        std::hint::black_box(found);
        events.len() as u64
    });
    line(&format!("events matched, {name}"), &per_second(matching), goal);
    let mut findings = Findings::new(rules);
    let finding = rate(|| {
        let found: usize = events.iter().map(|event| findings.observe(event).len()).sum();
        std::hint::black_box(found);
        events.len() as u64
    });
    line(&format!("the same with findings, {name}"), &per_second(finding), "");
}

/// The shipped rules, and as many as are wanted that look alike but never match.
fn many_rules(count: usize) -> RuleSet {
    let texts = (0..count).map(|at| (format!("generated-{at}.yaml"), generated(at)));
    let shipped = lazaret::rule::SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    RuleSet::load(shipped.chain(texts)).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

/// Prefixes, suffixes, contained words, exact values, arguments, ports, regular expressions.
fn generated(at: usize) -> String {
    let (category, test) = match at % 8 {
        0 => ("file", format!("file.path|startswith: /opt/product-{at}/")),
        1 => ("file", format!("file.path|endswith: /secret-{at}.key")),
        2 => ("file", format!("file.path|contains: /.config-{at}/")),
        3 => ("exec", format!("exe.path: /usr/local/bin/tool-{at}")),
        4 => ("exec", format!("argv|contains: --option-{at}")),
        5 => ("net", format!("dst.port: {}", 1024 + at)),
        6 => ("file", format!("file.path|re: '/data-{at}/[a-z]+\\.(db|sql)$'")),
        _ => ("exec", format!("argv|re: 'curl .*host-{at}\\.example'")),
    };
    format!(
        "title: Generated {at}\nid: 00000000-0000-4000-8000-{at:012}\nstatus: test\ndescription: generated\n\
         author: Lazaret\ndate: 2026-01-01\ntags:\n  - attack.t1059.004\nlevel: low\nclass: risky\n\
         confidence: low\nfalsepositives:\n  - all\nmeaning: none\nadvice: none\n\
         logsource:\n  product: lazaret\n  category: {category}\n\
         detection:\n  chosen:\n    {test}\n  condition: chosen\n"
    )
}

fn event_log(events: &[Event]) {
    let plain = rate(|| write(events, std::io::sink()).1);
    line("events written to the log, not compressed", &per_second(plain), "");
    let compressed = rate(|| {
        let frame = log::compress(std::io::sink()).expect("a frame");
        let (to, count) = write(events, BufWriter::with_capacity(1 << 18, frame));
        to.into_inner().map_err(|_| ()).expect("memory").finish().expect("memory");
        count
    });
    line("events written to the log, compressed", &per_second(compressed), "≥ 500 k/s");
    let frame = log::compress(Vec::new()).expect("a frame");
    let (to, _) = write(events, BufWriter::with_capacity(1 << 18, frame));
    let bytes = to.into_inner().map_err(|_| ()).expect("memory").finish().expect("memory");
    let reading = rate(|| {
        let from = log::decompress(&bytes[..]).expect("a compressed log");
        Reader::open(BufReader::with_capacity(1 << 17, from)).expect("a log").count() as u64
    });
    line("events read from the log, compressed", &per_second(reading), "");
}

/// The events, with ids that ascend over all recordings.
fn write<W: Write>(events: &[Event], to: W) -> (W, u64) {
    let mut writer = Writer::new(to, &Header::default()).expect("a writer");
    for event in events {
        writer.write(event).expect("an event");
    }
    let (to, _) = writer.finish(Trailer::default()).expect("a trailer");
    (to, events.len() as u64)
}

/// One file-heavy mix of all kinds of record.
fn records() {
    let bytes = recorded();
    let decoding = rate(|| {
        let mut stream = Stream::new();
        push(&mut stream, &bytes);
        stream.finish().len() as u64
    });
    line("records decoded and put in order", &per_second(decoding), "");
    let mut stream = Stream::new();
    push(&mut stream, &bytes);
    let records = stream.finish();
    let normalising = rate(|| normalise(records.clone()));
    line("records joined to events", &per_second(normalising), "");
}

fn push(stream: &mut Stream, records: &[Vec<u8>]) {
    records.iter().for_each(|record| stream.push(record));
}

fn normalise(records: Vec<Record>) -> u64 {
    let mut normaliser = Normaliser::new(Nothing, 100_000, 1);
    let count = records.len() as u64;
    let events = records.into_iter().filter_map(|record| normaliser.observe(record));
    std::hint::black_box(events.count());
    count
}

/// Twenty opens for each record of another kind, as real work has it.
fn recorded() -> Vec<Vec<u8>> {
    let read = |stem: &str| {
        let bytes = std::fs::read(format!("fixtures/records/{stem}.bin")).expect("a record");
        split(&bytes)
    };
    let open = read("open");
    let others = ["open_failed", "rename", "unlink", "mkdir", "chmod", "connect", "dup", "exec", "denied"];
    let mut all = Vec::new();
    for _ in 0..100 {
        for other in others {
            (0..20).for_each(|_| all.extend(open.clone()));
            all.extend(read(other));
        }
    }
    all
}

fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some(size) = bytes.first_chunk() {
        let (record, rest) = bytes.split_at(u32::from_ne_bytes(*size) as usize);
        records.push(record.to_vec());
        bytes = rest;
    }
    records
}

/// An image without files: what is measured is joining, not looking up.
struct Nothing;

impl Provenance for Nothing {
    fn layer_of(&mut self, _: &[u8]) -> Option<u16> {
        None
    }
    fn entry_at(&mut self, _: &[u8]) -> lazaret::normalise::ImageEntry {
        lazaret::normalise::ImageEntry::Absent
    }

    fn digest_of(&mut self, _: &File, _: lazaret::normalise::Start) -> Option<[u8; 32]> {
        None
    }
}
