//! Two processes that call as fast as they can for ten seconds, with one needle among it; beside it what the
//! same program reaches unwatched, in the same sandbox and outside of any.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Place;
use super::measure::{head, line, median};
use super::overhead::Stage;

/// As the program of fixtures/programs/load.c takes it.
const SECONDS: &str = "10";
/// Without probes a rate shows sooner.
const UNWATCHED: &str = "3";
const TIMES: usize = 3;

/// What is called, and where: in the image's own tree (an overlay, which opens a file of its own for each
/// open), or in a tmpfs. What is refused is the cheapest call that is told of at all.
const FLOODS: [(&str, &str, Option<&str>); 5] = [
    ("refused", "identical calls that are refused at once (setsid)", None),
    ("identical", "identical opens of a file of the image", None),
    ("identical", "identical opens of a file of a tmpfs", Some("/dev/shm")),
    ("distinct", "distinct opens of names in the image's tree", None),
    ("distinct", "distinct opens of names in a tmpfs", Some("/dev/shm")),
];

pub fn bench(place: &Place) {
    let stage = Stage::set(place);
    let tree = place.tree();
    let root = stage.unpack(&format!("dir:{}", tree.display())).expect("a tree");
    for (act, what, directory) in FLOODS {
        head(&format!("{what}, two processes, {SECONDS} s"));
        let (mut native, mut plain, mut watched) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TIMES {
            native.push(bare(&tree, act, directory));
            let command: Vec<_> = ["/load", act, UNWATCHED].into_iter().chain(directory).collect();
            plain.push(number(&stage.output(&root, &command, false)) / number(UNWATCHED));
            watched.push(flood(place, act, directory));
        }
        show(native, plain, &watched);
    }
}

fn show(native: Vec<f64>, plain: Vec<f64>, watched: &[Flood]) {
    let of = |value: fn(&Flood) -> f64| median(watched.iter().map(value).collect());
    let to = |beside: &[f64]| {
        let ratios = watched.iter().zip(beside).map(|(flood, beside)| flood.rate() / beside);
        format!("{:.2}", median(ratios.collect()))
    };
    let rate = |rate: f64| format!("{:.2} M/s", rate / 1e6);
    let all = |is_so: fn(&Flood) -> bool| if watched.iter().all(is_so) { "reported" } else { "not reported" };
    line("calls that were not held, watched", &rate(of(Flood::rate)), "1.5 M/s");
    line("the same to unwatched in the sandbox, pair by pair", &to(&plain), "");
    line("the same to bare, pair by pair", &to(&native), "");
    line("calls, unwatched in the sandbox", &rate(median(plain)), "");
    line("calls, bare: a changed root alone", &rate(median(native)), "");
    line("held", &format!("{:.2} s", of(|flood| flood.number("held_seconds"))), "");
    line("acts seen", &format!("{:.2} M", of(|flood| flood.events("seen")) / 1e6), "");
    line(
        "records lost in all rounds",
        &format!("{:.0}", watched.iter().map(|flood| flood.events("lost")).sum::<f64>()),
        "0",
    );
    line("the needle", all(Flood::needle), "reported");
    line("memory of the runner", &format!("{:.0} MiB", of(|flood| flood.memory) / 1024.0), "≤ 150 MiB");
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or(f64::NAN)
}

/// Calls per second outside of any sandbox.
fn bare(tree: &Path, act: &str, directory: Option<&str>) -> f64 {
    let script =
        "mount -t tmpfs shm \"$1/dev/shm\" && tree=$1 && shift && exec chroot \"$tree\" /load \"$@\"";
    let said = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(tree)
        .args([act, UNWATCHED])
        .args(directory)
        .output()
        .expect("unshare");
    number(&String::from_utf8_lossy(&said.stdout)) / number(UNWATCHED)
}

struct Flood {
    calls: f64,
    report: Value,
    /// KiB.
    memory: f64,
}

impl Flood {
    /// Calls per second of the time that it was not held.
    fn rate(&self) -> f64 {
        self.calls / (number(SECONDS) - self.number("held_seconds")).max(0.1)
    }

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

fn flood(place: &Place, act: &str, directory: Option<&str>) -> Flood {
    let out = place.path().join("flood");
    let _ = fs::remove_dir_all(&out);
    let mut child = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .arg("--state")
        .arg(place.path().join("state"))
        .args(["analyze", "--cpus", "2", "--policy", "observe", "--out"])
        .arg(&out)
        .arg(place.tree())
        .args(["--", "/load", act, SECONDS])
        .args(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("lazaret");
    let memory = most_memory(&mut child);
    let calls = fs::read_to_string(out.join("stdout")).unwrap_or_default();
    let report = fs::read(out.join("report.json")).unwrap_or_default();
    Flood { calls: number(&calls), report: serde_json::from_slice(&report).unwrap_or_default(), memory }
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
