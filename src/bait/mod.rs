//! Decoy credentials: what is planted, where, and how it is recognised again.
//!
//! Each bait carries secrets unique to the run, made from the run's own random seed, in the form that
//! the real ones have. Touching one is an event; its secret in what is sent is proof of exfiltration.
//!
//! Same layout, other secrets: which baits there are and where they lie is the same in every run of a
//! profile, so that findings keep their ids; what they hold never is.
//!
//! Not here: who writes them into the sandbox ([`crate::sandbox`], as [`crate::sandbox::Plan`] says), and
//! who listens for them ([`crate::internet`]).

mod dice;
mod key;
mod mint;
mod place;
mod profile;
mod scan;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use place::{CLUSTER, PLACES, VARIABLES};
pub use profile::{Profile, ProfileError};
pub use scan::{Scan, Scanner, Sighting};

/// The baits of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baits {
    baits: Vec<Bait>,
}

/// One decoy: a name that reports use, and the secrets in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bait {
    /// `aws-credentials`, `ssh-key`, `kube-token`, …
    pub name: String,
    pub secrets: Vec<Secret>,
}

/// A text that stands nowhere else in the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    /// `access_key_id`, `secret_access_key`, `token`, …
    pub field: String,
    pub value: String,
}

/// A file that is planted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoy {
    /// The bait whose secret is in it; `None`: it only belongs to the scenery.
    pub bait: Option<&'static str>,
    /// Absolute, or below the home of the program's user: `~/.ssh/id_rsa`.
    pub path: Vec<u8>,
    pub content: Vec<u8>,
    /// Permission bits, 0777.
    pub mode: u32,
}

/// What decides where a decoy harms nobody.
pub struct Surroundings<'i> {
    /// Of the image's program.
    pub working_dir: &'i [u8],
    /// Whether the image has something at an absolute path.
    pub has: &'i dyn Fn(&[u8]) -> bool,
}

/// The bait whose secrets are private keys of SSH.
const SSH_KEY: &str = "ssh-key";
/// Directories that programs are run in, and files for them are kept.
const WORK: [&[u8]; 7] = [b"/app", b"/code", b"/home", b"/opt", b"/srv", b"/usr/src", b"/workspace"];
/// Where no image has anything.
const OWN_WORK: &[u8] = b"/opt/orders";
const PROGRAMS: [&str; 6] =
    ["/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/", "/usr/local/sbin/"];

impl Surroundings<'_> {
    fn path(&self, file: &place::File) -> Vec<u8> {
        let has = |program: &str| PROGRAMS.iter().any(|at| (self.has)(format!("{at}{program}").as_bytes()));
        let path = match file.yields {
            Some((program, elsewhere)) if has(program) => elsewhere,
            _ => file.path,
        };
        match path.strip_prefix("./") {
            Some(name) => [self.work(), b"/", name.as_bytes()].concat(),
            None => path.as_bytes().to_vec(),
        }
    }

    /// A directory that the image lacks is not made: whoever makes it at run time wants it empty.
    fn work(&self) -> &[u8] {
        let dir = self.working_dir;
        let below = |root: &&[u8]| dir == *root || dir.starts_with(&[root, &b"/"[..]].concat());
        let usual = WORK.iter().any(below).then_some(dir).into_iter().chain([&b"/app"[..]]);
        usual.into_iter().find(|dir| (self.has)(dir)).unwrap_or(OWN_WORK)
    }
}

impl Baits {
    /// Makes all that there are; those that no file holds are handed out by look-alikes.
    pub fn new(seed: [u8; 32]) -> Baits {
        Baits { baits: mint::mint(&seed) }
    }

    /// One secret alone.
    fn of(name: &str, field: &str, value: &str) -> Baits {
        let secret = Secret { field: field.into(), value: value.into() };
        Baits { baits: vec![Bait { name: name.into(), secrets: vec![secret] }] }
    }

    /// The files that a profile asks for, in an image that these are the surroundings of.
    pub fn decoys(&self, profile: &Profile, image: &Surroundings<'_>) -> Vec<Decoy> {
        let places = PLACES.iter().filter(|place| profile.places.contains(&place.name));
        let decoy = |bait, file: &place::File| Decoy {
            bait: file.secret.then_some(bait),
            path: image.path(file),
            content: (file.content)(self),
            mode: file.mode,
        };
        places.flat_map(|place| place.files.iter().map(move |file| decoy(place.bait, file))).collect()
    }

    /// The variables that a profile asks for, `NAME=value` each: secrets, and what a cluster tells a
    /// container that has a token for it.
    pub fn environment(&self, profile: &Profile) -> Vec<String> {
        let secrets = VARIABLES.iter().filter(|(bait, ..)| profile.environment.contains(bait));
        let secrets = secrets.map(|(bait, field, name)| format!("{name}={}", self.secret(bait, field)));
        let cluster = CLUSTER.iter().filter(|_| profile.places.contains(&"kube-token"));
        secrets.chain(cluster.map(|variable| (*variable).to_owned())).collect()
    }

    /// All baits.
    pub fn iter(&self) -> impl Iterator<Item = &Bait> {
        self.baits.iter()
    }

    /// Keys with which a client can log in by SSH: bait, field, and what of the key is shown then.
    pub fn ssh_keys(&self) -> Vec<(String, String, Vec<u8>)> {
        let keys = self.baits.iter().filter(|bait| bait.name == SSH_KEY);
        let shown =
            |secret: &Secret| (SSH_KEY.to_owned(), secret.field.clone(), key::blob(secret.value.as_bytes()));
        keys.flat_map(|bait| bait.secrets.iter().map(shown)).filter(|(.., blob)| !blob.is_empty()).collect()
    }

    /// The secret of a bait by its name and field; empty where there is none.
    pub fn secret(&self, name: &str, field: &str) -> &str {
        let bait = self.baits.iter().find(|bait| bait.name == name);
        let secret = bait.and_then(|bait| bait.secrets.iter().find(|secret| secret.field == field));
        secret.map_or("", |secret| &secret.value)
    }
}
