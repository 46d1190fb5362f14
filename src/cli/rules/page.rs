//! `rules list` and `rules fields` as people read them on a terminal: within its columns.

use std::io::Write;
use std::path::PathBuf;

use anstyle::Style;

use super::{Outcome, RulesError, categories, kind, load, techniques};
use crate::cli::terminal::Page;
use crate::rule::{Word, field};

/// Columns before what is said about a rule or field.
const INDENT: usize = 10;

/// Two lines for each rule: level, name and techniques; what it is.
pub fn list(directories: &[PathBuf], out: &mut dyn Write) -> Result<Outcome, RulesError> {
    let rules = load(directories)?;
    let mut page = Page::new();
    for rule in rules.rules() {
        page.title(Style::new(), rule.level.name(), &rule.name, &techniques(rule));
        let about = format!("{} ({}, {})", rule.title, rule.class.name(), rule.kind());
        page.indented(Style::new(), INDENT, &about);
    }
    out.write_all(page.finish().as_bytes())?;
    Ok(Outcome::Good)
}

/// A few lines for each field: kind and name, meaning, categories.
pub fn fields(out: &mut dyn Write) -> Result<Outcome, RulesError> {
    let mut page = Page::new();
    for field in field::fields() {
        page.title(Style::new(), kind(field), field.name, "");
        page.indented(Style::new(), INDENT, field.doc);
        page.indented(Style::new().dimmed(), INDENT, &format!("in {}", categories(field)));
    }
    out.write_all(page.finish().as_bytes())?;
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::escape;

    #[test]
    fn every_rule_and_field_fits_a_terminal_whole() {
        let mut bytes = Vec::new();
        list(&[], &mut bytes).unwrap();
        fields(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let text = anstream::adapter::strip_str(&text).to_string();
        for line in text.lines() {
            assert!(escape::columns(line) <= 80 && !line.contains("]…"), "{line}");
        }
    }
}
