//! Hostile text: file names, arguments, environment, output, labels, history and tags that hold escape
//! sequences, other directions of writing, line ends, bytes that are no text.

use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, busybox};
use crate::support::image::ImageBuilder;
use crate::support::live;

/// Clears the screen, sets the title, hides, overtypes, turns the direction, breaks the line.
const EVIL: &str =
    "\x1b[2J\x1b]0;owned\x07\x08\r\n\u{202e}\u{2066}\u{200b}\u{feff}\u{85}\u{2028}<script>`|[x](y)*";

fn evil_image() -> ImageBuilder {
    // A shell that plants a cron job and runs a program of its own, both under an evil name, so that the name
    // stands in findings.
    let script = "printf '\\033]0;x\\007\\377\\n'; printf '\\033[8m' >&2; mkdir -p /etc/cron.d; \
        cp /bin/busybox \"/tmp/$E\"; \"/tmp/$E\" true; echo x > \"/etc/cron.d/$E\"; echo x >> /root/.profile; \
        /bin/sh -c true \"$E\"";
    ImageBuilder::new()
        .layer(busybox().file([b"etc/", EVIL.replace('/', "").as_bytes()].concat(), b"", 0o644))
        .config(json!({
            "Cmd": ["/bin/sh", "-c", script], "Env": [format!("E={}", EVIL.replace('/', "")), format!("V{EVIL}=x")],
            "Labels": { EVIL: EVIL },
        }))
        .edit_config(|config| {
            config["history"][0]["created_by"] = json!(EVIL);
            config["author"] = json!(EVIL);
        })
        .tag(EVIL)
}

/// What no output of ours may hold as it stands.
fn assert_inert(what: &str, text: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
            || ['\u{200b}', '\u{feff}', '\u{2028}', '\u{2029}'].contains(&c)
    };
    if let Some(at) = text.find(bad) {
        let start = text[..at].char_indices().rev().nth(60).map_or(0, |(i, _)| i);
        let end = text[at..].char_indices().nth(10).map_or(text.len(), |(i, _)| at + i);
        panic!("{what} holds {:?}", &text[start..end]);
    }
}

#[test]
fn no_output_carries_what_the_image_would_say_to_a_terminal() {
    if !live() {
        return;
    }
    let place = Place::new();
    let reference = place.image(evil_image());
    let tagged = format!("{reference}:{EVIL}");
    let said = place.analyze(&[&tagged]);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    assert_inert("standard output", &said.stdout);
    assert_inert("standard error", &said.stderr);
    assert!(
        said.stdout.contains("\\x1b") || said.stdout.contains("\\u{1b}"),
        "it is shown, escaped: {}",
        said.stdout
    );

    let again = place.call(&["replay", place.path("out").to_str().unwrap()]);
    assert_inert("the replay", &again.stdout);
    let markdown = place.call(&["replay", "--format", "markdown", place.path("out").to_str().unwrap()]);
    assert_inert("markdown", &markdown.stdout);
    assert!(
        markdown.stdout.starts_with("# Fail: ") && !markdown.stdout.contains("\n<"),
        "{}",
        markdown.stdout
    );
    let json = place.call(&["replay", "--format", "json", place.path("out").to_str().unwrap()]);
    for (name, text) in [
        ("report.json", fs::read_to_string(place.path("out/report.json")).unwrap()),
        ("completion.json", fs::read_to_string(place.path("out/completion.json")).unwrap()),
        ("quarantine.json", fs::read_to_string(place.path("quarantine.json")).unwrap()),
        ("replayed json", json.stdout),
    ] {
        let _: Value = serde_json::from_str(&text).unwrap();
        assert_inert(name, &text);
    }
    let log = zstd::decode_all(&fs::read(place.path("out/events.jsonl.zst")).unwrap()[..]).unwrap();
    let log = String::from_utf8(log).expect("every byte that is no text is escaped");
    for line in log.lines() {
        let _: Value = serde_json::from_str(line).unwrap();
        assert!(!line.contains(|c: char| c.is_ascii_control()), "{line:?}");
    }
    // What the image printed is kept as it is, and never shown.
    assert_eq!(fs::read(place.path("out/stdout")).unwrap(), b"\x1b]0;x\x07\xff\n");
    assert!(fs::read(place.path("out/stderr")).unwrap().starts_with(b"\x1b[8m"));
    place.assert_clean();
}

#[test]
fn errors_quote_hostile_text_harmlessly() {
    if !live() {
        return;
    }
    let place = Place::new();
    let with = |edit: fn(&mut Value)| evil_image().edit_config(edit);
    for (what, builder) in [
        ("entrypoint", with(|c| c["config"]["Entrypoint"] = json!([EVIL]))),
        ("directory", with(|c| c["config"]["WorkingDir"] = json!(format!("/bin/sh/{EVIL}")))),
        ("user", with(|c| c["config"]["User"] = json!(EVIL))),
        ("signal", with(|c| c["config"]["StopSignal"] = json!(EVIL))),
        ("architecture", with(|c| c["architecture"] = json!(EVIL))),
        ("diff_id", with(|c| c["rootfs"]["diff_ids"][0] = json!(EVIL))),
        ("media type", evil_image().edit_manifest(|m| m["layers"][0]["mediaType"] = json!(EVIL))),
        ("digest", evil_image().edit_manifest(|m| m["layers"][0]["digest"] = json!(EVIL))),
        (
            "climbing name",
            ImageBuilder::new()
                .layer(busybox().file(format!("../{EVIL}"), b"", 0o644))
                .config(json!({"Cmd": ["/bin/true"]})),
        ),
    ] {
        let reference = place.image(builder);
        let said = place.analyze(&[&reference]);
        assert_eq!(said.code, 2, "{what}: {}", said.stderr);
        assert_inert(what, &said.stderr);
        assert_inert(what, &fs::read_to_string(place.path("quarantine.json")).unwrap());
        fs::remove_file(place.path("quarantine.json")).unwrap();
        fs::remove_dir_all(place.path("out")).unwrap();
    }
    let reference = place.image(evil_image());
    let said = place.analyze(&[&format!("{reference}:none")]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert_inert("the list of tags", &said.stderr);
    place.assert_clean();
}
