//! What goes through sockets, and descriptors that are copied.

use lazaret::record::Body;

use crate::stage::{is_live, watch};
use crate::text;
use crate::without_sockets;

#[test]
fn sockets_show_the_kernels_addresses_also_through_32_bit_calls() {
    if !is_live() {
        return;
    }
    let seen = watch(&["sockets"]);
    seen.assert_whole();
    let lines = without_sockets(seen.lines());
    let port = lines[0].split([':', ' ']).nth(3).unwrap_or_default();
    assert_ne!(port, "0", "the port that the kernel chose: {lines:#?}");
    let expected = [
        "bind 2.1.6 127.0.0.1:PORT = 0",
        "listen 2.1.6 127.0.0.1:PORT = 0",
        "connect 2.1.6 127.0.0.1:PORT = 0",
        "query 2.2.17 127.0.0.2:53 x = 1",
        "send 2.2.17 127.0.0.2:53 = 1",
        "send 2.2.17 127.0.0.2:54 = 1",
        "send 2.2.17 127.0.0.3:55 = 2",
        "send 2.2.17 127.0.0.4:56 = 2",
        "bind 1.1.0 unix:$/door = 0",
        "listen 1.1.0 unix:$/door = 0",
        "connect 1.1.0 unix:$/door = 0",
        "connect 2.1.6 127.0.0.1:1 = -111",
        "compat 102/32 = -111",
        "connect 2.1.6 127.0.0.1:2 = -111",
        "exit 0x0",
    ]
    .map(|line| line.replace("PORT", port));
    assert_eq!(lines, expected);
}

#[test]
fn what_goes_out_tells_the_address_that_it_comes_from() {
    if !is_live() {
        return;
    }
    let seen = watch(&["sources"]);
    seen.assert_whole();
    let sources = seen.records.iter().filter_map(|record| match &record.body {
        Body::Connect { local, .. } => Some(("connect", local)),
        Body::Send { local, .. } => Some(("send", local)),
        Body::Query { local, .. } => Some(("query", local)),
        Body::Accept { local, .. } => Some(("accept", local)),
        Body::Source { local, .. } => Some(("source", local)),
        _ => None,
    });
    let port = |local: &[u8]| local.get(2..4).map(|port| u16::from_be_bytes([port[0], port[1]]));
    let sources: Vec<_> = sources.map(|(what, local)| (what, port(local))).collect();
    // The act names the ports that it found with getsockname(2), in the order of what it did.
    let named = seen.records.iter().find_map(|record| match &record.body {
        Body::OpenFailed { path, .. } => text(&path.text).strip_prefix("ports-").map(str::to_owned),
        _ => None,
    });
    let named: Vec<u16> = named.unwrap().split('-').map(|port| port.parse().unwrap()).collect();
    let [blocking, other, six, mapped, loose, fixed, server] = named[..] else { panic!("{named:?}") };
    let expected = [
        ("connect", Some(blocking)),
        ("accept", Some(server)),
        ("connect", Some(other)),
        ("connect", Some(six)),
        ("connect", Some(mapped)),
        ("query", Some(loose)),
        ("send", Some(loose)),
        ("connect", Some(fixed)),
        ("connect", None),
    ];
    assert_eq!(sources, expected, "{:#?}", seen.lines());
}

#[test]
fn a_question_is_seen_by_every_call_that_sends_a_datagram() {
    if !is_live() {
        return;
    }
    let seen = watch(&["questions"]);
    seen.assert_whole();
    let queries = seen.records.iter().filter_map(|record| match &record.body {
        Body::Query { server, payload, result, .. } if *result != -111 => Some((server, payload)),
        _ => None,
    });
    let queries: Vec<_> = queries.collect();
    // sendto, sendmsg, sendmmsg, write, writev, send: numbered by their first byte.
    assert_eq!(queries.iter().map(|(_, payload)| payload[0]).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    for (server, payload) in queries {
        assert_eq!(server[..8], [2, 0, 0, 53, 127, 0, 0, 9]);
        assert_eq!(payload[1..], *b"\x02\x01\0\0\x01\0\0\0\0\0\0\x07ExAmple\x03org\0\0\x10\0\x01");
    }
    for made in ["socket 2.2.0", "socket 2.2.17", "socket 10.1.0", "socket 16.3.0"] {
        assert!(seen.lines().iter().any(|line| line == made), "{made}: {:#?}", seen.lines());
    }
}

#[test]
fn a_connection_that_is_taken_names_who_came() {
    if !is_live() {
        return;
    }
    let seen = watch(&["accepts"]);
    seen.assert_whole();
    let lines = without_sockets(seen.lines());
    let peer = lines[2].split(' ').nth(2).unwrap_or_default();
    assert!(peer.starts_with("127.0.0.7:"), "{lines:#?}");
    assert_eq!(lines[4], format!("accept 2.1.6 {peer}"));
    assert_eq!(lines.len(), 6, "one accept found nobody: {lines:#?}");
}

#[test]
fn a_connection_that_ended_tells_the_bytes_each_way() {
    if !is_live() {
        return;
    }
    let seen = watch(&["flows"]);
    seen.assert_whole();
    let flows = seen.records.iter().filter_map(|record| match &record.body {
        Body::Flow { sent, received, .. } if record.task.pid == seen.pid => Some((*sent, *received)),
        _ => None,
    });
    let mut flows: Vec<_> = flows.collect();
    flows.sort_unstable();
    assert_eq!(flows, [(3, 5), (5, 3)], "{:#?}", seen.lines());
}

#[test]
fn a_descriptor_copied_onto_stdio_shows_what_it_leads_to() {
    if !is_live() {
        return;
    }
    let seen = watch(&["dups"]);
    seen.assert_whole();
    let lines = without_sockets(seen.lines());
    let port = lines[0].split([':', ' ']).nth(3).unwrap_or_default();
    // fcntl(F_DUPFD) repeats what dup2(2) did: a second record, or a count that leaves later.
    let mut expected = [
        "dup 0 $/target",
        "dup 0 2.1.6 127.0.0.1:PORT",
        "dup 0 2.1.6 127.0.0.1:PORT",
        "dup 0 pipe:",
        "dup 1 2.1.6 127.0.0.1:PORT",
        "exit 0x0",
        "open $/target 0o100000",
    ]
    .map(|line| line.replace("PORT", port));
    let mut acts = lines[3..].to_vec();
    acts.sort();
    expected.sort();
    assert_eq!(acts, expected);
}
