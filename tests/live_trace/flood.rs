//! Many acts at once: counted, drained, or told as lost.

use lazaret::event::Family;
use lazaret::record::{Body, Record};
use lazaret::trace::Options;

use crate::stage::{is_live, watch, watch_with};

#[test]
fn a_flood_of_identical_opens_is_counted_exactly() {
    if !is_live() {
        return;
    }
    let seen = watch(&["flood", "300000"]);
    seen.assert_whole();
    let opens = seen.opens();
    assert_eq!(opens.iter().map(|(record, ..)| record.count).sum::<u64>(), 300_000);
    // A count leaves once in a quarter of a second to two and a half, by the kernel's HZ (ebpf/fold.h).
    let time = |at: Option<&Record>| at.map_or(0, |record| record.time);
    let (first, last) = (opens.first().map(|it| it.0), opens.last().map(|it| it.0));
    let most = 8 + 4 * (time(last) - time(first)) / 1_000_000_000;
    assert!(opens.len() as u64 <= most, "{} of at most {most}", opens.len());
}

#[test]
fn a_ring_that_overflows_says_how_much_was_lost() {
    if !is_live() {
        return;
    }
    let options = Options { bulk: 4096, ..Options::default() };
    let seen = watch_with(&options, &["distinct", "20000"]);
    let failed = seen.records.iter().filter(|record| matches!(record.body, Body::OpenFailed { .. }));
    let kept: u64 = failed.map(|record| record.count).sum();
    let lost: u64 =
        seen.losses.iter().filter(|loss| loss.family == Family::File).map(|loss| loss.records).sum();
    assert!(lost > 0, "a page of ring held {kept} records");
    assert_eq!(kept + lost, 20_000);
}

#[test]
fn a_flood_of_distinct_acts_is_drained_without_loss() {
    if !is_live() {
        return;
    }
    let seen = watch(&["distinct", "200000"]);
    seen.assert_whole();
    let failed = seen.records.iter().filter(|record| matches!(record.body, Body::OpenFailed { .. }));
    assert_eq!(failed.count(), 200_000);
    assert!(seen.records.windows(2).all(|pair| pair[0].time <= pair[1].time));
}
