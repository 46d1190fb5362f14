//! From the command to the image's first instruction, and a whole run of a program that does nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Place;
use super::measure::{ROUNDS, head, line, median};

pub fn bench(place: &Place) {
    head("one run, the image cached");
    let tree = place.tree();
    let state = place.path().join("state");
    // The first fills the cache.
    run(place, &state, &tree);
    let runs: Vec<Run> = (0..3 * ROUNDS).map(|_| run(place, &state, &tree)).collect();
    let of = |value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
    let milliseconds = |time: f64| format!("{:.0} ms", time * 1e3);
    line("from the command to the first instruction", &milliseconds(of(|run| run.first)), "≤ 150 ms");
    line("a whole run of a program that ends at once", &milliseconds(of(|run| run.whole)), "≤ 400 ms");
    for (at, (step, _)) in runs[0].steps.iter().enumerate() {
        let times = runs.iter().map(|run| run.steps.get(at).map_or(0.0, |(_, time)| *time)).collect();
        line(&format!("· {step}"), &format!("{:.1} ms", median(times)), "");
    }
}

/// Seconds.
struct Run {
    first: f64,
    whole: f64,
    /// As `--timings` prints them.
    steps: Vec<(String, f64)>,
}

fn run(place: &Place, state: &Path, tree: &Path) -> Run {
    let out = place.path().join("out");
    let _ = fs::remove_dir_all(&out);
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64();
    let clock = Instant::now();
    let said = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .arg("--state")
        .arg(state)
        .args(["analyze", "--timings", "--policy", "observe", "--out"])
        .arg(&out)
        .arg(tree)
        .args(["--", "/load", "now"])
        .stdin(Stdio::null())
        .output()
        .expect("lazaret");
    let whole = clock.elapsed().as_secs_f64();
    let first = fs::read_to_string(out.join("stdout")).unwrap_or_default();
    let Ok(first) = first.trim().parse::<f64>() else {
        panic!("the program did not run: {}", String::from_utf8_lossy(&said.stderr));
    };
    let steps = String::from_utf8_lossy(&said.stderr).lines().filter_map(step).collect();
    Run { first: first - begun, whole, steps }
}

/// `     45.1 ms  cage`
fn step(line: &str) -> Option<(String, f64)> {
    let (time, step) = line.split_once(" ms  ")?;
    Some((step.to_owned(), time.trim().parse::<f64>().ok()?))
}
