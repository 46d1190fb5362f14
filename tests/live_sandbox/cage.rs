//! What the image's program gets, and what it cannot do.

use std::process::Command;

use lazaret::sandbox::{Options, Status};

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::fixture::{Entry, Fixture, Outcome, call, follow, live, own};

#[test]
fn a_program_runs_and_its_exit_code_comes_back() {
    if !live() {
        return;
    }
    let outcome = Fixture::new().shell("echo out; echo err >&2; exit 7");
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\n", "err\n"), "{outcome:?}");
    assert!(matches!(outcome.statuses[0], Status::Started { .. }), "{outcome:?}");
    let rest = [Status::ProgramExited { code: 7, signal: 0 }, Status::Empty, Status::Gone];
    assert_eq!(outcome.statuses[1..], rest);
}

#[test]
fn a_signal_comes_back() {
    if !live() {
        return;
    }
    assert_eq!(Fixture::new().shell("kill -9 $$").code(), Some((0, 9)));
    // A real-time signal, which nix's own wait would lose.
    assert_eq!(Fixture::new().shell("kill -40 $$").code(), Some((0, 40)));
}

#[test]
fn user_directory_environment_and_name_are_those_of_the_plan() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.config.env = vec!["A=image".into(), "B=image".into()];
    fixture.options = Options {
        env: vec!["A=given".into()],
        user: Some("u".into()),
        working_dir: Some("/srv/made/here".into()),
        ..fixture.options
    };
    let said = fixture
        .says("id; pwd; echo $A $B $HOME $PATH; hostname; echo $HOSTNAME; cat /etc/hostname; ls -ld .");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "uid=1000(u) gid=1000(u) groups=50(extra),1000(u)");
    assert_eq!(lines[1], "/srv/made/here");
    assert_eq!(lines[2], "given image /home/u /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    assert!(lines[3].len() == 12 && lines[3] == lines[4] && lines[3] == lines[5], "{said}");
    assert!(lines[6].starts_with("drwxr-xr-x    2 root     root"), "{said}");
}

#[test]
fn a_name_is_found_in_path() {
    if !live() {
        return;
    }
    assert_eq!(Fixture::new().run(&["true"]).code(), Some((0, 0)));
}

#[test]
fn capabilities_are_dockers_without_mknod_and_raw_sockets() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
    let said = fixture.says(script);
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a00405fb",
        "CapEff:\t00000000a00405fb",
        "CapBnd:\t00000000a00405fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    fixture.options.user = Some("1000".into());
    assert!(fixture.says(script).contains("CapEff:\t0000000000000000"));
}

#[test]
fn only_three_descriptors_are_open() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    let mut running = fixture.start(&["/bin/sleep", "1000"]);
    let mut open = Vec::new();
    follow(&mut running, |running, so_far| {
        if open.is_empty() {
            let directory = std::fs::read_dir(format!("/proc/{}/fd", started(so_far))).unwrap();
            open.extend(directory.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
            running.kill().unwrap();
        }
    });
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
}

#[test]
fn signals_have_their_defaults_and_init_handles_none() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    fixture.file("/cat", &std::fs::read("/bin/busybox").unwrap(), 0o755);
    let status = |pid| fixture.run(&["/cat", &format!("/proc/{pid}/status")]).stdout;
    for (pid, lines) in [("self", ["SigBlk", "SigIgn", "SigCgt"]), ("1", ["SigBlk", "SigIgn", "SigCgt"])] {
        let status = status(pid);
        for line in lines {
            assert!(status.contains(&format!("{line}:\t0000000000000000")), "{line} of {pid}: {status}");
        }
    }
    // A signal from inside, even one that would end any other process, does nothing to PID 1.
    let said = fixture.says("for s in 1 2 3 6 7 9 11 13 15 17 19 31 34 64; do kill -$s 1; done; echo alive");
    assert_eq!(said, "alive");
}

#[test]
fn output_can_be_reopened_by_any_user() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.options.user = Some("u".into());
    assert_eq!(fixture.says("echo again > /dev/stdout"), "again");
}

