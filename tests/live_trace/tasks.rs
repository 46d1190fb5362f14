//! Whose acts are seen: of every task of the sandbox, wherever it goes, and of no other.

use std::fs;

use lazaret::record::{Body, Record, Stream};
use lazaret::trace::Probes;

use crate::stage::{Stage, acts, is_live, watch};
use crate::{check, steady};

#[test]
fn an_exec_carries_argv_env_script_and_directory() {
    if !is_live() {
        return;
    }
    // Two of what one argument may be at most (MAX_ARG_STRLEN), nearly.
    let long = "x".repeat(100 * 1024) + "THE POINT";
    let script = std::env::temp_dir().join(format!("script-{}", std::process::id()));
    fs::write(&script, "#!/bin/busybox sh\nexit 3\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script_name = script.to_str().unwrap().to_owned();
    let stage = Stage::set(&[&script_name, &long, &long]);
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
    assert_eq!(*argv, format!("/bin/busybox\0sh\0{script_name}\0{long}\0{long}\0").as_bytes());
    assert!(env.split(|&byte| byte == 0).any(|variable| variable == b"MARK=here"));
    assert_eq!(cwd, seen.dir.path().as_os_str().as_encoded_bytes());
    assert!(script_name.as_bytes().windows(comm.len()).any(|part| part == comm), "{comm:?}");
    assert!(!tty);
    let exit = seen.records.last().map(|record| record.to_string());
    assert_eq!(exit.as_deref(), Some("exit 0x300"));
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
