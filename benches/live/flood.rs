//! Two processes that call as fast as they can for ten seconds, with one needle among it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Place;
use super::measure::{head, line};

const SECONDS: &str = "10";

pub fn bench(place: &Place) {
    for act in ["identical", "distinct"] {
        head(&format!("a flood of {act} opens on two processors for {SECONDS} s"));
        let flood = flood(place, act);
        let seconds = flood.number("held_seconds");
        let time = SECONDS.parse::<f64>().expect("a number");
        line("calls", &format!("{:.1} M", flood.calls / 1e6), "");
        line("calls per second that was not held", &rate(flood.calls / (time - seconds).max(0.1)), "1.5 M/s");
        line("held", &format!("{seconds:.2} s"), "");
        line("acts seen", &format!("{:.2} M", flood.events("seen") / 1e6), "");
        line("records lost", &format!("{:.0}", flood.events("lost")), "0");
        line("the needle", if flood.needle() { "reported" } else { "not reported" }, "reported");
        line("memory of the runner at most", &format!("{:.0} MiB", flood.memory / 1024.0), "≤ 150 MiB");
    }
}

fn rate(rate: f64) -> String {
    format!("{:.2} M/s", rate / 1e6)
}

struct Flood {
    calls: f64,
    report: Value,
    /// KiB.
    memory: f64,
}

impl Flood {
    fn number(&self, field: &str) -> f64 {
        self.report["run"][field].as_f64().unwrap_or(f64::NAN)
    }

    fn events(&self, field: &str) -> f64 {
        self.report["run"]["events"][field].as_f64().unwrap_or(f64::NAN)
    }

    fn needle(&self) -> bool {
        let findings = self.report["findings"].as_array();
        findings.is_some_and(|all| all.iter().any(|finding| finding["rule"] == "ssh-private-key-read"))
    }
}

fn flood(place: &Place, act: &str) -> Flood {
    let out = place.path().join(act);
    let mut child = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .arg("--state")
        .arg(place.path().join("state"))
        .args(["analyze", "--cpus", "2", "--policy", "observe", "--out"])
        .arg(&out)
        .arg(place.tree())
        .args(["--", "/load", act, SECONDS])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("lazaret");
    let memory = most_memory(&mut child);
    let calls = fs::read_to_string(out.join("stdout")).unwrap_or_default();
    let report = fs::read(out.join("report.json")).unwrap_or_default();
    Flood {
        calls: calls.trim().parse().unwrap_or(f64::NAN),
        report: serde_json::from_slice(&report).unwrap_or_default(),
        memory,
    }
}

/// The peak of the resident set until the process ends, pages of the rings included.
fn most_memory(child: &mut Child) -> f64 {
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let mut most = 0.0;
    while child.try_wait().expect("a child").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        most = peak.unwrap_or(most);
        thread::sleep(Duration::from_millis(20));
    }
    most
}
