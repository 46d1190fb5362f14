//! Detonates small deeds of our own, one for each family and route, and says which of them were seen.
//!
//! The program is made here ([`program`]), so the selftest needs neither compiler nor image. It goes the
//! way of every image: unpacked, caged, watched, recorded; what counts is what stands in the recording.

mod deed;
mod doing;
mod program;

use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rundir::RunDir;
use super::{Job, Network, News, PipelineError, capture, detonate};
use crate::bait::Profile;
use crate::event::{Act, Family, SandboxAct};
use crate::image::Reference;
use crate::report::document::{Inputs, Request};
use crate::report::log::{self, Ending, Reader};
use crate::rule::RuleSet;
use crate::sandbox::Options;
use crate::trace::{self, Loading};

/// Bytes of events: a few hundred are expected.
const LOG_BOUND: u64 = 64 << 20;
/// How long the deeds may take.
const DURATION: Duration = Duration::from_secs(20);

/// Whether one deed was seen.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub family: Family,
    pub route: &'static str,
    pub seen: bool,
}

/// What the selftest found.
#[derive(Clone, Debug)]
pub struct Answers {
    pub deeds: Vec<Answer>,
    /// Records that were lost, by family: a deed that is unseen for that is no proof of blindness, and one
    /// that is seen none of sight.
    pub lost: Vec<(Family, u64)>,
}

impl Answers {
    /// Every deed was seen, and nothing was lost.
    pub fn all_seen(&self) -> bool {
        self.lost.is_empty() && self.deeds.iter().all(|deed| deed.seen)
    }
}

/// Does all deeds in a sandbox, and looks for them in its recording. `id` names the run; what is made for
/// it below `state` is removed.
pub fn selftest(
    state: &Path,
    id: &str,
    created: &str,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Answers, PipelineError> {
    let probes = Loading::begin(trace::Options::default());
    let place = Place::make(state, id).map_err(PipelineError::io("make the selftest's image"))?;
    let out = RunDir::make(&place.0.join("run"))?;
    let rules = RuleSet::load::<&str, &[u8]>([]).expect("no rules have no problem");
    let job = Job {
        reference: Reference::parse(&place.image())?,
        expected: None,
        quarantined: None,
        options: Options { entrypoint: Some("/deeds".into()), ..Options::default() },
        duration: DURATION,
        exec: Vec::new(),
        log_bound: LOG_BOUND,
        cache_bound: None,
        captures: capture::Bounds::default(),
        profile: Profile::default(),
        network: Network::None,
        out: &out,
        state: state.to_owned(),
        rules: &rules,
        inputs: Inputs::default(),
        request: Request::default(),
        id: id.to_owned(),
        created: created.to_owned(),
    };
    let detonated = detonate(job, probes, tell)?;
    detonated.clean_up?;
    look(&place.0.join("run/events.jsonl.zst")).map_err(PipelineError::io("read the selftest's recording"))
}

/// A directory that is removed with everything in it.
struct Place(PathBuf);

impl Place {
    fn make(state: &Path, id: &str) -> io::Result<Place> {
        let place = Place(state.join(format!("selftest-{id}")));
        let etc = place.0.join("root/etc");
        fs::create_dir_all(&etc)?;
        for name in doing::OPENED {
            fs::write(etc.join(name), name)?;
        }
        let program = place.0.join("root/deeds");
        fs::write(&program, doing::program().elf())?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(place)
    }

    fn image(&self) -> std::ffi::OsString {
        let mut text = std::ffi::OsString::from("dir:");
        text.push(self.0.join("root"));
        text
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn look(log: &Path) -> io::Result<Answers> {
    let file = BufReader::new(fs::File::open(log)?);
    let mut reader = Reader::open(BufReader::new(log::decompress(file)?)).map_err(io::Error::other)?;
    let mut seen = vec![false; deed::DEEDS.len()];
    let mut lost = Vec::new();
    for event in reader.by_ref() {
        let event = event.map_err(io::Error::other)?;
        if let Act::Sandbox(SandboxAct::Lost { family, records }) = event.act {
            lost.push((family, records));
        }
        for (seen, deed) in seen.iter_mut().zip(deed::DEEDS) {
            *seen |= (deed.is_seen)(&event);
        }
    }
    if !matches!(reader.ending(), Some(Ending::Complete(_))) {
        return Err(io::Error::other("the recording has no end"));
    }
    let answer = |(deed, seen): (&deed::Deed, bool)| Answer { family: deed.family, route: deed.route, seen };
    Ok(Answers { deeds: deed::DEEDS.iter().zip(seen).map(answer).collect(), lost })
}
