//! Holds the house together: which module may name which, and where the two big dependencies live.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in reading order; each may use those before it. `sys` is open to all live ones.
const ORDER: [&str; 16] = [
    "sys",
    "event",
    "yaml",
    "image",
    "sandbox",
    "bait",
    "internet",
    "trace",
    "record",
    "normalise",
    "reconcile",
    "rule",
    "verdict",
    "report",
    "pipeline",
    "cli",
];

/// What builds without privileges: no I/O, no clock, no environment.
const CORE: [&str; 8] = ["event", "yaml", "record", "normalise", "reconcile", "rule", "verdict", "report"];

/// Only these may know several stages at once.
const NARROW: [(&str, &[&str]); 11] = [
    ("sys", &[]),
    ("event", &[]),
    ("yaml", &[]),
    ("image", &["sys"]),
    ("sandbox", &["sys", "image"]),
    ("bait", &["yaml"]),
    ("internet", &["sys", "event", "yaml", "bait"]),
    ("trace", &["sys", "event"]),
    ("record", &[]),
    ("normalise", &["event", "internet", "record"]),
    ("reconcile", &["event"]),
];

#[test]
fn every_module_uses_only_those_above_it() {
    for (module, files) in modules() {
        let place = place(&module);
        for (file, code) in files {
            for used in crate_modules(&code) {
                let allowed = used == module || self::place(&used) < place;
                assert!(allowed, "{} uses crate::{used}, which stands below {module}", file.display());
            }
        }
    }
}

#[test]
fn the_narrow_modules_know_only_their_neighbours() {
    let modules = modules();
    for (module, allowed) in NARROW {
        for (file, code) in modules.get(module).into_iter().flatten() {
            for used in crate_modules(code).filter(|used| used != module) {
                assert!(allowed.contains(&used.as_str()), "{} uses crate::{used}", file.display());
            }
        }
    }
}

#[test]
fn every_module_of_the_library_is_listed_here() {
    let lib = fs::read_to_string("src/lib.rs").expect("src/lib.rs");
    let declared: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, ORDER, "src/lib.rs and this test name the same modules in the same order");
}

#[test]
fn the_big_dependencies_have_one_user_each() {
    for (crate_name, home) in [("aya", "trace"), ("libcontainer", "sandbox"), ("oci_spec", "sandbox")] {
        for (module, files) in modules() {
            for (file, code) in files.iter().filter(|_| module != home) {
                let named = words(code).any(|word| word == crate_name);
                assert!(
                    !named || (crate_name, module.as_str()) == ("oci_spec", "image"),
                    "{} names {crate_name}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_core_touches_no_file_no_clock_and_no_environment() {
    const OUTSIDE: [&str; 7] =
        ["std::fs", "std::env", "std::process", "SystemTime", "Instant::now", "Timestamp::now", "std::os"];
    for (module, files) in modules().into_iter().filter(|(module, _)| CORE.contains(&module.as_str())) {
        for (file, code) in files.iter().filter(|(file, _)| !is_test(file)) {
            let code = code.split("#[cfg(test)]").next().unwrap_or_default();
            for word in OUTSIDE {
                assert!(!code.contains(word), "{} of the core module {module} uses {word}", file.display());
            }
        }
    }
}

#[test]
fn unsafe_code_lives_in_sys() {
    for (module, files) in modules() {
        for (file, code) in files.iter().filter(|_| module != "sys") {
            let opened = code.contains("allow(unsafe_code)") || words(code).any(|word| word == "unsafe");
            assert!(!opened, "{} has unsafe code", file.display());
        }
    }
}

#[test]
fn every_unsafe_block_is_argued() {
    for (file, code) in raw_files(Path::new("src/sys")) {
        let lines: Vec<&str> = code.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if line.contains("unsafe {") && !line.trim_start().starts_with("//") {
                let above = &lines[number.saturating_sub(8)..=number];
                let argued = above.iter().any(|line| line.contains("SAFETY:"));
                assert!(argued, "{}:{} has no SAFETY argument", file.display(), number + 1);
            }
        }
    }
}

fn is_test(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem == "tests")
        || file.components().any(|part| part.as_os_str() == "tests")
}

fn place(module: &str) -> usize {
    let place = ORDER.iter().position(|name| *name == module);
    place.unwrap_or_else(|| panic!("module {module} has no place in the reading order of this test"))
}

/// Module → its files, with comments taken out.
fn modules() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut modules: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for (file, code) in raw_files(Path::new("src")) {
        let inside = file.strip_prefix("src").expect("a file below src");
        let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        if module != "lib" && module != "main" {
            modules.entry(module).or_default().push((file, without_comments(&code)));
        }
    }
    modules
}

fn raw_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(raw_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).expect("a source file");
            files.push((path, code));
        }
    }
    files
}

fn without_comments(code: &str) -> String {
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn crate_modules(code: &str) -> impl Iterator<Item = String> + '_ {
    code.match_indices("crate::").map(move |(at, found)| {
        let rest = &code[at + found.len()..];
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    })
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}
