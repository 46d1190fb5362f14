//! Commands that are run inside.

use serde_json::{Value, json};

use super::place::{Place, busybox};
use crate::support::image::ImageBuilder;
use crate::support::live;

const LOOP: &str = "while true; do sleep 1; done";

fn commands(report: &Value) -> Vec<(String, Value, Value, bool)> {
    let commands = report["run"]["commands"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |it: &Value| {
        let last = text(it["argv"].as_array().unwrap().last().unwrap());
        (last, it["code"].clone(), it["signal"].clone(), it["timed_out"] == true)
    };
    commands.iter().map(one).collect()
}

#[test]
fn commands_run_as_the_images_user_and_are_watched() {
    if !live() {
        return;
    }
    let place = Place::new();
    let image = ImageBuilder::new().layer(busybox().directory("srv", 0o755).finish()).config(json!({
        "Cmd": ["/bin/sh", "-c", LOOP],
        "User": "1000:1000",
        "WorkingDir": "/srv",
        "Env": ["PATH=/bin", "COLOUR=blue"],
        "Healthcheck": { "Test": ["CMD-SHELL", "exit 7"] },
    }));
    let reference = place.image(image);
    let said = place.analyze(&[
        "--duration",
        "14s",
        "--stop-grace",
        "1s",
        "--exec",
        "echo $(id -u) $PWD $COLOUR; kill -9 $$",
        "--exec",
        "cp /bin/busybox /tmp/no",
        "--exec",
        "/none",
        &reference,
    ]);
    assert!(said.code < 2 || said.code == 4, "{}{}", said.stdout, said.stderr);
    let report = place.report();
    let found = commands(&report);
    let expected = [
        ("exit 7", json!(7), Value::Null),
        ("echo $(id -u) $PWD $COLOUR; kill -9 $$", Value::Null, json!(9)),
        ("/tmp/no", json!(1), Value::Null),
        ("/none", json!(127), Value::Null),
    ];
    for (found, (line, code, signal)) in found.iter().zip(&expected) {
        assert_eq!((found.0.as_str(), &found.1, &found.2, found.3), (*line, code, signal, false));
    }
    assert_eq!(found.len(), expected.len());
    let output = std::fs::read_to_string(place.path("out/stdout")).unwrap();
    assert!(output.contains("1000 /srv blue"), "{output}");
    // Each is a program of the run, led to by init alone, and none is a stranger.
    let process = report["coverage"].as_array().unwrap().iter().find(|it| it["family"] == "process").unwrap();
    assert_eq!(process["state"], "full", "{process}");
    let programs = report["behaviour"]["processes"].as_array().unwrap();
    assert!(programs.iter().any(|it| it["argv"].to_string().contains("exit 7")), "{programs:?}");
    place.assert_clean();
}

#[test]
fn a_command_that_does_not_end_is_killed_and_one_without_an_image_is_told() {
    if !live() {
        return;
    }
    let place = Place::new();
    let image = |script: &str| {
        let config = json!({ "Cmd": ["/bin/sh", "-c", script], "Healthcheck":
            { "Test": ["CMD-SHELL", LOOP], "Timeout": 1_000_000_000u64 } });
        ImageBuilder::new().layer(busybox().finish()).config(config)
    };
    let reference = place.image(image(LOOP));
    place.analyze(&["--duration", "8s", "--stop-grace", "1s", &reference]);
    assert_eq!(commands(&place.report()), [(LOOP.to_owned(), Value::Null, json!(9), true)]);
    place.assert_clean();

    drop(place);
    let place = Place::new();
    let reference = place.image(image("exit 0"));
    place.analyze(&["--duration", "8s", "--stop-grace", "1s", &reference]);
    assert_eq!(commands(&place.report()), [(LOOP.to_owned(), Value::Null, Value::Null, false)]);
    place.assert_clean();
}
