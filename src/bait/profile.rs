//! Which baits a run has: `--profile NAME|FILE`.
//!
//! ```yaml
//! baits: [aws-credentials, ssh-key]
//! environment: [github-token]   # as GITHUB_TOKEN
//! ```
//!
//! Read strictly: an unknown key or bait is an error, with its line. Where each lies: see [`super::place`].

use super::place::{PLACES, VARIABLES};
use crate::yaml::Node;
pub use crate::yaml::strict::FileError as ProfileError;
use crate::yaml::strict::{self as read, Located, Map};

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

    /// Reads a file's content; `name` is how reports and messages call it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Profile, ProfileError> {
        read::root(name, bytes, |node| {
            let map = Map::new(node, "the profile", &["baits", "environment"])?;
            let places = || PLACES.iter().map(|place| place.name);
            let variables = || VARIABLES.iter().map(|(bait, ..)| *bait);
            Ok(Profile {
                name: name.to_owned(),
                places: map.read("baits", |node, at| names(node, at, places()))?.unwrap_or_default(),
                environment: map
                    .read("environment", |node, at| names(node, at, variables()))?
                    .unwrap_or_default(),
            })
        })
    }
}

/// A list of known names.
fn names(
    node: &Node,
    place: &str,
    known: impl Iterator<Item = &'static str>,
) -> Result<Vec<&'static str>, Located> {
    let mut known: Vec<&'static str> = known.collect();
    known.dedup();
    read::list(node, place)?.iter().map(|item| read::choice(item, place, &known, |name| name)).collect()
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
        check("a: [", "mine:");
        check("- a", "mine:1: the profile must be a map");
        check("baits: x", "mine:1: baits must be a list");
        check("baits:\n- ssh-key\n- ssh", "mine:3: baits is \"ssh\", but must be one of aws-credentials, ");
        check("baits: []\nbait: []", "mine:2: unknown key \"bait\" in the profile; did you mean \"baits\"?");
    }
}
