//! Images that are made to mislead whoever sets them up.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;

use crate::place::{Place, Said, busybox, run};
use crate::support::image::{Entry, ImageBuilder, LayerBuilder};
use crate::support::{PATIENCE, live};

/// busybox, without the directories that every test wants to replace.
fn bare() -> LayerBuilder {
    let program = std::fs::read("/bin/busybox").unwrap();
    LayerBuilder::new()
        .directory("bin", 0o755)
        .file("bin/busybox", &program, 0o755)
        .symlink("bin/sh", "busybox")
}

fn analyze(builder: ImageBuilder) -> (Place, Said) {
    let place = Place::new();
    let reference = place.image(builder);
    let said = place.analyze(&["--duration", "60s", &reference]);
    place.assert_clean();
    (place, said)
}

#[test]
fn a_top_directory_that_is_something_else_is_an_attack() {
    if !live() {
        return;
    }
    for name in ["dev", "proc", "sys", "etc", "run", "tmp"] {
        for replaced in [
            bare().symlink(name, "/"),
            bare().symlink(name, "../../../../tmp"),
            bare().file(name, b"", 0o644),
            bare().entry(Entry::new(name, b'6')),
        ] {
            let (place, said) = analyze(run(replaced, &["/bin/sh", "-c", "true"]));
            assert_eq!(said.code, 2, "{name}: {}", said.stderr);
            assert_eq!(place.check()["error"]["kind"], "hostile_image", "{name}");
        }
    }
}

#[test]
fn what_lies_below_those_directories_misleads_nobody() {
    if !live() {
        return;
    }
    let layer = bare().directory("dev", 0o755).directory("proc", 0o755).directory("etc", 0o755);
    let layer =
        ["dev/shm", "dev/pts", "dev/mqueue", "dev/fd", "dev/null", "dev/console", "proc/sys", "proc/self"]
            .iter()
            .fold(layer, |layer, name| layer.symlink(name, "/"));
    let layer = ["etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/passwd", "etc/group"]
        .iter()
        .fold(layer, |layer, name| layer.symlink(name, "/proc/self/root/../../etc/shadow"));
    let script =
        "read line < /etc/hostname; echo $line; cd /dev/shm && echo x > f && echo $(/bin/busybox ls /f f)";
    let (place, said) = analyze(run(layer, &["/bin/sh", "-c", script]));
    assert!([0, 4].contains(&said.code), "{}", said.stderr);
    let stdout = std::fs::read_to_string(place.path("out/stdout")).unwrap();
    assert!(stdout.ends_with("\nf\n"), "{stdout}");
}

#[test]
fn the_runtime_and_its_descriptors_are_not_in_reach_of_the_configuration() {
    if !live() {
        return;
    }
    let script = |line: &str| busybox().file("script", line.as_bytes(), 0o755);
    let check = |layer: LayerBuilder, config: serde_json::Value| {
        let builder = ImageBuilder::new().layer(layer.finish()).config(config.clone());
        let (place, said) = analyze(builder);
        assert_eq!(said.code, 2, "{config}: {}", said.stderr);
        assert_eq!(place.check()["error"]["kind"], "image", "{config}");
    };
    check(busybox(), json!({"Entrypoint": ["/proc/self/exe"]}));
    check(busybox(), json!({"Entrypoint": ["/proc/1/exe"]}));
    check(busybox(), json!({"Entrypoint": ["/proc/self/fd/3"]}));
    check(busybox(), json!({"Entrypoint": ["exe"], "Env": ["PATH=/proc/self"]}));
    check(busybox().symlink("app", "/proc/self/exe"), json!({"Entrypoint": ["/app"]}));
    check(script("#!/proc/self/exe\n"), json!({"Entrypoint": ["/script"]}));
    check(script("#!/proc/1/exe -x\n"), json!({"Entrypoint": ["/script"]}));
    for number in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] {
        let path = format!("/proc/self/fd/{number}");
        check(busybox(), json!({"Entrypoint": ["/bin/true"], "WorkingDir": path}));
        check(busybox(), json!({"Entrypoint": ["/bin/true"], "WorkingDir": format!("{path}/../../..")}));
    }
    check(busybox().symlink("w", "/proc/self/cwd"), json!({"Entrypoint": ["/bin/true"], "WorkingDir": "/w"}));
}

#[test]
fn device_nodes_and_set_uid_programs_of_a_layer_are_nothing_on_the_host() {
    if !live() {
        return;
    }
    let program = std::fs::read("/bin/busybox").unwrap();
    let layer = busybox()
        .entry(Entry { mode: 0o666, ..Entry::new("disk", b'4') })
        .entry(Entry { mode: 0o666, ..Entry::new("null", b'3') })
        .file("bin/su", &program, 0o6755)
        .entry(Entry { uid: 1000, mode: 0o4755, data: program.clone(), ..Entry::new("bin/other", b'0') });
    let script =
        "echo x > /null; echo x > /disk; cat /null /disk; cp /bin/busybox /mine; chmod 6755 /mine; id";
    let place = Place::new();
    let reference = place.image(run(layer, &["/bin/sh", "-c", script]));
    let mut child = place.command();
    child.args(["analyze", "--no-skip", "--out"]).arg(place.path("out")).arg(&reference);
    child.args(["--", "/bin/sh", "-c", &format!("{script}; sleep 30")]);
    let mut child =
        child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    // While it runs: what lies on the host's disk.
    let until = std::time::Instant::now() + PATIENCE;
    while !std::fs::read_to_string(place.path("out/stdout")).is_ok_and(|text| text.contains("uid=0")) {
        assert!(std::time::Instant::now() < until, "it never came so far");
        std::thread::yield_now();
    }
    let mut set_uid = 0;
    walk(&place.path("state"), &mut |path, metadata| {
        let kind = metadata.mode() & 0o170_000;
        let whiteout = kind == 0o020_000 && metadata.rdev() == 0;
        assert!(whiteout || ![0o020_000, 0o060_000].contains(&kind), "a device at {path:?}");
        if metadata.mode() & 0o6000 != 0 {
            set_uid += 1;
            assert!(
                metadata.uid() >= 0x7000_0000 && metadata.gid() >= 0x7000_0000,
                "{path:?} is {}",
                metadata.uid()
            );
        }
    });
    assert_eq!(set_uid, 3, "two of the image, one of the run");
    assert_eq!(std::fs::symlink_metadata(place.path("state")).unwrap().mode() & 0o777, 0o700);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::SIGTERM).unwrap();
    child.wait().unwrap();
    let stdout = std::fs::read_to_string(place.path("out/stdout"));
    assert!(stdout.is_err() || stdout.unwrap().starts_with("uid=0"), "the nodes are not there");
    place.assert_clean();
}

fn walk(top: &Path, look: &mut impl FnMut(&Path, &std::fs::Metadata)) {
    for entry in std::fs::read_dir(top).unwrap().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        look(&entry.path(), &metadata);
        if metadata.is_dir() {
            walk(&entry.path(), look);
        }
    }
}
