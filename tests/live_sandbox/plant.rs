//! What is planted, where it may stand, and what is left as the image has it.

use std::os::unix::fs::symlink;
use std::time::{Duration, UNIX_EPOCH};

use lazaret::sandbox::{How, Plant};

use crate::fixture::{Fixture, Trusting, follow, live};

fn new(path: &str, mode: u32) -> Plant {
    Plant { path: path.into(), content: b"planted\n".to_vec(), mode, how: How::New }
}

fn append(path: &str) -> Plant {
    Plant { how: How::Append, ..new(path, 0) }
}

/// Starts a shell with these plants; gives what became of each, with a path or an errno, and what the
/// shell said.
fn run(fixture: &Fixture, script: &str) -> (Vec<Result<String, i32>>, String) {
    let held = fixture.hold(&["/bin/sh", "-c", script]).unwrap();
    let planted = held.planted().iter().map(|planted| match planted.stands() {
        true => Ok(String::from_utf8(planted.path.clone()).unwrap()),
        false => Err(planted.errno),
    });
    let planted = planted.collect();
    let mut running = held.start(&Trusting).unwrap();
    let outcome = follow(&mut running, |_, _| {});
    running.end().unwrap().remove().unwrap();
    assert_eq!(outcome.stderr, "");
    (planted, outcome.stdout)
}

#[test]
fn plants_stand_in_the_home_of_the_programs_user() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.options.user = Some("u".into());
    fixture.plants = vec![new("~/.ssh/id_rsa", 0o600), new("/srv/a/b.txt", 0o644), new("/srv/c.txt", 0o600)];
    let old = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    std::fs::File::open(fixture.layer().join("home/u")).unwrap().set_modified(old).unwrap();
    let (planted, said) = run(
        &fixture,
        "cat ~/.ssh/id_rsa; for f in ~ ~/.ssh; do stat -c '%n %u:%g %a %Y' $f; done; \
         for f in ~/.ssh/id_rsa /srv/a /srv/a/b.txt /srv/c.txt; do stat -c '%n %u:%g %a' $f; done; \
         stat -c %Y ~/.ssh/id_rsa",
    );
    let places = ["/home/u/.ssh/id_rsa", "/srv/a/b.txt", "/srv/c.txt"];
    assert_eq!(planted, places.map(|path| Ok(path.to_owned())));
    let expected = "planted\n/home/u 0:0 755 1600000000\n/home/u/.ssh 1000:1000 700 1600000000\n\
                    /home/u/.ssh/id_rsa 1000:1000 600\n/srv/a 0:0 755\n/srv/a/b.txt 0:0 644\n\
                    /srv/c.txt 1000:1000 600\n";
    let modified = said.strip_prefix(expected).expect(&said).trim().parse().unwrap();
    // As if somebody had put it there at some time since the directory was made.
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((1_600_000_000..=now).contains(&modified), "{modified}");
}

#[test]
fn what_the_image_has_is_not_replaced_and_links_of_proc_lead_nowhere() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.file("/root/.netrc", b"own\n", 0o600);
    for (target, name) in [
        ("/nowhere", "/root/dangling"),
        ("/proc/1/root/tmp", "/root/proc"),
        ("/dev/shm", "/root/shm"),
        ("../../../../srv", "/root/out"),
        ("/proc/self/fd/1", "/root/out.pem"),
    ] {
        symlink(target, fixture.layer().join(name.trim_start_matches('/'))).unwrap();
    }
    fixture.file("/srv/here", b"", 0o644);
    fixture.plants = [
        "~/.netrc",
        "~/dangling",
        "~/dangling/x",
        "~/proc/x",
        "~/shm/x",
        "~/out/x",
        "/srv/../x",
        "~/.netrc/x",
    ]
    .map(|path| new(path, 0o600))
    .into();
    fixture.plants.extend([append("~/out.pem"), append("/dev/null"), append("/none"), append("/etc")]);
    let (planted, said) = run(&fixture, "cat /root/.netrc /srv/x; ls /tmp /dev/shm");
    let expected = [
        Err(libc::EEXIST),
        Err(libc::EEXIST),
        Err(libc::EEXIST),
        Err(libc::EXDEV),
        Err(libc::EXDEV),
        Ok("/srv/x".to_owned()),
        Err(libc::EINVAL),
        Err(libc::ENOTDIR),
        Err(libc::EXDEV),
        Err(libc::EXDEV),
        Err(libc::ENOENT),
        Err(libc::EINVAL),
    ];
    assert_eq!(planted, expected);
    assert_eq!(said, "own\nplanted\n/dev/shm:\n\n/tmp:\n");
}

#[test]
fn text_is_appended_once_to_a_file_that_keeps_its_owner_mode_and_time() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.file("/etc/ssl/bundle.crt", b"one", 0o640);
    symlink("ssl/bundle.crt", fixture.layer().join("etc/cert.pem")).unwrap();
    let old = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    std::fs::File::open(fixture.layer().join("etc/ssl/bundle.crt")).unwrap().set_modified(old).unwrap();
    fixture.plants = vec![append("/etc/cert.pem"), append("/etc/ssl/bundle.crt")];
    let (planted, said) = run(&fixture, "cat /etc/cert.pem; stat -c '%u:%g %a %Y' /etc/ssl/bundle.crt");
    assert_eq!(planted, ["/etc/ssl/bundle.crt", "/etc/ssl/bundle.crt"].map(|path| Ok(path.to_owned())));
    assert_eq!(said, "one\nplanted\n0:0 640 1600000000\n");
}

#[test]
fn root_without_an_entry_has_two_homes() {
    if !live() {
        return;
    }
    let mut fixture = Fixture::new();
    fixture.file("/etc/passwd", b"", 0o644);
    fixture.plants = vec![new("~/.aws/credentials", 0o600)];
    let (planted, said) = run(&fixture, "echo $HOME; cat ~/.aws/credentials /root/.aws/credentials");
    assert_eq!(planted, ["/.aws/credentials", "/root/.aws/credentials"].map(|path| Ok(path.to_owned())));
    assert_eq!(said, "/\nplanted\nplanted\n");
}
