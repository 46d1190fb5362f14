//! Parses, calls, prints, exits. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "live")]
    if lazaret::image::is_unpacker() {
        return lazaret::image::unpacker_main();
    }
    ExitCode::SUCCESS
}
