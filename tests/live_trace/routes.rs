//! Routes by which a deed could go unseen: fixtures/programs/routes.c.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use lazaret::record::{Body, Record};

use crate::stage::{Seen, build, is_live, watch_command, watch_route};

/// Watches one route. Its lines without those that begin with one of `dull`.
fn lines(route: &str, dull: &[&str]) -> Option<(Seen, Vec<String>)> {
    if !is_live() {
        return None;
    }
    let seen = watch_route(route);
    seen.assert_whole();
    let mut lines = seen.lines();
    assert!(!lines.iter().any(|line| line == "exit 0x100"), "it did not do what it should");
    lines.retain(|line| !dull.iter().any(|dull| line.starts_with(dull)));
    Some((seen, lines))
}

fn check(route: &str, dull: &[&str], expected: &[&str]) {
    let Some((_, lines)) = lines(route, dull) else { return };
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}

#[test]
fn names_of_four_thousand_bytes_are_whole_in_every_call() {
    let Some((seen, lines)) = lines("deep", &["open_failed", "compat"]) else { return };
    let dir = format!("{}{}/", format!("{}/", "d".repeat(200)).repeat(19), "s/".repeat(90));
    let dir = dir.split_at(dir.find("/s/").unwrap() + 1).0.to_owned();
    let deepest = |line: &String| line.rsplit('/').next().unwrap_or_default().to_owned();
    let acts: Vec<_> = lines.iter().filter(|line| !line.starts_with("mkdir d")).collect();
    assert!(acts.iter().any(|line| line.starts_with("rename ")), "{}", lines.join("\n"));
    // Each of the two names of a call is whole: it begins with all directories and ends in its own.
    for (call, last) in [
        ("open ", "one@$"),
        ("rename ", "other@$ = 0"),
        ("link ", "one@$ = 0"),
        ("chmod ", "one@$ 0o640 = 0"),
        ("truncate 1 ", "one@$ = 0"),
        ("unlink ", "other@$ = 0"),
        ("rmdir ", "made@$ = 0"),
    ] {
        let line = lines.iter().find(|line| line.starts_with(call) && !line.contains(" 0o300"));
        let line = line.unwrap_or_else(|| panic!("{call}: {}", lines.join("\n")));
        assert!(line.contains(&dir) && line.len() > 4000, "{line}");
        assert!(deepest(line).starts_with(last.split('@').next().unwrap()), "{call}: {}", deepest(line));
    }
    assert!(seen.records.iter().all(|record| !record.cut));
}

#[test]
fn the_roots_of_openat2_end_in_the_true_object() {
    check(
        "roots",
        &["mkdir", "symlink", "exit"],
        &[
            "open $/sub 0o300000",
            "open $/sub/inner 0o100000 by /inner in $/sub",
            "open $/sub/inner 0o100000 by absolute@$/sub in $/sub",
            "open $/sub/inner 0o100000 by sub/climbs@$/sub in $/sub",
            "open $/sub/inner 0o100000 by ../../inner@$/sub in $/sub",
            "open $/sub/inner 0o100000 by sub/../inner@$/sub",
            "open_failed ../target@$/sub 0o0 = -18",
            "open_failed absolute@$/sub 0o0 = -40",
        ],
    );
}

#[test]
fn renamed_parents_second_names_and_climbing_end_in_the_true_object() {
    check(
        "parents",
        &["exit"],
        &[
            "open $/sub 0o300000",
            "rename sub@$ moved@$ = 0",
            "open $/moved/inner 0o100000",
            "rename ../moved@$/again ../again@$/again = 0",
            "open $/again/inner 0o100001",
            "rename inner@$/again outer@$/again = 0",
            "link outer@$/again ../second@$/again = 0",
            "open $/second 0o100000 by ../second@$/again",
            "open $/again/outer 0o104000 by ../again/../again/.././again/./outer@$/again",
            "open /etc/passwd 0o100000 by ../../../../../../../../../../../../../etc/passwd@$/again",
            "unlink ../again/../second@$/again = 0",
        ],
    );
}

#[test]
fn a_path_in_a_page_that_is_not_present_is_seen_in_opens_and_in_calls_on_names() {
    let Some((seen, lines)) = lines("absences", &["exit", "truncate", "open $/a", "open $/b", "open $/c"])
    else {
        return;
    };
    let lines: Vec<_> =
        lines.iter().filter(|line| !line.starts_with("open $/d") && !line.starts_with("open $/e")).collect();
    assert_eq!(lines[0], "open $/target 0o100000", "{lines:#?}");
    assert_eq!(lines[1], "rename target@$ moved@$ = 0");
    assert_eq!(lines[2], "unlink sub/inner@$ = 0");
    // The page went away again and again: the kernel's file is there all the same, each time.
    let target = std::fs::metadata(seen.dir.path().join("moved")).unwrap().ino();
    let raced = |record: &&Record| matches!(&record.body, Body::Open { file, flags: 0o104000, .. } if file.inode == target);
    assert_eq!(seen.records.iter().filter(raced).map(|record| record.count).sum::<u64>(), 2000);
}

