//! What the image's own configuration says about running it (OCI image-spec 1.1, `config`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use serde::Deserialize;

use super::manifest::json;
use super::{Digest, ImageError, Platform};

/// The part of the image configuration that decides what runs. Unset lists are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub entrypoint: Vec<OsString>,
    pub cmd: Vec<OsString>,
    /// `NAME=value` each.
    pub env: Vec<OsString>,
    /// `user`, `uid`, `user:group`, `uid:gid`, …; empty: root. Names are resolved in the rootfs.
    pub user: String,
    /// Empty: `/`.
    pub working_dir: OsString,
    /// `80/tcp`, `53/udp`, …
    pub exposed_ports: Vec<String>,
    /// How the image asks to be looked after; `None`: it does not.
    pub healthcheck: Option<Healthcheck>,
    /// `SIGTERM` where the image says nothing.
    pub stop_signal: String,
}

/// A command that tells whether the image's program is well (`Healthcheck` of the configuration; not in
/// OCI's words, but in Docker's).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    pub argv: Vec<OsString>,
    /// How long it may take.
    pub timeout: Duration,
}

impl Healthcheck {
    /// `["CMD", …]` or `["CMD-SHELL", text]`, times in nanoseconds; `["NONE"]`, and what is not understood,
    /// is none.
    fn of(raw: RawHealthcheck) -> Option<Healthcheck> {
        /// What Docker waits where the image says nothing.
        const USUAL: Duration = Duration::from_secs(30);
        let mut test = raw.test.unwrap_or_default().into_iter();
        let argv: Vec<OsString> = match test.next()?.as_str() {
            "CMD" => test.map(Into::into).collect(),
            "CMD-SHELL" => ["/bin/sh".to_owned(), "-c".to_owned(), test.next()?].map(Into::into).into(),
            _ => return None,
        };
        let timeout = raw.timeout.and_then(|time| u64::try_from(time).ok()).filter(|time| *time > 0);
        let timeout = timeout.map_or(USUAL, Duration::from_nanos);
        (!argv.is_empty()).then_some(Healthcheck { argv, timeout })
    }
}

impl Config {
    /// What an image without a configuration gets.
    pub fn empty() -> Config {
        Config { stop_signal: "SIGTERM".to_owned(), ..Config::default() }
    }
}

/// The whole configuration document, as far as it is used.
#[derive(Debug)]
pub struct Document {
    pub platform: Platform,
    pub config: Config,
    pub diff_ids: Vec<Digest>,
    /// `created_by` of each history entry that made a layer.
    pub created_by: Vec<Option<String>>,
}

pub fn document(bytes: &[u8], object: &str) -> Result<Document, ImageError> {
    let raw: RawDocument = json(bytes, object)?;
    let named = |field: &str, text: Option<String>| {
        let text = text.unwrap_or_default();
        match text.is_empty() {
            true => Err(ImageError::rule(object, format!("it names no {field}"))),
            false => Ok(text),
        }
    };
    let platform =
        Platform { os: named("os", raw.os)?, architecture: named("architecture", raw.architecture)? };
    let digest = |text: String| {
        Digest::parse(&text).map_err(|error| ImageError::rule(object, format!("rootfs.diff_ids: {error}")))
    };
    Ok(Document {
        platform,
        config: checked(raw.config.unwrap_or_default().into(), object)?,
        diff_ids: raw
            .rootfs
            .diff_ids
            .unwrap_or_default()
            .into_iter()
            .map(digest)
            .collect::<Result<_, _>>()?,
        created_by: raw
            .history
            .unwrap_or_default()
            .into_iter()
            .filter(|step| !step.empty_layer.unwrap_or_default())
            .map(|step| step.created_by)
            .collect(),
    })
}

