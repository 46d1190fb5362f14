//! Parses, calls, prints, exits. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else, and before any thread: this may be a process of the sandbox's.
    #[cfg(feature = "live")]
    lazaret::sandbox::helper_main_if_asked();
    #[cfg(feature = "live")]
    if lazaret::image::is_unpacker() {
        return lazaret::image::unpacker_main();
    }
    #[cfg(feature = "live")]
    if lazaret::internet::process::is_internet() {
        return lazaret::internet::process::internet_main();
    }
    #[cfg(feature = "live")]
    if lazaret::sandbox::visit::is_visitor() {
        return lazaret::sandbox::visit::visitor_main();
    }
    lazaret::cli::main()
}
