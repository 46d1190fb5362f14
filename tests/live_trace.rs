//! Does the deeds and looks at the records: the real probes in the real kernel.
//!
//! Each test holds a child on a pipe, watches it by pidfd and cgroup, lets it run one act of
//! fixtures/programs/acts.c, and ends when its cgroup is empty.

#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)] // a stage that cannot be set is a failed test

#[path = "live_trace/calls.rs"]
mod calls;
#[path = "live_trace/rings.rs"]
mod rings;
#[path = "live_trace/routes.rs"]
mod routes;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use lazaret::event::Family;
use lazaret::record::{About, Body, Record, Stream};
use lazaret::trace::{Options, Probes, TraceError, survey_with};

use stage::{Seen, Stage, acts, is_live, watch, watch_with};

/// Watches one act; its records in their order, the stage's directory shown as `$`, must be `expected`.
fn check(act: &str, expected: &[&str]) -> Option<Seen> {
    if !is_live() {
        return None;
    }
    let seen = watch(&act.split(' ').collect::<Vec<_>>());
    seen.assert_whole();
    let lines: Vec<_> = seen.lines().into_iter().map(|line| steady(&seen, line)).collect();
    let expected: Vec<_> = expected.iter().map(|line| line.to_string()).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
    Some(seen)
}

#[test]
fn an_open_ends_in_the_kernels_own_path_whatever_the_route() {
    let expected = [
        "open $/target 0o100000 by link@$",
        "open $/target 0o100002 by /proc/self/fd/3=>$/target",
        "open $/sub/inner 0o100000",
        "open $/target 0o104000 by ../sub/./../target@$/sub",
        "open $/sub/inner 0o1100000",
        "compat 5/32 = +",
        "open $/target 0o400000 by ../target@$/sub",
        "open $/sub/made 0o101101 created",
        "open $/sub/made 0o101001",
        "memory 319 hidden = +",
        "open pipe: 0o100000 by /proc/self/fd/0",
        "exit 0x0",
    ];
    let Some(seen) = check("opens", &expected) else { return };
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(seen.dir.path().join("target")).unwrap());
    let opens = seen.opens();
    assert!(opens.iter().all(|(record, ..)| record.task.pid == seen.pid && record.task.uid == 0));
    assert_eq!(opens[0].1.inode, inode);
    assert_eq!(opens[0].1.mode, 0o100_644);
}

#[test]
fn failed_opens_and_execs_are_records_and_loops_of_them_counts() {
    if !is_live() {
        return;
    }
    let mut seen = watch(&["failures"]);
    seen.assert_whole();
    // Another failure in between may have taken the slot of this one: only the sum is certain.
    let is_absent = |record: &Record| record.to_string().starts_with("open_failed absent@");
    let (absent, rest) = std::mem::take(&mut seen.records).into_iter().partition(is_absent);
    seen.records = rest;
    let expected = [
        "open $/sub 0o300000",
        "open_failed gone@$/sub 0o1 = -2",
        "open_failed ?@$ 0o0 = -14",
        "exec_failed ./absent = -2",
        "exit 0x0",
    ];
    assert_eq!(seen.lines(), expected);
    assert!(absent.len() < 5, "{absent:#?}");
    assert_eq!(absent.iter().map(|record: &Record| record.count).sum::<u64>(), 1001);
}

#[test]
fn changes_of_names_carry_the_directory_they_start_from() {
    check(
        "names",
        &[
            "open $/sub 0o300000",
            "mkdir fresh@$ = 0",
            "rename target@$ fresh/moved@$ = 0",
            "rename inner@$/sub outer@$ = 0",
            "link outer@$ second@$ = 0",
            "symlink /etc/passwd points@$ = 0",
            "chmod outer@$ 0o4755 = 0",
            "open $/outer 0o100000",
            "file_chmod $/outer 0o600 = 0",
            "unlink second@$ = 0",
            "unlink nothing@$/sub = -2",
            "rmdir sub@$ = 0",
            "exit 0x0",
        ],
    );
}

