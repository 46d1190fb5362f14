//! The versions that every project has: enough that a pinned one is among them.

/// Majors 0 to 5, minors 0 to 40, patches 0 to 3, oldest first. Which version is asked for is not known
/// before the list is given, and one that is missing ends an installation.
pub fn all() -> impl Iterator<Item = String> {
    let minors = (0..=5).flat_map(|major| (0..=40).map(move |minor| (major, minor)));
    minors.flat_map(|(major, minor)| (0..=3).map(move |patch| format!("{major}.{minor}.{patch}")))
}

/// Where nobody asks for a certain one.
pub const LATEST: &str = "5.40.3";

/// Digits and dots, a letter or two, as versions are; bounded.
pub fn is_version(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+-_".contains(c);
    text.len() <= 40 && text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_is_the_last() {
        assert_eq!(all().last().as_deref(), Some(LATEST));
        assert!(all().any(|version| version == "2.31.0") && all().all(|version| is_version(&version)));
    }
}
