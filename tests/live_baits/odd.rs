//! What leaves in odd ways: as urgent data, in packets of another protocol, in a form that nobody knows, or to
//! whoever calls.

use crate::findings;
use crate::place::{Place, busybox, run};
use crate::support::{live, program};

#[test]
fn odd_ways_out_are_found_too() {
    if !live() {
        return;
    }
    let place = Place::new();
    let image = run(busybox().file("bin/carry", &program::build("carry"), 0o755), &["/bin/carry"]);
    let image = place.image(image);
    let said = place.analyze(&["--duration", "6s", "--stop-grace", "1s", "--disk", "256m", &image]);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    let report = place.report();
    for rule in [
        "decoy-sent-in-other-protocols",
        "decoy-read-then-echo-sent",
        "decoy-read-then-stream-sent",
        "decoy-handed-out",
    ] {
        assert!(findings(&report, rule).next().is_some(), "{rule}: {}", report["findings"]);
    }
    let uses = report["behaviour"]["baits"].to_string();
    assert!(uses.contains("\"answer\""), "{uses}");
}
