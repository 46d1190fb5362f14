//! The word that was probably meant.

/// The known name that `name` was probably meant to be: two letters may differ (two that changed
/// places do), in long names a third.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = |other: &str| distance(name.as_bytes(), other.as_bytes());
    let best = known.into_iter().min_by_key(|other| near(other))?;
    (near(best) <= (name.len() / 3).max(2)).then(|| best.to_owned())
}

/// Levenshtein's distance, in bytes.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["exe.path", "exe.name", "command_line"];
        let check = |name, expected: Option<&str>| {
            assert_eq!(nearest(name, known).as_deref(), expected, "{name}");
        };
        check("exe.pth", Some("exe.path"));
        check("commandline", Some("command_line"));
        check("registry.key", None);
    }
}
