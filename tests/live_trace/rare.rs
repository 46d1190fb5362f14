//! Calls that few programs make, and what they do to files, connections and other processes:
//! fixtures/programs/routes.c.

use std::fs;

use lazaret::record::{Body, Record};

use crate::stage::{Seen, is_live, watch_route};

/// Watches one route. Its lines without those that begin with one of `dull`; children are called CHILD.
fn watch(route: &str, dull: &[&str]) -> Option<(Seen, Vec<String>)> {
    if !is_live() {
        return None;
    }
    let seen = watch_route(route);
    seen.assert_whole();
    let mut lines = seen.lines();
    assert!(!lines.iter().any(|line| line == "exit 0x100"), "it did not do what it should: {lines:#?}");
    lines.retain(|line| !dull.iter().any(|dull| line.starts_with(dull)));
    for record in &seen.records {
        if let Body::Fork { child } = record.body {
            let pid = child.pid.to_string();
            lines.iter_mut().for_each(|line| *line = line.replace(&pid, "CHILD"));
        }
    }
    Some((seen, lines))
}

fn check(route: &str, dull: &[&str], expected: &[&str]) {
    let Some((_, lines)) = watch(route, dull) else { return };
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}

#[test]
fn seals_of_a_memory_file_and_whom_a_descriptor_signals_are_told() {
    let Some((seen, lines)) = watch("seals", &["exit"]) else { return };
    let sealed = "kernel 72 memfd:sealed = 0";
    assert_eq!(
        lines,
        ["memory 319 sealed = 3", "truncate 1 memfd:sealed unlinked = 0", sealed, sealed, sealed],
        "\n{}",
        lines.join("\n")
    );
    let commands = seen.records.iter().filter_map(|record| match &record.body {
        Body::Call { call, .. } if call.number == 72 => Some((call.args[1], call.args[2])),
        _ => None,
    });
    // F_ADD_SEALS with shrink, grow and write; F_SETOWN; F_SETSIG.
    let own = u64::from(seen.pid);
    assert_eq!(commands.collect::<Vec<_>>(), [(1033, 2 | 4 | 8), (8, own), (10, 23)]);
}

#[test]
fn a_program_that_never_had_a_name_is_seen_running_whatever_the_route() {
    for (route, asked) in [("nameless 0", "/dev/fd/5"), ("nameless 1", "/proc/self/fd/5")] {
        let Some((seen, lines)) = watch(route, &[]) else { return };
        let made = lines.iter().find(|line| line.contains(" 0o20300002")).expect("an O_TMPFILE");
        assert!(made.starts_with("open $/#"), "{made}");
        let name = made.split(' ').nth(1).unwrap();
        let run = lines.iter().find(|line| line.starts_with("exec ")).expect("an exec");
        assert!(run.starts_with(&format!("exec {name} unlinked asked={asked} cwd=$ ")), "{run}");
        let opened = seen.opens().first().map(|open| (open.1.device, open.1.inode)).unwrap();
        let is_same = |record: &Record| matches!(&record.body, Body::Exec { exe, .. } if (exe.device, exe.inode) == opened);
        assert!(seen.records.iter().any(is_same), "the file that was made is the one that runs");
    }
}

