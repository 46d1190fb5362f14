//! Results of `rules test` as JUnit XML, for pipelines that show tests.

use std::io::{self, Write};

use super::fixture::{Case, Suite};

/// Writes all suites as one document.
pub fn write(suites: &[Suite], out: &mut dyn Write) -> io::Result<()> {
    let cases: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let failures: usize = suites.iter().map(Suite::failures).sum();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="lazaret rules" tests="{cases}" failures="{failures}">"#)?;
    for suite in suites {
        writeln!(
            out,
            r#"  <testsuite name="{}" tests="{}" failures="{}">"#,
            escape(&suite.rule),
            suite.cases.len(),
            suite.failures()
        )?;
        for case in &suite.cases {
            self::case(suite, case, out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn case(suite: &Suite, case: &Case, out: &mut dyn Write) -> io::Result<()> {
    let (class, name) = (escape(&suite.rule), escape(&case.name));
    match &case.failure {
        None => writeln!(out, r#"    <testcase classname="{class}" name="{name}"/>"#),
        Some(reason) => writeln!(
            out,
            r#"    <testcase classname="{class}" name="{name}"><failure message="{}"/></testcase>"#,
            escape(reason)
        ),
    }
}

/// XML 1.0 allows no control characters but tab and newlines, whatever the escape.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_counted_and_its_text_escaped() {
        let failing = Case { name: "quiet-a".into(), failure: Some("<\"x\" & \u{1}>".into()) };
        let passing = Case { name: "fires-a".into(), failure: None };
        let suites = [Suite { rule: "r".into(), cases: vec![passing, failing] }];
        let mut out = Vec::new();
        write(&suites, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#"tests="2" failures="1""#), "{text}");
        assert!(text.contains("message=\"&lt;&quot;x&quot; &amp; \u{fffd}&gt;\""), "{text}");
    }
}
