//! Calls on memory, on other processes and on the kernel; refused, interrupted and rewritten ones.

use std::fs;

use lazaret::record::{About, Body, Record};
use lazaret::trace::Probes;

use crate::stage::{Seen, Stage, acts, is_live, watch};
use crate::{steady, without_sockets};

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
