//! Runs a program of attempts in an image, and reads what became of each.

use crate::place::{Place, busybox, run};
use crate::support::image::ImageBuilder;
use crate::support::program::build;

/// What an attempt was answered, in the program's own words.
pub struct Answers {
    pub lines: Vec<(String, String)>,
    /// Names of the rules that found something.
    pub rules: Vec<String>,
    pub place: Place,
}

/// Answers that say no; anything else is a way out.
const REFUSALS: [&str; 22] = [
    "EPERM",
    "EACCES",
    "ENOSYS",
    "EROFS",
    "ENOENT",
    "ENOTDIR",
    "ESRCH",
    "ENXIO",
    "ENODEV",
    "EIO",
    "EBADF",
    "EINVAL",
    "EAFNOSUPPORT",
    "EPROTONOSUPPORT",
    "ECONNREFUSED",
    "ENETUNREACH",
    "ENOTTY",
    "EOPNOTSUPP",
    "ENAMETOOLONG",
    "empty",
    "root",
    "dropped",
];

/// An image of busybox and one program of fixtures/programs, which runs with `arguments`.
pub fn image(name: &str, arguments: &[&str]) -> ImageBuilder {
    let command: Vec<&str> = [&["/attempt"], arguments].concat();
    run(busybox().file("attempt", &build(name), 0o755), &command)
}

/// Tries all of a class; every attempt must be refused, and the host be the same.
pub fn attempt(name: &str, arguments: &[&str]) -> Answers {
    attempt_in(Place::new(), name, arguments)
}

pub fn attempt_in(place: Place, name: &str, arguments: &[&str]) -> Answers {
    attempt_of(place, image(name, arguments), "simulated")
}

pub fn attempt_of(place: Place, builder: ImageBuilder, network: &str) -> Answers {
    let reference = place.image(builder);
    let said = place.analyze(&["--duration", "120s", "--network", network, &reference]);
    let stdout = std::fs::read_to_string(place.path("out/stdout"));
    let stdout = stdout.unwrap_or_else(|error| panic!("{error}: {}", said.stderr));
    let mut lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.pop(), Some("tried"), "it came to its end: {stdout}\n{}", said.stderr);
    let lines: Vec<(String, String)> = lines
        .into_iter()
        .map(|line| line.rsplit_once(": ").unwrap_or_else(|| panic!("{line:?}")))
        .map(|(name, answer)| (name.to_owned(), answer.to_owned()))
        .collect();
    let done: Vec<_> = lines.iter().filter(|(_, answer)| !REFUSALS.contains(&answer.as_str())).collect();
    assert!(done.is_empty(), "{done:#?}");
    place.assert_clean();
    let report = place.report();
    let rules = report["findings"].as_array().unwrap().iter();
    let rules = rules.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect();
    Answers { lines, rules, place }
}

impl Answers {
    /// What one attempt was answered.
    pub fn answer(&self, name: &str) -> &str {
        let found = self.lines.iter().find(|(attempt, _)| attempt == name);
        &found.unwrap_or_else(|| panic!("no attempt {name:?}")).1
    }

    /// Each of these rules found something.
    pub fn assert_reported(&self, rules: &[&str]) {
        for rule in rules {
            assert!(self.rules.iter().any(|found| found == rule), "no {rule} in {:?}", self.rules);
        }
    }
}
