//! Programs of fixtures/programs, built without libraries, so that they run in any image.

use std::path::Path;
use std::process::Command;

/// The program's bytes. Nothing stays on the host.
pub fn build(name: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/programs/{name}.c"));
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join(name);
    let mut command = Command::new("cc");
    command.args(["-static", "-O1", "-Wall", "-Werror", "-o"]).arg(&output).arg(source).arg("-lpthread");
    assert!(command.status().expect("cc").success(), "{name}");
    std::fs::read(output).unwrap()
}
