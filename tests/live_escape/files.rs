//! Files, descriptors, processes, sockets.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Stdio;
use std::time::Instant;

use crate::attempt::{attempt, attempt_in, attempt_of, image};
use crate::place::Place;
use crate::support::{PATIENCE, live};

#[test]
fn hooks_of_the_kernel_and_devices_are_shut() {
    if !live() {
        return;
    }
    let answers = attempt("escape_files", &["hooks"]);
    answers.assert_reported(&["kernel-setting-written", "host-device-opened"]);
}

#[test]
fn what_is_the_machines_is_not_the_images() {
    if !live() {
        return;
    }
    attempt("escape_files", &["privileges"]);
}

#[test]
fn marks_of_the_overlay_that_an_image_sets_mean_nothing_on_disk() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(image("escape_files", &["marks"]));
    let mut command = place.command();
    command.args(["analyze", "--no-skip", "--out"]).arg(place.path("out")).arg(&reference);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    let said = || std::fs::read_to_string(place.path("out/stdout")).unwrap_or_default();
    while !said().contains("marked") {
        assert!(Instant::now() < until, "it never came so far: {}", said());
        std::thread::yield_now();
    }
    let runs: Vec<_> = std::fs::read_dir(place.path("state/runs")).unwrap().flatten().collect();
    let marked = runs[0].path().join("fs/upper/marked");
    let names = lazaret::sys::xattr::list(std::fs::File::open(marked).unwrap()).unwrap();
    let names = names.into_iter().map(|name| name.into_string().unwrap());
    let marks: Vec<_> = names.filter(|name| name.contains("overlay.")).collect();
    // The kernel writes them down behind a prefix of its own (fs/overlayfs/xattrs.c), or refuses them.
    assert!(marks.iter().all(|name| name.starts_with("user.overlay.overlay.")), "{marks:?}");
    run.wait().unwrap();
    place.assert_clean();
}

#[test]
fn no_descriptor_leads_out() {
    if !live() {
        return;
    }
    attempt("escape_files", &["descriptors"]);
}

#[test]
fn processes_outside_and_the_first_one_are_out_of_reach() {
    if !live() {
        return;
    }
    let place = Place::new();
    let secret = place.path("secret");
    std::fs::write(&secret, "of the host").unwrap();
    let own = std::process::id().to_string();
    let parent = std::os::unix::process::parent_id().to_string();
    let arguments = ["processes", secret.to_str().unwrap(), &own, &parent];
    let answers = attempt_in(place, "escape_files", &arguments);
    answers.assert_reported(&["process-tampering-denied"]);
    assert_eq!(std::fs::read_to_string(answers.place.path("secret")).unwrap(), "of the host");
}

#[test]
fn the_first_process_is_out_of_reach_also_where_it_runs_commands() {
    if !live() {
        return;
    }
    let place = Place::new();
    let own = std::process::id().to_string();
    let mut builder = image("escape_files", &["processes", "/etc/hostname-of-the-host", &own]);
    builder = builder.edit_config(|config| {
        config["config"]["Healthcheck"] = serde_json::json!({
            "Test": ["CMD", "/bin/sh", "-c", "ls -l /proc/self/fd > /dev/shm/fds"],
            "Interval": 1_000_000_000_u64,
        })
    });
    attempt_of(place, builder, "simulated").assert_reported(&["process-tampering-denied"]);
}

#[test]
fn nothing_that_listens_on_the_host_is_reached() {
    if !live() {
        return;
    }
    // Elsewhere than on the host, the simulated network answers for all.
    reach("simulated", &[]);
    reach("none", &["10.0.0.1", "169.254.169.254", "1.1.1.1"]);
}

fn reach(network: &str, addresses: &[&str]) {
    let mut place = Place::new();
    let listener = TcpListener::bind("[::]:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let name = format!("escape-{port}");
    let abstract_ = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    abstract_.set_nonblocking(true).unwrap();
    let path = place.path("socket");
    let bound = UnixListener::bind(&path).unwrap();
    bound.set_nonblocking(true).unwrap();
    place.look_again();
    let arguments = [&["network", &port, &name, path.to_str().unwrap()], addresses].concat();
    let answers = attempt_of(place, image("escape_files", &arguments), network);
    assert!(listener.accept().is_err() && abstract_.accept().is_err() && bound.accept().is_err());
    assert_eq!(answers.answer("loopback of the host"), "ECONNREFUSED");
}
