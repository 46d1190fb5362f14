//! What the fuzzer takes, without a fuzzer: the seeds, the fixtures and everything that was ever found,
//! through the very same functions. Also each of them cut short, which is how most input goes wrong.
//!
//! `make fuzz` looks for more; fuzz/README.md says how, and where a finding is kept.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Beside its own seeds (fuzz/seeds/<target>), what a target is given; as in fuzz/run.
const RECORDS: &[&str] = &["fixtures/records"];
const RULES: &[&str] = &["rules"];
const LOGS: &[&str] = &["fixtures/rules"];
const POLICIES: &[&str] = &["src/verdict/policies"];

#[test]
fn records_in_any_state_become_events_or_are_counted() {
    replay("record", RECORDS, fuzz::record::check);
}

#[test]
fn any_recording_is_refused_or_comes_back_as_it_was() {
    replay("log", LOGS, fuzz::log::check);
}

#[test]
fn any_rule_file_is_refused_with_its_line_or_matches_events() {
    replay("rule", RULES, fuzz::rule::check);
}

#[test]
fn any_policy_is_refused_or_decides() {
    replay("policy", POLICIES, fuzz::policy::check);
}

#[test]
fn any_document_of_others_keeps_what_is_theirs() {
    replay("quarantine", &[], fuzz::quarantine::check);
}

#[test]
fn any_bytes_become_harmless_text() {
    replay("escape", RECORDS, fuzz::escape::check);
}

#[cfg(feature = "live")]
#[test]
fn any_layer_is_refused_or_read_within_its_bounds() {
    replay("tar", &[], fuzz::tar::check);
}

#[cfg(feature = "live")]
#[test]
fn any_layout_is_refused_or_opens() {
    replay("image", &[], fuzz::image::check);
}

#[cfg(feature = "live")]
#[test]
fn any_reference_is_refused_or_names_a_place() {
    replay("reference", &[], fuzz::reference::check);
}

#[cfg(feature = "live")]
#[test]
fn any_stream_shows_the_same_secrets_however_it_is_cut() {
    replay("scan", &[], fuzz::scan::check);
}

#[test]
fn any_datagram_is_a_whole_question_or_none() {
    replay("dns", &[], fuzz::dns::check);
}

#[test]
fn any_frame_of_the_world_is_testimony_or_none() {
    replay("testimony", &[], fuzz::testimony::check);
}

#[cfg(feature = "live")]
#[test]
fn any_message_to_the_runner_is_read_or_unreadable() {
    replay("message", &[], fuzz::message::check);
}

#[cfg(feature = "live")]
#[test]
fn any_program_is_refused_or_names_its_interpreter() {
    replay("program", &[], fuzz::program::check);
}

#[cfg(feature = "live")]
#[test]
fn any_passwd_and_group_give_a_user_of_the_cage_or_none() {
    replay("user", &[], fuzz::user::check);
}

#[cfg(feature = "live")]
#[test]
fn any_dns_message_is_answered_or_left() {
    replay("resolver", &[], fuzz::resolver::check);
}

#[cfg(feature = "live")]
#[test]
fn any_first_bytes_of_tls_are_read_or_refused() {
    replay("hello", &[], fuzz::hello::check);
}

#[cfg(feature = "live")]
#[test]
fn any_stream_is_heard_out_and_told() {
    replay("http", &[], fuzz::http::check);
}

#[cfg(feature = "live")]
#[test]
fn any_frames_of_http2_end_and_are_told() {
    replay("http2", &[], fuzz::http2::check);
}

#[cfg(feature = "live")]
#[test]
fn any_request_has_an_answer_that_can_be_sent() {
    replay("answer", &[], fuzz::answer::check);
}

#[cfg(feature = "live")]
#[test]
fn any_datagram_is_answered_briefly_or_not_at_all() {
    replay("datagram", &[], fuzz::datagram::check);
}

#[cfg(feature = "live")]
#[test]
fn any_conversation_is_the_same_however_it_is_cut() {
    replay("dialogue", &[], fuzz::dialogue::check);
}

#[cfg(feature = "live")]
#[test]
fn any_scenario_is_refused_with_its_line_or_read() {
    replay("scenario", &[], fuzz::scenario::check);
}

fn replay(target: &str, others: &[&str], check: fn(&[u8])) {
    let seeds = format!("fuzz/seeds/{target}");
    let folders = [seeds.as_str()].into_iter().chain(others.iter().copied());
    let files: Vec<PathBuf> = folders.flat_map(|folder| files(Path::new(folder))).collect();
    assert!(!files.is_empty(), "{target} has no seeds");
    for file in files {
        let bytes = fs::read(&file).expect("a seed");
        for (length, what) in cuts(bytes.len()) {
            // A panic does not say which input it came of.
            let shown = Shown(&file, what);
            check(&bytes[..length]);
            std::mem::forget(shown);
        }
    }
}

/// Whole, and cut at four places that are no round parts of it.
fn cuts(length: usize) -> impl Iterator<Item = (usize, &'static str)> {
    let cut = move |part: usize| length * part / 97;
    [(length, "whole"), (cut(13), "cut"), (cut(41), "cut"), (cut(71), "cut"), (cut(96), "cut")].into_iter()
}

/// Names the input where a check panics over it.
struct Shown<'f>(&'f Path, &'static str);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        eprintln!("this input broke the promise: {} ({})", self.0.display(), self.1);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