#[test]
fn init_bears_an_ordinary_name_and_shows_nothing() {
    if !live() {
        return;
    }
    let script = "cat /proc/1/comm; tr '\\0' ' ' < /proc/1/cmdline; echo; \
        readlink /proc/1/exe || echo no-exe; ls /proc/1/fd >/dev/null || echo no-fd; \
        cat /proc/1/environ || echo no-environ; cat /proc/1/maps || echo no-maps; \
        grep -E '^Cap(Eff|Prm|Bnd)|^Seccomp:' /proc/1/status";
    let fixture = Fixture::new();
    fixture.link("busybox", "bin/tr");
    let said = fixture.says(script);
    assert!(said.starts_with("docker-init\n/sbin/docker-init -- /bin/sh -c "), "{said}");
    for line in [
        "no-exe",
        "no-fd",
        "no-environ",
        "no-maps",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "Seccomp:\t2",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

#[test]
fn nothing_inside_tells_our_name_or_a_path_of_the_host() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    let said = fixture.says(
        "cat /proc/self/mountinfo /proc/self/cgroup /proc/1/cgroup /proc/1/status /proc/1/cmdline /etc/hosts; ps; env",
    );
    let directory = fixture.directory.path().to_str().unwrap();
    for word in ["lazaret", "youki", directory, "state", "runs", "c-"] {
        assert!(!said.contains(word), "{word} in {said}");
    }
    println!("{said}");
}

#[test]
fn walls_answer_eperm_and_kill_nobody() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    for (name, entry, number, arguments) in [
        ("mount", Entry::Wide, 165, [0; 3]),
        ("unshare", Entry::Wide, 272, [0x1000_0000, 0, 0]),
        ("setns", Entry::Wide, 308, [0; 3]),
        ("bpf", Entry::Wide, 321, [0; 3]),
        ("perf_event_open", Entry::Wide, 298, [0; 3]),
        ("add_key", Entry::Wide, 248, [0; 3]),
        ("keyctl", Entry::Wide, 250, [0; 3]),
        ("userfaultfd", Entry::Wide, 323, [0; 3]),
        ("io_uring_setup", Entry::Wide, 425, [0; 3]),
        ("init_module", Entry::Wide, 175, [0; 3]),
        ("clone with a user namespace", Entry::Wide, 56, [0x1000_0011, 0, 0]),
        ("socket(AF_VSOCK)", Entry::Wide, 41, [40, 1, 0]),
        ("socket(AF_ALG)", Entry::Wide, 41, [38, 5, 0]),
        ("socket(AF_PACKET)", Entry::Wide, 41, [17, 3, 0]),
        ("socket(SOCK_RAW)", Entry::Wide, 41, [2, 3, 1]),
        ("32-bit socketcall(SYS_SOCKET)", Entry::Narrow, 102, [1, 0x40_0000, 0]),
        ("32-bit socket(AF_VSOCK)", Entry::Narrow, 359, [40, 1, 0]),
        ("32-bit mount", Entry::Narrow, 21, [0; 3]),
        ("32-bit unshare", Entry::Narrow, 310, [0x1000_0000, 0, 0]),
        ("32-bit bpf", Entry::Narrow, 357, [0; 3]),
    ] {
        fixture.file("/call", &call(entry, number, arguments), 0o755);
        assert_eq!(fixture.run(&["/call"]).code(), Some((libc::EPERM as u8, 0)), "{name}");
    }
    fixture.file("/call", &call(Entry::Wide, 435, [0; 3]), 0o755);
    assert_eq!(fixture.run(&["/call"]).code(), Some((libc::ENOSYS as u8, 0)), "clone3");
}

#[test]
fn the_32_bit_entry_works() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    fixture.file("/call", &call(Entry::Narrow, 20, [0; 3]), 0o755); // getpid, negated
    assert_eq!(fixture.run(&["/call"]).code(), Some((254, 0)));
    fixture.file("/call", &call(Entry::Narrow, 359, [2, 1, 0]), 0o755); // socket(AF_INET): descriptor 3
    assert_eq!(fixture.run(&["/call"]).code(), Some((253, 0)));
}

#[test]
fn root_inside_is_nobody_outside_and_owns_its_files_inside() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    let mut running =
        fixture.start(&["/bin/sh", "-c", "touch /new; stat -c %u /new /bin/busybox /; sleep 60"]);
    let pid = running.target().pid;
    let mut checked = false;
    let outcome = follow(&mut running, |running, so_far| {
        if so_far.stdout.lines().count() == 3 && !checked {
            checked = true;
            for pid in [pid, started(so_far)] {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
                let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap();
                let uid: u32 = uid.split('\t').next().unwrap().parse().unwrap();
                assert!(uid >= 0x7001_0000, "{status}");
            }
            running.kill().unwrap();
        }
    });
    assert!(checked, "{outcome:?}");
    assert_eq!(outcome.stdout, "0\n0\n0\n");
    let remains = running.end().unwrap();
    let made = std::fs::symlink_metadata(remains.upper().join("new")).unwrap();
    assert!(std::os::unix::fs::MetadataExt::uid(&made) >= 0x7001_0000);
    remains.remove().unwrap();
}

