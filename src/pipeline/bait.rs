//! The run's baits: made of fresh chance, planted with the plan, and known again to the normaliser.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use super::PipelineError;
use crate::bait::{Baits, Decoy, Profile, Surroundings};
use crate::event::Bytes;
use crate::normalise::Supplied;
use crate::sandbox::{How, Plan, Plant, Planted};

/// What a plan plants, and which of it is whose bait.
#[derive(Debug, Default)]
pub struct Laid {
    /// As long as the plan's list of plants.
    names: Vec<Option<&'static str>>,
}

/// Makes the baits of one run; nobody outside can know their secrets.
pub fn make() -> Result<Baits, PipelineError> {
    let mut seed = [0; 32];
    let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut seed));
    read.map_err(PipelineError::io("read /dev/urandom"))?;
    Ok(Baits::new(seed))
}

/// A pod finds the certificate of its cluster beside the token.
const TOKEN: &[u8] = b"/var/run/secrets/kubernetes.io/serviceaccount/token";
const CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// Adds what the profile asks for to the plan. Call it when nothing else is to be planted. `authority`: the
/// certificate with which the world's servers answer for themselves, in PEM. `has`: whether the
/// image has something at a path.
pub fn lay(
    baits: &Baits,
    profile: &Profile,
    authority: Option<&str>,
    has: &dyn Fn(&[u8]) -> bool,
    plan: &mut Plan,
) -> Laid {
    let mut names = vec![None; plan.plants.len()];
    let working_dir = plan.working_dir.clone();
    let image = Surroundings { working_dir: working_dir.as_bytes(), has };
    for Decoy { bait, path, content, mode } in baits.decoys(profile, &image) {
        if let (Some(authority), TOKEN) = (authority, path.as_slice()) {
            names.push(None);
            let content = authority.as_bytes().to_vec();
            plan.plants.push(Plant { path: CLUSTER.into(), content, mode: 0o644, how: How::New });
        }
        names.push(bait);
        plan.plants.push(Plant { path, content, mode, how: How::New });
    }
    for variable in baits.environment(profile) {
        let name = variable.split_inclusive('=').next().unwrap_or_default();
        if !plan.env.iter().any(|entry| entry.as_bytes().starts_with(name.as_bytes())) {
            plan.env.push(OsString::from(variable));
        }
    }
    Laid { names }
}

impl Laid {
    /// Of what was planted, the files that are not the image's: those that were made. What was added to a
    /// file of the image left it the image's.
    pub fn supplied(&self, plan: &Plan, planted: &[Planted]) -> Vec<Supplied> {
        let made = |planted: &&Planted| {
            planted.stands() && plan.plants.get(planted.plant).is_some_and(|plant| plant.how == How::New)
        };
        let supplied = |planted: &Planted| Supplied {
            path: planted.path.clone(),
            inode: planted.inode,
            bait: self.names.get(planted.plant).copied().flatten().map(|name| Bytes::from(name.as_bytes())),
        };
        planted.iter().filter(made).map(supplied).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Config;
    use crate::sandbox::{Options, RunId};

    #[test]
    fn baits_are_known_again_where_they_stand() {
        let config = Config { entrypoint: vec!["/e".into()], ..Config::default() };
        let id = RunId::parse("0123456789abcdef0123").unwrap();
        let mut plan = Plan::new(&config, &Options::default(), &id).unwrap();
        let bundle = |how| Plant { path: b"/etc/x".to_vec(), content: vec![], mode: 0o644, how };
        plan.plants = vec![bundle(How::Append), bundle(How::New)];
        let profile = Profile::parse("x", b"baits: [vault-token]\nenvironment: [github-token]").unwrap();
        let laid = lay(&Baits::new([1; 32]), &profile, None, &|_| false, &mut plan);
        assert!(plan.env.iter().any(|entry| entry.as_bytes().starts_with(b"GITHUB_TOKEN=ghp_")));

        let stands = |plant, path: &str| Planted { plant, path: path.into(), inode: 9, errno: 0 };
        let planted = [
            stands(0, "/etc/x"),
            stands(1, "/etc/x"),
            stands(2, "/root/.vault-token"),
            Planted { errno: 17, ..stands(2, "/.vault-token") },
        ];
        let supplied = |path: &str, bait: Option<&str>| Supplied {
            path: path.into(),
            inode: 9,
            bait: bait.map(|bait| Bytes::from(bait.as_bytes())),
        };
        let expected = [supplied("/etc/x", None), supplied("/root/.vault-token", Some("vault-token"))];
        assert_eq!(laid.supplied(&plan, &planted), expected);
    }
}
