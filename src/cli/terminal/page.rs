//! Lines of at most 80 columns, made of text that nobody vouches for.

use std::borrow::Cow;

use anstyle::Style;

use crate::report::escape;

/// Columns of a line.
pub const WIDTH: usize = 80;
/// Columns of a label and the space after it.
const LABEL: usize = 10;

/// Collects lines. Every text that comes in is made safe here, so that no caller can forget it.
pub struct Page {
    text: String,
}

impl Page {
    pub fn new() -> Self {
        Self { text: String::new() }
    }

    pub fn finish(self) -> String {
        self.text
    }

    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    pub fn text(&mut self, text: &str) {
        self.indented(Style::new(), 0, text);
    }

    /// A word that stands out, and a text on the same line.
    pub fn badge(&mut self, style: Style, word: &str, text: &str) {
        let room = WIDTH - word.len() - 4;
        self.line(&format!("{style} {word} {style:#}  {}", fit(&safe(text), room)));
    }

    /// A label, and text beside it, over as many lines as it needs.
    pub fn entry(&mut self, style: Style, label: &str, text: &str) {
        let mut label = label;
        for line in wrap(&safe(text), WIDTH - LABEL) {
            self.line(&format!("{style}{label:<width$}{style:#}{line}", width = LABEL));
            label = "";
        }
    }

    /// A label, a title, and a note at the right margin; the note goes below where both do not fit.
    pub fn title(&mut self, style: Style, label: &str, title: &str, note: &str) {
        // The longest label, `informational`, takes more room than others; two spaces always follow.
        let start = LABEL.max(label.len() + 2);
        let bold = Style::new().bold();
        let (title, note) = (safe(title), safe(note));
        let (title, note) = (fit(&title, WIDTH - start), fit(&note, WIDTH - start));
        let used = start + escape::columns(&title) + escape::columns(&note);
        let head = format!("{style}{label:<start$}{style:#}{bold}{title}{bold:#}");
        if note.is_empty() {
            self.line(&head);
        } else if used + 2 <= WIDTH {
            self.line(&format!("{head}{:pad$}{note}", "", pad = WIDTH - used));
        } else {
            self.line(&head);
            self.line(&format!("{:start$}{note}", ""));
        }
    }

    /// Text over as many lines as it needs, all indented.
    pub fn indented(&mut self, style: Style, indent: usize, text: &str) {
        for line in wrap(&safe(text), WIDTH - indent) {
            self.line(&format!("{:indent$}{style}{line}{style:#}", ""));
        }
    }

