//! A state directory, an image, a run directory, and a way to call the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::support::host::Host;
use crate::support::image::{ImageBuilder, LayerBuilder};

/// The host is looked at before and after, so one test at a time.
static HOST: Mutex<()> = Mutex::new(());

pub struct Place {
    pub directory: tempfile::TempDir,
    host: Host,
    _alone: MutexGuard<'static, ()>,
}

/// What a call came to.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Place {
        let alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        Place { host: Host::look(), directory, _alone: alone }
    }

    /// From here on, what the test itself made belongs to the host.
    #[allow(dead_code)] // others that share this file use it
    pub fn look_again(&mut self) {
        self.host = Host::look();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the image as a layout; gives its reference.
    pub fn image(&self, builder: ImageBuilder) -> String {
        let layout = self.path("image");
        let _ = fs::remove_dir_all(&layout);
        builder.write_layout(&layout);
        format!("oci:{}", layout.display())
    }

    /// The program with this place's state directory.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
        command.env("LAZARET_STATE", self.path("state"));
        command
    }

    pub fn call(&self, arguments: &[&str]) -> Said {
        said(self.command().args(arguments).output().unwrap())
    }

    /// Analyses into `out`, with a quarantine report.
    pub fn analyze(&self, arguments: &[&str]) -> Said {
        let (out, quarantine) = (self.path("out"), self.path("quarantine.json"));
        let mut command = self.command();
        command.arg("analyze").arg("--out").arg(&out).arg("--quarantine-report").arg(&quarantine);
        said(command.args(arguments).output().unwrap())
    }

    pub fn json(&self, name: &str) -> Value {
        let path = self.path(name);
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        serde_json::from_slice(&text).unwrap()
    }

    /// Our check in the quarantine report.
    pub fn check(&self) -> Value {
        self.json("quarantine.json")["checks"][0].clone()
    }

    pub fn report(&self) -> Value {
        self.json("out/report.json")
    }

    /// Nothing of any run is left: not on the host, not in the state directory.
    pub fn assert_clean(&self) {
        self.host.assert_same();
        let runs: Vec<_> = fs::read_dir(self.path("state/runs")).into_iter().flatten().flatten().collect();
        assert!(runs.is_empty(), "{runs:?}");
    }
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// One layer with busybox and the usual directories.
pub fn busybox() -> LayerBuilder {
    let program = fs::read("/bin/busybox").expect("busybox-static is installed (fixtures/setup images)");
    let mut layer = LayerBuilder::new();
    for directory in ["bin", "etc", "root", "tmp", "var"] {
        layer = layer.directory(directory, 0o755);
    }
    layer =
        layer.file("bin/busybox", &program, 0o755).file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n", 0o644);
    let applets = "sh cat cp chmod mv rm mkdir sleep true false id ls dd nc seq setsid echo kill trap usleep nslookup wget ping";
    for applet in applets.split(' ') {
        layer = layer.symlink(format!("bin/{applet}"), "busybox");
    }
    layer
}

/// An image that runs a shell script.
pub fn shell(script: &str) -> ImageBuilder {
    run(busybox(), &["/bin/sh", "-c", script])
}

/// An image of one layer that runs a command.
pub fn run(layer: LayerBuilder, command: &[&str]) -> ImageBuilder {
    ImageBuilder::new().layer(layer.finish()).config(json!({ "Cmd": command }))
}

/// A file of rules or of policy, in a folder of its own.
pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
