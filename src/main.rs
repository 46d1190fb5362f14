//! Parses, calls, prints, exits. Everything else is in the library.

fn main() {
    #[cfg(feature = "live")]
    lazaret::sandbox::helper_main_if_asked();
}
