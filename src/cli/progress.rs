//! What a person sees while a run is under way: on a terminal one line that changes, elsewhere one
//! line for each step. Always on standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::terminal;
use crate::pipeline::News;
use crate::report::convert;

/// Shows the news of a run.
pub struct Progress {
    bar: Option<ProgressBar>,
    last_line: Option<String>,
}

impl Progress {
    pub fn new() -> Progress {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
        if let Some(bar) = &bar {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("a valid template");
            bar.set_style(style);
        }
        Progress { bar, last_line: None }
    }

    pub fn tell(&mut self, news: News<'_>) {
        match news {
            News::Step(step) => step_text(step).into_iter().for_each(|text| self.step(text)),
            News::Subject(_) => {}
            News::Unpacking(progress) => self.change(&format!(
                "unpacking layer {} of {}: {} of {}",
                progress.layer + 1,
                progress.layers,
                HumanBytes(progress.read),
                HumanBytes(progress.size)
            )),
            News::Running { time, of, events } => self.change(&running(time, of, events)),
            News::Held => self.change("holding the image until its events are read"),
            News::Finding(finding) => {
                let line = terminal::render_line(&convert::finding(finding, &[]));
                self.print(line.trim_end());
            }
        }
    }

    /// Takes the changing line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// A line that stays where there is no terminal, and is replaced where there is one.
    fn step(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if self.last_line.as_deref() != Some(text) => {
                anstream::eprintln!("{text}");
                self.last_line = Some(text.to_owned());
            }
            None => {}
        }
    }

    /// Shown on a terminal only.
    fn change(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
            bar.tick();
        }
    }

    /// A line that stays.
    fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| anstream::eprintln!("{line}")),
            None => anstream::eprintln!("{line}"),
        }
    }
}

/// `None` of a step that takes no time that anyone would notice.
fn step_text(step: &str) -> Option<&'static str> {
    Some(match step {
        "open" => "checking the image",
        "unpack" => "unpacking",
        "load probes" => "loading the probes",
        "cage" => "building the sandbox",
        "arm" => "attaching the probes",
        "run" => "running the image",
        "look again" => "checking that the image is unchanged",
        "clean up" => "cleaning up",
        _ => return None,
    })
}

fn running(time: Duration, of: Duration, events: u64) -> String {
    let left = of.saturating_sub(time).as_secs();
    format!("running: {} s, {left} s left, {events} events", time.as_secs())
}