#[test]
fn one_act_among_three_thousand_short_lived_processes_is_found() {
    let Some((seen, _)) = lines("swarm 3000", &[]) else { return };
    let count = |wanted: fn(&Body) -> bool| seen.records.iter().filter(|record| wanted(&record.body)).count();
    assert_eq!(count(|body| matches!(body, Body::Fork { .. })), 3000);
    assert_eq!(count(|body| matches!(body, Body::Exit { .. })), 3001);
    let opens = seen.opens();
    let [(open, file, ..)] = opens[..] else { panic!("{opens:#?}") };
    assert!(file.path.ends_with(b"/target") && open.task.pid != seen.pid);
    let announced = |record: &Record| matches!(record.body, Body::Fork { child } if child.pid == open.task.pid && child.start == open.task.start);
    assert!(seen.records.iter().any(announced));
}

#[test]
fn options_of_a_socket_that_change_what_it_can_do_are_told() {
    let Some((_, lines)) = lines("options", &["socket", "exit", "incapable", "open"]) else { return };
    let names: Vec<_> = lines.iter().map(|line| line.split(' ').nth(2).unwrap_or_default()).collect();
    assert_eq!(names, ["6.30", "0.19", "1.26", "1.25", "1.50"], "{}", lines.join("\n"));
    assert_eq!(lines[0], "option 2.1.6 6.30 0x1 = 0");
    assert!(lines[4].ends_with(" = -9") || lines[4].ends_with(" = -22"), "{}", lines[4]);
}

#[test]
fn the_end_of_a_connect_that_does_not_block_is_told() {
    let Some((_, lines)) = lines("settles", &["socket", "exit", "flow", "bind", "listen"]) else { return };
    let kinds: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(kinds, ["connect", "settled", "connect", "settled"], "{}", lines.join("\n"));
    assert!(!lines[1].contains("error"), "{}", lines[1]);
    assert!(lines[3].ends_with(" 127.0.0.1:1 error 111"), "{}", lines[3]);
}

#[test]
fn bytes_of_datagrams_are_told_each_way_and_an_echo_is_seen() {
    let Some((seen, lines)) = lines("datagrams", &["socket", "exit", "bind", "send"]) else { return };
    let flows: BTreeSet<_> = lines.iter().map(String::as_str).collect();
    for flow in [
        "flow 2.2.17 127.0.0.1:40111 127.0.0.2:40112 sent 5 received 3",
        "flow 2.2.17 127.0.0.2:40112 127.0.0.1:40111 sent 3 received 5",
    ] {
        assert!(flows.contains(flow), "{}", lines.join("\n"));
    }
    // Echo request and reply: eight bytes each.
    let echo = "flow 2.2.1 127.0.0.1:0 127.0.0.3:0 sent 8 received 8";
    assert!(flows.contains(echo), "{}", lines.join("\n"));
    let owned = |record: &&Record| matches!(record.body, Body::Flow { .. }) && record.task.pid == seen.pid;
    assert!(seen.records.iter().filter(owned).count() >= 3);
}

