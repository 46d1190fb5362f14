//! What a ring of io_uring can do: fixtures/programs/rings.c.

use lazaret::record::Body;

use crate::stage::{Seen, is_live, watch_ring};

fn watch(act: &str) -> Option<(Seen, Vec<String>)> {
    if !is_live() {
        return None;
    }
    let seen = watch_ring(act);
    seen.assert_whole();
    let lines = seen.lines();
    assert!(!lines.iter().any(|line| line == "exit 0x100"), "it did not do what it should: {lines:#?}");
    Some((seen, lines))
}

fn count(lines: &[String], wanted: impl Fn(&str) -> bool) -> usize {
    lines.iter().filter(|line| wanted(line)).count()
}

/// Bytes each way of each connection, sorted.
fn flows(seen: &Seen) -> Vec<(u64, u64)> {
    let flows = seen.records.iter().filter_map(|record| match &record.body {
        Body::Flow { socket, sent, received, .. } if socket.protocol == 6 => {
            assert_eq!(record.task.pid, seen.pid);
            Some((*sent, *received))
        }
        _ => None,
    });
    let mut flows: Vec<_> = flows.collect();
    flows.sort_unstable();
    flows
}

#[test]
fn every_operation_that_sends_tells_where_to() {
    // send, send_zc, sendmsg, sendmsg_zc.
    let Some((seen, lines)) = watch("sends") else { return };
    for (opcode, port) in [(26, 61), (47, 62), (9, 63), (48, 64)] {
        let told = format!("send 2.2.17 127.0.0.1:{port} = -115");
        assert_eq!(count(&lines, |line| *line == told), 1, "{told}: {lines:#?}");
        assert!(lines.contains(&format!("ring {opcode} 4  ")), "{opcode}: {lines:#?}");
    }
    let sent =
        |record: &&lazaret::record::Record| matches!(record.body, Body::Flow { sent: 1, received: 0, .. });
    assert_eq!(seen.records.iter().filter(sent).count(), 4, "{lines:#?}");
}

#[test]
fn every_connection_of_an_accept_that_goes_on_is_told_with_its_peer_and_its_bytes() {
    let Some((seen, lines)) = watch("accepts") else { return };
    let mut peers: Vec<_> =
        lines.iter().filter_map(|line| line.strip_prefix("accept 2.1.6 127.0.0.1:")).collect();
    assert_eq!(peers.len(), 3, "two of one request, one in the ring's own table: {lines:#?}");
    peers.sort_unstable();
    peers.dedup();
    assert_eq!(peers.len(), 3, "{lines:#?}");
    assert_eq!(flows(&seen), [(0, 0), (0, 0), (3, 5), (3, 5), (5, 3), (5, 3)], "{lines:#?}");
}

#[test]
fn a_connection_without_descriptor_answer_or_end_is_told_with_its_bytes() {
    let Some((seen, lines)) = watch("holds") else { return };
    // Made in the ring's table, connected by a request that posts no result, open when the last task ends.
    assert_eq!(count(&lines, |line| line == "socket 2.1.6"), 1, "{lines:#?}");
    assert_eq!(count(&lines, |line| line.starts_with("connect 2.1.6 127.0.0.1:")), 1, "{lines:#?}");
    assert_eq!(flows(&seen), [(0, 5), (5, 0)], "{lines:#?}");
}

#[test]
fn what_a_ring_waits_for_is_told_by_its_operation() {
    // waitid, futex_wake, futex_wait.
    let Some((_, lines)) = watch("waits") else { return };
    for opcode in [50, 52, 51] {
        let start = format!("ring {opcode} ");
        assert_eq!(count(&lines, |line| line.starts_with(&start)), 1, "{opcode}: {lines:#?}");
    }
}
