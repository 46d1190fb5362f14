//! Times, medians, and the table they are shown in. Nothing here fails: a benchmark is no test.

#![allow(dead_code)] // each benchmark takes what it needs

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How often each thing is measured.
pub const ROUNDS: usize = 5;

/// Does `work`, which says how many things it did, again and again for half a second; the median of the
/// rounds in things per second of this thread's processor time.
pub fn rate(mut work: impl FnMut() -> u64) -> f64 {
    let rates = (0..ROUNDS).map(|_| {
        let start = processor_time();
        let mut done = 0;
        while processor_time() - start < Duration::from_millis(500) {
            done += work();
        }
        done as f64 / (processor_time() - start).as_secs_f64()
    });
    median(rates.collect())
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock of this thread").into()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A line of the table: what, how much, and the goal where there is one.
pub fn line(what: &str, value: &str, goal: &str) {
    println!("| {what:<58} | {value:>22} | {goal:<12} |");
}

pub fn head(title: &str) {
    println!("\n| {title:<58} | {:>22} | {:<12} |", "median", "goal");
    println!("| {:-<58} | {:->21}: | {:-<12} |", "", "", "");
}

/// `1.23 M/s`
pub fn per_second(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M/s", rate / 1e6),
        rate => format!("{:.0} k/s", rate / 1e3),
    }
}
