//! What watching costs: the same work in the same sandbox with and without probes, in turn; a flood; and
//! the time that a run takes beside the image's own. Needs root.
//!
//! Results and how to read them: benches/README.md. Nothing here is in the product: a sandbox that runs
//! unwatched exists only in this program.

mod flood;
#[path = "../measure/mod.rs"]
mod measure;
mod network;
mod overhead;
mod start;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A directory for everything that a benchmark makes; removed at the end.
pub struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary directory"));
        let program = place.path().join("load");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/programs/load.c");
        let cc = Command::new("cc").args(["-static", "-O2", "-o"]).arg(&program).arg(source).status();
        assert!(cc.expect("cc").success());
        place
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program of fixtures/programs/load.c.
    pub fn load(&self) -> PathBuf {
        self.path().join("load")
    }

    /// A bare tree that holds that program, and a key that nobody should read.
    pub fn tree(&self) -> PathBuf {
        let tree = self.path().join("tree");
        fs::create_dir_all(tree.join("tmp")).expect("a directory");
        fs::create_dir_all(tree.join("dev/shm")).expect("a directory");
        fs::create_dir_all(tree.join("root/.ssh")).expect("a directory");
        fs::write(tree.join("root/.ssh/id_rsa"), "no key").expect("a file");
        fs::copy(self.load(), tree.join("load")).expect("a copy");
        tree
    }
}

fn main() -> ExitCode {
    lazaret::sandbox::helper_main_if_asked();
    if lazaret::image::is_unpacker() {
        return lazaret::image::unpacker_main();
    }
    if lazaret::internet::process::is_internet() {
        return lazaret::internet::process::internet_main();
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return ExitCode::SUCCESS;
    }
    let place = Place::new();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    for (name, bench) in [
        ("start", start::bench as fn(&Place)),
        ("network", network::bench),
        ("flood", flood::bench),
        ("overhead", overhead::bench),
    ] {
        if is_wanted(name) {
            bench(&place);
        }
    }
    ExitCode::SUCCESS
}
