//! Puts the object of the probes where the crate embeds it.
//!
//! The object is committed with the digests of itself and of its sources, so that a build needs Rust
//! and nothing else. Changed sources are compiled; `LAZARET_BPF=build` compiles always, and renews
//! what is committed.

include!("ebpf/compile.rs");

const OBJECT: &str = "ebpf/lazaret.bpf.o";
const SUMS: &str = "ebpf/lazaret.bpf.sha256";

fn main() {
    println!("cargo:rerun-if-changed=ebpf");
    println!("cargo:rerun-if-env-changed=LAZARET_BPF");
    if std::env::var_os("CARGO_FEATURE_LIVE").is_none() {
        return;
    }
    if let Err(reason) = place() {
        println!("cargo:error={reason}");
        std::process::exit(1);
    }
}

fn place() -> Result<(), String> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let object = out.join("lazaret.bpf.o");
    let renew = std::env::var_os("LAZARET_BPF").is_some_and(|value| value == "build");
    let sources = sources_digest(Path::new("ebpf")).map_err(|error| format!("ebpf: {error}"))?;
    if !renew && committed_is_current(&sources) {
        return copy(Path::new(OBJECT), &object);
    }
    compile(Path::new("ebpf"), &object)?;
    if renew {
        let bytes = std::fs::read(&object).map_err(|error| format!("{OBJECT}: {error}"))?;
        let sums = format!("{}  lazaret.bpf.o\n{sources}  sources\n", digest(&bytes));
        std::fs::write(SUMS, sums).map_err(|error| format!("{SUMS}: {error}"))?;
        copy(&object, Path::new(OBJECT))?;
    }
    Ok(())
}

/// True if the committed object is whole and was made from these sources.
fn committed_is_current(sources: &str) -> bool {
    let (Ok(object), Ok(sums)) = (std::fs::read(OBJECT), std::fs::read_to_string(SUMS)) else {
        return false;
    };
    sums == format!("{}  lazaret.bpf.o\n{sources}  sources\n", digest(&object))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", to.display()))
}
