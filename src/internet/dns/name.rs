//! Domain names as text and back, in the form of [`crate::event::Question::name`].

use hickory_proto::rr::Name;

/// In lower case, labels separated by dots; a dot or backslash inside a label has a backslash before it.
pub fn text(name: &Name) -> Vec<u8> {
    spelt(name).to_ascii_lowercase()
}

/// The same in the letters that the name was written with.
pub fn spelt(name: &Name) -> Vec<u8> {
    let mut text = Vec::new();
    for (number, label) in name.iter().enumerate() {
        if number > 0 {
            text.push(b'.');
        }
        for byte in label {
            if matches!(byte, b'.' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
    }
    text
}

/// The name that has this text. `None`: no name can have it.
pub fn parse(text: &[u8]) -> Option<Name> {
    let mut labels = vec![Vec::new()];
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => labels.last_mut()?.push(*bytes.next()?),
            _ => labels.last_mut()?.push(*byte),
        }
    }
    if labels.last().is_some_and(Vec::is_empty) {
        labels.pop();
    }
    Name::from_labels(labels.iter().map(Vec::as_slice)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_text() {
        for name in ["www.example.org", "", "a\\.b.c", "a\\\\b.c"] {
            let parsed = parse(name.as_bytes()).unwrap();
            assert_eq!(text(&parsed), name.as_bytes());
        }
        assert_eq!(text(&parse(b"WWW.Example.ORG.").unwrap()), b"www.example.org");
        assert_eq!(parse(b"a..b"), None);
        assert_eq!(parse(&[b'x'; 64]), None);
    }
}
