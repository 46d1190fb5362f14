// Compiles the probes. Included by build.rs and by the test that compares the committed object, so
// that both do the same: not a module of the crate.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Only this version: another one gives other bytes.
const CLANG: &str = "clang-19";
const STRIP: &str = "llvm-strip-19";

/// Every file of `ebpf/` that the object depends on, sorted by name.
fn sources(ebpf: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(ebpf)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("c" | "h" | "rs")) {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}

/// One digest over names and contents.
fn sources_digest(ebpf: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    for path in sources(ebpf)? {
        let content = std::fs::read(&path)?;
        let name = path.file_name().unwrap_or_default();
        hash.update(format!("{} {}\n", name.to_string_lossy(), content.len()));
        hash.update(&content);
    }
    Ok(hex(&hash.finalize()))
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compiles `ebpf/lazaret.bpf.c` to `object`; the same bytes from whatever directory.
fn compile(ebpf: &Path, object: &Path) -> Result<(), String> {
    let ebpf = ebpf.canonicalize().map_err(|error| format!("{}: {error}", ebpf.display()))?;
    let mut clang = Command::new(CLANG);
    clang
        .current_dir(&ebpf)
        .args("-target bpf -mcpu=v3 -O2 -g -fno-builtin -ffreestanding".split(' '))
        .args("-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-declarations".split(' '))
        .arg(format!("-ffile-prefix-map={}=.", ebpf.display()))
        .args("-fdebug-compilation-dir=. -c lazaret.bpf.c -o".split(' '))
        .arg(object);
    run(clang)?;
    let mut strip = Command::new(STRIP);
    strip.arg("-g").arg(object);
    run(strip)
}

fn run(mut command: Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!(
            "{name}: {error}; the probes changed, and compiling them needs the Debian packages \
             clang-19 and llvm-19"
        )),
    }
}
