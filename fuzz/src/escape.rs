//! Bytes that an attacker chose, on their way into documents and onto terminals.

use lazaret::report::escape;

pub fn check(bytes: &[u8]) {
    let text = escape::text(bytes);
    let back = escape::bytes(&text).expect("what was escaped can be read");
    assert_eq!(&*back, bytes, "the escape loses nothing");
    is_one_safe_line(&escape::terminal(&text));
    let max = 64 + bytes.first().map_or(0, |byte| usize::from(*byte));
    let short = escape::short_text(bytes, max);
    assert!(short.len() <= max, "{} bytes, not {max}", short.len());
    is_one_safe_line(&escape::terminal(&short));
    stays_equal_json(&text);
    if let Ok(text) = std::str::from_utf8(bytes) {
        unescape(text);
    }
}

fn is_one_safe_line(line: &str) {
    let steers = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
    assert!(!line.chars().any(steers), "{line:?}");
    assert!(line.is_empty() || escape::columns(line) > 0, "{line:?}");
}

fn stays_equal_json(text: &str) {
    let document = serde_json::to_string(text).expect("a string");
    let safe = escape::json(&document);
    let read: String = serde_json::from_str(&safe).expect("JSON stays JSON");
    assert_eq!(read, text);
}

/// Any text is either no escape, or gives bytes that escape to bytes of the same meaning.
fn unescape(text: &str) {
    is_one_safe_line(&escape::terminal(text));
    if let Some(raw) = escape::bytes(text) {
        let again = escape::text(&raw);
        assert_eq!(escape::bytes(&again).as_deref(), Some(&*raw));
    }
}
