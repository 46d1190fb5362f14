//! Paths as bytes, without asking any file system.

/// Joins `base` and `text` as the kernel would start to, and takes out `.`, `..` and doubled slashes.
/// Symbolic links are not followed, so the result is only what the program *said*.
pub(super) fn join(base: &[u8], text: &[u8]) -> Vec<u8> {
    let start: &[u8] = if text.first() == Some(&b'/') { b"" } else { base };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in start.split(|&b| b == b'/').chain(text.split(|&b| b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    let mut path = Vec::with_capacity(start.len() + text.len() + 1);
    for part in parts {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, text: &str, expected: &str) {
        let joined = join(base.as_bytes(), text.as_bytes());
        assert_eq!(String::from_utf8_lossy(&joined), expected, "{base} + {text}");
    }

    #[test]
    fn join_cleans_what_the_program_said() {
        check("/work", "a/b", "/work/a/b");
        check("/work", "/a//b/./c", "/a/b/c");
        check("/work/x", "../../../etc/passwd", "/etc/passwd");
        check("/", "", "/");
        check("/proc/self/fd", "3", "/proc/self/fd/3");
        check("", "a", "/a");
    }
}
