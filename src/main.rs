//! Parses, calls, prints, exits. Everything else is in the library.

fn main() {}
