//! Ports that the image opens are called at.

use serde_json::Value;

use super::place::{Place, busybox, run};
use super::sleeps::sleeper;
use crate::support::live;

fn phases(report: &Value) -> Vec<String> {
    let phases = report["run"]["phases"].as_array().unwrap();
    phases.iter().map(|phase| phase["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_port_that_listens_is_asked_and_its_answers_are_kept() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "echo hello > /tmp/index.html; exec httpd -f -p 8080 -h /tmp";
    let layer = busybox().symlink("bin/httpd", "busybox");
    let reference = place.image(run(layer, &["/bin/sh", "-c", script]));
    let said = place.analyze(&["--duration", "12s", "--stop-grace", "1s", &reference]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let report = place.report();
    assert_eq!(phases(&report), ["start", "probe", "idle", "stop"]);
    let listener = &report["behaviour"]["network"]["listeners"][0];
    let answers = listener["answers"].as_array().unwrap();
    let get = answers.iter().find(|answer| answer["request"] == "http_get").unwrap();
    let first = get["first"].as_str().unwrap();
    assert!(first.starts_with("HTTP/1.1 200 OK") && first.contains("hello"), "{first}");
    assert!(report["findings"].as_array().unwrap().is_empty(), "{}", report["findings"]);
    place.assert_clean();
}

/// The line of text is run by the shell behind the port, and that shows.
#[test]
fn a_shell_behind_a_port_runs_what_it_is_told() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "nc -ll -p 4444 -e /bin/sh";
    let reference = place.image(run(busybox(), &["/bin/sh", "-c", script]));
    place.analyze(&["--duration", "15s", "--stop-grace", "1s", &reference]);
    let report = place.report();
    let answers = report["behaviour"]["network"]["listeners"][0]["answers"].as_array().unwrap();
    assert!(answers.iter().any(|it| it["request"] == "line" && it["first"] == "42013\n"), "{answers:?}");
    let found = report["findings"].as_array().unwrap();
    assert!(found.iter().any(|it| it["rule"] == "port-runs-commands"), "{found:?}");
    place.assert_clean();
}

/// What never stops talking is cut off, and the next door is called at.
#[test]
fn a_server_that_floods_its_caller_is_left() {
    if !live() {
        return;
    }
    let place = Place::new();
    let script = "nc -ll -p 4444 -e /bin/yes & nc -ll -p 4445 -e /bin/cat & wait";
    let layer = busybox().symlink("bin/yes", "busybox");
    let reference = place.image(run(layer, &["/bin/sh", "-c", script]));
    place.analyze(&["--duration", "25s", "--stop-grace", "1s", &reference]);
    let report = place.report();
    let listeners = report["behaviour"]["network"]["listeners"].as_array().unwrap();
    for listener in listeners {
        let answers = listener["answers"].as_array().unwrap();
        assert!(answers.len() >= 5, "{listener}");
        assert!(answers.iter().all(|it| it["bytes"].as_u64().unwrap() <= 260 << 10), "{listener}");
        assert!(listener.to_string().len() < 64 << 10);
    }
    assert_eq!((listeners.len(), phases(&report).last().unwrap().as_str()), (2, "stop"));
    let sandbox = report["coverage"].as_array().unwrap().iter().find(|it| it["family"] == "sandbox").unwrap();
    assert_eq!(sandbox["state"], "full", "{sandbox}");
    place.assert_clean();
}

#[test]
fn a_datagram_is_sent_where_one_is_waited_for() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(sleeper(&place, "datagram"));
    place.analyze(&["--duration", "6s", "--stop-grace", "1s", &reference]);
    let report = place.report();
    let listener = &report["behaviour"]["network"]["listeners"][0];
    assert_eq!(
        (&listener["protocol"], &listener["answers"][0]["first"]),
        (&"udp".into(), &"echo $((41984+29))\n".into())
    );
}

#[test]
fn an_image_without_ports_is_left_alone() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(run(busybox(), &["/bin/sh", "-c", "while true; do sleep 1; done"]));
    place.analyze(&["--duration", "4s", "--stop-grace", "1s", &reference]);
    assert_eq!(phases(&place.report()), ["start", "idle", "stop"]);
}