fn started(outcome: &Outcome) -> u32 {
    let pid = outcome.statuses.iter().find_map(|status| match status {
        Status::Started { pid } => *pid,
        _ => None,
    });
    pid.unwrap()
}

#[test]
fn every_namespace_is_its_own() {
    if !live() {
        return;
    }
    let names = ["user", "pid", "mnt", "uts", "ipc", "net", "cgroup", "time"];
    let script = names.map(|name| format!("readlink /proc/self/ns/{name}")).join(";");
    let said = Fixture::new().says(&script);
    for (name, inside) in names.iter().zip(said.lines()) {
        let outside = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(outside.to_str(), Some(inside));
    }
    assert_eq!(said.lines().count(), names.len());
}

#[test]
fn the_network_is_a_loopback_and_ordinary_settings() {
    if !live() {
        return;
    }
    let said = Fixture::new().says(
        "ls /sys/class/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ip addr show lo | grep inet; \
         cat /etc/resolv.conf | head -n 1; grep localhost /etc/hosts | head -n 1",
    );
    assert!(said.starts_with("lo\n0\n    inet 127.0.0.1/8"), "{said}");
    assert!(said.ends_with("nameserver 127.0.0.11\n127.0.0.1\tlocalhost"), "{said}");
}

#[test]
fn telling_and_dangerous_files_are_shut() {
    if !live() {
        return;
    }
    let said = Fixture::new().says(
        "for f in kcore keys vmallocinfo timer_list interrupts; do cat /proc/$f; done 2>/dev/null | wc -c; \
         ls /sys/firmware | wc -l; ls /sys/fs/cgroup | wc -l; \
         for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname \
             /sys/kernel/uevent_helper /proc/sys/fs/binfmt_misc/register; do \
             (echo x > $f) 2>/dev/null && echo wrote $f; done; \
         ls /dev/net /dev/kvm /dev/mem /dev/vda 2>/dev/null; mknod /tmp/d c 10 200 2>/dev/null && echo made; \
         ls /dev",
    );
    let mut lines = said.lines();
    assert!(lines.by_ref().take(3).all(|line| line == "0"), "{said}");
    let devices: Vec<&str> = lines.collect();
    let devices: Vec<&str> = devices.into_iter().filter(|name| *name != "core").collect();
    let expected = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ];
    assert_eq!(devices, expected, "{said}");
}

#[test]
fn upper_layers_win_and_whiteouts_hide() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    fixture.file("/a/low", b"low", 0o644);
    fixture.file("/b/low", b"low", 0o644);
    let second = fixture.directory.path().join("second");
    for name in ["a", "b"] {
        std::fs::create_dir_all(second.join(name)).unwrap();
    }
    std::fs::write(second.join("a/high"), "high").unwrap();
    let whiteout = second.join("a/low");
    mknod(&whiteout, SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
    let opaque = Command::new("setfattr")
        .args(["-n", "user.overlay.opaque", "-v", "y"])
        .arg(second.join("b"))
        .status();
    own(&second);
    let held =
        fixture.hold_layers(&[fixture.layer(), second], &["/bin/sh", "-c", "ls /a /b; stat -c %u /a/high"]);
    let mut running = held.unwrap().start(&crate::fixture::Trusting).unwrap();
    let outcome = follow(&mut running, |_, _| {});
    let in_b = if opaque.is_ok_and(|status| status.success()) { "" } else { "low\n" };
    assert_eq!(outcome.stdout, format!("/a:\nhigh\n\n/b:\n{in_b}0\n"));
    running.end().unwrap().remove().unwrap();
}

#[test]
fn a_crash_leaves_no_core() {
    if !live() {
        return;
    }
    let said = Fixture::new().says("cd /tmp; ulimit -c; sh -c 'kill -SEGV $$'; ls -A /tmp | wc -l");
    assert_eq!(said, "0\n0");
}

#[test]
fn a_set_uid_program_gains_root_inside_only() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.options.user = Some("u".into());
    fixture.file("/call", &call(Entry::Wide, 107, [0; 3]), 0o4755); // geteuid
    assert_eq!(fixture.run(&["/call"]).code(), Some((0, 0)));
}
