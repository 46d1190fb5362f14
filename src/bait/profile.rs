//! Which baits a run has: `--profile NAME|FILE`.
//!
//! ```yaml
//! # Where each lies, see `lazaret`'s documentation of baits.
//! baits: [aws-credentials, ssh-key]
//! environment: [github-token]   # as GITHUB_TOKEN
//! ```
//!
//! Read strictly: an unknown key or bait is an error, with its line.

use crate::yaml::{self, Content, Node, YamlError};

use super::place::{PLACES, VARIABLES};

/// A choice of baits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    pub(super) places: Vec<&'static str>,
    pub(super) environment: Vec<&'static str>,
}

/// What a container on an ordinary host could have, and nothing that a program of an image would take up.
const DEFAULT: &[&str] = &[
    "aws-credentials",
    "azure-credentials",
    "bitcoin-wallet",
    "database-dump",
    "dotenv",
    "ethereum-wallet",
    "gcp-credentials",
    "github-token",
    "kube-config",
    "kube-token",
    "mysql-login",
    "netrc-login",
    "npm-token",
    "postgres-login",
    "pypi-token",
    "registry-login",
    "shell-history",
    "solana-wallet",
    "ssh-key",
];
const SERVER: &[&str] = &[
    "aws-credentials",
    "database-dump",
    "dotenv",
    "kube-token",
    "mysql-login",
    "postgres-login",
    "registry-login",
    "shell-history",
    "ssh-key",
    "vault-token",
];
const CI: &[&str] = &[
    "aws-credentials",
    "gcp-credentials",
    "github-token",
    "kube-config",
    "netrc-login",
    "npm-token",
    "pypi-token",
    "registry-login",
    "ssh-key",
];
const WORKSTATION: &[&str] = &[
    "aws-credentials",
    "azure-credentials",
    "bitcoin-default",
    "browser-logins",
    "ethereum-wallet",
    "gcp-default",
    "github-token",
    "kube-config",
    "netrc-login",
    "npm-token",
    "pypi-token",
    "registry-login",
    "shell-history",
    "solana-wallet",
    "ssh-key",
    "vault-token",
];

/// Those that are shipped: name, baits in files, baits in the environment.
type Shipped = (&'static str, &'static [&'static str], &'static [&'static str]);
const SHIPPED: &[Shipped] = &[
    ("default", DEFAULT, &["dotenv"]),
    ("server", SERVER, &["dotenv"]),
    ("ci", CI, &["aws-credentials", "github-token", "npm-token", "pypi-token"]),
    ("workstation", WORKSTATION, &[]),
    ("none", &[], &[]),
];

/// Why a file is no profile.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    #[error("line {line}: {source}")]
    Yaml { line: usize, source: YamlError },
    #[error("line {line}: a profile is a map with the keys baits and environment")]
    Shape { line: usize },
    #[error("line {line}: key {key:?} is unknown; known are baits and environment")]
    Key { line: usize, key: String },
    #[error("line {line}: bait {name:?} is unknown; known are {known}")]
    Bait { line: usize, name: String, known: String },
}

impl Default for Profile {
    fn default() -> Profile {
        Profile { name: "default".to_owned(), places: DEFAULT.to_vec(), environment: vec!["dotenv"] }
    }
}

impl Profile {
    /// The names of those that are shipped.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, ..)| *name)
    }

    /// A shipped one.
    pub fn shipped(name: &str) -> Option<Profile> {
        let (name, places, environment) = SHIPPED.iter().find(|(shipped, ..)| *shipped == name)?;
        let (places, environment) = (places.to_vec(), environment.to_vec());
        Some(Profile { name: (*name).to_owned(), places, environment })
    }

    /// Reads a file's content; `name` is how reports call it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Profile, ProfileError> {
        let root = yaml::read(bytes).map_err(|(line, source)| ProfileError::Yaml { line, source })?;
        let Content::Map(entries) = &root.content else {
            return Err(ProfileError::Shape { line: root.line });
        };
        let mut profile = Profile { name: name.to_owned(), places: Vec::new(), environment: Vec::new() };
        for (key, value) in entries {
            match key.text.as_str() {
                "baits" => {
                    profile.places = names(value, &mut PLACES.iter().map(|place| place.name))?;
                }
                "environment" => {
                    profile.environment = names(value, &mut VARIABLES.iter().map(|(bait, ..)| *bait))?;
                }
                other => return Err(ProfileError::Key { line: key.line, key: other.to_owned() }),
            }
        }
        Ok(profile)
    }
}

/// A list of known names.
fn names(
    list: &Node,
    known: &mut dyn Iterator<Item = &'static str>,
) -> Result<Vec<&'static str>, ProfileError> {
    let Content::List(items) = &list.content else { return Err(ProfileError::Shape { line: list.line }) };
    let mut known: Vec<&'static str> = known.collect();
    known.dedup();
    let name = |item: &Node| {
        let Content::Scalar { text, .. } = &item.content else {
            return Err(ProfileError::Shape { line: item.line });
        };
        let found = known.iter().find(|name| *name == text).copied();
        found.ok_or_else(|| {
            let (name, known) = (text.clone(), known.join(", "));
            ProfileError::Bait { line: item.line, name, known }
        })
    };
    items.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_profiles_name_known_baits() {
        for (name, places, environment) in SHIPPED {
            assert!(Profile::shipped(name).is_some());
            for place in *places {
                assert!(PLACES.iter().any(|known| known.name == *place), "{name}: {place}");
            }
            for bait in *environment {
                assert!(VARIABLES.iter().any(|(known, ..)| known == bait), "{name}: {bait}");
            }
        }
        assert_eq!(Profile::shipped("default"), Some(Profile::default()));
        assert_eq!(Profile::shipped("nope"), None);
    }

    #[test]
    fn a_file_names_its_baits_or_is_refused_with_its_line() {
        let good = Profile::parse("mine", b"baits: [ssh-key]\nenvironment:\n  - github-token\n").unwrap();
        assert_eq!((good.places, good.environment), (vec!["ssh-key"], vec!["github-token"]));
        let check = |text: &str, expected: &str| {
            let error = Profile::parse("mine", text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check("a: [", "line ");
        check("- a", "line 1: a profile is a map");
        check("baits: x", "line 1: a profile is a map");
        check("baits:\n- ssh-key\n- ssh", "line 3: bait \"ssh\" is unknown; known are aws-credentials, ");
        check("baits: []\nbait: []", "line 2: key \"bait\" is unknown");
    }
}