    /// Text as [`Page::indented`], with the lines after the first two columns further in.
    pub fn hanging(&mut self, style: Style, indent: usize, text: &str) {
        let mut hang = 0;
        for line in wrap(&safe(text), WIDTH - indent - 2) {
            self.line(&format!("{:pad$}{style}{line}{style:#}", "", pad = indent + hang));
            hang = 2;
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// Breaks safe text at spaces into lines of at most [`WIDTH`] columns, the lines after the first below the
/// beginning of the text. Nothing is cut: a longer word stands as it is.
pub fn fold(label: &str, safe: &str) -> String {
    let mut text = label.to_owned();
    let mut used = escape::columns(label);
    for (index, word) in safe.split(' ').enumerate() {
        let columns = escape::columns(word);
        if index > 0 && used + 1 + columns > WIDTH {
            text.push_str(&format!("\n{:width$}", "", width = label.len()));
            used = label.len();
        } else if index > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += columns;
    }
    text
}

/// Lines that one text may take; of a longer one the middle is left out.
const LINES: usize = 8;

fn safe(text: &str) -> String {
    escape::terminal(text)
}

/// Cuts the middle out of safe text that takes more columns than there is room for (at least 24), and
/// says how many characters are missing.
fn fit(safe: &str, room: usize) -> Cow<'_, str> {
    if escape::columns(safe) <= room {
        return Cow::Borrowed(safe);
    }
    // Room for the mark with the longest number that a text can have.
    let mark = format!("…[{}]…", safe.chars().count()).chars().count();
    let keep = room.saturating_sub(mark);
    let head = within(safe.chars(), keep - keep / 3);
    let tail = within(safe.chars().rev(), keep / 3);
    let count = safe.chars().count();
    let start: String = safe.chars().take(head).collect();
    let end: String = safe.chars().skip(count - tail).collect();
    Cow::Owned(format!("{start}…[{}]…{end}", count - head - tail))
}

/// How many of the characters fit into so many columns.
fn within(characters: impl Iterator<Item = char>, room: usize) -> usize {
    let mut used = 0;
    characters
        .take_while(|character| {
            used += escape::columns(character.encode_utf8(&mut [0; 4]));
            used <= room
        })
        .count()
}

/// Breaks safe text at spaces into lines of at most `room` columns; a longer word is cut.
fn wrap(safe: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in safe.split(' ').filter(|word| !word.is_empty()) {
        let word = fit(word, room);
        let last = lines.last_mut().expect("there is always a line");
        let space = usize::from(!last.is_empty());
        if escape::columns(last) + space + escape::columns(&word) > room {
            lines.push(word.into_owned());
        } else {
            last.push_str(if space == 1 { " " } else { "" });
            last.push_str(&word);
        }
    }
    few(lines)
}

/// Leaves out the middle of too many lines, and says how many they were.
fn few(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > LINES {
        let hidden = lines.len() - (LINES - 1);
        let mark = format!("…[{hidden} lines]…");
        lines.splice(LINES - 3..LINES - 3 + hidden, [mark]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_in_the_middle_and_counted() {
        let check = |text: &str, room, expected: &str| {
            assert_eq!(fit(text, room), expected);
            assert!(escape::columns(expected) <= room);
        };
        check("short", 24, "short");
        check("abcdefghijklmnopqrstuvwxyz", 24, "abcdefghijkl…[8]…uvwxyz");
        check(
            &"\u{4e2d}".repeat(30),
            24,
            "\u{4e2d}\u{4e2d}\u{4e2d}\u{4e2d}\u{4e2d}\u{4e2d}…[21]…\u{4e2d}\u{4e2d}\u{4e2d}",
        );
    }

    #[test]
    fn text_breaks_at_spaces_and_words_that_are_too_long_are_cut() {
        assert_eq!(wrap("a bc  def", 4), ["a bc", "def"]);
        assert_eq!(wrap("", 4), [""]);
        let long = format!("x {}", "y".repeat(100));
        let lines = wrap(&long, 40);
        assert_eq!((lines.len(), lines[1].contains("]…")), (2, true));
        assert!(lines[1].contains(&format!("[{}]", 100 - lines[1].matches('y').count())), "{}", lines[1]);
        assert!(lines.iter().all(|line| escape::columns(line) <= 40));
    }

    #[test]
    fn folded_text_breaks_at_spaces_and_loses_nothing() {
        assert_eq!(fold("hint: ", "a b"), "hint: a b");
        let word = "y".repeat(71);
        assert_eq!(fold("hint: ", &format!("a {word} b")), format!("hint: a {word}\n      b"));
        let long = "z".repeat(100);
        assert_eq!(fold("hint: ", &format!("a {long} b")), format!("hint: a\n      {long}\n      b"));
    }

    #[test]
    fn of_too_many_lines_the_middle_is_left_out() {
        let numbers: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let lines = wrap(&numbers.join(" "), 2);
        let shown: Vec<&str> = lines.iter().map(String::as_str).collect();
        // At two columns, each number from 10 on has a line of its own; the first ten as well.
        assert_eq!(shown, ["0", "1", "2", "3", "4", "…[13 lines]…", "18", "19"]);
        assert_eq!(wrap("a b c d e f g h", 1).len(), LINES);
    }
}
