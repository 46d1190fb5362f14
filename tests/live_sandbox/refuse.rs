//! Images whose program cannot run, and images that are made to mislead the set-up: nothing of them runs,
//! and nothing is left.

use lazaret::sandbox::{Reason, SandboxError, Status, gc};

use crate::fixture::{Fixture, elf, live};

fn refused(fixture: &Fixture, command: &[&str]) -> Reason {
    match fixture.hold(command).expect_err("nothing that could run") {
        SandboxError::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_that_cannot_run_is_refused_before_anything_runs() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.file("/plain", b"no program", 0o755);
    fixture.file("/no-bit", b"#!/bin/sh\n", 0o644);
    fixture.file("/script", b"#!/no/such/interpreter\n", 0o755);
    fixture.file("/arm", &elf(183, &[]), 0o755);
    for (program, reason) in [
        ("/none", Reason::Missing),
        ("none", Reason::Missing),
        ("/etc", Reason::Directory),
        ("/no-bit", Reason::NotExecutable),
        ("/arm", Reason::ForeignArchitecture),
        ("/script", Reason::MissingInterpreter),
        ("/plain", Reason::UnknownFormat),
        ("/dev/null", Reason::NotExecutable),
    ] {
        assert_eq!(refused(&fixture, &[program]), reason, "{program}");
    }
    fixture.options.user = Some("nobody-here".into());
    assert_eq!(refused(&fixture, &["/bin/sh"]), Reason::UnknownUser);
    fixture.options.user = None;
    fixture.options.working_dir = Some("/etc/passwd/x".into());
    assert_eq!(refused(&fixture, &["/bin/sh"]), Reason::WorkingDir);
    assert!(gc(&fixture.state).unwrap().runs.is_empty(), "refused runs leave nothing");
}

#[test]
fn a_program_that_its_user_may_not_run_is_refused_by_the_exec() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.file("/mine", b"#!/bin/sh\necho ran\n", 0o700);
    fixture.options.user = Some("u".into());
    let outcome = fixture.run(&["/mine"]);
    assert!(
        matches!(&outcome.statuses[..], [Status::Refused(refusal), Status::Gone]
            if refusal.reason == Reason::NotExecutable && refusal.errno == libc::EACCES),
        "{outcome:?}"
    );
    assert_eq!(outcome.stdout, "");
}

#[test]
fn a_root_that_misleads_the_set_up_is_hostile() {
    if !live() {
        return;
    }
    for (name, target) in
        [("dev", ".."), ("proc", "/etc"), ("sys", "bin"), ("etc", "/"), ("run", "/proc"), ("tmp", "x")]
    {
        let fixture = Fixture::new();
        fixture.link(target, name);
        let error = fixture.hold(&["/bin/sh"]).unwrap_err();
        assert!(matches!(error, SandboxError::HostileImage { .. }), "{name}: {error:?}");
    }
    let fixture = Fixture::new();
    fixture.file("/etc/hosts/x", b"", 0o644);
    assert!(matches!(fixture.hold(&["/bin/sh"]), Err(SandboxError::HostileImage { .. })));
}

#[test]
fn links_of_proc_lead_neither_out_nor_to_our_program() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.link("/proc/self/exe", "self");
    fixture.link("/proc/self/fd", "fds");
    fixture.file("/script", b"#!/proc/self/exe\n", 0o755);
    assert_eq!(refused(&fixture, &["/proc/self/exe"]), Reason::NotExecutable);
    assert_eq!(refused(&fixture, &["/self"]), Reason::NotExecutable);
    assert_eq!(refused(&fixture, &["/proc/1/exe"]), Reason::NotExecutable);
    assert_eq!(refused(&fixture, &["/script"]), Reason::MissingInterpreter);
    for number in 0..24 {
        for path in
            [format!("/proc/self/fd/{number}"), format!("/fds/{number}/made"), format!("/proc/1/fd/{number}")]
        {
            fixture.options.working_dir = Some(path.into());
            assert_eq!(refused(&fixture, &["/bin/sh"]), Reason::WorkingDir);
        }
    }
}

#[test]
fn links_in_place_of_supplied_files_are_replaced_and_not_followed() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    for name in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        let _ = std::fs::remove_file(fixture.layer().join(name));
        fixture.link("/bin/target", name);
    }
    assert_eq!(
        fixture.says("ls /bin/target 2>/dev/null; stat -c %F /etc/hosts /etc/hostname"),
        "regular file\nregular file"
    );
}

#[test]
fn an_image_without_any_directory_gets_those_it_needs() {
    if !live() {
        return;
    }
    let fixture = Fixture::new();
    for name in ["dev", "proc", "sys", "run", "tmp", "etc"] {
        std::fs::remove_dir_all(fixture.layer().join(name)).unwrap();
    }
    assert_eq!(fixture.says("stat -c %a /tmp; cat /etc/hostname | wc -l"), "1777\n1");
}