#[test]
fn a_name_that_leads_through_a_descriptor_carries_where_that_leads() {
    if !is_live() {
        return;
    }
    let seen = watch(&["aliases"]);
    seen.assert_whole();
    let mut lines = seen.lines();
    // The name of a file that never had one is its number.
    let number = lines[6].split(['#', ' ']).nth(2).unwrap_or_default().to_owned();
    lines.iter_mut().for_each(|line| *line = line.replace(&format!("#{number}"), "#N"));
    let expected = [
        "open $/sub 0o300000",
        "rename /proc/self/fd/3/inner=>$/sub /proc/self/cwd/moved = 0",
        "rename moved@$ /dev/fd/3/back=>$/sub = 0",
        "chmod /proc/thread-self/fd/3/back=>$/sub 0o600 = 0",
        "open $/target 0o10000000",
        "chmod /proc/self/fd/4=>$/target 0o640 = 0",
        "open $/#N unlinked 0o20300002 by .@$",
        "link /proc/self/fd/5=>$/#N born@$ 0x400 = 0",
        "rename born@$ target@$ 0x2 = 0",
        "exit 0x0",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn every_change_of_a_file_is_seen_by_name_and_by_descriptor() {
    let capabilities = format!("\\x01\\x00\\x00\\x02\\x80{}", "\\x00".repeat(15));
    if !is_live() {
        return;
    }
    let seen = watch(&["changes"]);
    seen.assert_whole();
    let mut lines: Vec<_> = seen.lines().into_iter().map(|line| steady(&seen, line)).collect();
    // copy_file_range(2) after sendfile(2) is the same fact about the same file: a count, which leaves when its
    // place is needed, or at the end.
    let counted = lines.iter().rposition(|line| line == "copy into $/target = 0");
    lines.remove(counted.expect("a copy"));
    assert_eq!(
        lines,
        [
            "open $/target 0o100002",
            "open $/sub/inner 0o100000 by sub/inner@$",
            "truncate 3 link@$ = 0",
            "truncate 2 $/target = 0",
            "chown 1:2 link@$ = 0",
            "chown 3:-1 link@$ itself = 0",
            "chown 4:5 link@$ itself = 0",
            "chown 0:0 $/target = 0",
            "times 1000000000000000005 target@$ = 0",
            "times now link@$ itself = 0",
            "times 1000000000000000005 $/target = 0",
            "times 1000000001000007000 target@$ = 0",
            "times now target@$ = 0",
            &format!("setxattr security.capability={capabilities} target@$ = 0"),
            "setxattr user.mark=xyz $/target = 0",
            "removexattr user.none link@$ itself = -1",
            "removexattr security.capability $/target = 0",
            "mknod 0o10600 0x0 fifo@$ itself = 0",
            "mknod 0o20666 0x103 null@$ itself = 0",
            "setflags 0x10 $/target = 0",
            "setflags 0x0 $/target = 0",
            "copy into $/target = 0",
            "open $/suid 0o100101 created",
            "rmdir absent@$ = -2",
            "compat 92/32 = 0",
            "truncate 1 target@$ = 0",
            "exit 0x0",
        ],
        "\n{}",
        lines.join("\n")
    );
}

/// Where several sockets were made alike, their count leaves whenever its place is needed; connections end
/// when they like.
fn without_sockets(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.starts_with("socket ") && !line.starts_with("flow ")).collect()
}

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

#[test]
fn calls_that_seccomp_denies_are_seen_and_counted() {
    if !is_live() {
        return;
    }
    let seen = watch(&["denied"]);
    seen.assert_whole();
    let refused = |record: &&Record| {
        matches!(&record.body, Body::Call { about: About::Process, call, result: -1 }
            if call.number == 101 && call.args[..2] == [16, 1] && !call.compat)
    };
    assert_eq!(seen.records.iter().filter(refused).map(|record| record.count).sum::<u64>(), 500);
    assert_eq!(seen.records.iter().filter(refused).count(), 2, "{:#?}", seen.lines());
    assert!(seen.lines().contains(&"connect 2.1.6 10.1.2.3:4444 = -1".to_owned()));
}

#[test]
fn what_an_orphan_does_is_seen_after_its_parents_ended() {
    if !is_live() {
        return;
    }
    let seen = watch(&["orphan"]);
    seen.assert_whole();
    let lines = seen.lines();
    // The first process may end before or after its child has a child.
    let mut first = lines[..4].to_vec();
    first.sort();
    assert_eq!(first, ["exit 0x0", "exit 0x0", "fork", "fork"]);
    assert_eq!(lines[4..], ["open $/target 0o100000", "exit 0x700"]);
}

#[test]
fn threads_count_for_themselves_and_a_signal_is_the_exit_status() {
    check(
        "threads",
        &["open $/target 0o100000", "open $/target 0o100000 x999", "signal 15 to ME = 0", "exit 0xf"],
    );
}

#[test]
fn one_act_among_many_short_lived_processes_is_found() {
    if !is_live() {
        return;
    }
    let seen = watch(&["swarm"]);
    seen.assert_whole();
    let count = |wanted: fn(&Body) -> bool| seen.records.iter().filter(|record| wanted(&record.body)).count();
    assert_eq!(count(|body| matches!(body, Body::Fork { .. })), 500);
    assert_eq!(count(|body| matches!(body, Body::Exit { .. })), 501);
    let opens = seen.opens();
    let [(open, file, ..)] = opens[..] else { panic!("{:#?}", seen.lines()) };
    assert!(file.path.ends_with(b"/target"));
    // The child that acted is one that a fork announced, with its start time.
    let announced = |record: &Record| matches!(record.body, Body::Fork { child } if child.pid == open.task.pid && child.start == open.task.start);
    assert!(seen.records.iter().any(announced));
}

#[test]
fn a_path_of_nearly_4096_bytes_is_whole() {
    if !is_live() {
        return;
    }
    let seen = watch(&["deep"]);
    seen.assert_whole();
    let (_, file, _, created) = *seen.opens().last().expect("an open");
    let expected = format!(
        "{}{}{}/bottom",
        seen.dir.path().display(),
        format!("/{}", "d".repeat(200)).repeat(18),
        "/s".repeat(60)
    );
    assert_eq!(String::from_utf8_lossy(&file.path), expected);
    assert!(created);
}

#[test]
fn an_exec_carries_argv_env_script_and_directory() {
    if !is_live() {
        return;
    }
    let long = "x".repeat(100 * 1024) + "THE POINT";
    let script = std::env::temp_dir().join(format!("script-{}", std::process::id()));
    fs::write(&script, "#!/bin/busybox sh\nexit 3\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script_name = script.to_str().unwrap().to_owned();
    let stage = Stage::set(&[&script_name, &long]);
    let watch = stage.attach(Probes::load().expect("probes"));
    let seen = stage.run(watch);
    fs::remove_file(&script).unwrap();
    seen.assert_whole();
    let exec = seen.records.iter().find(|record| matches!(record.body, Body::Exec { .. }));
    let Some(Record { body: Body::Exec { exe, asked, interpreter, argv, env, cwd, comm, tty, .. }, .. }) =
        exec
    else {
        panic!("no exec");
    };
    assert_eq!(exe.path, b"/usr/bin/busybox");
    assert_eq!(asked, script_name.as_bytes());
    assert_eq!(interpreter, b"/bin/busybox");
    assert_eq!(*argv, format!("/bin/busybox\0sh\0{script_name}\0{long}\0").as_bytes());
    assert!(env.split(|&byte| byte == 0).any(|variable| variable == b"MARK=here"));
    assert_eq!(cwd, seen.dir.path().as_os_str().as_encoded_bytes());
    assert!(script_name.as_bytes().windows(comm.len()).any(|part| part == comm), "{comm:?}");
    assert!(!tty);
    let exit = seen.records.last().map(|record| record.to_string());
    assert_eq!(exit.as_deref(), Some("exit 0x300"));
}

#[test]
fn nothing_of_a_task_outside_the_sandbox_appears() {
    if !is_live() {
        return;
    }
    let mut outside = Stage::set(&[acts(), "flood", "20000"]);
    let mut inside = Stage::set(&[acts(), "orphan"]);
    let mut watch = inside.attach(Probes::load().expect("probes"));
    let mut stream = Stream::new();
    outside.release();
    while outside.is_populated() {
        watch.drain(&mut |bytes| stream.push(bytes));
    }
    inside.release();
    while inside.is_populated() {
        watch.drain(&mut |bytes| stream.push(bytes));
    }
    watch.drain_rest(&mut |bytes| stream.push(bytes));
    let records = stream.finish();
    assert_eq!(records.len(), 7, "{:#?}", records.iter().map(Record::to_string).collect::<Vec<_>>());
}

#[test]
fn a_task_is_found_by_its_cgroup_alone() {
    if !is_live() {
        return;
    }
    let other = Stage::set(&[acts(), "nothing"]);
    let stage = Stage::set(&[acts(), "threads"]);
    let watch = stage.attach_by_cgroup(Probes::load().expect("probes"), other.pid());
    let seen = stage.run(watch);
    seen.assert_whole();
    let lines: Vec<_> = seen.lines().into_iter().map(|line| steady(&seen, line)).collect();
    assert_eq!(
        lines,
        ["open $/target 0o100000", "open $/target 0o100000 x999", "signal 15 to ME = 0", "exit 0xf"]
    );
}

#[test]
fn a_flood_of_identical_opens_is_counted_exactly() {
    if !is_live() {
        return;
    }
    let seen = watch(&["flood", "300000"]);
    seen.assert_whole();
    let opens = seen.opens();
    assert_eq!(opens.iter().map(|(record, ..)| record.count).sum::<u64>(), 300_000);
    assert!(opens.len() < 20, "{}", opens.len());
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

#[test]
fn a_file_of_an_overlay_shows_its_side_and_the_path_across_the_mount() {
    if !is_live() {
        return;
    }
    let script = "mkdir up work mnt && mount -t overlay none \
        -o lowerdir=sub,upperdir=up,workdir=work mnt && cat mnt/inner && echo > mnt/new";
    let stage = Stage::set(&["/bin/busybox", "unshare", "-m", "/bin/busybox", "sh", "-c", script]);
    let watch = stage.attach(Probes::load().expect("probes"));
    let seen = stage.run(watch);
    seen.assert_whole();
    let lines = seen.lines();
    let inner = "open $/mnt/inner lower 0o100000 by mnt/inner@$ in /";
    let new = "open $/mnt/new upper 0o101101 created by mnt/new@$ in /";
    assert!(lines.iter().any(|line| line == inner), "{lines:#?}");
    assert!(lines.iter().any(|line| line == new), "{lines:#?}");
}

#[test]
fn a_path_begins_at_the_sandboxs_root_and_not_at_a_later_chroot() {
    if !is_live() {
        return;
    }
    let script = "/busybox cat /target && /busybox chroot /sub /busybox cat /inner";
    let stage = Stage::set_in_root(&["/busybox", "sh", "-c", script]);
    let watch = stage.attach(Probes::load().expect("probes"));
    let seen = stage.run(watch);
    seen.assert_whole();
    let paths: Vec<_> = seen.opens().iter().map(|open| text(&open.1.path)).collect();
    assert_eq!(paths, ["/target", "/sub/inner"]);
    let exes = seen.records.iter().filter_map(|record| match &record.body {
        Body::Exec { exe, cwd, .. } => Some((text(&exe.path), text(cwd))),
        _ => None,
    });
    let last = exes.collect::<Vec<_>>().pop().unwrap();
    assert_eq!(last, ("/sub/busybox".to_owned(), "/sub".to_owned()));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_goes_through_io_uring_is_seen_also_from_a_polling_thread() {
    for act in ["uring", "uring 1"] {
        if !is_live() {
            return;
        }
        let seen = watch(&act.split(' ').collect::<Vec<_>>());
        seen.assert_whole();
        let mut lines = seen.lines();
        let is_setup = |line: &String| line.starts_with("kernel 425 ");
        assert!(lines.iter().any(is_setup), "{lines:#?}");
        // Later rings count with the first; when the count leaves is not certain.
        lines.retain(|line| !is_setup(line) && !line.starts_with("flow "));
        let sources = seen.records.iter().filter_map(|record| match &record.body {
            Body::Source { local, .. } => Some(u16::from_be_bytes([local[2], local[3]])),
            _ => None,
        });
        let [port] = sources.collect::<Vec<_>>()[..] else { panic!("{lines:#?}") };
        lines.iter_mut().for_each(|line| *line = line.replace(&format!("0.0.0.0:{port}"), "0.0.0.0:PORT"));
        let expected = [
            "open_failed link@$ 0o100000 = -115",
            "open $/target 0o100000",
            "open $/sub 0o300000",
            "open_failed inner@$/sub 0o100000 = -115",
            "open $/sub/inner 0o100000",
            "socket 2.1.0",
            "connect 2.1.6 127.0.0.1:1 = -115",
            "settled 2.1.6 127.0.0.1:0 127.0.0.1:1 error 111",
            "socket 2.2.0",
            "ring 9 7  ",
            "send 2.2.17 127.0.0.1:53 = -115",
            "source 2.2.17 0.0.0.0:PORT -",
            "ring 37 0 made ",
            "ring 35 0 made moved",
            "exit 0x0",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn what_a_ring_does_with_files_of_its_own_table_is_seen_with_path_and_address() {
    if !is_live() {
        return;
    }
    let seen = watch(&["uring_tables"]);
    seen.assert_whole();
    let lines = seen.lines();
    let port_of = |start: &str| {
        let line = lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{lines:#?}"));
        line.split([':', ' ']).nth(3).unwrap().to_owned()
    };
    let (server, client) = (port_of("bind "), port_of("accept "));
    let steady = |line: &String| line.replace(&server, "SERVER").replace(&client, "CLIENT");
    // What the ring still holds, a kernel thread closes, perhaps after the last task is gone.
    let dull = ["kernel ", "socket 2.1.0", "exit", "flow "];
    let told: Vec<_> = lines.iter().map(steady).collect();
    let mut told: Vec<_> = told
        .iter()
        .map(String::as_str)
        .filter(|line| !dull.iter().any(|dull| line.starts_with(dull)))
        .collect();
    // Requests of one submission end in any order.
    let mut expected = [
        "open_failed sub/inner@$ 0o100002 = -115",
        "open $/sub/inner 0o100002",
        "ring 2 -1  ",
        "ring 39 0 target second",
        "ring 38 0 /etc points",
        "ring 36 0 second ",
        "open $/target 0o100002",
        "ring 41 -1 $/sub/inner ",
        "ring 55 4 $/target ",
        "ring 30 4 $/target ",
        "ring 45 0  ",
        "socket 2.1.6",
        "ring 56 7  ",
        "ring 57 7  ",
        "bind 2.1.6 127.0.0.1:SERVER = 0",
        "listen 2.1.6 127.0.0.1:SERVER = 0",
        "connect 2.1.6 127.0.0.1:SERVER = -115",
        "ring 13 7  ",
        "accept 2.1.6 127.0.0.1:CLIENT",
        "source 2.1.6 127.0.0.1:CLIENT 127.0.0.1:SERVER",
        "settled 2.1.6 127.0.0.1:CLIENT 127.0.0.1:SERVER",
        "ring 46 8 TCP ",
    ];
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected, "{lines:#?}");
}

#[test]
fn without_the_kernels_types_nothing_is_loaded() {
    let absent = Options { btf: PathBuf::from("/nonexistent/vmlinux"), ..Options::default() };
    assert!(matches!(Probes::load_with(&absent), Err(TraceError::NoBtf { .. })));
    let file = tempfile::NamedTempFile::new().unwrap();
    let empty = Options { btf: file.path().to_owned(), ..Options::default() };
    assert!(matches!(Probes::load_with(&empty), Err(TraceError::NoBtf { .. })));
    fs::write(file.path(), "no types").unwrap();
    assert!(matches!(Probes::load_with(&empty), Err(TraceError::BadBtf { .. })));
}

#[test]
fn the_survey_says_what_works_and_what_to_do_about_the_rest() {
    if !is_live() {
        return;
    }
    for answer in survey_with(Path::new("/sys/kernel/btf/vmlinux")) {
        assert!(!answer.needed || answer.refused.is_none(), "{answer:?}");
    }
    let blind = survey_with(Path::new("/nonexistent/vmlinux"));
    let refused = blind.iter().filter(|answer| answer.needed && answer.refused.is_some());
    assert_eq!(refused.count(), 4, "{blind:#?}");
}

/// A line without what differs from run to run: pids, and results that are new numbers.
fn steady(seen: &Seen, line: String) -> String {
    let mut line = line.replace(&format!(" to {} ", seen.pid), " to ME ");
    for record in &seen.records {
        if let Body::Fork { child } = record.body {
            line = line.replace(&child.pid.to_string(), "CHILD");
        }
    }
    match line.rsplit_once(" = ") {
        Some((act, _)) if act.starts_with("denied") => act.split(" [").next().unwrap_or(act).to_owned(),
        Some((act, result)) if result.parse::<u64>().is_ok_and(|result| result > 1) || result == "CHILD" => {
            if line.starts_with("send") {
                line.clone()
            } else {
                format!("{act} = +")
            }
        }
        _ => line,
    }
}

/// Watches one act; what it did to itself and others, without opens, forks and exits, must be `expected`.
fn check_notable(act: &str, expected: &[&str]) {
    if !is_live() {
        return;
    }
    let seen = watch(&[act]);
    seen.assert_whole();
    let dull = ["open ", "fork", "exit"];
    let mut lines: Vec<_> = seen.lines().into_iter().map(|line| steady(&seen, line)).collect();
    lines.retain(|line| !dull.iter().any(|dull| line.starts_with(dull)));
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}

#[test]
fn memory_that_becomes_executable_is_told_and_an_ordinary_mapping_is_not() {
    check_notable(
        "memory",
        &[
            "mapping map 0x2000 prot=7 flags=0x22 anonymous = 0",
            "mapping protect 0x3000 prot=5 flags=0x0 anonymous written = 0",
            "mapping protect 0x4000 prot=4 flags=0x0 anonymous = 0",
            "memory 319 code = +",
            "mapping map 0x1000 prot=5 flags=0x1 memfd:code unlinked = 0",
            "mapping map 0x1000 prot=7 flags=0x1 ? = -9",
            "compat 125/32 = 0",
            "mapping protect 0x1000 prot=7 flags=0x0 anonymous = 0",
            "memory 323 = +",
            "mapping map 0x2000 prot=7 flags=0x22 anonymous = 0",
            "mapping map 0x2000 prot=7 flags=0x22 anonymous = 0 x99",
        ],
    );
}

#[test]
fn code_mapped_through_an_overlay_has_the_overlays_name_and_only_what_was_written_is_told() {
    if !is_live() {
        return;
    }
    let script = "mkdir low up work mnt && /bin/busybox cp /bin/busybox low/old && mount -t overlay none \
        -o lowerdir=low,upperdir=up,workdir=work mnt && /bin/busybox cp mnt/old mnt/new \
        && exec $0 code mnt/old mnt/new";
    let stage = Stage::set(&["/bin/busybox", "unshare", "-m", "/bin/busybox", "sh", "-c", script, acts()]);
    let watch = stage.attach(Probes::load().expect("probes"));
    let seen = stage.run(watch);
    seen.assert_whole();
    let lines = seen.lines();
    let mapped: Vec<_> = lines.iter().filter(|line| line.starts_with("mapping ")).collect();
    assert_eq!(mapped, ["mapping map 0x1000 prot=5 flags=0x2 $/mnt/new upper = 0"], "{lines:#?}");
}

#[test]
fn a_program_run_from_memory_is_seen_from_its_making_on() {
    if !is_live() {
        return;
    }
    let seen = watch(&["fileless"]);
    seen.assert_whole();
    let lines = seen.lines();
    assert_eq!(lines[0], "memory 319 hidden = 3");
    let run = lines.iter().find(|line| line.starts_with("exec ")).expect("an exec");
    assert!(run.starts_with("exec memfd:hidden unlinked asked=/dev/fd/3 "), "{run}");
    assert!(run.ends_with(" env= capabilities=1fffeffffff/1fffeffffff") || run.contains(" capabilities="));
}

#[test]
fn what_processes_do_to_each_other_names_the_target() {
    const ALL: &str = "capabilities=ALL";
    let all = |line: &str| line.replace(ALL, &own_capabilities());
    let ids = [
        "ids 119 uid=0/0/0/0 gid=0/0/0/0 capabilities=ALL -> uid=0/0/0/0 gid=100/100/100/100 capabilities=ALL = 0",
        "ids 117 uid=0/0/0/0 gid=100/100/100/100 capabilities=ALL \
         -> uid=1000/1000/1000/1000 gid=100/100/100/100 capabilities=0/0 = 0",
        "ids 105 uid=1000/1000/1000/1000 gid=100/100/100/100 capabilities=0/0 \
         -> uid=1000/1000/1000/1000 gid=100/100/100/100 capabilities=0/0 = -1",
    ]
    .map(all);
    check_notable(
        "processes",
        &[
            "process 157 kworker/0:1 = 0",
            "process 157 = 0",
            "process 157 = 0",
            "process 135 = 0",
            "process 112 = +",
            "signal 10 to CHILD = 0",
            "signal 12 to CHILD = 0",
            "signal 23 to CHILD = 0",
            "signal 12 to ?CHILD code -42 = 0",
            "signal 15 to ?67108863 code 0 = -3",
            "process 438 target=CHILD = +",
            "process 311 = 1",
            "process 310 = 1",
            "process 101 = 0",
            "signal 9 to CHILD = 0",
            &ids[0],
            &ids[1],
            "incapable 7 in 105",
            &ids[2],
        ],
    );
}

/// As the records show them: effective/permitted.
fn own_capabilities() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        format!("{:x}", u64::from_str_radix(line, 16).unwrap())
    };
    format!("capabilities={}/{}", set("CapEff:"), set("CapPrm:"))
}

#[test]
fn calls_on_the_kernel_are_told_also_when_they_succeed() {
    check_notable(
        "kernels",
        &[
            "kernel 272 detail=0x4020000 = 0",
            "kernel 308 = 0",
            "kernel 435 detail=0x8000000 = +",
            "kernel 165 none / = 0",
            "kernel 165 mine sub tmpfs = 0",
            "kernel 166 sub = 0",
            "kernel 155 no-new no-old = -2",
            "kernel 321 detail=0x2 = +",
            "kernel 248 user a-key = +",
            "kernel 250 = +",
            "kernel 103 = +",
            "kernel 176 no-such-module = -38",
            "kernel 425 = +",
            "kernel 163 no-such-log = -2",
            "kernel 179 no-such-device = -2",
            "kernel 164 = 0",
            "kernel 171 x = 0",
            "kernel 154 = 0",
            "kernel 254 sub = 1",
            "kernel 16 $/target = -25",
            "compat 20/32 = +",
            "denied 1073741863",
            "kernel 161 sub = 0",
        ],
    );
}

#[test]
fn a_process_that_leaves_the_cgroup_is_seen_leaving_and_afterwards() {
    if !is_live() {
        return;
    }
    let seen = watch(&["escape"]);
    seen.assert_whole();
    let mut lines: Vec<_> = seen.lines().into_iter().map(|line| steady(&seen, line)).collect();
    assert!(lines.remove(1).ends_with("/cgroup.procs 0o100001"));
    assert_eq!(lines, ["fork", "moved CHILD to 0:/", "open $/target 0o100000", "exit 0x0", "exit 0x0"]);
}

#[test]
fn a_missing_capability_is_told_and_named_by_the_refusal_for_it() {
    if !is_live() {
        return;
    }
    let seen = watch(&["incapable"]);
    seen.assert_whole();
    // 18 is CAP_SYS_CHROOT, 21 CAP_SYS_ADMIN.
    let expected = [
        "incapable 21 in 170",
        "kernel 170 x capability 21 = -1",
        "incapable 18 in 161",
        "kernel 161 / capability 18 = -1",
        "incapable 21 in 165",
        "kernel 165 mine sub tmpfs capability 21 = -1",
    ];
    assert_eq!(seen.lines()[1..7], expected);
}

#[test]
fn a_call_that_the_kill_interrupts_returns_and_is_seen() {
    if !is_live() {
        return;
    }
    let seen = watch(&["hang"]);
    seen.assert_whole();
    let lines = without_sockets(seen.lines());
    let connects: Vec<_> = lines.iter().filter(|line| line.starts_with("connect ")).collect();
    // ERESTARTSYS: interrupted, and nobody is left to make the call again.
    assert!(connects[1].ends_with(" = -512"), "{lines:#?}");
    assert_eq!(lines.last().map(String::as_str), Some("exit 0xe"));
}

/// The counts of all records whose line begins so.
fn total(seen: &Seen, start: &str) -> u64 {
    let lines = seen.records.iter().map(|record| (record.count, record.to_string()));
    let dir = seen.dir.path().to_str().unwrap();
    lines.filter(|(_, line)| line.replace(dir, "$").starts_with(start)).map(|(count, _)| count).sum()
}

#[test]
fn what_another_thread_rewrites_is_told_as_the_kernel_took_it() {
    if !is_live() {
        return;
    }
    // On a busy machine the two threads seldom run at once.
    let rewritten = (0..5).any(|_| race() > 0);
    assert!(rewritten, "no address was rewritten during a connect");
}

/// What the kernel took must be what was told; how many addresses were rewritten during the call.
fn race() -> u64 {
    let seen = watch(&["race", "20000"]);
    seen.assert_whole();
    let counts = fs::read_to_string(seen.dir.path().join("counts")).unwrap();
    let counts: Vec<u64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
    assert!(counts[2] > 0 && counts[3] > 0, "no race: {counts:?}");
    let told = [
        total(&seen, "open $/target "),
        total(&seen, "open $/sub/inner "),
        total(&seen, "connect 2.2.17 127.0.0.1:1 "),
        total(&seen, "connect 2.2.17 127.0.0.1:2 "),
    ];
    assert_eq!(told[..], counts);
    total(&seen, "mismatch connect 2.2.17 passed 127.0.0.1:")
}

#[test]
fn a_call_that_a_tracer_injects_is_the_tracees() {
    if !is_live() {
        return;
    }
    let seen = watch(&["inject"]);
    seen.assert_whole();
    let opens = seen.opens();
    let [(open, file, ..)] = opens[..] else { panic!("{:#?}", seen.lines()) };
    assert!(file.path.ends_with(b"/target"));
    let child = |record: &Record| matches!(record.body, Body::Fork { child } if child.pid == open.task.pid);
    assert!(open.task.pid != seen.pid && seen.records.iter().any(child));
}

#[test]
fn what_is_done_in_new_namespaces_is_told_as_before() {
    if !is_live() {
        return;
    }
    let seen = watch(&["nested"]);
    seen.assert_whole();
    let lines: Vec<_> = seen.lines().into_iter().map(|line| steady(&seen, line)).collect();
    assert!(lines.contains(&"kernel 272 detail=0x70020000 = 0".to_owned()), "{lines:#?}");
    let opens = seen.opens();
    let inner = opens.iter().find(|open| open.1.path.ends_with(b"/target")).expect("the open");
    assert_eq!(inner.0.task.inner_pid, 1);
    assert!(inner.1.path.starts_with(seen.dir.path().as_os_str().as_encoded_bytes()));
}