#[test]
fn a_format_that_is_registered_in_a_namespace_of_its_own_shows_the_file_and_what_runs_it() {
    let Some((_, lines)) = watch("formats", &["exit"]) else { return };
    for line in ["kernel 272 detail=0x10020000 = 0", "kernel 165 formats sub binfmt_misc = 0"] {
        assert!(lines.iter().any(|told| told == line), "{line}: {lines:#?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("open $/sub/register 0o100001")), "{lines:#?}");
    let run = lines.last().unwrap();
    let is_interpreted = run.contains("/routes asked=./mine ") && run.contains(" interpreter=/");
    assert!(run.starts_with("exec ") && is_interpreted && run.contains("\\x00./mine\\x00"), "{run}");
}

#[test]
fn what_is_done_to_another_process_is_told_beside_signals_and_memory() {
    // Of prlimit64 neither the one for itself nor the one that only asks.
    check(
        "others",
        &["fork", "exit"],
        &[
            "process 302 = 0",
            "process 312 = 0",
            "process 256 = -22",
            "process 448 target=CHILD = -22",
            "process 440 target=CHILD = 0",
            "open /proc/CHILD/mem 0o100002",
        ],
    );
}

#[test]
fn sockets_that_reach_past_ip_are_told_with_their_family() {
    let Some((_, lines)) = watch("families", &["exit"]) else { return };
    for start in ["socket 17.3.", "bind 17.3.", "socket 16.3.0", "send 16.3.0 ", "socket 2.3.255"] {
        assert!(lines.iter().any(|line| line.starts_with(start)), "{start}: {}", lines.join("\n"));
    }
    // A kernel may have no vsock: then that is told as a refusal of socket(2), or not at all.
    let has_vsock = lines.iter().any(|line| line.starts_with("socket 40.1.0"));
    assert!(!has_vsock || lines.iter().any(|line| line.starts_with("connect 40.1.0 ")), "{lines:#?}");
}

#[test]
fn a_child_that_is_born_elsewhere_or_with_a_pid_of_choice_is_told_and_seen() {
    let Some((seen, lines)) = watch("clones", &["exit", "fork", "signal"]) else { return };
    let opened = lines.iter().filter(|line| *line == "open $/target 0o100000").count();
    assert_eq!(opened, 2, "{lines:#?}");
    let inner = |record: &Record| {
        matches!(&record.body, Body::Open { file, .. } if file.path.ends_with(b"/target"))
            && record.task.inner_pid == 7
    };
    assert!(seen.records.iter().any(inner), "{lines:#?}");
    let clones: Vec<_> = lines.iter().filter(|line| line.starts_with("kernel 435")).collect();
    assert_eq!(clones, ["kernel 435 = CHILD", "kernel 435 detail=0x200000000 = CHILD"], "{lines:#?}");
}

#[test]
fn descriptors_that_messages_pass_are_told_by_their_files() {
    check(
        "rights",
        &["open", "exit"],
        &["process 46 detail=0x3 $/target = 1", "process 307 detail=0x4 $/sub/inner = 2"],
    );
}

#[test]
fn a_program_that_begins_on_a_connection_shows_it_whatever_put_it_there() {
    let Some((_, lines)) = watch("inherits", &["open", "exit", "flow"]) else { return };
    let server = lines.iter().find_map(|line| line.strip_prefix("connect 2.1.6 ")).expect("a connect");
    let server = server.split(' ').next().unwrap();
    let told = lines.iter().position(|line| *line == format!("dup 0 2.1.6 {server}"));
    let run = lines.iter().position(|line| line.starts_with("exec "));
    assert!(told.is_some() && told < run, "{}", lines.join("\n"));
}

#[test]
fn bytes_of_a_connection_that_may_take_many_ways_are_the_programs() {
    let Some((seen, lines)) = watch("manyways", &[]) else { return };
    let flows = seen.records.iter().filter_map(|record| match &record.body {
        Body::Flow { sent, received, .. } => Some((*sent, *received)),
        _ => None,
    });
    let mut flows: Vec<_> = flows.collect();
    flows.sort_unstable();
    // None of the connections below, which carry its packets.
    assert_eq!(flows, [(3, 5), (5, 3)], "{lines:#?}");
}

#[test]
fn calls_of_late_on_files_queues_and_mounts_are_told() {
    let Some((seen, lines)) = watch("lately", &["exit", "incapable"]) else { return };
    // Where the kernel is older than a call, it is a refusal of that number: 6.18 has all of them.
    let names = [
        "chmod link@$ 0o600 =",
        "setxattr user.mark=v target@$ =",
        "removexattr user.mark target@$ =",
        "kernel 469 target =",
        "kernel 240 queue",
        "kernel 241 queue =",
        "kernel 457 =",
        "kernel 458 =",
    ];
    let numbers = [452, 463, 466, 469, 240, 241, 457, 458];
    let refused: Vec<_> = seen.records.iter().filter_map(refused_number).collect();
    for (name, number) in names.into_iter().zip(numbers) {
        let is_told = lines.iter().any(|line| line.starts_with(name)) || refused.contains(&number);
        assert!(is_told, "{name}: {}", lines.join("\n"));
    }
    let mode = fs::metadata(seen.dir.path().join("target")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert!(mode & 0o7777 == 0o600 || refused.contains(&452));
}

fn refused_number(record: &Record) -> Option<u32> {
    match &record.body {
        Body::Denied { number, result: -38, .. } => Some(*number),
        _ => None,
    }
}

#[test]
fn calls_that_the_32_bit_entry_bundles_are_told_as_what_they_are() {
    check(
        "bundles",
        &["exit"],
        &[
            "socket 2.2.0",
            "compat 102/32 = 0",
            "option 2.2.17 1.36 0x0 = 0",
            "mapping map 0x0 prot=6 flags=0x0 ? = 0",
        ],
    );
}
