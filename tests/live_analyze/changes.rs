//! What a run leaves on disk is held against what was seen.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::{Place, busybox, run};
use crate::support::image::{ImageBuilder, LayerBuilder};
use crate::support::{PATIENCE, live};

/// What each script finds in its directory.
fn with_data(layer: LayerBuilder, directory: &str) -> LayerBuilder {
    layer
        .directory(directory, 0o755)
        .directory(format!("{directory}/deep"), 0o755)
        .file(format!("{directory}/file"), b"of the image", 0o644)
        .file(format!("{directory}/other"), b"of the image too", 0o644)
        .file(format!("{directory}/deep/file"), b"x", 0o644)
        .symlink(format!("{directory}/link"), "file")
}

fn programs() -> LayerBuilder {
    let names = ["ln", "touch", "rmdir", "syslogd"];
    names.into_iter().fold(busybox(), |layer, name| layer.symlink(format!("bin/{name}"), "busybox"))
}

fn image(script: &str) -> ImageBuilder {
    run(with_data(programs(), "data"), &["/bin/sh", "-c", script])
}

fn file_coverage(report: &Value) -> &Value {
    let mut all = report["coverage"].as_array().unwrap().iter();
    all.find(|entry| entry["family"] == "file").unwrap()
}

/// Scripts, and how many changes each leaves.
const CHANGES: [(&str, u64); 17] = [
    ("true", 0),
    ("cat file > /dev/null; touch -c none; chmod 600 none", 0),
    ("echo new > new", 1),
    ("echo more >> file", 1),
    ("cp file new; cp new file", 2),
    ("rm file link; rm -r deep", 3),
    ("rm -r deep; mkdir deep; echo x > deep/file", 2),
    ("chmod 600 file; chmod 700 .", 2),
    ("mkdir -p a/b/c; rmdir a/b/c", 2),
    ("ln -s anywhere l; ln file h", 3),
    ("mv file moved; mv moved again; mv link it", 4),
    ("mv file moved; echo x >> moved", 2),
    ("mkdir a; mkdir a/b; echo x > a/b/c; mv a n; mv n/b m", 3),
    ("cd deep; echo x > ../y; mv ../y ./z; rm file", 2),
    ("echo x > /dev/shm/s; echo x > /dev/s; echo x > /dev/shm/gone; rm /dev/shm/gone", 2),
    ("rm /etc/hosts; echo x >> /etc/hostname; echo x > /etc/r; mv /etc/r /etc/resolv.conf", 3),
    // Its pid file too: /var/run is there, with the decoy of a service account.
    ("syslogd -n -O $PWD/log & while ! [ -S /dev/log -a -s log ]; do usleep 10000; done; kill -9 $!", 3),
];

#[test]
fn every_kind_of_change_is_explained_by_its_event() {
    if !live() {
        return;
    }
    let place = Place::new();
    let layer = (0..CHANGES.len()).fold(programs().directory("data", 0o755), |layer, number| {
        with_data(layer, &format!("data/{number}"))
    });
    let script: String =
        (0..).zip(CHANGES).map(|(number, (script, _))| format!("cd /data/{number}; {script}\n")).collect();
    let said = place.analyze(&[&place.image(run(layer, &["/bin/sh", "-c", &script]))]);
    let report = place.report();
    assert_eq!(report["run"]["unexplained"], json!([]), "{}{}", said.stdout, said.stderr);
    let all: u64 = CHANGES.iter().map(|(_, all)| all).sum();
    assert_eq!(report["run"]["visibility"], json!({ "explained": all, "all": all }));
    assert_eq!(file_coverage(&report)["state"], "full");
    place.assert_clean();
}

#[test]
fn a_change_that_no_event_explains_is_named_and_inconclusive() {
    if !live() {
        return;
    }
    // Somebody outside the sandbox is as unseen as any route that has no probe.
    let place = Place::new();
    let reference = place.image(image("echo up; while ! [ -e /data/go ]; do usleep 20000; done"));
    let mut lazaret = place.command();
    let lazaret =
        lazaret.args(["analyze", "--duration", "120s", "--out"]).arg(place.path("out")).arg(&reference);
    let mut running = lazaret.spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while fs::read(place.path("out/stdout")).unwrap_or_default() != b"up\n" {
        assert!(Instant::now() < until && running.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    let runs = fs::read_dir(place.path("state/runs")).unwrap().next().unwrap().unwrap().path();
    let data = runs.join("fs/upper/data");
    fs::create_dir(&data).unwrap();
    fs::create_dir(data.join("unseen\n")).unwrap();
    fs::write(data.join("file"), "another").unwrap();
    std::os::unix::fs::symlink("x", data.join("link")).unwrap();
    lazaret::sys::xattr::set(fs::File::open(&data).unwrap(), c"user.mark", b"x").unwrap();
    fs::write(data.join("go"), "").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(3));
    let report = place.report();
    let mut unexplained: Vec<_> =
        report["run"]["unexplained"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    unexplained.sort();
    // The directory above was made with other ids and modes than the image has.
    let expected = [
        "attributes: /data",
        "content: /data/file",
        "content: /data/go",
        "directory: /data/unseen\n",
        "extended attributes: /data",
        "link: /data/link",
    ];
    assert_eq!(unexplained, expected);
    assert_eq!(report["run"]["visibility"], json!({ "explained": 0, "all": 6 }));
    assert_eq!(file_coverage(&report)["state"], "partial");
    assert_eq!(report["verdict"]["result"], "inconclusive");
    place.assert_clean();
}

#[test]
fn a_tree_deeper_than_any_path_is_counted_and_removed() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "cd /data; i=0; while [ $i -lt 600 ]; do i=$((i+1)); mkdir d && cd d; done";
    let said = place.analyze(&[&place.image(image(script))]);
    let report = place.report();
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    let unexplained = report["run"]["unexplained"].as_array().unwrap();
    assert!(unexplained.iter().all(|it| it.as_str().unwrap().starts_with("deeper")), "{unexplained:?}");
    assert_eq!(unexplained.len(), 1);
    place.assert_clean();
}
