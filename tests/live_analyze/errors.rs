//! Every end without a verdict: one clear error that names the object and the next step, the
//! documented exit code, an `error` in the quarantine report and the completion event, nothing left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use super::place::{Place, Said, busybox, run, said, shell, write};
use crate::support::image::{Entry, ImageBuilder, LayerBuilder};
use crate::support::live;

/// What must be true of an error: exit code, kind, and words of the message.
struct Expected<'a> {
    code: i32,
    kind: &'a str,
    words: &'a [&'a str],
}

fn check(place: &Place, said: &Said, expected: &Expected<'_>) {
    let Said { code, stdout, stderr } = said;
    assert_eq!(*code, expected.code, "{stderr}");
    assert_eq!(stdout, "", "an error is no result");
    assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
    for word in expected.words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
    let check = place.check();
    assert_eq!(
        (&check["result"], &check["error"]["kind"]),
        (&"error".into(), &expected.kind.into()),
        "{check}"
    );
    place.assert_clean();
}

/// Also looks into the run directory, for errors that come after it was made.
fn check_with_event(place: &Place, said: &Said, expected: &Expected<'_>) {
    check(place, said, expected);
    let event = place.json("out/completion.json");
    assert_eq!(event["type"], "lazaret.analysis.failed.v1");
    assert_eq!(event["data"]["exit_code"], expected.code);
    assert_eq!(event["data"]["error"]["kind"], expected.kind);
    let names: Vec<_> = fs::read_dir(place.path("out")).unwrap().flatten().map(|it| it.file_name()).collect();
    assert_eq!(names, ["completion.json"], "nothing but the event is left");
}

fn image(builder: ImageBuilder, kind: &str, words: &[&str]) {
    if !live() {
        return;
    }
    let place = Place::new();
    let said = place.analyze(&[&place.image(builder)]);
    check_with_event(&place, &said, &Expected { code: 2, kind, words });
}

#[test]
fn an_image_without_layers_and_command_has_nothing_to_run() {
    image(ImageBuilder::new(), "image", &["names no program", "--entrypoint"]);
}

#[test]
fn an_empty_root_has_no_program() {
    image(run(LayerBuilder::new(), &["/bin/app"]), "image", &["/bin/app", "is not in the image"]);
}

#[test]
fn a_missing_entrypoint_is_refused_before_anything_runs() {
    image(
        run(busybox(), &["/opt/app", "-x"]),
        "image",
        &["/opt/app", "is not in the image", "nothing of the image ran"],
    );
}

#[test]
fn an_entrypoint_that_cannot_be_executed_is_refused() {
    let layer = busybox().file("plain", b"#!/bin/sh\n", 0o644).directory("folder", 0o755);
    image(run(layer, &["/plain"]), "image", &["/plain", "not executable"]);
    let layer = busybox().directory("folder", 0o755);
    image(run(layer, &["/folder"]), "image", &["/folder", "directory"]);
    let layer = busybox().file("script", b"#!/no/such/interpreter\n", 0o755);
    image(run(layer, &["/script"]), "image", &["interpreter"]);
}

#[test]
fn a_wrong_architecture_is_refused_by_configuration_and_by_program() {
    image(shell("true").architecture("s390x"), "image", &["s390x", "architecture"]);
    let mut program = fs::read("/bin/busybox").unwrap();
    // e_machine of the ELF header: 22 is IBM S/390 (System V ABI, figure 4-3).
    program[18..20].copy_from_slice(&22u16.to_le_bytes());
    let layer = busybox().file("app", &program, 0o755);
    image(run(layer, &["/app"]), "image", &["/app", "another processor"]);
}

#[test]
fn a_truncated_layer_is_refused() {
    let builder = shell("true").damage_blob(0, |blob| blob.truncate(blob.len() / 2));
    image(builder, "image", &["bytes instead of", "fetch it again"]);
}

#[test]
fn a_swapped_blob_is_refused() {
    let builder = shell("true").damage_blob(0, |blob| {
        let last = blob.len() - 9;
        blob[last] ^= 1;
    });
    image(builder, "image", &["digest", "instead of", "fetch it again"]);
}

#[test]
fn a_layer_that_is_not_what_its_diff_id_says_is_refused() {
    let builder = shell("true").edit_config(|config| {
        config["rootfs"]["diff_ids"][0] = json!(format!("sha256:{}", "0".repeat(64)));
    });
    image(builder, "image", &["diff_id"]);
}

#[test]
fn a_path_that_climbs_out_is_an_attack() {
    let layer = busybox().entry(Entry { data: b"x".to_vec(), ..Entry::new("../../escaped", b'0') });
    image(run(layer, &["/bin/true"]), "hostile_image", &["escaped", "keep it in quarantine"]);
}

#[test]
fn a_root_that_misleads_the_set_up_is_an_attack() {
    let layer = busybox().symlink("proc", "/etc");
    image(run(layer, &["/bin/true"]), "hostile_image", &["proc", "keep it in quarantine"]);
}