#[test]
fn a_connection_needs_neither_connect_nor_dup_to_be_seen() {
    let Some((_, lines)) = lines("stealth", &["socket", "exit", "flow", "bind", "listen"]) else { return };
    let server = lines[0].split(' ').nth(2).unwrap_or_default();
    let peer = lines[3].split(' ').nth(2).unwrap_or_default();
    let expected = [
        format!("connect 2.1.6 {server} = 1"),
        format!("connect 2.1.6 {server} = 0"),
        format!("opened as 0 2.1.6 {server}"),
        format!("accept 2.1.6 {peer}"),
        format!("opened as 1 2.1.6 {peer}"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_socket_of_the_unix_family_has_the_path_of_the_kernels_own_file() {
    check(
        "doors",
        &["socket", "exit", "symlink"],
        &[
            "bind 1.1.0 unix:$/sub/door = 0",
            "listen 1.1.0 unix:$/sub/door = 0",
            "connect 1.1.0 unix:$/sub/door = 0",
            "bind 1.1.0 unix:\\x00hidden = 0",
            "listen 1.1.0 unix:\\x00hidden = 0",
            "connect 1.1.0 unix:\\x00hidden = 0",
        ],
    );
}

#[test]
fn content_that_comes_without_a_write_is_told() {
    check(
        "contents",
        &["exit"],
        &[
            "open $/target 0o100002",
            "map for writing $/target = 0",
            "open $/sub/inner 0o100001 by sub/inner@$",
            "copy into $/sub/inner = 0",
            "kernel 303 target = 0",
            "open $ 0o300000 by .@$",
            "open $/target 0o100001",
            "kernel 304 $/target = 10",
        ],
    );
}

#[test]
fn a_descriptor_taken_from_another_process_is_named() {
    let Some((_, lines)) = lines("taken", &["exit", "fork", "open"]) else { return };
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.starts_with("process 438 $/target target="), "{line}");
}

#[test]
fn a_string_that_is_rewritten_during_the_open_stands_beside_the_file() {
    if !is_live() {
        return;
    }
    // On a busy machine the two threads seldom run at once.
    assert!((0..40).any(|_| rewritten() > 0), "no string was rewritten during an open");
}

/// Opens whose string was another when the call had returned.
fn rewritten() -> u64 {
    let seen = watch_route("race 20000");
    seen.assert_whole();
    let differs = |record: &&Record| match &record.body {
        Body::Open { file, passed: Some(passed), .. } => !file.path.ends_with(&passed.text),
        _ => false,
    };
    seen.records.iter().filter(differs).map(|record| record.count).sum()
}

#[test]
fn what_exec_itself_maps_is_told_where_it_can_be_written_and_run() {
    if !is_live() {
        return;
    }
    let mapped = |link: &[&str]| {
        let program = build("bare", &[&["-nostdlib"], link].concat());
        let seen = watch_command(&[program.to_str().unwrap()]);
        seen.assert_whole();
        std::fs::remove_file(&program).unwrap();
        let lines: Vec<_> = seen.lines().into_iter().filter(|line| line.starts_with("mapping ")).collect();
        lines
    };
    // A stack of code: MAP_STACK, anonymous.
    let stack = mapped(&["-Wl,-z,execstack"]);
    assert!(stack.iter().any(|line| line.contains(" prot=7 flags=0x20000 anonymous")), "{stack:#?}");
    // One segment for all (OMAGIC): the program's own file, writable and executable.
    let segment = mapped(&["-Wl,--omagic", "-Wl,-z,noexecstack"]);
    assert!(segment.iter().any(|line| line.contains(" prot=7 flags=0x0 ")), "{segment:#?}");
    assert!(!mapped(&["-Wl,-z,noexecstack"]).iter().any(|line| line.contains(" prot=7 ")));
}

/// The counts of all records whose line begins so.
fn total(seen: &Seen, start: &str) -> u64 {
    let lines = seen.records.iter().map(|record| (record.count, record.to_string()));
    lines.filter(|(_, line)| line.starts_with(start)).map(|(count, _)| count).sum()
}

#[test]
fn a_name_and_the_address_of_a_datagram_that_are_rewritten_during_the_call_are_told() {
    if !is_live() {
        return;
    }
    // On a busy machine the two threads seldom run at once.
    let (mut names, mut addresses) = (0, 0);
    for _ in 0..8 {
        let seen = watch_route("rewrites 20000");
        seen.assert_whole();
        names += total(&seen, "rewritten 90 target to sub/inner = 0");
        names += total(&seen, "rewritten 90 sub/inner to target = 0");
        addresses += total(&seen, "mismatch send 2.2.17 passed 127.0.0.1:9 took 127.0.0.1:19 ");
        addresses += total(&seen, "mismatch send 2.2.17 passed 127.0.0.1:19 took 127.0.0.1:9 ");
        if names > 0 && addresses > 0 {
            return;
        }
    }
    panic!("{names} names and {addresses} addresses were rewritten during a call");
}

#[test]
fn what_a_filter_of_its_own_answers_is_told_from_what_the_kernel_refuses() {
    let Some((_, lines)) = lines("barred", &["exit", "fork", "signal"]) else { return };
    let lines: Vec<_> = lines
        .iter()
        .map(|line| match line.split_once(" [") {
            Some((call, rest)) => format!("{call}{}", rest.rsplit(']').next().unwrap_or_default()),
            None => line.clone(),
        })
        .collect();
    // mkdir(2) was answered with success, and made nothing.
    let expected =
        ["process 157 = 0", "denied 83 barred = 0", "mkdir somewhere@$ = 0", "process 101 barred = -1"];
    assert_eq!(lines, expected);
}

#[test]
fn what_comes_to_a_socket_that_never_answers_belongs_to_whoever_bound_it() {
    let Some((seen, _)) = lines("hears", &[]) else { return };
    let heard = |record: &&Record| {
        record.to_string().starts_with("flow 2.2.17 127.0.0.1:40113 ")
            && record.to_string().ends_with(" sent 0 received 3")
            && record.task.pid == seen.pid
    };
    assert_eq!(seen.records.iter().filter(heard).count(), 1, "{:#?}", seen.lines());
}
