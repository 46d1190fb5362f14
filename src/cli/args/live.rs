//! The flags of the commands that need privileges.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Judging;

#[derive(Debug, Args)]
pub struct Analyze {
    /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG], dir:ROOTFS, or a path to one
    /// of these
    #[arg(value_name = "IMAGE")]
    pub image: OsString,
    /// Run this instead of the image's Cmd
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// How long the image may run: 45, 45s, 2m, 1h
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub duration: Duration,
    /// Leave the run here; made new, or empty (default: below the state directory, in reports)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub judging: Judging,
    /// Add or replace the check dynamic-analysis in this quarantine report
    #[arg(long, value_name = "FILE")]
    pub quarantine_report: Option<PathBuf>,
    /// Refuse the image unless its manifest has this digest
    #[arg(long, value_name = "sha256:…")]
    pub expect_digest: Option<String>,
    /// Set a variable of the environment
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<OsString>,
    /// Run as this user: NAME|UID[:GROUP|GID]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<OsString>,
    /// Run this program instead of the image's Entrypoint
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<OsString>,
    /// Host name inside (default: made up)
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Memory of the image: 512m, 2g
    #[arg(long, default_value = "1g", value_parser = size, value_name = "SIZE")]
    pub memory: u64,
    /// Processors of the image: 1, 1.5 (default: 2)
    #[arg(long, value_parser = cpus, value_name = "N")]
    pub cpus: Option<f64>,
    /// Tasks of the image at the same time
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub pids_limit: u32,
    /// Bytes that the image may write to its files
    #[arg(long, default_value = "4g", value_parser = size, value_name = "SIZE")]
    pub disk: u64,
    /// Files, directories and links that the image may make
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub disk_files: u64,
    /// Open files of each process of the image
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u64).range(64..), value_name = "N")]
    pub open_files: u64,
    /// How much of what the image prints is kept, of each stream
    #[arg(long, default_value = "1m", value_parser = bytes, value_name = "SIZE")]
    pub output: u64,
    /// Bytes of events that the recording takes, before compression; judging goes on beyond
    #[arg(long, default_value = "4g", value_parser = bytes, value_name = "SIZE")]
    pub event_log: u64,
    /// Bytes of executed files that are kept; all are hashed
    #[arg(long, default_value = "512m", value_parser = bytes, value_name = "SIZE")]
    pub captured: u64,
    /// Executed files that are kept
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub captured_files: u64,
    /// After unpacking, remove the longest unused layers of other images until so much of the cache is
    /// left (default: no bound; see gc --cache)
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    pub cache_size: Option<u64>,
    /// Time between the stop signal and the kill
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub stop_grace: Duration,
    /// Memory of each ring through which the probes report, a power of two; a full ring holds the
    /// image still until it is read (default: 8m and 16m)
    #[arg(long, value_parser = ring, value_name = "SIZE")]
    pub ring: Option<u32>,
    /// The network the image finds
    #[arg(long, value_enum, default_value_t = Network::Simulated)]
    pub network: Network,
    /// Names, answers and payloads to add to a simulated network
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Which decoy credentials the image finds: default, server, ci, workstation, none, or a file
    #[arg(long, default_value = "default", value_name = "NAME|FILE")]
    pub profile: PathBuf,
    /// Run this command inside once the image has settled, as the image's user; may be given up to 15 times.
    /// A line with anything special to a shell is run by /bin/sh
    #[arg(long, value_name = "COMMAND")]
    pub exec: Vec<OsString>,
    /// Bytes of packets that are kept of a simulated network
    #[arg(long, default_value = "256m", value_parser = bytes, value_name = "SIZE")]
    pub capture_size: u64,
    /// Let the image sleep as long as it asks; else sleeps of more than two seconds end early
    #[arg(long)]
    pub no_skip: bool,
    /// Print how long each step took
    #[arg(long)]
    pub timings: bool,
}

/// What `--network` can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// Every name, address and port answers; no link leads out
    Simulated,
    /// Loopback only; no link leads out
    None,
}

/// How answers about this host are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for a person
    Human,
    /// JSON for a program
    Json,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// What goes to standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Selftest {
    /// What goes to standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Gc {
    /// Also remove unpacked layers that no run uses: all, or the longest unused until SIZE are left
    /// (512m, 20g), or those unused for longer than AGE (12h, 7d)
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0",
        value_parser = cache_bound,
        value_name = "SIZE|AGE"
    )]
    pub cache: Option<CacheBound>,
}

/// What of the cache may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheBound {
    Bytes(u64),
    Age(Duration),
}

/// `20g` is a size, `7d` an age: no unit of the one is a unit of the other.
fn cache_bound(text: &str) -> Result<CacheBound, String> {
    let (number, unit) = split_unit(text);
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        _ => {
            let size = bytes(text).map(CacheBound::Bytes);
            return size.map_err(|_| "neither a size (512m, 20g) nor an age (12h, 7d)".into());
        }
    };
    let seconds = number.parse::<u32>().map(|number| u64::from(number) * hours * 3600);
    seconds
        .map(|seconds| CacheBound::Age(Duration::from_secs(seconds)))
        .map_err(|_| "an age is a whole number of hours (12h) or days (7d)".into())
}

/// `45`, `45s`, `2m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(format!("unit {unit:?} is none of s, m, h")),
    };
    match number.parse::<u64>() {
        Ok(number @ 1..=86_400) => Ok(Duration::from_secs(number * seconds)),
        _ => Err("a time is a whole number from 1 to 86400 with s, m or h".into()),
    }
}

/// What an image may be given: at least what a container engine asks for.
fn size(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        bytes if bytes >= 6 << 20 => Ok(bytes),
        _ => Err("less than 6m is too little".into()),
    }
}

/// `512m`, `2g`, bytes without a unit; multiples of 1024, as `docker run` counts.
fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(format!("unit {unit:?} is none of b, k, m, g")),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "a size is a whole number with b, k, m or g".into())
}

/// A ring of the kernel's: a power of two, at least a page, at most 1 GiB.
fn ring(text: &str) -> Result<u32, String> {
    let bytes = bytes(text)?;
    let fits = bytes.is_power_of_two() && (4096..=1 << 30).contains(&bytes);
    fits.then_some(bytes as u32).ok_or_else(|| "a ring is a power of two from 4k to 1g".into())
}

fn cpus(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(cpus) if (0.01..=4096.0).contains(&cpus) => Ok(cpus),
        _ => Err("processors are a number from 0.01 to 4096".into()),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_secs), "{text}");
        };
        check("45", Some(45));
        check("45s", Some(45));
        check("2m", Some(120));
        check("1h", Some(3600));
        check("0", None);
        check("-1", None);
        check("1d", None);
        check("99999999999999999999", None);
        check("", None);
    }

    #[test]
    fn the_cache_is_bounded_by_size_or_age() {
        let check = |text, expected| assert_eq!(cache_bound(text).ok(), expected, "{text}");
        check("0", Some(CacheBound::Bytes(0)));
        check("20g", Some(CacheBound::Bytes(20 << 30)));
        check("12h", Some(CacheBound::Age(Duration::from_secs(12 * 3600))));
        check("7d", Some(CacheBound::Age(Duration::from_secs(7 * 86400))));
        check("7w", None);
        check("-1d", None);
        check("d", None);
        check("99999999999d", None);
    }

    #[test]
    fn sizes_are_counted_as_docker_does() {
        let check = |text, expected| assert_eq!(size(text).ok(), expected, "{text}");
        check("512m", Some(512 << 20));
        check("2G", Some(2 << 30));
        check("1k", None);
        check("99999999999g", None);
        check("m", None);
    }
}
