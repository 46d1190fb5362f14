//! Names that hide where they lead: whatever the route, the event names the file that was changed, and
//! the rules on places fire.

use super::place::{Place, busybox, run};
use crate::support::live;

/// Each route puts a file of its own into /etc/cron.d (the last two into /root/.ssh and /etc).
const ROUTES: &[(&str, &str)] = &[
    ("plain", "mv j /etc/cron.d/plain"),
    ("made-link", "ln -s /etc /tmp/e; mv j /tmp/e/cron.d/made-link"),
    ("image-link", "mv j /opt/lnk/cron.d/image-link"),
    ("link-to-link", "ln -s e/cron.d /tmp/ee; mv j ee/link-to-link"),
    ("climbing", "mkdir -p /tmp/x/y; mv j x/y/../../../etc/./..//etc/cron.d/climbing"),
    ("through-link-and-up", "mv j /opt/lnk/../etc/cron.d/through-link-and-up"),
    ("directory", "(cd /etc/cron.d; mv /tmp/j directory)"),
    ("proc-root", "mv j /proc/self/root/etc/cron.d/proc-root"),
    ("proc-cwd", "(cd /etc/cron.d; mv /tmp/j /proc/self/cwd/proc-cwd)"),
    ("link-to-cwd", "ln -s /proc/self/cwd /tmp/c; (cd /etc/cron.d; mv /tmp/j /tmp/c/link-to-cwd)"),
    ("proc-fd", "(exec 9</etc/cron.d; mv j /proc/self/fd/9/proc-fd)"),
    ("dev-fd", "(exec 9</etc; mv j /dev/fd/9/cron.d/dev-fd)"),
    ("moved-parent", "mkdir a; ln -s /etc a/e; mv a b; mv j b/e/cron.d/moved-parent"),
    ("moved-image-parent", "mv /opt /srv; mv j /srv/lnk/cron.d/moved-image-parent"),
    ("replaced-link", "ln -s /var r; rm r; ln -s /etc r; mv j r/cron.d/replaced-link"),
    ("hard-linked-link", "ln e h; mv j h/cron.d/hard-linked-link"),
    ("chroot", "cp /bin/busybox /etc/busybox; mv j /etc/j; chroot /etc /busybox mv /j /cron.d/chroot"),
    ("chroot-link", "ln -s /cron.d /etc/c; mv j /etc/j; chroot /etc /busybox mv /j ../../c/chroot-link"),
];

#[test]
fn a_rename_by_any_alias_names_the_place_that_it_led_to() {
    if !live() {
        return;
    }
    let mut layer = busybox().directory("etc/cron.d", 0o755).directory("opt", 0o755);
    layer = layer.symlink("opt/lnk", "../etc");
    for applet in ["ln", "chroot"] {
        layer = layer.symlink(format!("bin/{applet}"), "busybox");
    }
    let mut script = "set -e; cd /tmp; ".to_owned();
    for (_, act) in ROUTES {
        script += &format!("echo x > /tmp/j; {act}; ");
    }
    let place = Place::new();
    let said = place.analyze(&["--policy", "observe", &place.image(run(layer, &["/bin/sh", "-c", &script]))]);
    let report = place.report();
    assert_eq!(
        report["run"]["exit"]["code"],
        0,
        "{}{}",
        said.stderr,
        std::fs::read_to_string(place.path("out/stderr")).unwrap()
    );
    let packed = std::fs::read(place.path("out/events.jsonl.zst")).unwrap();
    let log = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let missing: Vec<_> =
        ROUTES.iter().filter(|(name, _)| !renamed_to(&log, &format!("/etc/cron.d/{name}"))).collect();
    assert!(missing.is_empty(), "{missing:#?}\n{}", renames(&log));
    let coverage = report["coverage"].as_array().unwrap();
    let file = coverage.iter().find(|entry| entry["family"] == "file").unwrap();
    assert_eq!((&file["state"], &file["reason"]), (&"full".into(), &"".into()));
    let findings = report["findings"].as_array().unwrap();
    let cron = findings.iter().filter(|finding| finding["rule"] == "cron-job-replaced");
    let seen: u64 = cron.map(|finding| finding["count"].as_u64().unwrap()).sum();
    assert_eq!(seen, ROUTES.len() as u64, "{findings:#?}");
    place.assert_clean();
}

fn renamed_to(log: &str, path: &str) -> bool {
    log.lines().any(|line| line.contains(&format!("\"to\":{{\"path\":\"{path}\"")) && !line.contains("errno"))
}

fn renames(log: &str) -> String {
    log.lines().filter(|line| line.contains("\"rename\"")).map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn every_other_call_by_name_is_walked_to_its_end_too() {
    if !live() {
        return;
    }
    let mut layer = busybox().directory("root/.ssh", 0o700).symlink("opt/lnk", "../root");
    for applet in ["ln", "touch", "rmdir"] {
        layer = layer.symlink(format!("bin/{applet}"), "busybox");
    }
    let script = "cd /tmp; ln -s /root/.ssh s; echo k > j; ln j s/authorized_keys; chmod 600 s/authorized_keys; \
        ln -s /etc/passwd s/shown; mkdir s/new; rm s/shown; cat /opt/lnk/.ssh/nothing; mkdir /opt/lnk/made; true";
    let place = Place::new();
    let said = place.analyze(&["--policy", "observe", &place.image(run(layer, &["/bin/sh", "-c", script]))]);
    let files = place.report()["behaviour"]["files"].clone();
    let acts = |path: &str| {
        let found = files.as_array().unwrap().iter().find(|file| file["path"] == path);
        found
            .map(|file| file["acts"].to_string())
            .unwrap_or_else(|| panic!("{path} in {files:#}{}", said.stderr))
    };
    assert_eq!(acts("/root/.ssh/authorized_keys"), r#"["link","chmod"]"#);
    assert_eq!(acts("/root/.ssh/shown"), r#"["link","delete"]"#);
    assert_eq!(acts("/root/.ssh/new"), r#"["mkdir"]"#);
    assert_eq!(acts("/root/made"), r#"["mkdir"]"#);
    place.assert_clean();
}
