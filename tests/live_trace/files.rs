//! What is done with files and their names.

use std::fs;

use lazaret::record::{Body, Record};
use lazaret::trace::Probes;

use crate::stage::{Stage, is_live, watch};
use crate::{check, steady, text};

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