/// JSON strings may hold NUL; arguments and paths cannot.
fn checked(config: Config, object: &str) -> Result<Config, ImageError> {
    let lists = [("Entrypoint", &config.entrypoint), ("Cmd", &config.cmd), ("Env", &config.env)];
    let has_nul = |text: &OsString| text.as_encoded_bytes().contains(&0);
    let bad = lists.into_iter().find(|(_, list)| list.iter().any(has_nul)).map(|(name, _)| name);
    let in_check = config.healthcheck.iter().any(|check| check.argv.iter().any(has_nul));
    let bad = bad.or(in_check.then_some("Healthcheck"));
    let bad = bad.or(has_nul(&config.working_dir).then_some("WorkingDir"));
    match bad.or(config.user.contains('\0').then_some("User")) {
        Some(field) => Err(ImageError::rule(object, format!("config.{field} contains a NUL byte"))),
        None => Ok(config),
    }
}

#[derive(Deserialize)]
struct RawDocument {
    architecture: Option<String>,
    os: Option<String>,
    config: Option<RawConfig>,
    rootfs: RawRootfs,
    history: Option<Vec<RawStep>>,
}

#[derive(Deserialize)]
struct RawRootfs {
    diff_ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawStep {
    created_by: Option<String>,
    empty_layer: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    user: Option<String>,
    working_dir: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    stop_signal: Option<String>,
    healthcheck: Option<RawHealthcheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealthcheck {
    test: Option<Vec<String>>,
    timeout: Option<i64>,
}

impl From<RawConfig> for Config {
    fn from(raw: RawConfig) -> Config {
        let list = |list: Option<Vec<String>>| list.unwrap_or_default().into_iter().map(Into::into).collect();
        Config {
            entrypoint: list(raw.entrypoint),
            cmd: list(raw.cmd),
            env: list(raw.env),
            user: raw.user.unwrap_or_default(),
            working_dir: raw.working_dir.unwrap_or_default().into(),
            exposed_ports: raw.exposed_ports.unwrap_or_default().into_keys().collect(),
            healthcheck: raw.healthcheck.and_then(Healthcheck::of),
            stop_signal: raw.stop_signal.filter(|name| !name.is_empty()).unwrap_or("SIGTERM".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_without_a_layer_is_skipped() {
        let text = br#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":null},
            "history":[{"created_by":"a"},{"created_by":"ENV","empty_layer":true},{}]}"#;
        let document = document(text, "x").unwrap();
        assert_eq!(document.created_by, [Some("a".to_owned()), None]);
        assert_eq!(document.config, Config::empty());
    }

    #[test]
    fn a_health_check_is_a_command_or_none() {
        let check = |text: &str, expected: Option<(&[&str], u64)>| {
            let text = format!(
                r#"{{"os":"linux","architecture":"amd64","rootfs":{{}},"config":{{"Healthcheck":{text}}}}}"#
            );
            let found = document(text.as_bytes(), "x").unwrap().config.healthcheck;
            let expected = expected.map(|(argv, seconds)| Healthcheck {
                argv: argv.iter().map(OsString::from).collect(),
                timeout: Duration::from_secs(seconds),
            });
            assert_eq!(found, expected, "{text}");
        };
        check(r#"{"Test":["CMD","a","b"],"Timeout":3000000000}"#, Some((&["a", "b"], 3)));
        check(r#"{"Test":["CMD-SHELL","a b"]}"#, Some((&["/bin/sh", "-c", "a b"], 30)));
        for none in [r#"{"Test":["NONE"]}"#, r#"{"Test":[]}"#, "{}", r#"{"Test":["CMD"]}"#, "null"] {
            check(none, None);
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_run_is_refused() {
        let refused = |text: &str| document(text.as_bytes(), "config x").unwrap_err().to_string();
        let with = |rest: &str| format!(r#"{{"os":"linux","rootfs":{{"diff_ids":[]}}{rest}}}"#);
        assert!(refused(&with("")).contains("config x: it names no architecture"));
        let nul = with(r#","architecture":"amd64","config":{"Cmd":["a\u0000b"]}"#);
        assert!(refused(&nul).contains("config.Cmd contains a NUL byte"));
        assert!(refused("[]").contains("config x is not the JSON"));
    }
}