#[test]
fn a_rule_file_with_an_unknown_field_names_file_line_and_the_nearest_field() {
    if !live() {
        return;
    }
    let place = Place::new();
    let rules = place.path("rules");
    let shipped = fs::read_to_string("rules/execution/program-written-and-run.yaml").unwrap();
    let spoilt = shipped.replacen("exe.", "exee.", 1);
    assert_ne!(shipped, spoilt, "the rule looks at the executable");
    write(&rules.join("execution/program-written-and-run.yaml"), &spoilt);
    let reference = place.image(shell("true"));
    let said = place.analyze(&["--rules", rules.to_str().unwrap(), &reference]);
    let words = ["program-written-and-run.yaml:", "exee.", "did you mean", "lazaret rules check"];
    check(&place, &said, &Expected { code: 2, kind: "usage", words: &words });
}

#[test]
fn a_policy_with_an_unknown_key_is_refused() {
    if !live() {
        return;
    }
    let place = Place::new();
    write(&place.path("p/policy.yaml"), "name: x\nthresholdss: {}\n");
    let (policy, reference) = (place.path("p/policy.yaml"), place.image(shell("true")));
    let said = place.analyze(&["--policy", policy.to_str().unwrap(), &reference]);
    check(&place, &said, &Expected { code: 2, kind: "usage", words: &["policy.yaml:2", "thresholds"] });
}

#[test]
fn without_the_kernels_types_nothing_runs() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("true"));
    let script = r#"mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_lazaret"), "analyze", &reference]);
    command.arg("--out").arg(place.path("out")).arg("--quarantine-report").arg(place.path("quarantine.json"));
    let said = said(command.env("LAZARET_STATE", place.path("state")).output().unwrap());
    let words = ["/sys/kernel/btf/vmlinux", "so it is not run", "CONFIG_DEBUG_INFO_BTF"];
    check_with_event(&place, &said, &Expected { code: 5, kind: "environment", words: &words });
}

#[test]
fn without_root_nothing_runs() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("true"));
    // Where nobody may enter, so that the program itself can be started and the image read.
    let program = place.path("lazaret");
    fs::copy(env!("CARGO_BIN_EXE_lazaret"), &program).unwrap();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
    command.arg(&program).args(["analyze", &reference]);
    command.arg("--quarantine-report").arg(place.path("quarantine.json"));
    let said = said(command.env("LAZARET_STATE", place.path("state")).output().unwrap());
    check(&place, &said, &Expected { code: 5, kind: "environment", words: &["not root", "run as root"] });
}

#[test]
fn an_image_that_is_not_there_or_not_an_image_is_named() {
    if !live() {
        return;
    }
    let place = Place::new();
    write(&place.path("text"), "hello");
    let missing = format!("oci:{}", place.path("no-such").display());
    let text = place.path("text").display().to_string();
    for (reference, word) in [(missing.as_str(), "no-such"), (&text, "text"), ("docker://x/y", "docker")] {
        let said = place.analyze(&[reference]);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(said.stderr.contains(word) && said.stderr.contains("hint: "), "{}", said.stderr);
    }
    place.assert_clean();
}

#[test]
fn a_digest_that_was_expected_otherwise_is_refused() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("true"));
    let other = format!("sha256:{}", "a".repeat(64));
    let said = place.analyze(&["--expect-digest", &other, &reference]);
    check_with_event(&place, &said, &Expected { code: 2, kind: "image", words: &["aaaa", "expected"] });
}

#[test]
fn a_quarantine_report_of_another_image_is_refused_and_kept() {
    if !live() {
        return;
    }
    let place = Place::new();
    let document = json!({
        "schema": "lazaret.quarantine/v1", "subject": { "digest": format!("sha256:{}", "b".repeat(64)) },
        "state": "pending", "required": ["dynamic-analysis", "sbom"], "checks": [], "theirs": 1.0,
    });
    write(&place.path("quarantine.json"), &document.to_string());
    let said = place.analyze(&[&place.image(shell("true"))]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("about another image"), "{}", said.stderr);
    assert_eq!(place.json("quarantine.json"), document);
    place.assert_clean();
}

#[test]
fn checks_and_fields_of_others_stay_in_the_quarantine_report() {
    if !live() {
        return;
    }
    let place = Place::new();
    let other = json!({ "id": "sbom", "tool": "x", "result": "pass", "weight": 0.5, "more": { "n": 10 } });
    let document = json!({
        "schema": "lazaret.quarantine/v1", "subject": { "digest": null }, "state": "pending",
        "required": ["dynamic-analysis", "sbom"], "checks": [other], "theirs": [1, 2],
    });
    write(&place.path("quarantine.json"), &document.to_string());
    let said = place.analyze(&[&place.image(shell("true"))]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let after = place.json("quarantine.json");
    assert_eq!((&after["checks"][0], &after["theirs"]), (&document["checks"][0], &document["theirs"]));
    assert_eq!((&after["checks"][1]["result"], &after["state"]), (&"pass".into(), &"passed".into()));
    let evidence: &Value = &after["checks"][1]["evidence"][0];
    let report = fs::read(place.path("out/report.json")).unwrap();
    assert_eq!(evidence["digest"], crate::support::image::digest(&report));
}

#[test]
fn a_run_directory_that_is_in_use_or_a_link_is_refused() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(shell("true"));
    write(&place.path("out/theirs"), "x");
    let said = place.analyze(&[&reference]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("not empty"), "{}", said.stderr);
    assert_eq!(fs::read_to_string(place.path("out/theirs")).unwrap(), "x");
    std::os::unix::fs::symlink(place.path("state"), place.path("link")).unwrap();
    let said = place.call(&["analyze", &reference, "--out", place.path("link").to_str().unwrap()]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    place.assert_clean();
}
